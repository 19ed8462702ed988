//! The model's part about who empties a file, and about who has it open beside.

use crate::store::Deadline;

use super::super::inode::Mode;
use super::{Change, Done, Entry, Model, Open};

impl Model {
    pub(in super::super) fn resize(&mut self, which: usize, len: usize) -> Done {
        if len > 0 {
            self.prepare(which, false)?;
        }
        let at = self.open[which].change.unwrap();
        let file = self.open[which].file;
        if len == 0 {
            let change = &mut self.changes[at];
            change.tail.clear();
            (change.draft, change.is_whole) = (Some(Vec::new()), true);
        } else {
            self.load(which)?;
            self.changes[at].draft.as_mut().unwrap().resize(len, 0);
        }
        self.open[which].only_adds = false;
        if len == 0 {
            self.open[which].is_anew = true;
            self.changes[at].was_written = false;
            let name = self.files[file].name;
            if let Some(Entry(id, _, end)) = name.and_then(|name| self.live(name).cloned()) {
                (self.changes[at].pin, self.changes[at].end) = (Some(id), end);
            }
        }
        self.lead(which, len == 0);
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
        let Some(at) = goes_on.filter(|at| self.is_one_to_all(*at)) else {
            return self.begin(file, emptied);
        };
        self.changes[at].draft = Some(Vec::new());
        for which in 0..self.open.len() {
            let open = &mut self.open[which];
            if open.change == Some(at) && open.only_adds {
                open.held = None;
            } else if open.change == Some(at) && open.mode.writes {
                self.lead(which, false);
            }
        }
        let Change {
            writers, stores, ..
        } = self.changes[at];
        self.changes[at] = Change {
            writers,
            stores,
            ..emptied
        };
        at
    }

    /// Who only reads what the kernel has by a number, or holds nothing of it, or what is empty, goes on with what was
    /// emptied.
    pub(super) fn join(&mut self, number: u64, at: usize) {
        for which in 0..self.open.len() {
            let Open {
                number: of,
                change,
                mode,
                file,
                ..
            } = self.open[which];
            let own = change.filter(|_| mode.writes);
            if of == number && self.open[which].only_adds {
                self.open[which].held = None;
                continue;
            }
            let is_nothing = !(mode.only_writes && self.open[which].is_anew)
                && self.held(which).is_none_or(|held| held.is_empty());
            let is_free = own.is_none_or(|own| is_nothing && !self.changes[own].is_pending);
            if of != number || !is_free || own == Some(at) {
                continue;
            }
            self.open[which].change = Some(at);
            if let Some(own) = own {
                self.open[which].owes = 0;
                self.changes[at].writers += 1;
                self.changes[own].writers -= 1;
                if self.changes[own].writers == 0 {
                    self.settle(file, own);
                }
            }
        }
    }

    /// Returns what an opening holds, if that need not be what the file is now.
    pub(in super::super) fn held(&self, which: usize) -> Option<Vec<u8>> {
        let open = &self.open[which];
        if open.mode.only_writes && open.is_anew {
            return None;
        }
        match open.change.map(|at| &self.changes[at]) {
            Some(change) if !change.tail.is_empty() => None,
            Some(Change {
                draft: Some(draft), ..
            }) => Some(draft.clone()),
            _ => open.held.as_ref().map(|held| held.1.clone()),
        }
    }

    /// Tells whether all who open a name have it by one number: nobody holds anything of it but what all go on
    /// with, or what others who write to it do.
    pub(in super::super) fn is_one(&self, number: u64) -> bool {
        let of = |which: &usize| self.open[*which].number == number;
        let mut all = (0..self.open.len()).filter(of);
        let is_written = all.clone().any(|which| self.open[which].mode.writes);
        all.all(|which| {
            let Open {
                file,
                change,
                mode,
                only_adds,
                ref held,
                ..
            } = self.open[which];
            // What is added behind another value than somebody holds is no one file to them.
            let is_known = change.is_some_and(|at| self.changes[at].draft.is_some());
            let live = self.files[file].name.and_then(|name| self.live(name));
            let is_other = |held: &Entry| live.is_none_or(|live| live.0 != held.0);
            let is_another = !is_known && held.as_ref().is_some_and(is_other);
            // What was added is stored, and who holds another value has that with it: that is no one file either.
            let is_beside = |open: &Open| {
                let held = open.held.as_ref();
                open.change == change && held.is_some_and(is_other)
            };
            let is_stored = change.is_some_and(|at| !self.changes[at].is_pending);
            let is_split = is_stored && !is_known && self.open.iter().any(is_beside);
            let is_current = self.files[file].current == change && !is_split;
            let is_led = only_adds || is_written && (!mode.writes || is_current);
            !is_another && (is_led || self.held(which).is_none_or(|held| held.is_empty()))
        })
    }

