//! The model's part about who empties a file, and about who has it open beside.

use super::super::inode::Mode;
use super::{Change, Done, Entry, Model, Open};

impl Model {
    pub(in super::super) fn resize(&mut self, which: usize, len: usize) -> Done {
        if len > 0 {
            self.prepare(which, false)?;
        }
        self.open[which].only_adds = false;
        let at = self.open[which].change.unwrap();
        let file = self.open[which].file;
        if len == 0 {
            let change = &mut self.changes[at];
            change.tail.clear();
            (change.draft, change.is_whole) = (Some(Vec::new()), true);
        } else {
            self.load_to_write(which)?;
            self.changes[at].draft.as_mut().unwrap().resize(len, 0);
        }
        self.lead(which);
        if len == 0 {
            self.open[which].is_anew = true;
            self.changes[at].was_written = false;
            let name = self.files[file].name;
            if let Some(Entry(id, _, end)) = name.and_then(|name| self.live(name).cloned()) {
                (self.changes[at].pin, self.changes[at].end) = (Some(id), end);
            }
        }
        (self.changes[at].is_pending, self.changes[at].is_given_up) = (true, false);
        self.open[which].owes = self.changes[at].stores + 1;
        self.open[which].is_refused = false;
        Ok(())
    }

    /// Stores what comes before an opening empties the file.
    pub(in super::super) fn make_way(&mut self, name: usize, mode: Mode) {
        let file = self.file(name);
        let current = self.files[file].current;
        if let Some(at) = current.filter(|at| mode.truncates && self.is_changed_in_place(*at)) {
            _ = self.store(file, at);
        }
    }

    /// Empties a file for who opens it so: together with who has it open to write to what it holds, or apart.
    pub(super) fn empty(&mut self, file: usize, entry: Option<&Entry>) -> usize {
        let emptied = Self::emptied(entry);
        let goes_on = self.goes_on(file, entry);
        let in_place = |at: &usize| {
            let mut open = self.open.iter().filter(|open| open.change == Some(*at));
            open.any(|open| open.mode.writes && !open.is_anew)
        };
        let Some(at) = goes_on.filter(in_place) else {
            return self.begin(file, emptied);
        };
        self.changes[at].draft = Some(Vec::new());
        for which in 0..self.open.len() {
            let open = &self.open[which];
            if open.change == Some(at) && open.mode.writes && !open.only_adds {
                self.lead(which);
            }
        }
        let Change {
            writers,
            stores,
            was_added_to,
            ..
        } = self.changes[at];
        self.changes[at] = Change {
            writers,
            stores,
            was_added_to,
            ..emptied
        };
        at
    }

    /// Who has emptied a file and written nothing leaves it to others who have made it another.
    pub(super) fn settle_emptied(&mut self, file: usize) {
        let name = self.files[file].name;
        let live = name.and_then(|name| self.live(name)).map(|entry| entry.0);
        let current = self.files[file].current;
        if let Some(at) = current.filter(|at| self.is_idle(*at) && self.changes[*at].pin != live) {
            self.leave(file, at);
        }
    }

    pub(super) fn leave(&mut self, file: usize, at: usize) {
        self.changes[at].stores += 1;
        self.changes[at].is_pending = false;
        let current = &mut self.files[file].current;
        *current = current.filter(|current| *current != at);
    }

    /// Tells whether somebody has emptied it and written nothing.
    pub(super) fn is_idle(&self, at: usize) -> bool {
        let Change {
            is_whole,
            is_pending,
            was_written,
            ref draft,
            ..
        } = self.changes[at];
        is_whole && is_pending && !was_written && draft.as_deref() == Some(&[])
    }

    /// Tells whether what somebody has added or changed in place is pending in it.
    pub(super) fn is_changed_in_place(&self, at: usize) -> bool {
        let Change {
            stores,
            is_pending,
            is_whole,
            ..
        } = self.changes[at];
        let owes = |open: &Open| open.change == Some(at) && !open.is_anew && open.owes > stores;
        is_pending && !is_whole || self.open.iter().any(owes)
    }
}
