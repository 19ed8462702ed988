//! Locks that programs take by name.

use std::time::Duration;

use crate::store::Time;

/// How a named lock is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRequest {
    /// Several holders at once, none of them exclusive.
    pub is_shared: bool,
    /// For how long to wait for others; `None` is without limit, zero one try.
    pub patience: Option<Duration>,
}

/// Who holds a named lock, for people to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The number of the process.
    pub pid: u32,
    /// The machine that it runs on.
    pub host: String,
    /// Since when it holds the lock.
    pub since: Time,
    /// Others may hold the lock as well; of several the last that came is told.
    pub is_shared: bool,
}

/// What stands for a named lock while it is held.
pub trait Guard: Send {
    /// A number that has grown since the lock was last granted, where the store counts.
    fn token(&self) -> Option<u64> {
        None
    }

    /// Tells whether it is known that the lock has become another's meanwhile.
    fn is_lost(&self) -> bool {
        false
    }
}

/// A named lock that is held until this is dropped, or until the process dies.
pub type Held = Box<dyn Guard>;