    /// Tells whether somebody who can change a name holds nothing of it.
    pub(in super::super) fn is_nothing_to_a_writer(&self, name: usize) -> bool {
        let mut all = 0..self.open.len();
        all.any(|which| {
            let open = &self.open[which];
            let is_of = self.files[open.file].name == Some(name) && open.mode.writes;
            is_of && !open.mode.appends && self.peek(which).is_ok_and(|held| held.is_empty())
        })
    }

    /// Where who has emptied a file was killed, who has it open in place goes on with what it was.
    pub(super) fn go_back(&mut self, which: usize, at: usize) {
        let file = self.open[which].file;
        let entry = self.files[file]
            .name
            .and_then(|name| self.live(name).cloned());
        let Some(entry) = entry.filter(|entry| self.changes[at].pin == Some(entry.0)) else {
            return;
        };
        let mut all = self.open.iter().filter(|open| open.change == Some(at));
        let in_place = |open: &Open| open.mode.writes && !open.is_anew;
        // Who only reads has it by the same number, and reads on what was written.
        if !all.clone().any(in_place) || all.any(|open| !open.mode.writes) {
            return;
        }
        let Change {
            writers, stores, ..
        } = self.changes[at];
        self.changes[at] = Change {
            writers,
            stores,
            pin: Some(entry.0),
            end: entry.2,
            ..Change::default()
        };
        for open in self.open.iter_mut().filter(|open| open.change == Some(at)) {
            open.held = Some(entry.clone()).filter(|_| !open.only_adds);
            open.mixed = None;
            open.is_anew = false;
        }
    }

    /// Who has emptied a file and written nothing leaves it to others who have made it another.
    pub(super) fn settle_emptied(&mut self, file: usize) {
        let name = self.files[file].name;
        let live = name.and_then(|name| self.live(name));
        let (live, end) = (live.map(|entry| entry.0), live.and_then(|entry| entry.2));
        let current = self.files[file].current;
        if let Some(at) = current.filter(|at| self.is_idle(*at)) {
            match self.is_still(self.changes[at].pin, live) {
                true if live.is_some() => {
                    (self.changes[at].pin, self.changes[at].end) = (live, end)
                }
                true => {}
                false => self.leave(file, at),
            }
        }
    }

    /// Tells whether a file is emptied, and nobody holds anything else of it.
    pub(in super::super) fn is_emptied(&mut self, name: usize) -> bool {
        let file = self.file(name);
        let current = self.files[file].current;
        let mut open = self.open.iter().filter(|open| open.file == file);
        current.is_some_and(|at| self.is_idle(at)) && open.all(|open| open.change == current)
    }

    /// Another gives what a key holds another expiry.
    pub(in super::super) fn expire(&mut self, name: usize, end: Option<Deadline>) {
        if let Some(Entry(was, value, _)) = self.live(name).cloned() {
            let is = self.put(name, value, end);
            self.renewed.insert(is, was);
        }
    }

    /// Tells whether an entry is what another was, but for the expiry.
    pub(super) fn is_still(&self, was: Option<u64>, is: Option<u64>) -> bool {
        let origin =
            |id: u64| std::iter::successors(Some(id), |id| self.renewed.get(id).copied()).last();
        was.and_then(origin) == is.and_then(origin)
    }

    pub(super) fn leave(&mut self, file: usize, at: usize) {
        self.changes[at].stores += 1;
        self.changes[at].is_pending = false;
        let live = self.files[file].name.and_then(|name| self.live(name));
        if let Some(Entry(id, value, end)) = live.cloned()
            && value.is_empty()
        {
            // Others have emptied it, too.
            (self.changes[at].pin, self.changes[at].end) = (Some(id), end);
            return;
        }
        let current = &mut self.files[file].current;
        *current = current.filter(|current| *current != at);
    }

    /// Stores once more what was put when it was made, if nothing was done with it since, and it is that still.
    pub(super) fn sync_made(&mut self, file: usize, at: usize) {
        let change = &mut self.changes[at];
        let made = change.unsynced.take();
        let is_made = made.is_some() && made == change.pin && !change.is_pending;
        let was = made;
        let Some(name) = self.files[file].name.filter(|_| is_made) else {
            return;
        };
        let entry = self.live(name).cloned();
        if let Some(Entry(id, value, end)) = entry.filter(|entry| Some(entry.0) == was) {
            let is = self.put(name, value, end);
            let of = |change: &&mut Change| change.pin == Some(id);
            self.changes
                .iter_mut()
                .filter(of)
                .for_each(|is_of| is_of.pin = Some(is));
            let held = self.open.iter_mut().filter_map(|open| open.held.as_mut());
            held.filter(|held| held.0 == id)
                .for_each(|held| held.0 = is);
        }
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

    /// Tells whether somebody changes what a buffer holds, or has emptied it and can read it.
    pub(super) fn is_one_to_all(&self, at: usize) -> bool {
        let open = self.open.iter().filter(|open| open.change == Some(at));
        let mut writers = open.filter(|open| open.mode.writes);
        writers.any(|open| !open.is_anew || !open.mode.only_writes)
    }
}
