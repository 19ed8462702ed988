//! The range of a list.

use std::ops::Range;

use crate::store::check::{Repair, Severity};
use crate::store::lists::{key_of, number_of};
use crate::store::{Entries as _, Result, Selection};

use super::super::layout::{LIST_DIR, LIST_LOCK};
use super::super::range::{names_in, range_of, read_range};
use super::Work;
use super::nodes;

impl Work<'_> {
    pub(super) fn check_list(&mut self) -> Result<()> {
        let Some(dir) = self.subdir(LIST_DIR)? else {
            return Ok(());
        };
        for node in nodes::read(&dir)? {
            let path = dir.path.join(&node.name);
            let name = node.name().unwrap_or_default();
            let is_range = range_of(name).is_some();
            if !is_range {
                let what = format!("{} that kv knows nothing of", node.kind_word());
                self.found(Severity::Warning, path, what);
            } else if !node.is_file() {
                let what = format!("it is {}", node.kind_word());
                let repair = self.move_away(&dir, name, "range")?;
                self.damage(path, what, repair);
            } else {
                self.suspects.look_at(&dir, &node);
            }
        }
        // One that nobody believes is from a copy, or an older kv was here.
        let Some(range) = self.range() else {
            return Ok(());
        };
        let outside = match self.find_outside(&range)? {
            Some(number) if self.range().as_ref() == Some(&range) => number,
            _ => return Ok(()),
        };
        let what = format!("the list has an element {outside} that `pop` does not come to");
        let repair = match self.mends() {
            false => self.would("moved to lost/"),
            true => self.forget()?,
        };
        self.damage(dir.path, what, repair);
        Ok(())
    }

    /// Reads the range that the next push or pop would believe.
    fn range(&self) -> Option<Range<u64>> {
        let lock = self.space.open_if_any(LIST_LOCK).ok()??;
        read_range(&self.space, &lock).ok()?
    }

    /// Finds an element that is not in the range, if it still is not after a second look.
    fn find_outside(&self, range: &Range<u64>) -> Result<Option<u64>> {
        let [first, end, last] =
            [range.start, range.end, u64::MAX].map(|n| key_of(n).as_bytes().to_vec());
        for (from, to) in [(None, Some(first)), (Some(end), Some(last))] {
            let selection = Selection {
                from,
                to,
                ..Selection::default()
            };
            let now = self.clock.now();
            let Ok(mut listing) = self.tree.list_entries(self.namespace, &selection, now) else {
                return Ok(None);
            };
            while let Some(listed) = listing.next() {
                let Ok(listed) = listed else {
                    continue;
                };
                let Some(number) = number_of(listed.key) else {
                    continue;
                };
                let key = listed.to_key();
                let is_there = || matches!(self.tree.stat(self.namespace, &key, now), Ok(Some(_)));
                // An element is taken before the range is narrowed, and comes after it was widened;
                // so that one that is there now is in the range of now.
                if is_there() && self.range().as_ref() == Some(range) && is_there() {
                    return Ok(Some(number));
                }
            }
        }
        Ok(None)
    }

    /// Has the elements counted anew by whoever changes the list next.
    fn forget(&self) -> Result<Option<Repair>> {
        let Some(mut list) = self.tree.lock_list(self.namespace, false)? else {
            return Ok(None);
        };
        let dir = self.space.dir(LIST_DIR)?;
        let mut moved = None;
        for (name, _) in names_in(&dir)? {
            moved = self.move_away(&dir, &name, "range")?;
        }
        list.forget()?;
        Ok(moved)
    }
}
