//! The model's part about who has a file open beside who changes it, and is told what became of it.

use fuser::Errno;

use super::{Change, Done, Entry, Model, Open};

impl Model {
    pub(in super::super) fn sync(&mut self, which: usize) -> Done {
        let Open { file, mode, .. } = self.open[which];
        if mode.writes {
            return self.store_through(which);
        }
        let open = self.open.iter().filter(|open| open.file == file);
        let writers = open.filter(|open| open.mode.writes);
        let changes = writers.filter_map(|open| open.change);
        let changes: Vec<_> = changes
            .filter(|at| !self.changes[*at].is_given_up)
            .collect();
        let mut store = |at| {
            self.sync_made(file, at);
            self.store(file, at)
        };
        let stored = changes.into_iter().map(&mut store);
        stored.fold(Ok(()), Result::and)
    }

    pub(super) fn store_through(&mut self, which: usize) -> Done {
        let Open {
            file, change, owes, ..
        } = self.open[which];
        let at = change.unwrap();
        if owes <= self.changes[at].stores {
            if self.open[which].is_refused {
                return Err(Errno::ESTALE);
            }
            if self.changes[at].is_given_up {
                return Ok(());
            }
        }
        self.sync_made(file, at);
        let stored = self.store(file, at);
        if stored.is_err() && self.open[which].only_adds && owes > self.changes[at].stores {
            (self.open[which].owes, self.open[which].is_refused) = (0, true);
            return stored;
        }
        stored.or_else(|err| (owes <= self.changes[at].stores).then_some(()).ok_or(err))
    }

    /// What is added by who only adds, and what others change, is never pending together.
    pub(super) fn prepare(&mut self, which: usize, adds: bool) -> Done {
        let Open {
            file, change, owes, ..
        } = self.open[which];
        let own = change.unwrap();
        let only_adds = self.open[which].only_adds && adds;
        if self.files[file].name.is_none() || only_adds && owes > self.changes[own].stores {
            return Ok(());
        }
        let current = self.files[file].current;
        if let Some(at) = current.filter(|at| only_adds || *at == own) {
            let change = &self.changes[at];
            let is_added = !change.tail.is_empty();
            if self.is_idle(at) && !(at == own && self.open[which].is_anew) {
                // It was emptied before that.
                self.store(file, at)?;
            } else if only_adds && !is_added && change.is_pending && !change.is_whole {
                _ = self.store(file, at);
            } else if !adds && is_added {
                self.store(file, at)?;
            }
        }
        if !only_adds {
            let is_anew = self.open[which].is_anew;
            let change = &mut self.changes[own];
            if !change.is_pending || change.is_given_up || is_anew && change.draft.is_some() {
                change.is_whole = is_anew;
            }
            return Ok(());
        }
        let mut at = own;
        if self.files[file].current != Some(own) {
            let name = self.files[file].name.unwrap();
            self.make_way(name, self.open[which].mode);
            let current = self.files[file].current;
            if current.is_none_or(|at| !self.changes[at].is_pending) && self.live(name).is_none() {
                return Err(Errno::ESTALE);
            }
            let next = self.opened(name, self.open[which].mode, self.open[which].number);
            at = next.change.unwrap();
            (self.open[which].change, self.open[which].owes) = (next.change, 0);
            self.open[which].is_anew = false;
            self.changes[own].writers -= 1;
            if self.changes[own].writers == 0 {
                self.settle(file, own);
            }
        }
        let change = &mut self.changes[at];
        if !change.is_pending
            && let (Some(value), Some(pin)) = (change.draft.take(), change.pin)
        {
            change.is_whole = false;
            let held = Entry(pin, value, change.end);
            for other in self
                .open
                .iter_mut()
                .filter(|other| other.change == Some(at))
            {
                other.held = Some(held.clone()).filter(|_| !other.only_adds);
                other.mixed = None;
                other.is_anew = false;
            }
        }
        Ok(())
    }

