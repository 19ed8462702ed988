//! A file that is open, and its openings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use fuser::Errno;
use parking_lot::Mutex;

use crate::os::Writer;
use crate::store::Time;

use super::Answer;
use super::buffer::{Buffer, Pin, Snapshot, State};
use super::draft::Draft;
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

/// Who reads at the end again after this long waits for more, as `tail -f` does.
const PATIENCE: Duration = match cfg!(test) {
    // The model's time is not the machine's.
    true => Duration::MAX,
    false => Duration::from_millis(100),
};

/// How far who reads has come.
#[derive(Clone, Copy, Debug, Default)]
enum Progress {
    #[default]
    Amid,
    /// Its last byte was read last.
    Reached,
    /// It was read at its end last, since then.
    Waits(Instant),
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
    stat: Mutex<Option<(u64, Time)>>,
    progress: Mutex<Progress>,
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
    }

    /// Tells whether it only reads and has come to the end of what it holds: who asks for what has come
    /// since, as `tail -f` does, gets to see that.
    pub(super) fn waits(&self) -> bool {
        self.goes_on() && !matches!(*self.progress.lock(), Progress::Amid)
    }

    /// Tells whether it only reads and may go on with what the file is now: not behind what was never stored.
    fn goes_on(&self) -> bool {
        let is_kept = || self.buffer().is_some_and(|is| is.snapshot().is_given_up);
        !self.writes && !is_kept()
    }

    /// Notes that it was read up to here, of so many bytes.
    pub(super) fn note_read(&self, offset: u64, read: usize, of: u64) {
        let mut progress = self.progress.lock();
        *progress = match *progress {
            Progress::Waits(since) if read == 0 => Progress::Waits(since),
            _ if read == 0 => Progress::Waits(Instant::now()),
            _ if offset + read as u64 >= of => Progress::Reached,
            _ => Progress::Amid,
        };
    }

    /// Notes what fstat(2) tells of the file to who may wait for that.
    pub(super) fn note_told(&self, told: (u64, Time)) {
        let is_other = match (self.held(), self.buffer()) {
            (Some(held), _) => held != told,
            // What is added to something that is not what the file is any more.
            (None, followed) => followed.is_some_and(|is| !self.inode.is_current(&is)),
        };
        if self.waits() && is_other {
            self.is_told.store(true, SeqCst);
        }
    }

    /// Tells whether a read at an offset is to be of what the file is now.
    pub(super) fn is_due(&self, offset: u64) -> bool {
        let is_told = self.is_told.swap(false, SeqCst) && self.waits();
        let mut progress = self.progress.lock();
        let is_patient = matches!(*progress, Progress::Waits(since) if since.elapsed() > PATIENCE);
        let is_at_end = || self.held().is_none_or(|(len, _)| offset >= len);
        let is_due = is_told || is_patient && self.goes_on() && is_at_end();
        if is_due {
            *progress = Progress::Reached;
        }
        is_due
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

    /// Notes what can be told of what it holds.
    pub(super) fn show(&self, reader: Option<&Reader>) {
        let told = reader.map(Reader::stat);
        *self.stat.lock() = told.filter(|(len, _)| *len < u64::MAX);
    }

    /// Returns the size and time of what it holds, if that need not be what the file is now.
    pub(super) fn held(&self) -> Option<(u64, Time)> {
        if self.only_writes_anew() {
            return None;
        }
        match self.buffer().map(|buffer| buffer.snapshot()) {
            Some(told) if told.tail.is_some() => None,
            Some(Snapshot {
                draft: Some(draft), ..
            }) => Some(draft),
            _ => *self.stat.lock(),
        }
    }

    /// Tells whether it holds something else than what is told of the file. To who only reads nothing is nothing,
    /// whenever it became so.
    pub(super) fn holds_other(&self, told: (u64, Time)) -> bool {
        let is_nothing = |len| !self.writes && (len, told.0) == (0, 0);
        self.held()
            .is_some_and(|held| held != told && !is_nothing(held.0))
    }

    /// Tells whether it only writes what owes nothing to any entry: nobody can read that through it.
    pub(super) fn only_writes_anew(&self) -> bool {
        self.mode.only_writes && self.is_anew.load(SeqCst)
    }

    /// Returns the entry that what it holds was made of or stored as.
    pub(super) fn pin(&self) -> Option<Pin> {
        if let Some(buffer) = self.buffer() {
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
    /// holds, or has emptied it, written nothing, and can read what others will.
    pub(super) fn is_one_to_all(&self, buffer: &Arc<Buffer>) -> bool {
        let is_idle = buffer.snapshot().is_idle;
        let mut writers = self
            .handles()
            .into_iter()
            .filter(|is| is.writes && is.shares(buffer));
        writers.any(|is| !is.is_anew.load(SeqCst) || is_idle && !is.mode.only_writes)
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
            let mut state = buffer.state();
            if state.is_pending() || state.is_given_up {
                return self.is_current(buffer);
            }
            let holds_other = |is: &Arc<Handle>| {
                let reader = is.reader.lock();
                is.shares(buffer) && reader.as_ref().is_some_and(|held| held.pin() != pin)
            };
            let is_blank = state.draft.is_none() && state.tail.is_empty();
            let is_of = state.pin == pin || is_blank && !handles.iter().any(holds_other);
            if is_of {
                state.pin = pin;
                self.replace(buffer);
            }
            is_of
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

    /// Lets nobody go on with what is stored nowhere and is not to be. What was to be added goes, and who has it
    /// open adds only what comes.
    pub(super) fn give_up(&self, buffer: &Arc<Buffer>, state: &mut State) {
        state.is_given_up = true;
        self.forget(buffer);
        if !state.tail.is_empty() && self.name().is_some() {
            state.tail = Draft::default();
            (state.draft, state.is_changed, state.modified) = (None, false, None);
        }
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
