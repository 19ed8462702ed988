//! Open files, and whose turn it is to change them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};

use fuser::Errno;
use parking_lot::Mutex;

use crate::os::Writer;
use crate::store::{Namespace, Time};

use super::buffer::{Buffer, Pin, Snapshot, State};
use super::names;
use super::nodes::FullKey;
use super::reader::Reader;
use super::{Answer, App};

fn name_of(file: &FullKey) -> (Namespace, Vec<u8>) {
    (file.0.clone(), file.1.as_bytes().to_vec())
}

/// The files that are open, or only in memory.
#[derive(Default)]
pub(super) struct Files {
    named: BTreeMap<(Namespace, Vec<u8>), Arc<Inode>>,
    /// Those that are open, by the kernel's number, and how often: it may know no name of them.
    numbers: HashMap<u64, (Arc<Inode>, usize)>,
    handles: HashMap<u64, Arc<Handle>>,
    last: u64,
}

impl Files {
    pub(super) fn named(&self, file: &FullKey) -> Option<Arc<Inode>> {
        self.named.get(&name_of(file)).cloned()
    }

    /// Gives a file another name. What had it before has none any more.
    pub(super) fn rename(&mut self, inode: &Arc<Inode>, to: &FullKey) {
        if let Some(from) = inode.name() {
            self.named.remove(&name_of(&from));
        }
        *inode.name.lock() = Some(to.clone());
        if let Some(old) = self.named.insert(name_of(to), Arc::clone(inode))
            && !Arc::ptr_eq(&old, inode)
        {
            *old.name.lock() = None;
        }
    }

    /// Takes the name of a file away.
    pub(super) fn detach(&mut self, inode: &Inode) {
        if let Some(file) = inode.name.lock().take() {
            self.named.remove(&name_of(&file));
        }
    }

    /// Returns what is open under a number.
    pub(super) fn numbered(&self, number: u64) -> Option<Arc<Inode>> {
        self.numbers
            .get(&number)
            .map(|(inode, _)| Arc::clone(inode))
    }

    pub(super) fn handle(&self, handle: u64) -> Answer<Arc<Handle>> {
        self.handles.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    /// Returns the newest opening.
    pub(super) fn newest(&self) -> u64 {
        self.last
    }

    /// Returns the files that are shown below a directory.
    pub(super) fn below<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a Arc<Inode>)> {
        self.named
            .range((namespace.clone(), prefix.to_vec())..)
            .take_while(move |((of, key), _)| of == namespace && key.starts_with(prefix))
            .filter(move |((_, key), _)| names::leads(prefix, key))
            .map(|((_, key), inode)| (&key[..], inode))
    }

    pub(super) fn add_handle(&mut self, handle: Handle) -> u64 {
        self.last += 1;
        let open = self.numbers.entry(handle.number);
        open.or_insert_with(|| (Arc::clone(&handle.inode), 0)).1 += 1;
        let handle = Arc::new(handle);
        handle
            .inode
            .handles
            .lock()
            .insert(self.last, Arc::clone(&handle));
        self.handles.insert(self.last, handle);
        self.last
    }

    pub(super) fn drop_handle(&mut self, id: u64) -> Answer<Arc<Handle>> {
        let handle = self.handles.remove(&id).ok_or(Errno::EBADF)?;
        handle.inode.handles.lock().remove(&id);
        if let Some((_, count)) = self.numbers.get_mut(&handle.number) {
            *count -= 1;
            if *count == 0 {
                self.numbers.remove(&handle.number);
            }
        }
        Ok(handle)
    }

    /// Forgets a file that nobody uses and that is in the store as well. To be called by who has
    /// the only [`Arc`] of it beside this table's.
    fn leave(&mut self, inode: &Arc<Inode>) {
        const IDLE: usize = 2;
        if Arc::strong_count(inode) == IDLE
            && inode.buffer().is_none()
            && let Some(file) = inode.name()
        {
            self.named.remove(&name_of(&file));
        }
    }
}

/// A file that is open, or only in memory.
#[derive(Default)]
pub(super) struct Inode {
    /// Held by whoever opens, stores, renames or removes it: that is decided one after the other.
    pub(super) turn: Mutex<()>,
    /// Where it is; `None` once it was removed. It changes only in a turn.
    name: Mutex<Option<FullKey>>,
    /// Its openings.
    handles: Mutex<BTreeMap<u64, Arc<Handle>>>,
    /// What whoever opens it goes on with; `None` where that is the key's value.
    buffer: Mutex<Option<Arc<Buffer>>>,
    /// What it was when it was opened or removed.
    pub(super) last: Mutex<Option<(u64, Time)>>,
}