    pub(super) fn store(&mut self, file: usize, at: usize) -> Done {
        let stored = self.try_to_store(file, at);
        if stored.is_err() && self.files[file].current == Some(at) {
            self.files[file].current = None;
        }
        stored
    }

    /// Returns what who opens an entry to write goes on with.
    pub(super) fn goes_on(&mut self, file: usize, entry: Option<&Entry>) -> Option<usize> {
        let open = self.open.iter();
        let open = open.filter(|open| open.file == file && open.mode.writes);
        let current = self.files[file].current;
        let mut all = current
            .into_iter()
            .chain(open.filter_map(|open| open.change));
        let (pin, end) = (entry.map(|entry| entry.0), entry.and_then(|entry| entry.2));
        let found = all.find(|at| {
            let change = &self.changes[*at];
            if change.is_pending || change.is_given_up {
                return current == Some(*at);
            }
            let is_blank = change.draft.is_none() && change.tail.is_empty();
            let mut held = self.open.iter().filter(|open| open.change == Some(*at));
            let is_of = |open: &Open| open.held.as_ref().is_none_or(|held| Some(held.0) == pin);
            (change.pin, change.end) == (pin, end) || is_blank && held.all(is_of)
        });
        if let Some(at) = found {
            if !self.changes[at].is_pending {
                (self.changes[at].pin, self.changes[at].end) = (pin, end);
            }
            self.files[file].current = Some(at);
        }
        found
    }

    /// A part of what it holds, or of what the key does, is about to be changed, with what was to be added.
    pub(super) fn load(&mut self, which: usize) -> Done {
        let Open {
            file, change, held, ..
        } = self.open[which].clone();
        let at = change.unwrap();
        if self.changes[at].draft.is_none() {
            let name = self.files[file].name;
            let live = name.and_then(|name| self.live(name).cloned());
            let Entry(id, mut value, end) = held.or(live).ok_or(Errno::ESTALE)?;
            let change = &mut self.changes[at];
            let is_added = !change.tail.is_empty();
            value.append(&mut change.tail);
            (change.pin, change.end, change.draft) = (Some(id), end, Some(value));
            // Who holds another value goes on with that.
            let first = self.changes.len();
            let others = (0..self.open.len()).filter(|_| !is_added);
            for other in others {
                let open = &self.open[other];
                let is_other = open.held.as_ref().is_some_and(|held| held.0 != id);
                if open.change == Some(at) && is_other {
                    self.split(other, at, first);
                }
            }
            let open = &mut self.open[which];
            open.held = open.held.take().filter(|_| !open.only_adds);
        }
        Ok(())
    }

    pub(super) fn give_up(&mut self, file: usize, at: usize) {
        self.changes[at].is_given_up = true;
        if !self.changes[at].tail.is_empty() && self.files[file].name.is_some() {
            self.part(at, None);
            self.changes[at].is_pending = false;
        }
        let current = &mut self.files[file].current;
        *current = current.filter(|current| *current != at);
    }

