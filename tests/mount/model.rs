//! Random interleavings of what programs and others do with two files, beside a model that is the
//! table in the documentation of [`super`], step by step.

#[path = "beside.rs"]
mod beside;
#[path = "emptied.rs"]
mod emptied;
#[path = "followers.rs"]
mod followers;
#[path = "shown.rs"]
mod shown;

use std::collections::BTreeMap;

use fuser::Errno;

use crate::store::{Clock as _, Deadline};

use super::fake::Fake;
use super::inode::Mode;

type Done = Result<(), Errno>;

/// An entry: its number, its value, and when it expires.
#[derive(Clone, Debug)]
pub(super) struct Entry(u64, pub(super) Vec<u8>, pub(super) Option<Deadline>);

#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pin: Option<u64>,
    end: Option<Deadline>,
    is_whole: bool,
    draft: Option<Vec<u8>>,
    tail: Vec<u8>,
    was_written: bool,
    is_pending: bool,
    writers: usize,
    stores: u64,
    is_given_up: bool,
    unsynced: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    pub(super) real: u64,
    /// The number by which the kernel has it.
    pub(super) number: u64,
    file: usize,
    change: Option<usize>,
    pub(super) mode: Mode,
    held: Option<Entry>,
    /// How much of what it holds was a value, where more is behind that.
    mixed: Option<usize>,
    /// Behind what it was read as another, where only pages were read since.
    seam: Option<usize>,
    owes: u64,
    pub(super) only_adds: bool,
    /// Whether it has come to the end of what it holds.
    pub(super) waits: bool,
    pub(super) went_on: bool,
    is_anew: bool,
    is_refused: bool,
}

/// A file: the name that it has, and what whoever opens it goes on with.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    name: Option<usize>,
    current: Option<usize>,
}

#[derive(Default)]
pub(super) struct Model {
    fake: Fake,
    pub(super) entries: [Option<Entry>; 2],
    files: Vec<File>,
    changes: Vec<Change>,
    pub(super) open: Vec<Open>,
    last: u64,
    /// Entries that are others with another expiry, and which.
    renewed: BTreeMap<u64, u64>,
}

impl Model {
    pub(super) fn new(fake: Fake) -> Self {
        Self {
            fake,
            ..Self::default()
        }
    }

    pub(super) fn live(&self, name: usize) -> Option<&Entry> {
        let now = self.fake.now();
        let entry = self.entries[name].as_ref();
        entry.filter(|Entry(_, _, end)| end.is_none_or(|end| !end.is_over(now)))
    }

    pub(super) fn put(&mut self, name: usize, value: Vec<u8>, end: Option<Deadline>) -> u64 {
        self.last += 1;
        self.entries[name] = Some(Entry(self.last, value, end));
        self.last
    }

    fn file(&mut self, name: usize) -> usize {
        let found = self.files.iter().position(|file| file.name == Some(name));
        found.unwrap_or_else(|| {
            self.files.push(File {
                name: Some(name),
                current: None,
            });
            self.files.len() - 1
        })
    }

    pub(super) fn is_shown(&mut self, name: usize) -> bool {
        let file = self.file(name);
        self.settle_emptied(file);
        let current = self.files[file].current.map(|at| &self.changes[at]);
        current.is_some_and(|is| is.is_pending && is.tail.is_empty()) || self.live(name).is_some()
    }

    fn begin(&mut self, file: usize, change: Change) -> usize {
        self.changes.push(change);
        self.files[file].current = Some(self.changes.len() - 1);
        self.changes.len() - 1
    }

    fn emptied(pin: Option<&Entry>) -> Change {
        Change {
            pin: pin.map(|entry| entry.0),
            end: pin.and_then(|entry| entry.2),
            is_whole: true,
            draft: Some(Vec::new()),
            is_pending: true,
            ..Change::default()
        }
    }

