//! What is written to a file, and how it becomes the key's value.

use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard};

use fuser::Errno;

use crate::os::{self, Writer};
use crate::store::modify::{self, Conflicts};
use crate::store::{Condition, Deadline, Etag, Expiry, Meta, Put, Result, StoreError, Time};

use super::body::{Body, Full, Handle};
use super::draft::Draft;
use super::reader::Reader;
use super::{Answer, App, failure, hold};

/// What is appended is kept up to so many bytes, to be added to the value in one step.
pub(super) const LONGEST_TAIL: usize = 1 << 20;

/// What all share who change a file together. Whoever empties it on opening has one of their own: of
/// several who write a file anew at once, each stores a whole.
#[derive(Debug, Default)]
pub(super) struct Content {
    state: Mutex<State>,
    told: Mutex<Told>,
}

/// What can be told of a content while it is being stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// The size of all of it, and when it was changed.
    pub(super) draft: Option<(u64, Time)>,
    /// How many bytes are added to what the key holds, and since when.
    pub(super) tail: Option<(u64, Time)>,
    pub(super) is_pending: bool,
}

impl Content {
    pub(super) fn new(state: State, now: Time) -> Arc<Self> {
        let content = Self::default();
        content.show(&state, now);
        *content.state() = state;
        Arc::new(content)
    }

    pub(super) fn told(&self) -> Told {
        *hold(&self.told)
    }

    /// Lets others see what became of it.
    pub(super) fn show(&self, state: &State, now: Time) {
        let modified = state.modified.unwrap_or(now);
        let tail = state.tail.len() as u64;
        let draft = state.draft.as_ref().filter(|_| tail == 0);
        *hold(&self.told) = Told {
            draft: draft.map(|draft| (draft.len(), modified)),
            tail: (tail > 0).then_some((tail, modified)),
            is_pending: state.is_pending(),
        };
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        hold(&self.state)
    }
}

/// The entry that a content was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pin {
    /// `None` where there was none.
    pub(super) etag: Option<Etag>,
    /// When it is to expire, also once it is gone.
    pub(super) expires: Option<Deadline>,
}

impl Pin {
    pub(super) fn of(meta: &Meta) -> Self {
        Self {
            etag: Some(meta.etag),
            expires: meta.expires,
        }
    }

    fn condition(self) -> Condition {
        self.etag.map_or(Condition::Absent, Condition::Etag)
    }

    fn expiry(self) -> Expiry {
        match (self.etag, self.expires) {
            (Some(_), _) => Expiry::Keep,
            (None, Some(deadline)) => Expiry::At(deadline),
            (None, None) => Expiry::Never,
        }
    }
}

/// What is not the key's value, or not yet.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) kind: Kind,
    pub(super) writers: usize,
    /// How often it was stored.
    pub(super) stores: u64,
    pub(super) pin: Pin,
    /// Nothing of it comes from an entry, so that it can take the place of any.
    pub(super) is_whole: bool,
    /// With a tail it is only how the value looks with that, and is not stored.
    pub(super) draft: Option<Draft>,
    /// What is to be added to the value, whatever that is by then.
    pub(super) tail: Vec<u8>,
    pub(super) change: Change,
    pub(super) modified: Option<Time>,
    pub(super) expiry: Option<Expiry>,
    /// Who has written to it last.
    pub(super) writer: Option<Arc<Writer>>,
    /// Whoever closed it last was killed.
    pub(super) was_killed: bool,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is a key's value.
    #[default]
    Key,
    /// It is never stored.
    Litter,
    /// It is stored once something was written to it.
    Probe,
}

/// What is to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    #[default]
    None,
    /// That it is there, and empty. Whoever made it so is likely to write.
    Emptied,
    /// What was written.
    Written,
}

impl State {
    /// Returns an empty content that takes the place of an entry.
    pub(super) fn emptied(pin: Pin, now: Time) -> Self {
        Self {
            pin,
            is_whole: true,
            draft: Some(Draft::default()),
            change: Change::Emptied,
            modified: Some(now),
            ..Self::default()
        }
    }

