//! The ends of a list.

use crate::store::check::{Repair, Severity};
use crate::store::list::{key_of, number_of};
use crate::store::{Result, Selection};

use super::super::ends::{ENDS_LEN, Ends, is_ends, read_ends};
use super::super::layout::Place;
use super::Work;
use super::aside::read_twice;

impl Work<'_> {
    pub(super) fn check_ends(&mut self) -> Result<()> {
        let dir = self.space.dir("")?;
        let path = dir.path.join("ends");
        let Some(bytes) = read_twice(&dir, "ends", ENDS_LEN + 1)? else {
            return Ok(());
        };
        if !is_ends(&bytes) {
            let what = "it does not say where the list begins and ends; who pushes or pops next \
                        counts its elements";
            self.found(Severity::Warning, path, what);
            return Ok(());
        }
        let Some(ends) = read_ends(&self.space) else {
            // It is from before the last start of the machine, or a copy, and nobody believes it.
            return Ok(());
        };
        let outside = match self.find_outside(ends)? {
            Some(number) if read_ends(&self.space) == Some(ends) => number,
            _ => return Ok(()),
        };
        let what = format!("the list has an element {outside} that `pop` does not come to");
        let repair = match self.mends() {
            false => self.would("moved to lost/"),
            true => self.forget()?,
        };
        self.found_with(Severity::Damage, path, what, None, repair);
        Ok(())
    }

    /// Finds an element that is not between the ends, if it still is not after a second look.
    fn find_outside(&self, ends: Ends) -> Result<Option<u64>> {
        let last = key_of(u64::MAX).as_bytes().to_vec();
        let next = key_of(ends.next).as_bytes().to_vec();
        let first = key_of(ends.first).as_bytes().to_vec();
        for (from, to) in [(None, Some(first)), (Some(next), Some(last))] {
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
                let place = Place::of(&key);
                let found = self.tree.find_meta(self.namespace, &place, now);
                // An element is taken before the ends come nearer, and comes after they have gone
                // further; so that one that is there now is between those of now.
                if matches!(found, Ok(Some(_))) && read_ends(&self.space) == Some(ends) {
                    let again = self.tree.find_meta(self.namespace, &place, now);
                    if matches!(again, Ok(Some(_))) {
                        return Ok(Some(number));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Has the elements counted anew by whoever changes the list next.
    fn forget(&self) -> Result<Option<Repair>> {
        let Some((_, lock)) = self.tree.lock_ends(self.namespace, false)? else {
            return Ok(None);
        };
        let moved = self.move_away(&self.space.dir("")?, "ends", "ends");
        drop(lock);
        moved
    }
}
