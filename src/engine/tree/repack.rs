//! Writes several packs anew as one.

use std::ops::Range;

use crate::store::{Result, Time};

use super::codec::Damage;
use super::namespace_dir::NamespaceDir;
use super::pack::{Bounds, Cursor, Geometry, Merge, PackWriter, Packs, Record};
use super::temp::Temp;

/// Which packs are written anew, and what is left out.
pub(super) struct Repack<'a> {
    pub(super) packs: &'a Packs,
    /// The packs, by their places in MANIFEST: neighbours, as what is newest wins.
    pub(super) range: Range<usize>,
    pub(super) now: Time,
}

impl Repack<'_> {
    /// Writes the packs as one, without what `leaves_out` says; `None` if nothing is left. Only with
    /// the oldest pack among them can anything be left out, or an older record would come to light,
    /// and then what is dead is left out too. That a loose entry hides a record is no reason, as it
    /// may be removed.
    ///
    /// # Errors
    ///
    /// Any damage: what cannot be read must not be lost by writing the rest anew.
    pub(super) fn write(
        &self,
        space: &NamespaceDir,
        leaves_out: &mut dyn FnMut(&Record<'_>) -> Result<bool>,
    ) -> Result<Option<(Temp, Geometry)>> {
        let mut cursors = Vec::new();
        let mut base = Time(u64::MAX);
        for number in self.range.clone() {
            let pack = self.packs.open_kept(space, number)?;
            pack.check_footer()?;
            if pack.geometry().lost > 0 {
                return Err(pack.damaged(Damage::Lost));
            }
            base = base.min(pack.geometry().base);
            cursors.push(Cursor::new(pack, Bounds::default(), false)?);
        }
        let has_oldest = self.range.end == self.packs.named().len();
        let mut merge = Merge::new(cursors, false);
        let mut writer: Option<PackWriter<'_>> = None;
        while let Some(source) = merge.advance()? {
            let record = merge.source(source).record();
            if has_oldest && (!record.is_live(self.now) || leaves_out(&record)?) {
                continue;
            }
            PackWriter::begun(&mut writer, space, base)?.add(&record)?;
        }
        writer.map(PackWriter::finish).transpose()
    }
}
