//! What packs hold of keys that come in order.

use crate::store::Result;

use super::super::pack::{Bounds, Cursor, Packs, Record, Sorted as _};
use super::super::space::Space;

/// The packs of a namespace, for somebody who holds its maintenance lock.
#[derive(Debug)]
pub(in super::super) struct PackedBefore {
    /// The newest first.
    cursors: Vec<Cursor>,
}

impl PackedBefore {
    /// Opens all packs.
    pub(in super::super) fn open(space: &Space, packs: Option<&Packs>) -> Result<Self> {
        let mut cursors = Vec::new();
        let count = packs.map_or(0, |packs| packs.named().len());
        for (number, packs) in (0..count).zip(std::iter::repeat(packs).flatten()) {
            let pack = packs.open(space, number)?;
            let pack = pack.expect("nobody else changes MANIFEST under the maintenance lock");
            cursors.push(Cursor::new(pack, Bounds::default(), false)?);
        }
        Ok(Self { cursors })
    }

    /// Finds the newest record of a key, whatever it says. The key is behind all that were looked
    /// for before.
    pub(in super::super) fn find(&mut self, key: &[u8]) -> Result<Option<Record<'_>>> {
        let mut found = None;
        for (number, cursor) in self.cursors.iter_mut().enumerate() {
            if cursor.seek(key)? && cursor.key() == key {
                found = Some(number);
                break;
            }
        }
        Ok(found.map(|number| self.cursors[number].record()))
    }
}
