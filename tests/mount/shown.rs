//! The model's part about what who reads a file beside who changes it holds and reads.

use fuser::Errno;

use super::{Change, Done, Entry, Model, Open};

impl Model {
    /// What was to be added is stored, as what comes next of an entry, or never will be.
    pub(super) fn part(&mut self, at: usize, next: Option<(u64, Entry)>) {
        let tail = std::mem::take(&mut self.changes[at].tail);
        for open in self.open.iter_mut().filter(|open| open.change == Some(at)) {
            let Some(held) = &mut open.held else {
                continue;
            };
            match &next {
                Some((was, next)) if open.mixed.is_none() && held.0 == *was => {
                    *held = next.clone();
                }
                _ if open.only_adds => open.held = None,
                _ => {
                    open.mixed = Some(held.1.len());
                    held.1.extend_from_slice(&tail);
                    open.change = open.change.filter(|_| open.mode.writes);
                }
            }
        }
    }

    /// Who has read to the end goes on there with what the file is now, if it was the key's value.
    pub(in super::super) fn renew(&mut self, which: usize, offset: usize, is_page: bool) -> Done {
        let Open {
            file,
            change,
            mixed,
            ref held,
            ..
        } = self.open[which];
        let Some(name) = self.files[file].name else {
            return Ok(());
        };
        // No part of another value comes behind what was never stored.
        let is_nothing = self.peek(which).is_ok_and(|held| held.is_empty());
        if change.is_some_and(|at| self.changes[at].is_given_up) && !is_nothing {
            return Ok(());
        }
        let held = held.clone();
        self.settle_emptied(file);
        let live = self.live(name).cloned();
        let is_pending = |at: &usize| self.changes[*at].is_pending;
        let pending = self.files[file].current.filter(is_pending);
        let is_all = pending.is_some_and(|at| self.changes[at].draft.is_some());
        let next = live.filter(|_| !is_all);
        let pin = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.0);
        let is_same = change == pending && (is_all || pin(&held) == pin(&next));
        if is_same || !is_all && next.is_none() {
            return Ok(());
        }
        let is_added =
            mixed.is_some() || change.is_some_and(|at| !self.changes[at].tail.is_empty());
        let seam = held.filter(|_| is_added);
        let seam = seam.map(|held| mixed.unwrap_or(held.1.len()));
        if !is_page && seam.is_some_and(|at| offset > at) {
            return Err(Errno::ESTALE);
        }
        let open = &mut self.open[which];
        if is_page {
            open.seam = open.seam.into_iter().chain(seam).min();
        }
        (open.change, open.held, open.mixed) = (pending, next, None);
        open.went_on = true;
        Ok(())
    }

    /// Reads at an offset by read(2): not behind what was another when that was read, unless from before it on.
    pub(in super::super) fn read_on(&mut self, which: usize, offset: usize) -> Done {
        let seam = &mut self.open[which].seam;
        *seam = seam.filter(|at| offset > *at);
        seam.map_or(Ok(()), |_| Err(Errno::ESTALE))
    }

    /// Returns what an opening shows that is no entry's value.
    fn shown(&self, which: usize) -> Option<usize> {
        let Open {
            file,
            change,
            only_adds,
            owes,
            ref held,
            ..
        } = self.open[which];
        let is_blank = |at| {
            let Change { draft, tail, .. }: &Change = &self.changes[at];
            draft.is_none() && tail.is_empty()
        };
        let is_own = !only_adds && (held.is_some() || !change.is_none_or(is_blank));
        let is_pending = |at: &usize| self.changes[*at].is_pending;
        let owes = change.is_some_and(|at| owes > self.changes[at].stores);
        match is_own || owes || self.files[file].name.is_none() {
            true => change,
            false => self.files[file].current.filter(is_pending),
        }
    }

    /// Reads through an opening, which holds from then on what it reads.
    pub(in super::super) fn read(&mut self, which: usize) -> Result<Vec<u8>, Errno> {
        let shown = self.shown(which);
        let is_held = shown.is_none_or(|at| self.changes[at].draft.is_none());
        if is_held && self.holder(which).is_none() {
            self.open[which].held = self.base(which);
        }
        self.peek(which)
    }

    /// Returns how long that is which a process has written anew, where nobody can read what is open by that number.
    pub(in super::super) fn written_anew(&self, number: u64, thread: u32) -> Option<usize> {
        let all = self.open.iter().filter(|open| open.number == number);
        let is_unread = |open: &Open| open.mode.only_writes && open.is_anew;
        let own = all.clone().filter(|open| open.mode.thread == thread);
        let drafts = own.filter_map(|open| self.changes[open.change?].draft.as_ref());
        drafts
            .map(Vec::len)
            .max()
            .filter(|_| all.clone().all(is_unread))
    }

    /// Returns another opening that holds what it reads: who only adds holds nothing before it reads.
    fn holder(&self, which: usize) -> Option<&Open> {
        let open = &self.open[which];
        if !open.only_adds || open.held.is_some() {
            return None;
        }
        let holds = |other: &Open| other.held.is_some() && !other.mode.only_writes && !other.waits;
        let mut all = 0..self.open.len();
        let found = all.find(|at| {
            let other = &self.open[*at];
            let is_beside = other.number == open.number && holds(other);
            is_beside && self.shown(*at) == self.shown(which)
        });
        found.map(|at| &self.open[at])
    }

    /// Tells whether it sees what the key holds, and what it adds.
    pub(in super::super) fn is_adding(&self, open: &Open) -> bool {
        let is_all = |at: usize| self.changes[at].draft.is_some();
        open.held.is_none() && !open.change.is_some_and(is_all)
    }

    fn base(&self, which: usize) -> Option<Entry> {
        let open = &self.open[which];
        let live = || self.live(self.files[open.file].name?).cloned();
        let beside = self.holder(which).and_then(|other| other.held.clone());
        open.held.clone().or(beside).or_else(live)
    }

    /// Returns what an opening reads.
    pub(in super::super) fn peek(&self, which: usize) -> Result<Vec<u8>, Errno> {
        let shown = self.shown(which).map(|at| self.changes[at].clone());
        let Change { draft, tail, .. } = shown.unwrap_or_default();
        if let Some(draft) = draft {
            return Ok(draft);
        }
        let Entry(_, value, _) = self.base(which).ok_or(Errno::ESTALE)?;
        Ok([value, tail].concat())
    }
}
