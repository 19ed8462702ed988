//! Locks on files: flock(2), waited for with patience.
//!
//! The kernel ties such a lock to the open file and frees it when the process dies, so there is no
//! such thing as a stale lock.

use std::fs::File;
use std::io::{self, Read as _};
use std::thread;
use std::time::{Duration, Instant};

use super::interrupt;

/// The first pause of a waiter. The next is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_micros(50);
/// A waiter looks again at least this often, so it is never late by more.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any number of holders; excludes only [`Kind::Exclusive`].
    Shared,
    Exclusive,
}

/// For how long to wait for other processes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Until so much time has passed since then.
    Until(Instant, Duration),
    Endless,
}

impl Patience {
    /// Tries once.
    pub(crate) fn none() -> Self {
        Self::Until(Instant::now(), Duration::ZERO)
    }
}

/// Locks a file until it is closed. Returns for how long it was tried if others held it for too long.
pub(crate) fn lock(file: &File, kind: Kind, patience: Patience) -> io::Result<Option<Duration>> {
    let mut pause = FIRST_PAUSE;
    while !try_lock(file, kind)? {
        let Patience::Until(started, limit) = patience else {
            wait_for(file, kind)?;
            break;
        };
        let waited = started.elapsed();
        if waited >= limit {
            return Ok(Some(waited));
        }
        thread::sleep(pause.min(limit - waited));
        interrupt::check()?;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
    Ok(None)
}

/// Tries once to lock a file. Spelled `fs2::FileExt::…` on purpose: since Rust 1.89 `File` has methods of the same
/// names, and `file.try_lock_shared()` would silently call those.
pub(crate) fn try_lock(file: &File, kind: Kind) -> io::Result<bool> {
    loop {
        let tried = match kind {
            Kind::Shared => fs2::FileExt::try_lock_shared(file),
            Kind::Exclusive => fs2::FileExt::try_lock_exclusive(file),
        };
        return match tried {
            Ok(()) => Ok(true),
            Err(err) if err.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
                Ok(false)
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => Err(err),
        };
    }
}

/// Tells whether somebody has locked a file of this device and number, by flock(2) or fcntl(2), as far as the
/// kernel tells. What is locked and unlocked between two reads of the list may hide others in it, so that it is read
/// in large parts, and more than once.
pub(crate) fn is_locked(device: u64, number: u64) -> bool {
    use rustix::fs::{Dev, major, minor};
    const LOOKS: usize = 3;
    // A device's number is 32 bits wide on macOS, where there is no such list.
    let device = device as Dev;
    let file = format!(" {:02x}:{:02x}:{number} ", major(device), minor(device));
    let mut part = vec![0; 1 << 16];
    let mut look = || -> io::Result<bool> {
        let mut list = File::open("/proc/locks")?;
        loop {
            // Of whole lines.
            match list.read(&mut part)? {
                0 => return Ok(false),
                n if memchr::memmem::find(&part[..n], file.as_bytes()).is_some() => {
                    return Ok(true);
                }
                _ => {}
            }
        }
    };
    (0..LOOKS).any(|_| look().unwrap_or(false))
}

/// Waits for a lock in the kernel's queue.
fn wait_for(file: &File, kind: Kind) -> io::Result<()> {
    loop {
        let done = match kind {
            Kind::Shared => fs2::FileExt::lock_shared(file),
            Kind::Exclusive => fs2::FileExt::lock_exclusive(file),
        };
        match done {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => interrupt::check()?,
            done => return done,
        }
    }
}

/// Unlocks a file before it is closed.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    fs2::FileExt::unlock(file)
}
