//! Locks that end by themselves: what stands for a lock where the store cannot see its holder die.
//!
//! The store grants a lock for [`LASTS`], and the holder asks for it again in time, from a thread of its
//! own. When the holder's machine dies, nobody asks any more, and the lock is free after that time. A
//! holder that is cut off for as long tells so by its own clock, which goes on while the machine sleeps.
//! No lease can promise that two never hold a lock at once: a holder that was stopped for long believes
//! to hold what it has lost until it goes on. For that there is the token: it grows with each grant, and whoever is given
//! work refuses an older one than the last that it has seen.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::os;
use crate::store::{Guard, Held, OnLoss, OrCannot as _, Result, Watcher};

/// For how long a lock is granted.
pub(super) const LASTS: Duration = Duration::from_secs(10);
/// How often it is asked for again, and how long that may take, so that there is time for a second try.
pub(super) const KEEP_EVERY: Duration = Duration::from_secs(3);

/// How a lock is kept.
#[derive(Clone, Copy, Debug)]
struct Pace {
    lasts: Duration,
    every: Duration,
    /// How long after a try that failed the next one is made.
    retry: Duration,
    /// How often the clock is looked at: while the machine sleeps, nobody can be woken by it.
    glance: Duration,
}

const PACE: Pace = Pace {
    lasts: LASTS,
    every: KEEP_EVERY,
    retry: Duration::from_millis(500),
    glance: Duration::from_secs(1),
};

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

    /// Asks for the lock again, while it is held, and takes no longer than [`KEEP_EVERY`]. Returns
    /// false when it is held no more.
    fn keep(&self) -> Result<bool>;

    /// Gives the lock back.
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
        let asked = os::since_boot();
        let left = match grant.take()? {
            Attempt::Held(token) => match hold(&grant, token, asked)? {
                Some(held) => return Ok(Some(held)),
                None => Duration::ZERO,
            },
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

/// Keeps a lock that was granted until what is returned is dropped. `None` if the answer that granted
/// it was so long on its way that it is lost. It was asked for at `asked`, by [`os::since_boot`].
///
/// # Errors
///
/// Where the store cannot be asked.
pub(super) fn hold(grant: &Arc<dyn Grant>, token: u64, asked: Duration) -> Result<Option<Held>> {
    let mut asked = asked;
    // When it was granted between then and now nobody here knows.
    if os::since_boot() > asked + PACE.every {
        asked = os::since_boot();
        if !grant.keep()? {
            return Ok(None);
        }
    }
    let lease = Lease::new(Arc::clone(grant), token, asked, PACE)
        .or_cannot("start a thread for", "the lock".as_ref())?;
    Ok(Some(Box::new(lease)))
}

/// A lock that is held, and asked for again and again until this is dropped.
struct Lease {
    token: u64,
    grant: Arc<dyn Grant>,
    shared: Arc<Shared>,
    /// Hears from the keeper when it has given the lock back, and whether it was held until then.
    given_back: Receiver<bool>,
}

/// What those who keep a lock, watch over it and use it have in common.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pace: Pace,
}

struct State {
    /// When the lock is over unless it is granted anew, by [`os::since_boot`]. It counts from when it
    /// was asked for, so that it is never later than in the store.
    until: Duration,
    is_lost: bool,
    /// The holder wants it no more.
    has_ended: bool,
    tell: Option<OnLoss>,
}

impl Lease {
    fn new(grant: Arc<dyn Grant>, token: u64, asked: Duration, pace: Pace) -> io::Result<Self> {
        let state = State {
            until: asked + pace.lasts,
            is_lost: false,
            has_ended: false,
            tell: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            pace,
        });
        let (sender, given_back) = mpsc::channel();
        let (kept, granted) = (Arc::clone(&shared), Arc::clone(&grant));
        let started = os::spawn_without_signals(move || kept.keep(&*granted, asked, &sender));
        // The keeper may wait for an answer that never comes.
        let watched = Arc::clone(&shared);
        let started = started.and_then(|_| os::spawn_without_signals(move || watched.watch()));
        let lease = Self {
            token,
            grant: Arc::clone(&grant),
            shared,
            given_back,
        };
        if let Err(err) = started {
            drop(lease);
            _ = grant.free();
            return Err(err);
        }
        Ok(lease)
    }

    /// Gives the lock back, unless that takes longer than the lock lasts. Returns false if it was lost.
    fn give_back(&self) -> bool {
        let mut state = self.shared.state.lock();
        let left = state.until.saturating_sub(os::since_boot());
        let is_held = !state.is_lost && !left.is_zero();
        let was_ended = std::mem::replace(&mut state.has_ended, true);
        drop(state);
        self.shared.changed.notify_all();
        if !is_held || was_ended {
            return is_held;
        }
        // A store that does not answer granted it until after now.
        self.given_back.recv_timeout(left).unwrap_or(is_held)
    }
}

impl Shared {
    /// Asks for the lock in time until the holder wants it no more, and gives it back.
    fn keep(&self, grant: &dyn Grant, asked: Duration, given_back: &Sender<bool>) {
        let mut next = asked + self.pace.every;
        loop {
            let mut state = self.state.lock();
            while !state.has_ended && !state.is_lost {
                let left = next.saturating_sub(os::since_boot());
                if left.is_zero() {
                    break;
                }
                self.pause(&mut state, left);
            }
            let (has_ended, is_lost) = (state.has_ended, state.is_lost);
            drop(state);
            if is_lost {
                return;
            }
            let asked = os::since_boot();
            let kept = grant.keep();
            if let Ok(false) = kept {
                self.lose();
            }
            if has_ended {
                // Nobody may be left who waits for it; a lock that cannot be given back ends by itself.
                _ = kept.as_ref().is_ok_and(|is_held| *is_held) && grant.free().is_ok();
                _ = given_back.send(kept.unwrap_or(true));
                return;
            }
            next = match kept {
                Ok(_) => {
                    self.state.lock().until = asked + self.pace.lasts;
                    asked + self.pace.every
                }
                // A store that is not to be reached may be so again in time.
                Err(_) => os::since_boot() + self.pace.retry,
            };
        }
    }

    /// Watches the clock: who is cut off from the store for too long learns it from nobody else.
    fn watch(&self) {
        let mut state = self.state.lock();
        while !state.has_ended && !state.is_lost {
            let left = state.until.saturating_sub(os::since_boot());
            if left.is_zero() {
                drop(state);
                return self.lose();
            }
            self.pause(&mut state, left);
        }
    }

    fn pause(&self, state: &mut MutexGuard<'_, State>, left: Duration) {
        self.changed.wait_for(state, left.min(self.pace.glance));
    }

    fn lose(&self) {
        let mut state = self.state.lock();
        state.is_lost = true;
        let tell = state.tell.take();
        drop(state);
        self.changed.notify_all();
        if let Some(tell) = tell {
            tell();
        }
    }
}

impl Guard for Lease {
    fn token(&self) -> Option<u64> {
        Some(self.token)
    }

    fn is_lost(&self) -> bool {
        let state = self.shared.state.lock();
        let is_known = state.is_lost || state.until <= os::since_boot();
        drop(state);
        // A store that does not answer granted it until after now.
        is_known || matches!(self.grant.keep(), Ok(false))
    }

    fn on_loss(&self, tell: OnLoss) {
        let mut state = self.shared.state.lock();
        if !state.is_lost {
            state.tell = Some(tell);
            return;
        }
        drop(state);
        tell();
    }

    fn end(self: Box<Self>) -> bool {
        self.give_back()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests;