    /// What is about to be changed through an opening is seen by who only reads the same entry. Who holds
    /// another than is added to has that apart.
    pub(super) fn lead(&mut self, which: usize, empties: bool) {
        let Open {
            file,
            number,
            change,
            ..
        } = self.open[which];
        let is_due = |at: &usize| !self.changes[*at].is_pending || empties;
        let Some(at) = change.filter(is_due) else {
            return;
        };
        let mut pin = self.changes[at].pin;
        let is_added = self.changes[at].draft.is_none();
        if is_added && let Some(name) = self.files[file].name {
            pin = self.live(name).map(|entry| entry.0);
        }
        let sees = |open: &&Open| open.mode.writes && open.change == Some(at) && !open.only_adds;
        let numbers = self.open.iter().filter(sees).map(|open| open.number);
        let numbers: Vec<_> = numbers.chain([number]).collect();
        let is_other = |open: &&Open| {
            let mode = open.mode;
            let sees = mode.writes && !mode.only_writes && !mode.appends;
            sees && open.change != Some(at)
        };
        let others = self.open.iter().filter(is_other).map(|open| open.number);
        let others: Vec<_> = others.collect();
        let first = self.changes.len();
        for other in 0..self.open.len() {
            let open = &mut self.open[other];
            let held = open.held.as_ref().map(|held| held.0);
            let is_of = held.is_some() && held == pin && !(is_added && open.mixed.is_some());
            let is_beside = !open.mode.writes && numbers.contains(&open.number);
            if is_beside && open.change.is_none() {
                let is_led = (is_of || empties) && !others.contains(&open.number);
                open.change = Some(at).filter(|_| is_led);
                // It stays beside others by its number, also once those are gone that it is not led for.
                open.went_on |= is_of && !is_led;
            } else if open.change == Some(at)
                && held.is_some()
                && if is_added { !is_of } else { open.only_adds }
            {
                self.split(other, at, first);
            }
        }
    }

    /// Adds an opening that the file system has too.
    pub(in super::super) fn add(&mut self, open: Open) {
        for other in 0..self.open.len() {
            // It keeps the number beside who holds something else.
            let is_nothing = self.held(other).is_some_and(|held| held.is_empty());
            let Open { number, change, .. } = self.open[other];
            self.open[other].went_on |=
                is_nothing && number == open.number && change != open.change;
        }
        self.open.push(open);
    }

    /// Who reads what nobody writes to any more reads on in what the key holds, if that is the same.
    pub(super) fn settle(&mut self, file: usize, at: usize) {
        if !self.changes[at].tail.is_empty() {
            self.part(at, None);
        }
        let is_current = self.files[file].current == Some(at);
        self.files[file].current = self.files[file].current.filter(|_| !is_current);
        let name = self.files[file].name;
        let now = name.and_then(|name| self.live(name).cloned());
        let Change {
            pin,
            draft,
            is_pending,
            ..
        } = self.changes[at].clone();
        let readers = self.open.iter_mut().filter(|open| open.change == Some(at));
        for open in readers.filter(|open| !open.mode.writes) {
            if draft.is_some() || open.held.is_none() {
                let Some(now) = now
                    .as_ref()
                    .filter(|now| draft.is_none() || !is_pending && Some(now.0) == pin)
                else {
                    continue;
                };
                open.held = Some(now.clone());
            }
            open.change = None;
        }
    }

    /// What somebody has open of a file that is about to go is kept for them.
    pub(super) fn keep(&mut self, file: usize) {
        for which in 0..self.open.len() {
            if self.open[which].file == file && self.open[which].change.is_some() {
                let at = self.open[which].change;
                let pin = at.map(|at| self.changes[at].pin);
                let is_of = |at: &usize| Some(self.open[*at].held.as_ref().map(|is| is.0)) == pin;
                let holds = |open: &Open| open.change == at && open.held.is_some();
                let all = 0..self.open.len();
                let holders = all.filter(|other| holds(&self.open[*other]));
                let holder = holders.min_by_key(|other| !is_of(other)).unwrap_or(which);
                self.keep_apart(at.unwrap(), holder);
                _ = self.load(holder);
            }
        }
    }

    /// Who only reads another entry than is kept has that apart, with what is to be added.
    fn keep_apart(&mut self, at: usize, kept: usize) {
        let pin = self.open[kept].held.as_ref().map(|held| held.0);
        let tail = self.changes[at].tail.clone();
        let all = self.open.iter_mut();
        for open in all.filter(|open| open.change == Some(at) && !open.mode.writes) {
            let held = open.held.as_mut().filter(|held| Some(held.0) != pin);
            if let Some(held) = held.filter(|_| !tail.is_empty()) {
                open.mixed = Some(held.1.len());
                held.1.extend_from_slice(&tail);
                open.change = None;
            }
        }
    }
}
