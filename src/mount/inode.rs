//! A file that is open, and its openings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

use fuser::Errno;
use parking_lot::Mutex;

use crate::os::Writer;
use crate::store::Time;

use super::Answer;
use super::buffer::{Buffer, Pin, Snapshot, State};
use super::nodes::FullKey;
use super::reader::Reader;

/// A file that is open, or only in memory.
#[derive(Default)]
pub(super) struct Inode {
    /// Held by whoever opens, stores, renames or removes it: that is decided one after the other.
    pub(super) turn: Mutex<()>,
    /// Where it is; `None` once it was removed. It changes only in a turn.
    pub(super) name: Mutex<Option<FullKey>>,
    /// Its openings.
    pub(super) handles: Mutex<BTreeMap<u64, Arc<Handle>>>,
    /// What whoever opens it goes on with; `None` where that is the key's value.
    buffer: Mutex<Option<Arc<Buffer>>>,
    /// What it was when it was opened or removed.
    pub(super) last: Mutex<Option<(u64, Time)>>,
}

/// How far who reads has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Progress {
    #[default]
    Amid,
    /// Its last byte was read last.
    Reached,
    /// It was read at its end last, since then.
    Waits(Instant),
}

/// What can be told of the value that an opening holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stat {
    pub(super) told: Option<(u64, Time)>,
    /// How often its buffer had been stored when what this holds already was added through that.
    pub(super) with: Option<u64>,
}

/// One opening of a file.
pub(super) struct Handle {
    pub(super) number: u64,
    pub(super) inode: Arc<Inode>,
    /// What is changed through it; or, where it only reads, what others change of that which it holds.
    pub(super) buffer: Mutex<Option<Arc<Buffer>>>,
    pub(super) writes: bool,
    /// How it was opened.
    pub(super) mode: Mode,
    pub(super) opener: Option<Arc<Writer>>,
    /// How many descriptors of the file that process had then, which are of other openings.
    pub(super) beside: usize,
    /// How often its buffer will have been stored once what was done through it is.
    pub(super) owes: AtomicU64,
    /// Whether it was opened to add to the file, and nothing else was done through it.
    pub(super) only_adds: AtomicBool,
    /// Whether it has emptied the file, so that what it holds owes nothing to any entry.
    pub(super) is_anew: AtomicBool,
    /// What who closed it was told last, which is told to each who closes it.
    pub(super) refused: Mutex<Option<Errno>>,
    /// Whether that was told to another only, who has closed it with what was done through this one.
    pub(super) is_untold: AtomicBool,
    /// Whether the process that has opened it has closed it, and left it to others.
    pub(super) is_handed_on: AtomicBool,
    /// The value that it was opened on.
    pub(super) reader: Mutex<Option<Reader>>,
    /// The size and time of that, which are told while it is being read.
    pub(super) stat: Mutex<Stat>,
    pub(super) progress: Mutex<Progress>,
    /// Behind which place it was read as something else than what it went on with, where only pages were read since.
    /// Held by who lets it go on: what is read at once is of the same.
    pub(super) seam: Mutex<Option<u64>>,
    /// Whether fstat(2) has told of something else than it holds, and what it reads next is to be of that.
    pub(super) is_told: AtomicBool,
}

impl Handle {
    pub(super) fn new(
        number: u64,
        inode: &Arc<Inode>,
        (buffer, reader): (Option<Arc<Buffer>>, Option<Reader>),
        mode: Mode,
        opener: Option<(Writer, usize)>,
    ) -> Self {
        let (opener, beside) = opener.unzip();
        let handle = Self {
            number,
            inode: Arc::clone(inode),
            buffer: Mutex::new(buffer),
            writes: mode.writes,
            mode,
            opener: opener.map(Arc::new),
            beside: beside.unwrap_or_default(),
            owes: AtomicU64::default(),
            only_adds: AtomicBool::new(mode.appends),
            is_anew: AtomicBool::new(mode.truncates),
            refused: Mutex::default(),
            is_untold: AtomicBool::default(),
            is_handed_on: AtomicBool::default(),
            reader: Mutex::default(),
            stat: Mutex::default(),
            progress: Mutex::default(),
            seam: Mutex::default(),
            is_told: AtomicBool::default(),
        };
        handle.hold_on(&mut handle.reader.lock(), reader);
        handle
    }

    pub(super) fn buffer(&self) -> Option<Arc<Buffer>> {
        self.buffer.lock().clone()
    }

    /// Lets it show this.
    pub(super) fn follow(&self, buffer: Option<&Arc<Buffer>>) {
        *self.buffer.lock() = buffer.cloned();
        self.stat.lock().with = None;
    }

    /// Tells whether it is of this buffer.
    pub(super) fn shares(&self, buffer: &Arc<Buffer>) -> bool {
        let own = self.buffer.lock();
        own.as_ref().is_some_and(|own| Arc::ptr_eq(own, buffer))
    }

    /// Notes that something was done through it.
    pub(super) fn owe_to(&self, state: &State) {
        self.owes.store(state.stores + 1, SeqCst);
        *self.refused.lock() = None;
    }

