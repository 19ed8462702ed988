//! The model's part about who has a file open by another buffer than who changes it.

use super::{Change, Entry, Model, Open};

impl Model {
    /// Who shares what another is about to change, and holds something else, has that apart, with all who hold the
    /// same.
    pub(super) fn split(&mut self, other: usize, at: usize, first: usize) {
        let open = &mut self.open[other];
        if open.only_adds {
            open.held = None;
        } else if open.mode.writes {
            let pin = open.held.as_ref().map(|held| held.0);
            let end = open.held.as_ref().and_then(|held| held.2);
            let mut own = first..self.changes.len();
            let found = own.find(|at| self.changes[*at].pin == pin);
            let own = found.unwrap_or(self.changes.len());
            (open.change, open.owes) = (Some(own), 0);
            if found.is_none() {
                self.changes.push(Change {
                    pin,
                    end,
                    ..Change::default()
                });
            }
            self.changes[own].writers += 1;
            self.changes[at].writers -= 1;
        } else {
            open.change = None;
        }
    }

    /// Returns the other buffers beside a whole that is about to be stored by which somebody changes what the file
    /// holds, or has emptied it and can read it. What was changed in place is stored before.
    pub(super) fn beside(&mut self, file: usize, at: usize) -> Vec<usize> {
        let change = &self.changes[at];
        if !change.is_whole || !change.tail.is_empty() || self.is_idle(at) {
            return Vec::new();
        }
        let open = self.open.iter();
        let open = open.filter(|open| open.file == file && open.mode.writes);
        let mut all: Vec<_> = open.filter_map(|open| open.change).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|is| *is != at && self.is_one_to_all(*is) && !self.changes[*is].is_given_up);
        for other in &all {
            let change = &self.changes[*other];
            if change.is_whole || !change.tail.is_empty() {
                continue;
            }
            let is_anew = |open: &&Open| open.mode.truncates && open.change == Some(*other);
            let mut anew = self.open.iter().filter(is_anew);
            if change.draft.is_some() && anew.any(|open| open.owes > change.stores) {
                self.changes[*other].is_whole = true;
            } else if change.is_pending {
                _ = self.store(file, *other);
            }
        }
        all
    }

    /// A whole was stored in the place of an entry.
    pub(super) fn go_on_beside(&mut self, beside: &[usize], was: Option<u64>, name: usize) {
        if let (Some(was), Some(now)) = (was, self.entries[name].clone()) {
            for other in beside {
                self.go_on(*other, was, &now);
            }
        }
    }

    /// What has another buffer is replaced by a whole: who holds just that, and has nothing pending but what is to be
    /// added, goes on with what is there now, and so does who reads by their number.
    fn go_on(&mut self, at: usize, was: u64, now: &Entry) {
        let change = &self.changes[at];
        let is_known = change.draft.is_some();
        let is_free = !is_known || !change.is_pending && change.pin == Some(was);
        let is_of = |open: &Open| {
            let is_of = open.held.as_ref().is_some_and(|held| held.0 == was);
            is_of && open.mixed.is_none()
        };
        let of = |open: &&Open| open.change == Some(at) && open.mode.writes && !open.only_adds;
        let mut writers = self.open.iter().filter(of);
        let is_one = writers.clone().next().is_some() && writers.clone().all(is_of);
        if !is_free || !is_known && !is_one {
            return;
        }
        let numbers: Vec<_> = writers.by_ref().map(|open| open.number).collect();
        let change = &mut self.changes[at];
        (change.pin, change.end) = (Some(now.0), now.2);
        (change.draft, change.is_whole) = (None, false);
        for open in &mut self.open {
            let is_beside = !open.mode.writes && numbers.contains(&open.number);
            let reads = open.change.is_none() && is_beside && is_of(open);
            if open.change == Some(at) && (is_known || is_of(open)) || reads {
                open.held = Some(now.clone()).filter(|_| !open.only_adds);
                open.mixed = None;
                open.is_anew = false;
            }
        }
    }
}
