//! What packs hold of keys that come in order.

use crate::store::{Key, Result, StoreError};

use super::super::layout::HashedKey;
use super::super::namespace_dir::NamespaceDir;
use super::super::pack::{Bounds, Cursor, Packs, Record, Sorted as _};

/// What packs hold of a key.
#[derive(Debug)]
pub(in super::super) enum Before<'a> {
    Nothing,
    /// The newest record, whatever it says.
    Record(Record<'a>),
    /// There was a record, and damage took it.
    Lost,
}

/// The packs of a namespace, for somebody who holds its maintenance lock.
#[derive(Debug)]
pub(in super::super) struct PackedBefore {
    /// The newest first.
    cursors: Vec<Cursor>,
}

impl PackedBefore {
    /// Opens all packs.
    pub(in super::super) fn open(space: &NamespaceDir, packs: Option<&Packs>) -> Result<Self> {
        let mut cursors = Vec::new();
        let count = packs.map_or(0, |packs| packs.named().len());
        for (number, packs) in (0..count).zip(std::iter::repeat(packs).flatten()) {
            let pack = packs.open_kept(space, number)?;
            cursors.push(Cursor::new(pack, Bounds::default(), false)?);
        }
        Ok(Self { cursors })
    }

    /// Finds what packs hold of a key, which is behind all that were looked for before.
    pub(in super::super) fn find(&mut self, key: &[u8]) -> Result<Before<'_>> {
        let mut found = None;
        for (number, cursor) in self.cursors.iter_mut().enumerate() {
            // What is damaged is passed over: each try goes on behind it.
            let is_there = loop {
                match cursor.seek(key) {
                    Err(StoreError::Damaged { .. }) => {}
                    sought => break sought?,
                }
            };
            if is_there && cursor.key() == key {
                found = Some(number);
                break;
            }
            if cursor.misses_some() {
                let key = Key::new(key.to_vec()).expect("only keys are looked for");
                match cursor.pack().find(&HashedKey::of(&key)) {
                    Ok(_) => {}
                    Err(StoreError::Damaged { .. }) => return Ok(Before::Lost),
                    Err(err) => return Err(err),
                }
            }
        }
        Ok(match found {
            Some(number) => Before::Record(self.cursors[number].record()),
            None => Before::Nothing,
        })
    }

    /// Tells whether there are records that could not be read, as far as it was looked.
    pub(in super::super) fn misses_some(&self) -> bool {
        self.cursors.iter().any(Cursor::misses_some)
    }
}
