//! Open files, and whose turn it is to change them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use fuser::Errno;

use crate::os::Writer;
use crate::store::{Namespace, Time};

use super::content::{Content, Pin, Told};
use super::names;
use super::nodes::Full;
use super::reader::Reader;
use super::{Answer, App, hold};

fn name_of(file: &Full) -> (Namespace, Vec<u8>) {
    (file.0.clone(), file.1.as_bytes().to_vec())
}

/// The files that are open, or only in memory.
#[derive(Default)]
pub(super) struct Files {
    named: BTreeMap<(Namespace, Vec<u8>), Arc<Body>>,
    /// Those that are open, by the kernel's number, and how often: it may know no name of them.
    numbers: HashMap<u64, (Arc<Body>, usize)>,
    handles: HashMap<u64, Arc<Handle>>,
    last: u64,
}

impl Files {
    pub(super) fn named(&self, file: &Full) -> Option<Arc<Body>> {
        self.named.get(&name_of(file)).cloned()
    }

    /// Gives a file another name. What had it before has none any more.
    pub(super) fn rename(&mut self, body: &Arc<Body>, to: &Full) {
        if let Some(from) = body.place() {
            self.named.remove(&name_of(&from));
        }
        *hold(&body.place) = Some(to.clone());
        if let Some(old) = self.named.insert(name_of(to), Arc::clone(body))
            && !Arc::ptr_eq(&old, body)
        {
            *hold(&old.place) = None;
        }
    }

    /// Takes the name of a file away.
    pub(super) fn part(&mut self, body: &Body) {
        if let Some(file) = hold(&body.place).take() {
            self.named.remove(&name_of(&file));
        }
    }

    /// Returns what is open under a number.
    pub(super) fn numbered(&self, number: u64) -> Option<Arc<Body>> {
        self.numbers.get(&number).map(|(body, _)| Arc::clone(body))
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
    ) -> impl Iterator<Item = (&'a [u8], &'a Arc<Body>)> {
        self.named
            .range((namespace.clone(), prefix.to_vec())..)
            .take_while(move |((of, key), _)| of == namespace && key.starts_with(prefix))
            .filter(move |((_, key), _)| names::leads(prefix, key))
            .map(|((_, key), body)| (&key[..], body))
    }

    pub(super) fn add_handle(&mut self, handle: Handle) -> u64 {
        self.last += 1;
        let open = self.numbers.entry(handle.number);
        open.or_insert_with(|| (Arc::clone(&handle.body), 0)).1 += 1;
        let handle = Arc::new(handle);
        hold(&handle.body.handles).insert(self.last, Arc::clone(&handle));
        self.handles.insert(self.last, handle);
        self.last
    }

    pub(super) fn drop_handle(&mut self, id: u64) -> Answer<Arc<Handle>> {
        let handle = self.handles.remove(&id).ok_or(Errno::EBADF)?;
        hold(&handle.body.handles).remove(&id);
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
    fn leave(&mut self, body: &Arc<Body>) {
        const IDLE: usize = 2;
        if Arc::strong_count(body) == IDLE
            && body.content().is_none()
            && let Some(file) = body.place()
        {
            self.named.remove(&name_of(&file));
        }
    }
}

/// A file that is open, or only in memory.
#[derive(Default)]
pub(super) struct Body {
    /// Held by whoever opens, stores, renames or removes it: that is decided one after the other.
    pub(super) turn: Mutex<()>,
    /// Where it is; `None` once it was removed. It changes only in a turn.
    place: Mutex<Option<Full>>,
    /// Its openings.
    handles: Mutex<BTreeMap<u64, Arc<Handle>>>,
    /// What whoever opens it goes on with; `None` where that is the key's value.
    content: Mutex<Option<Arc<Content>>>,
    /// What it was when it was opened or removed.
    pub(super) last: Mutex<Option<(u64, Time)>>,
}

/// One opening of a file.
pub(super) struct Handle {
    pub(super) number: u64,
    pub(super) body: Arc<Body>,
    /// What is changed through it; or, where it only reads, what others change of that which it holds.
    pub(super) content: Mutex<Option<Arc<Content>>>,
    pub(super) writes: bool,
    pub(super) opener: Option<Arc<Writer>>,
    /// How often its content will have been stored once what was done through it is.
    pub(super) owes: AtomicU64,
    /// Whether the process that has opened it has closed it.
    pub(super) is_left: AtomicBool,
    /// The value that it was opened on.
    pub(super) reader: Mutex<Option<Reader>>,
    /// The size and time of that, which are told while it is being read.
    told: Mutex<Option<(u64, Time)>>,
    /// Where what it held ends, where another value has taken its place since.
    end: Mutex<Option<u64>>,
}

impl Handle {
    pub(super) fn new(
        number: u64,
        body: &Arc<Body>,
        (content, reader): (Option<Arc<Content>>, Option<Reader>),
        opener: Option<Writer>,
    ) -> Self {
        let handle = Self {
            number,
            body: Arc::clone(body),
            content: Mutex::new(content),
            writes: opener.is_some(),
            opener: opener.map(Arc::new),
            owes: AtomicU64::default(),
            is_left: AtomicBool::default(),
            reader: Mutex::default(),
            told: Mutex::default(),
            end: Mutex::default(),
        };
        handle.hold_on(&mut hold(&handle.reader), reader);
        handle
    }

