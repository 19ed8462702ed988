//! Locks that programs take by name.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::store::{Clock, Key, Namespace, Result, Time};

/// How a named lock is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRequest {
    /// Several holders at once, none of them exclusive.
    pub is_shared: bool,
    /// For how long to wait for others; `None` is without limit, zero one try.
    pub patience: Option<Duration>,
}

impl LockRequest {
    /// Asks once for what nobody else is to hold.
    pub const AT_ONCE: Self = Self {
        is_shared: false,
        patience: Some(Duration::ZERO),
    };
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

/// What is to be done when a lock is lost.
pub type OnLoss = Box<dyn FnOnce() + Send>;

/// What stands for a named lock while it is held.
pub trait Guard: Send {
    /// A number that has grown since the lock was last granted, where the store counts.
    fn token(&self) -> Option<u64> {
        None
    }

    /// Asks whether the lock is held no more, or may be another's. It is held where nobody can say.
    fn is_lost(&self) -> bool {
        false
    }

    /// Has this called, once and from another thread, when it becomes known that the lock is lost; at
    /// once where that is known already.
    fn on_loss(&self, _tell: OnLoss) {}

    /// Returns the descriptor that the lock lasts for as long as any process has it open; `None`
    /// where there is no such thing.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Gives the lock back. Returns false if it was lost before.
    fn end(self: Box<Self>) -> bool {
        true
    }
}

/// A named lock that is held until this is dropped, or until the process dies.
pub type Held = Box<dyn Guard>;

/// The named locks of a store.
pub trait Locks {
    /// Takes the lock of that name. Returns `None` if others held it for too long. It has nothing
    /// to do with the entry of the same name.
    ///
    /// # Errors
    ///
    /// Where the engine has no such locks, or the store cannot be written.
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>>;

    /// Gives a lock back that nobody is to need again, and removes what there is of it in files.
    fn clear(&self, namespace: &Namespace, name: &Key, held: Held) {
        _ = (namespace, name);
        held.end();
    }

    /// Tells who holds the lock of that name; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>>;
}
