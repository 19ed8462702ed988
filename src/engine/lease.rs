//! Locks that end by themselves: what stands for a lock where the store cannot see its holder die.
//!
//! The store grants a lock for [`LASTS`], and the holder asks for it again in time, from a thread of its
//! own. When the holder's machine dies, nobody asks any more, and the lock is free after that time. No
//! lease can promise that two never hold a lock at once: a holder that was stopped for long believes to
//! hold what it has lost. For that there is the token: it grows with each grant, and whoever is given
//! work refuses an older one than the last that it has seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::os;
use crate::store::{Guard, Held, Result, Watcher};

/// For how long a lock is granted.
pub(super) const LASTS: Duration = Duration::from_secs(10);
/// How often it is asked for again.
const KEEP_EVERY: Duration = Duration::from_secs(3);

/// What a try for a lock brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It is held now, and this is its token.
    Held(u64),
    /// Others hold it, at the longest for this time unless they ask for it again.
    Busy(Duration),
}

/// A lock in a store, for one holder. Each call may be repeated.
pub(super) trait Grant: Send + Sync + 'static {
    /// Tries for the lock once.
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked.
    fn take(&self) -> Result<Attempt>;

    /// Asks for the lock again, while it is held. Returns false when it is another's.
    ///
    /// # Errors
    ///
    /// As [`Grant::take`].
    fn keep(&self) -> Result<bool>;

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// As [`Grant::take`]; then it ends by itself.
    fn free(&self) -> Result<()>;
}

/// Takes a lock, and keeps it until what is returned is dropped. `None` if others held it for all of
/// `patience`, which is without limit where it is `None`.
///
/// # Errors
///
/// Where the store cannot be asked, or cannot be watched.
pub(super) fn acquire(
    grant: Arc<dyn Grant>,
    patience: Option<Duration>,
    watch: &mut dyn FnMut() -> Result<Box<dyn Watcher>>,
) -> Result<Option<Held>> {
    let until = patience.and_then(|patience| Instant::now().checked_add(patience));
    let mut watcher: Option<Box<dyn Watcher>> = None;
    loop {
        let left = match grant.take()? {
            Attempt::Held(token) => return Ok(Some(hold(grant, token))),
            Attempt::Busy(left) => left,
        };
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(None);
        }
        match &mut watcher {
            // Whoever looks after the watch has begun misses nothing.
            None => watcher = Some(watch()?),
            Some(watcher) => {
                let over = Instant::now() + left.max(Duration::from_millis(10));
                watcher.wait(Some(until.map_or(over, |until| until.min(over))))?;
            }
        }
    }
}

/// Keeps a lock that was granted until what is returned is dropped.
pub(super) fn hold(grant: Arc<dyn Grant>, token: u64) -> Held {
    Box::new(Lease::new(grant, token))
}

/// A lock that is held, and asked for again and again until this is dropped.
struct Lease {
    grant: Arc<dyn Grant>,
    token: u64,
    is_lost: Arc<AtomicBool>,
    end: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Lease {
    fn new(grant: Arc<dyn Grant>, token: u64) -> Self {
        let is_lost = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel();
        let (kept, lost) = (Arc::clone(&grant), Arc::clone(&is_lost));
        let keeper = os::spawn_deaf(move || {
            while ended.recv_timeout(KEEP_EVERY) == Err(RecvTimeoutError::Timeout) {
                // A store that is not to be reached may be so again in time.
                if let Ok(false) = kept.keep() {
                    lost.store(true, Ordering::Relaxed);
                    return;
                }
            }
        });
        Self {
            grant,
            token,
            is_lost,
            end: Some(end),
            keeper: Some(keeper),
        }
    }
}

impl Guard for Lease {
    fn token(&self) -> Option<u64> {
        Some(self.token)
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(keeper) = self.keeper.take() {
            // What it died of was told where it died.
            _ = keeper.join();
        }
        // A lock that cannot be given back ends by itself.
        _ = self.grant.free();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A lock that says busy so many times before it is had.
    struct Scripted {
        busy: Mutex<u32>,
        freed: AtomicBool,
    }

    impl Grant for Scripted {
        fn take(&self) -> Result<Attempt> {
            let mut busy = self.busy.lock().unwrap();
            if *busy > 0 {
                *busy -= 1;
                return Ok(Attempt::Busy(Duration::ZERO));
            }
            Ok(Attempt::Held(7))
        }

        fn keep(&self) -> Result<bool> {
            Ok(true)
        }

        fn free(&self) -> Result<()> {
            self.freed.store(true, Ordering::Relaxed);
            Ok(())
        }
    }

    struct Never;

    impl Watcher for Never {
        fn wait(&mut self, _until: Option<Instant>) -> Result<()> {
            Ok(())
        }
    }

    fn try_for(busy: u32, patience: Option<Duration>) -> (Arc<Scripted>, Option<Held>) {
        let grant = Arc::new(Scripted {
            busy: Mutex::new(busy),
            freed: AtomicBool::new(false),
        });
        let shared: Arc<dyn Grant> = Arc::clone(&grant) as Arc<dyn Grant>;
        let held = acquire(shared, patience, &mut || Ok(Box::new(Never))).unwrap();
        (grant, held)
    }

    #[test]
    fn who_waits_gets_it_and_gives_it_back() {
        let (grant, held) = try_for(5, None);
        let held = held.unwrap();
        assert_eq!((held.token(), held.is_lost()), (Some(7), false));
        assert!(!grant.freed.load(Ordering::Relaxed));
        drop(held);
        assert!(grant.freed.load(Ordering::Relaxed));
    }

    #[test]
    fn who_does_not_wait_tries_once() {
        let (grant, held) = try_for(1, Some(Duration::ZERO));
        assert!(held.is_none());
        assert_eq!(*grant.busy.lock().unwrap(), 0);
        assert!(!grant.freed.load(Ordering::Relaxed));
    }
}