    /// Tells whether it is something else than the key's value.
    pub(super) fn is_pending(&self) -> bool {
        self.change != Change::None || self.kind != Kind::Key
    }

    pub(super) fn note_written(&mut self, now: Time) {
        self.change = Change::Written;
        self.modified = Some(now);
        self.was_killed = false;
        if self.kind == Kind::Probe {
            self.kind = Kind::Key;
        }
    }
}

impl App {
    fn stale(&self) -> StoreError {
        failure("store", self, io::ErrorKind::StaleNetworkFileHandle.into())
    }

    /// Lets who opens an entry go on with a content, if that is of the entry, or of nothing yet: as
    /// where only additions were stored, and nobody holds what the key held before.
    pub(super) fn goes_on(body: &Body, content: &Arc<Content>, pin: Pin) -> bool {
        let handles = body.handles();
        let mut state = content.state();
        let is_blank = state.draft.is_none() && state.tail.is_empty();
        let holds_other = |handle: &Arc<Handle>| {
            handle.shares(content)
                && hold(&handle.reader)
                    .as_ref()
                    .is_some_and(|is| is.pin() != pin)
        };
        if state.pin != pin && (!is_blank || handles.iter().any(holds_other)) {
            return false;
        }
        state.pin = pin;
        // Whoever goes on with it changes what is stored.
        state.is_whole = false;
        true
    }

    /// Makes a draft of the value that an opening is of, unless there is one. What was to be added
    /// is in it from then on.
    pub(super) fn load(&self, handle: &Handle, state: &mut State) -> Result<()> {
        if !state.tail.is_empty() {
            self.view(&handle.body, state)?;
            state.tail.clear();
            return Ok(());
        }
        if state.draft.is_none() {
            let place = handle.body.place();
            let mut reader = hold(&handle.reader);
            state.draft = Some(match &mut *reader {
                Some(reader) => {
                    state.pin = reader.pin();
                    reader.take_draft(self, place.as_ref())?
                }
                None => self.draft_of(place.as_ref(), state)?,
            });
        }
        Ok(())
    }

    /// Makes a draft of what the key holds now, with what is to be added.
    pub(super) fn view(&self, body: &Body, state: &mut State) -> Result<()> {
        if state.draft.is_none() {
            let mut draft = self.draft_of(body.place().as_ref(), state)?;
            let written = draft.write(draft.len(), &state.tail, &self.spill);
            written.map_err(|err| failure("write", self, err))?;
            state.draft = Some(draft);
        }
        Ok(())
    }

    fn draft_of(&self, place: Option<&Full>, state: &mut State) -> Result<Draft> {
        let found = match place {
            Some((namespace, key)) => self.store()?.get(namespace, key, self.now())?,
            None => None,
        };
        let entry = found.ok_or_else(|| self.stale())?;
        state.pin = Pin::of(&entry.meta);
        Draft::of(entry.value, &self.spill)
    }

    /// Stores what was changed. That it is refused is told to who has changed it since it was stored.
    pub(super) fn store_through(
        &self,
        handle: &Handle,
        content: &Arc<Content>,
        state: &mut State,
    ) -> Answer<()> {
        let stored = self.store_content(&handle.body, content, state);
        match handle.owes.load(SeqCst) > state.stores || stored != Err(Errno::ESTALE) {
            true => stored,
            false => Ok(()),
        }
    }

    /// Stores what was changed, in one step. It is the body's turn.
    pub(super) fn store_content(
        &self,
        body: &Arc<Body>,
        content: &Arc<Content>,
        state: &mut State,
    ) -> Answer<()> {
        if state.change == Change::None {
            return Ok(());
        }
        if let (Kind::Key, Some(file)) = (state.kind, body.place()) {
            let stored = match state.tail.is_empty() {
                true => self.store_draft(&file, state),
                false => self.store_tail(body, content, &file, state),
            };
            let stored = self.answer(stored);
            if stored == Err(Errno::ESTALE) {
                // It never will be, and nobody else is to go on with it.
                body.forget(content);
            }
            stored?;
            self.shape(&file.0).note(file.1.as_bytes(), true);
            self.memory().unhide(&file.0);
        }
        state.change = Change::None;
        state.stores += 1;
        content.show(state, self.now());
        Ok(())
    }