/// One opening of a file.
pub(super) struct Handle {
    pub(super) number: u64,
    pub(super) inode: Arc<Inode>,
    /// What is changed through it; or, where it only reads, what others change of that which it holds.
    pub(super) buffer: Mutex<Option<Arc<Buffer>>>,
    pub(super) writes: bool,
    pub(super) opener: Option<Arc<Writer>>,
    /// How often its buffer will have been stored once what was done through it is.
    pub(super) owes: AtomicU64,
    /// What who closed it was told last, which is told to each who closes it.
    pub(super) refused: Mutex<Option<Errno>>,
    /// Whether the process that has opened it has closed it.
    pub(super) is_left: AtomicBool,
    /// The value that it was opened on.
    pub(super) reader: Mutex<Option<Reader>>,
    /// The size and time of that, which are told while it is being read.
    stat: Mutex<Option<(u64, Time)>>,
    /// Where what it held ends, where another value has taken its place since.
    end: Mutex<Option<u64>>,
}

impl Handle {
    pub(super) fn new(
        number: u64,
        inode: &Arc<Inode>,
        (buffer, reader): (Option<Arc<Buffer>>, Option<Reader>),
        opener: Option<Writer>,
    ) -> Self {
        let handle = Self {
            number,
            inode: Arc::clone(inode),
            buffer: Mutex::new(buffer),
            writes: opener.is_some(),
            opener: opener.map(Arc::new),
            owes: AtomicU64::default(),
            refused: Mutex::default(),
            is_left: AtomicBool::default(),
            reader: Mutex::default(),
            stat: Mutex::default(),
            end: Mutex::default(),
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

    /// Notes that a whole takes the place of what it holds, of which no part is the rest of that.
    pub(super) fn end(&self) {
        let held = self.reader.lock();
        *self.end.lock() = held.as_ref().map(|held| held.stat().0);
    }

    /// Tells once who reads on that this was the end.
    pub(super) fn ends_at(&self, offset: u64) -> bool {
        let end = self.end.lock().take();
        end.is_some_and(|end| offset >= end)
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
        self.note_read(held.as_ref());
    }

    /// Notes what can be told of what it holds. Who only reads and has come to the end waits for what is
    /// next, as `tail -f` does.
    pub(super) fn note_read(&self, reader: Option<&Reader>) {
        let held = reader.filter(|reader| self.writes || !reader.has_ended());
        *self.stat.lock() = held.map(Reader::stat);
    }

    /// Returns the size and time of what it holds, if that need not be what the file is now.
    pub(super) fn held(&self) -> Option<(u64, Time)> {
        match self.buffer().map(|buffer| buffer.snapshot()) {
            Some(told) if told.tail.is_some() => None,
            Some(Snapshot {
                draft: Some(draft), ..
            }) => Some(draft),
            _ => *self.stat.lock(),
        }
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

    /// Counts the openings of it to be written by a process that has not closed them, or which are
    /// newer than one.
    pub(super) fn count_of(&self, number: u64, opener: &Writer, than: Option<u64>) -> usize {
        let is_its = |(id, handle): &(&u64, &Arc<Handle>)| {
            let by = handle.opener.as_ref().filter(|_| handle.number == number);
            let counts = than.map_or(!handle.is_left.load(SeqCst), |than| **id > than);
            counts && by.is_some_and(|by| by.is_with(opener))
        };
        self.handles.lock().iter().filter(is_its).count()
    }

    /// Returns what whoever opens it goes on with.
    pub(super) fn buffer(&self) -> Option<Arc<Buffer>> {
        self.buffer.lock().clone()
    }

    /// Tells whether a buffer is what whoever opens it goes on with.
    fn is_current(&self, buffer: &Arc<Buffer>) -> bool {
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

impl App {
    /// Does something with a file while nobody else opens, stores, renames or removes it.
    pub(super) fn in_turn<T>(
        &self,
        file: &FullKey,
        act: impl FnOnce(&Arc<Inode>) -> Answer<T>,
    ) -> Answer<T> {
        loop {
            let inode = {
                let mut files = self.files.lock();
                let named = files.named.entry(name_of(file));
                let inode = named.or_insert_with(|| {
                    Arc::new(Inode {
                        name: Mutex::new(Some(file.clone())),
                        ..Inode::default()
                    })
                });
                Arc::clone(inode)
            };
            let turn = inode.turn.lock();
            if inode.name().as_ref() != Some(file) {
                // It was renamed or removed while its turn was waited for.
                continue;
            }
            let done = act(&inode);
            drop(turn);
            self.files.lock().leave(&inode);
            return done;
        }
    }

    /// As [`App::in_turn`], with two files that are not the same.
    pub(super) fn in_turns<T>(
        &self,
        one: &FullKey,
        two: &FullKey,
        act: impl FnOnce(&Arc<Inode>, &Arc<Inode>) -> Answer<T>,
    ) -> Answer<T> {
        // One at a time has two turns, and so nobody who waits for a turn has one that others wait
        // for: a file may get another name while it is waited for, so that no order of names would do.
        let _renames = self.renames.lock();
        self.in_turn(one, |one| self.in_turn(two, |two| act(one, two)))
    }

    /// Lets go of a file that was used without a turn by name.
    pub(super) fn leave(&self, inode: &Arc<Inode>) {
        self.files.lock().leave(inode);
    }
}

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mode {
    pub(super) writes: bool,
    pub(super) appends: bool,
    pub(super) truncates: bool,
    /// Who opens it.
    pub(super) thread: u32,
}