    pub(super) fn content(&self) -> Option<Arc<Content>> {
        hold(&self.content).clone()
    }

    /// Lets it show this.
    pub(super) fn follow(&self, content: Option<&Arc<Content>>) {
        *hold(&self.content) = content.cloned();
    }

    /// Notes that a whole takes the place of what it holds, of which no part is the rest of that.
    pub(super) fn end(&self) {
        let held = hold(&self.reader);
        *hold(&self.end) = held.as_ref().map(|held| held.told().0);
    }

    /// Tells once who reads on that this was the end.
    pub(super) fn ends_at(&self, offset: u64) -> bool {
        let end = hold(&self.end).take();
        end.is_some_and(|end| offset >= end)
    }

    /// Tells whether it is of this content.
    pub(super) fn shares(&self, content: &Arc<Content>) -> bool {
        let own = hold(&self.content);
        own.as_ref().is_some_and(|own| Arc::ptr_eq(own, content))
    }

    /// Returns what is changed through it.
    pub(super) fn written(&self) -> Answer<Arc<Content>> {
        self.content().filter(|_| self.writes).ok_or(Errno::EBADF)
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
        *hold(&self.told) = held.map(Reader::told);
    }

    /// Returns the size and time of what it holds, if that need not be what the file is now.
    pub(super) fn held(&self) -> Option<(u64, Time)> {
        match self.content().map(|content| content.told()) {
            Some(told) if told.tail.is_some() => None,
            Some(Told {
                draft: Some(draft), ..
            }) => Some(draft),
            _ => *hold(&self.told),
        }
    }

    /// Returns the entry that what it holds was made of or stored as.
    pub(super) fn pin(&self) -> Option<Pin> {
        if let Some(content) = self.content() {
            let state = content.state();
            if state.draft.is_some() {
                return Some(state.pin);
            }
        }
        hold(&self.reader).as_ref().map(Reader::pin)
    }
}

impl Body {
    pub(super) fn place(&self) -> Option<Full> {
        hold(&self.place).clone()
    }

    /// Returns what is told of it where that is not what the key is told.
    pub(super) fn seen(&self) -> Told {
        let told = self.content().map(|content| content.told());
        // What is stored and can be found there may be another's by now.
        told.filter(|told| told.is_pending || self.place().is_none())
            .unwrap_or_default()
    }

    /// Returns its openings, the oldest first.
    pub(super) fn handles(&self) -> Vec<Arc<Handle>> {
        hold(&self.handles).values().cloned().collect()
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
        hold(&self.handles).iter().filter(is_its).count()
    }

    /// Returns what whoever opens it goes on with.
    pub(super) fn content(&self) -> Option<Arc<Content>> {
        hold(&self.content).clone()
    }

    /// Tells whether a content is what whoever opens it goes on with.
    fn is_current(&self, content: &Arc<Content>) -> bool {
        let current = hold(&self.content);
        current.as_ref().is_some_and(|is| Arc::ptr_eq(is, content))
    }

    /// Lets whoever opens it from now on go on with this.
    pub(super) fn replace(&self, content: &Arc<Content>) {
        *hold(&self.content) = Some(Arc::clone(content));
    }

    /// Lets nobody go on with a content any more.
    pub(super) fn forget(&self, content: &Arc<Content>) {
        if self.is_current(content) {
            *hold(&self.content) = None;
        }
    }
}

impl App {
    /// Does something with a file while nobody else opens, stores, renames or removes it.
    pub(super) fn in_turn<T>(
        &self,
        file: &Full,
        act: impl FnOnce(&Arc<Body>) -> Answer<T>,
    ) -> Answer<T> {
        loop {
            let body = {
                let mut files = self.files();
                let named = files.named.entry(name_of(file));
                let body = named.or_insert_with(|| {
                    Arc::new(Body {
                        place: Mutex::new(Some(file.clone())),
                        ..Body::default()
                    })
                });
                Arc::clone(body)
            };
            let turn = hold(&body.turn);
            if body.place().as_ref() != Some(file) {
                // It was renamed or removed while its turn was waited for.
                continue;
            }
            let done = act(&body);
            drop(turn);
            self.files().leave(&body);
            return done;
        }
    }

    /// As [`App::in_turn`], with two files that are not the same.
    pub(super) fn in_turns<T>(
        &self,
        one: &Full,
        two: &Full,
        act: impl FnOnce(&Arc<Body>, &Arc<Body>) -> Answer<T>,
    ) -> Answer<T> {
        // One at a time has two turns, and so nobody who waits for a turn has one that others wait
        // for: a file may get another name while it is waited for, so that no order of names would do.
        let _renames = hold(&self.renames);
        self.in_turn(one, |one| self.in_turn(two, |two| act(one, two)))
    }

    /// Lets go of a file that was used without a turn by name.
    pub(super) fn leave(&self, body: &Arc<Body>) {
        self.files().leave(body);
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