    /// Puts a draft in the place of the entry that it was made of. Where that is not there any more,
    /// a whole takes the place of whatever is, and a part of none.
    fn store_draft(&self, (namespace, key): &Full, state: &mut State) -> Result<()> {
        let (store, clock) = (self.store()?, self.clock());
        let mut conflicts = Conflicts::default();
        loop {
            let Some(draft) = &state.draft else {
                return Ok(());
            };
            let (wish, modified) = (state.expiry, state.modified);
            let put = |pin: Pin, condition| {
                let mut value = draft.source(&self.spill);
                let put = Put {
                    expiry: wish.unwrap_or(pin.expiry()),
                    modified,
                    ..Put::new(&mut value, condition)
                };
                store.put(namespace, key, put, clock)
            };
            let done = match put(state.pin, state.pin.condition()) {
                // What is damaged has no etag, and a whole repairs it.
                Err(err) if state.is_whole && err.is_damage() => {
                    state.pin.etag = None;
                    put(state.pin, Condition::Always)
                }
                done => done,
            };
            if let Some(etag) = done? {
                state.pin.etag = Some(etag);
                if let Some(expiry) = state.expiry.take() {
                    state.pin.expires = match expiry {
                        Expiry::At(deadline) => Some(deadline),
                        _ => None,
                    };
                }
                return Ok(());
            }
            let was = state.pin;
            state.pin = match store.stat(namespace, key, self.now())? {
                _ if !state.is_whole => return Err(self.stale()),
                Some(meta) => Pin::of(&meta),
                // Its time is over, and what was written with it.
                None if was.expires.is_some_and(|end| end.is_over(self.now())) => {
                    return Err(self.stale());
                }
                None => Pin { etag: None, ..was },
            };
            if state.pin == was {
                conflicts.pause(store.busy_timeout(), key)?;
            }
        }
    }

    /// Adds to what the key holds, unless that is nothing any more.
    fn store_tail(
        &self,
        body: &Arc<Body>,
        content: &Arc<Content>,
        (namespace, key): &Full,
        state: &mut State,
    ) -> Result<()> {
        let (store, clock) = (self.store()?, self.clock());
        let found = store.stat(namespace, key, self.now())?;
        let found = found.ok_or_else(|| self.stale())?;
        // An append to what expires just now would make a value that never does.
        let is_added = match found.expires {
            None => {
                store.append(namespace, key, &state.tail, clock)?;
                true
            }
            Some(_) => modify::append_to_live(store, namespace, key, &state.tail, clock)?,
        };
        if !is_added {
            return Err(self.stale());
        }
        if let Some(expiry) = state.expiry.take() {
            store.expire(namespace, key, expiry, clock)?;
        }
        state.tail.clear();
        state.draft = None;
        // Who has it open beside goes on with what it is now.
        let handles = body.handles().into_iter();
        for handle in handles.filter(|handle| handle.shares(content)) {
            let mut reader = hold(&handle.reader);
            if reader.is_some() {
                let now = Reader::open(self, namespace, key).unwrap_or_default();
                handle.hold_on(&mut reader, now);
            }
        }
        Ok(())
    }

    /// Refuses zeros that there is no room for: they take none before they are stored.
    pub(super) fn must_have_room(&self, from: u64, to: u64) -> Answer<()> {
        let gap = to.saturating_sub(from);
        if gap <= LONGEST_TAIL as u64 {
            return Ok(());
        }
        let room = os::disk_space(&self.config.disk).map_err(|_| Errno::EIO)?;
        match gap > room.available.saturating_mul(room.block) {
            true => Err(Errno::ENOSPC),
            false => Ok(()),
        }
    }
}
