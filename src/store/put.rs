//! What a put can ask for.

use std::time::Duration;

use crate::store::{Deadline, Etag, Source, Time};

/// A write to be done.
pub struct Put<'a> {
    /// Where the value's bytes come from. They are read once, to their end.
    pub value: &'a mut dyn Source,
    /// When the entry expires.
    pub expiry: Expiry,
    /// The time of modification that the entry is to show; without one, the time when the value
    /// had been read to its end.
    pub modified: Option<Time>,
    /// What must hold for the write to take place.
    pub condition: Condition,
    /// Is told by a write that takes place whether it took the place of another entry, a damaged one
    /// too. Who does not ask saves a look at what there was.
    pub was_there: Option<&'a mut bool>,
}

impl<'a> Put<'a> {
    /// Makes one of a value that never expires.
    pub fn new(value: &'a mut dyn Source, condition: Condition) -> Self {
        Self {
            value,
            expiry: Expiry::Never,
            modified: None,
            condition,
            was_there: None,
        }
    }
}

/// When an entry that is being written expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never, whatever the key held before.
    Never,
    /// This long after the value has been read to its end.
    After(Duration),
    /// At this time.
    At(Deadline),
    /// When the entry expires that the key holds now; never, if it holds none.
    Keep,
}

impl Expiry {
    /// Returns when an entry expires that is written now, in the place of one that expires when `held`
    /// says it.
    pub fn resolve(self, now: Time, held: Option<Deadline>) -> Option<Deadline> {
        match self {
            Self::Never => None,
            Self::After(ttl) => Some(Deadline::after(now, ttl)),
            Self::At(deadline) => Some(deadline),
            Self::Keep => held,
        }
    }
}

/// What must hold of a key's entry for a change to take place, in the same atomic step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: the change takes place.
    Always,
    /// There is no live entry.
    Absent,
    /// There is a live entry.
    Exists,
    /// There is a live entry with exactly this value.
    Value(Vec<u8>),
    /// There is a live entry with this etag.
    Etag(Etag),
}

impl Condition {
    /// Tells whether it holds of a live entry, by its etag and its value, or of none.
    pub fn holds(&self, found: Option<(Etag, &[u8])>) -> bool {
        match (self, found) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Exists, Some(_)) => true,
            (Self::Value(wanted), Some((_, value))) => wanted == value,
            (Self::Etag(wanted), Some((etag, _))) => *wanted == etag,
            _ => false,
        }
    }
}
