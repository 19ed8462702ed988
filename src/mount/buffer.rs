//! What is written to a file, until it becomes the key's value.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::store::{Condition, Deadline, Etag, Expiry, Meta, Time};

use super::draft::Draft;

/// What all share who change a file together. Whoever empties it on opening has one of their own: of
/// several who write a file anew at once, each stores a whole.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    state: Mutex<State>,
    snapshot: Mutex<Snapshot>,
}

/// What can be told of a buffer while it is being stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshot {
    /// The size of all of it, and when it was changed.
    pub(super) draft: Option<(u64, Time)>,
    /// How many bytes are added to what the key holds, and since when.
    pub(super) tail: Option<(u64, Time)>,
    pub(super) is_pending: bool,
    pub(super) is_idle: bool,
    pub(super) is_given_up: bool,
    pub(super) stores: u64,
    /// How long the value is that this is being added to just now.
    pub(super) onto: Option<u64>,
}

impl Snapshot {
    /// Tells whether nothing has begun to be stored since.
    pub(super) fn is_as(&self, now: &Self) -> bool {
        (self.stores, self.onto) == (now.stores, now.onto)
    }
}

impl Buffer {
    pub(super) fn new(state: State, now: Time) -> Arc<Self> {
        let buffer = Self::default();
        buffer.show(&state, now);
        *buffer.state() = state;
        Arc::new(buffer)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        *self.snapshot.lock()
    }

    /// Notes that it is being added to a value of that length.
    pub(super) fn show_onto(&self, len: u64) {
        self.snapshot.lock().onto = Some(len);
    }

    /// Lets others see what became of it.
    pub(super) fn show(&self, state: &State, now: Time) {
        let modified = state.modified.unwrap_or(now);
        let tail = state.tail.len();
        let draft = state.draft.as_ref().filter(|_| tail == 0);
        *self.snapshot.lock() = Snapshot {
            draft: draft.map(|draft| (draft.len(), modified)),
            tail: (tail > 0).then_some((tail, modified)),
            is_pending: state.is_pending(),
            is_idle: state.is_idle(),
            is_given_up: state.is_given_up,
            stores: state.stores,
            onto: None,
        };
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// The entry that a buffer was made of.
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

    pub(super) fn condition(self) -> Condition {
        self.etag.map_or(Condition::Absent, Condition::Etag)
    }

    pub(super) fn expiry(self) -> Expiry {
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
    /// The size and time of the entry that it was emptied of.
    pub(super) was: Option<(u64, Time)>,
    /// Nothing of it comes from an entry, so that it can take the place of any.
    pub(super) is_whole: bool,
    /// All of it; `None` where it is the entry's value, and what is added to that.
    pub(super) draft: Option<Draft>,
    /// What is to be added to the value, whatever that is by then.
    pub(super) tail: Draft,
    /// Whether something is to be stored: for a whole that it is there, and empty, if nothing more.
    pub(super) is_changed: bool,
    /// The entry that was put as it was made, without a sync.
    pub(super) unsynced: Option<Etag>,
    pub(super) modified: Option<Time>,
    pub(super) expiry: Option<Expiry>,
    /// Whether it is more than emptied.
    pub(super) was_written: bool,
    /// All who have changed it were killed, or told that it is not stored.
    pub(super) is_given_up: bool,
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

impl State {
    /// Returns an empty buffer that takes the place of an entry.
    pub(super) fn emptied(pin: Pin, now: Time) -> Self {
        Self {
            pin,
            is_whole: true,
            draft: Some(Draft::default()),
            is_changed: true,
            modified: Some(now),
            ..Self::default()
        }
    }

    /// Tells whether it is something else than the key's value.
    pub(super) fn is_pending(&self) -> bool {
        self.is_changed || self.kind != Kind::Key
    }

    /// Tells whether it is the key's value emptied, and nobody has written anything.
    pub(super) fn is_idle(&self) -> bool {
        let is_empty = self.draft.as_ref().is_some_and(Draft::is_empty);
        let is_new = self.is_whole && self.is_changed && !self.was_written;
        self.kind == Kind::Key && is_new && is_empty
    }

    /// Tells whether an entry is still the one that it was emptied of, though others have given it another expiry.
    pub(super) fn is_still(&self, found: &Meta) -> bool {
        self.was == Some((found.size, found.modified))
    }

    /// Notes that an entry is just this.
    pub(super) fn is_now(&mut self, found: &Meta) {
        self.pin = Pin::of(found);
        self.modified = Some(found.modified);
    }

    /// Notes that nothing is to be stored any more.
    pub(super) fn note_stored(&mut self) {
        (self.is_changed, self.unsynced) = (false, None);
        self.stores += 1;
    }

    pub(super) fn note_written(&mut self, now: Time) {
        self.is_changed = true;
        self.modified = Some(now);
        self.is_given_up = false;
        if self.kind == Kind::Probe {
            self.kind = Kind::Key;
        }
    }
}