    /// Opens what is there, which the kernel has by a number.
    pub(super) fn opened(&mut self, name: usize, mode: Mode, number: u64) -> Open {
        let file = self.file(name);
        let entry = self.live(name).cloned();
        let current = self.files[file].current;
        let mut open = Open {
            number,
            file,
            mode,
            only_adds: mode.appends,
            is_anew: mode.truncates,
            ..Open::default()
        };
        if mode.truncates {
            let at = self.empty(file, entry.as_ref());
            self.join(number, at);
            (open.change, open.owes) = (Some(at), self.changes[at].stores + 1);
        } else if let Some(at) = current.filter(|at| self.changes[*at].is_pending) {
            open.change = current;
            // Who goes on with what is there for nobody else yet makes it for all.
            let is_new = self.changes[at].is_whole && self.changes[at].pin.is_none();
            if mode.writes && is_new && entry.is_none() && self.changes[at].end.is_none() {
                self.changes[at].pin = Some(self.put(name, Vec::new(), None));
            }
            let is_added = !self.changes[at].tail.is_empty();
            open.held = entry.filter(|_| !mode.appends && is_added);
        } else {
            let entry = entry.unwrap();
            if mode.writes {
                let same = self.goes_on(file, Some(&entry));
                open.change = Some(same.unwrap_or_else(|| {
                    let change = Change {
                        pin: Some(entry.0),
                        end: entry.2,
                        ..Change::default()
                    };
                    self.begin(file, change)
                }));
            }
            open.held = Some(entry).filter(|_| !mode.appends);
        }
        if let Some(at) = open.change.filter(|_| mode.writes) {
            self.changes[at].writers += 1;
        }
        open
    }

    pub(super) fn made(&mut self, name: usize, mode: Mode, exclusive: bool) -> Open {
        let file = self.file(name);
        let mut change = Self::emptied(None);
        let is_put = exclusive || !mode.truncates;
        if is_put {
            change.pin = Some(self.put(name, Vec::new(), None));
            change.unsynced = change.pin.filter(|_| !mode.appends);
            (change.is_whole, change.is_pending) = (false, false);
            change.draft = change.draft.filter(|_| !mode.appends);
        }
        change.writers = 1;
        let change = Some(self.begin(file, change));
        Open {
            file,
            change,
            mode,
            owes: u64::from(!is_put),
            only_adds: mode.appends,
            is_anew: mode.truncates,
            ..Open::default()
        }
    }

    pub(super) fn write(
        &mut self,
        which: usize,
        offset: Option<usize>,
        bytes: &[u8],
        syncs: bool,
    ) -> Done {
        self.prepare(which, offset.is_none())?;
        let Open {
            file,
            change,
            owes,
            only_adds,
            ..
        } = self.open[which];
        let at = change.unwrap();
        let is_blank = self.changes[at].draft.is_none();
        let adds = offset.is_none() && is_blank && self.files[file].name.is_some();
        if !adds {
            self.load(which)?;
        }
        let before = self.changes[at].clone();
        let change = &mut self.changes[at];
        change.was_written = true;
        if adds {
            change.tail.extend_from_slice(bytes);
            let open = &mut self.open[which];
            open.went_on |= open.held.take().is_some();
            open.mixed = None;
        }
        if let Some(draft) = &mut change.draft {
            let offset = offset.unwrap_or(draft.len());
            let end = offset + bytes.len();
            draft.resize(draft.len().max(end), 0);
            draft[offset..end].copy_from_slice(bytes);
        }
        self.open[which].owes = change.stores + 1;
        self.open[which].is_refused = false;
        self.open[which].only_adds &= offset.is_none();
        self.lead(which, false);
        (self.changes[at].is_pending, self.changes[at].is_given_up) = (true, false);
        let stored = if syncs {
            self.store_through(which)
        } else {
            Ok(())
        };
        if stored.is_err() {
            let writers = self.changes[at].writers;
            self.changes[at] = Change { writers, ..before };
            (self.open[which].owes, self.open[which].is_refused) = (owes, false);
            self.open[which].only_adds = only_adds;
            if self.is_idle(at) {
                self.open[which].owes = 0;
                self.give_up(file, at);
            }
        }
        stored
    }