    /// Tells whether what was done through it is not stored yet.
    pub(super) fn owes_to(&self, state: &State) -> bool {
        self.owes.load(SeqCst) > state.stores
    }

    /// Returns what is changed through it.
    pub(super) fn written(&self) -> Answer<Arc<Buffer>> {
        self.buffer().filter(|_| self.writes).ok_or(Errno::EBADF)
    }

    /// Gives it another value to hold.
    pub(super) fn hold_on(&self, held: &mut Option<Reader>, reader: Option<Reader>) {
        *held = reader;
        self.show(held.as_ref());
    }

    /// Returns the entry that what it holds was made of or stored as.
    pub(super) fn pin(&self) -> Option<Pin> {
        if let Some(buffer) = self.shown() {
            let state = buffer.state();
            if state.draft.is_some() {
                return Some(state.pin);
            }
        }
        self.reader.lock().as_ref().map(Reader::pin)
    }
}

impl Inode {
    pub(super) fn of(file: &FullKey) -> Self {
        Self {
            name: Mutex::new(Some(file.clone())),
            ..Self::default()
        }
    }

    pub(super) fn name(&self) -> Option<FullKey> {
        self.name.lock().clone()
    }

    /// Returns what is told of it where that is not what the key is told.
    pub(super) fn snapshot(&self) -> Snapshot {
        let told = self.buffer().map(|buffer| buffer.snapshot());
        // What is stored and can be found there may be another's by now.
        told.filter(|told| told.is_pending || self.name().is_none())
            .unwrap_or_default()
    }

    /// Returns its openings, the oldest first.
    pub(super) fn handles(&self) -> Vec<Arc<Handle>> {
        self.handles.lock().values().cloned().collect()
    }

    /// Returns those that the kernel has by a number, the oldest first.
    pub(super) fn handles_by(&self, number: u64) -> impl DoubleEndedIterator<Item = Arc<Handle>> {
        let all = self.handles().into_iter();
        all.filter(move |handle| handle.number == number)
    }

    /// Returns what whoever opens it goes on with.
    pub(super) fn buffer(&self) -> Option<Arc<Buffer>> {
        self.buffer.lock().clone()
    }

    /// Returns who has it open by a buffer to change what it holds, and not to write it anew.
    pub(super) fn in_place(&self, buffer: &Arc<Buffer>) -> Vec<Arc<Handle>> {
        let mut all = self.handles();
        all.retain(|is| is.writes && is.shares(buffer) && !is.is_anew.load(SeqCst));
        all
    }

    /// Tells whether a buffer is what all go on with who open the file to write: somebody changes what it
    /// holds, or has emptied it and can read it.
    pub(super) fn is_one_to_all(&self, buffer: &Arc<Buffer>) -> bool {
        let all = self.handles().into_iter();
        let mut writers = all.filter(|is| is.writes && is.shares(buffer));
        writers.any(|is| !is.only_writes_anew())
    }

    /// Tells whether what somebody has added or changed in place is pending in a buffer.
    pub(super) fn is_changed_in_place(&self, buffer: &Arc<Buffer>) -> bool {
        let in_place = self.in_place(buffer);
        let state = buffer.state();
        state.is_changed && !state.is_whole || in_place.iter().any(|is| is.owes_to(&state))
    }

    /// Returns what who opens an entry to write goes on with: what is pending, or is of that entry, or of nothing
    /// yet, as where only additions were stored, and nobody holds what the key held before.
    pub(super) fn goes_on(&self, pin: Pin) -> Option<Arc<Buffer>> {
        let handles = self.handles();
        let written = handles.iter().filter_map(|is| is.written().ok());
        self.buffer().into_iter().chain(written).find(|buffer| {
            let state = buffer.state();
            if state.is_pending() || state.is_given_up {
                return self.is_current(buffer);
            }
            let holds_other = |is: &Arc<Handle>| {
                let reader = is.reader.lock();
                is.shares(buffer) && reader.as_ref().is_some_and(|held| held.pin() != pin)
            };
            let is_blank = state.draft.is_none() && state.tail.is_empty();
            state.pin == pin || is_blank && !handles.iter().any(holds_other)
        })
    }

    /// Tells whether a buffer is what whoever opens it goes on with.
    pub(super) fn is_current(&self, buffer: &Arc<Buffer>) -> bool {
        let current = self.buffer.lock();
        current.as_ref().is_some_and(|is| Arc::ptr_eq(is, buffer))
    }

    /// Lets whoever opens it from now on go on with this.
    pub(super) fn replace(&self, buffer: &Arc<Buffer>) {
        *self.buffer.lock() = Some(Arc::clone(buffer));
    }

    /// Lets nobody go on with a buffer any more.
    pub(super) fn forget(&self, buffer: &Arc<Buffer>) {
        if self.is_current(buffer) {
            *self.buffer.lock() = None;
        }
    }
}

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mode {
    pub(super) writes: bool,
    /// Whether it reads nothing.
    pub(super) only_writes: bool,
    pub(super) appends: bool,
    pub(super) truncates: bool,
    /// Whether the kernel looks again for what it is told to be stale.
    pub(super) is_first: bool,
    /// Who opens it.
    pub(super) thread: u32,
}