    pub(super) fn try_to_store(&mut self, file: usize, at: usize) -> Done {
        let change = self.changes[at].clone();
        if change.is_pending
            && let Some(name) = self.files[file].name
        {
            let beside = self.beside(file, at);
            let now = self.fake.now();
            let live = self.live(name).cloned();
            let was = live.as_ref().map(|entry| entry.0);
            let is_same = was == change.pin;
            let is_idle = self.is_idle(at);
            let (value, end) = match (live, change.draft) {
                _ if is_idle && !self.is_still(change.pin, was) => {
                    self.leave(file, at);
                    return Ok(());
                }
                (None, _) if !change.tail.is_empty() => return Err(Errno::ESTALE),
                (Some(Entry(_, value, end)), _) if !change.tail.is_empty() => {
                    ([&value[..], &change.tail].concat(), end)
                }
                (Some(Entry(id, value, end)), Some(draft))
                    if !is_same && !change.is_whole && value == draft =>
                {
                    (self.changes[at].pin, self.changes[at].end) = (Some(id), end);
                    self.changes[at].stores += 1;
                    self.changes[at].is_pending = false;
                    return Ok(());
                }
                _ if !is_same && !change.is_whole => return Err(Errno::ESTALE),
                (Some(Entry(_, _, end)), Some(draft)) => (draft, end),
                (None, Some(_)) if change.end.is_some_and(|end| end.is_over(now)) => {
                    return Err(Errno::ESTALE);
                }
                (None, Some(draft)) => (draft, change.end),
                (_, None) => unreachable!("something is pending"),
            };
            let id = self.put(name, value, end);
            if change.tail.is_empty() {
                (self.changes[at].pin, self.changes[at].end) = (Some(id), end);
                self.go_on_beside(&beside, was, name);
            } else {
                let entry = self.entries[name].clone();
                self.part(at, was.zip(entry));
            }
        }
        self.changes[at].stores += u64::from(change.is_pending);
        self.changes[at].is_pending = false;
        Ok(())
    }

    pub(super) fn unlink(&mut self, name: usize) -> Done {
        if !self.is_shown(name) {
            return Err(Errno::ENOENT);
        }
        let file = self.file(name);
        self.keep(file);
        self.entries[name] = None;
        self.files[file].name = None;
        Ok(())
    }

    pub(super) fn rename(&mut self, from: usize, to: usize) -> Done {
        if !self.is_shown(from) {
            return Err(Errno::ENOENT);
        }
        let (file, there) = (self.file(from), self.file(to));
        if let Some(at) = self.files[file].current
            && self.changes[at].pin.is_none()
        {
            self.store(file, at)?;
        }
        if self.is_shown(to) {
            self.keep(there);
        }
        let Entry(was, value, end) = self.live(from).cloned().ok_or(Errno::ENOENT)?;
        let is = self.put(to, value, end);
        self.entries[from] = None;
        self.files[there].name = None;
        self.files[file].name = Some(to);
        for open in self.open.iter_mut().filter(|open| open.file == file) {
            if let Some(change) = open.change.map(|at| &mut self.changes[at])
                && change.pin == Some(was)
            {
                change.pin = Some(is);
            }
            if let Some(held) = open.held.as_mut().filter(|held| held.0 == was) {
                held.0 = is;
            }
        }
        Ok(())
    }

    pub(super) fn close(&mut self, which: usize, was_killed: bool) -> Done {
        let Open {
            file,
            change,
            mode,
            owes,
            ..
        } = self.open[which];
        let mut done = Ok(());
        if let Some(at) = change.filter(|_| mode.writes) {
            let is_last = self.changes[at].writers == 1;
            // Anything but what was to be written anew is stored also where its writer was killed.
            let was_killed = was_killed && self.changes[at].is_whole && self.open[which].is_anew;
            if !self.changes[at].is_pending {
                self.sync_made(file, at);
            } else {
                let stores = self.changes[at].stores;
                let is_refused = self.open[which].is_refused;
                if !was_killed && (owes > stores || is_last || is_refused) {
                    done = self.store_through(which);
                }
                if was_killed || done.is_err() {
                    self.open[which].owes = 0;
                    let mut others = self.open.iter().filter(|open| open.change == Some(at));
                    if !others.any(|other| other.owes > stores) {
                        self.give_up(file, at);
                        if was_killed {
                            self.go_back(which, at);
                        }
                    }
                }
            }
            self.changes[at].writers -= 1;
            if is_last {
                self.settle(file, at);
            }
        }
        self.open.remove(which);
        done
    }
}
