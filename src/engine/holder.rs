//! The files of named locks: how one is locked, and what it tells people, which decides nothing.
//!
//! Its content is `<pid> <since, nanoseconds since 1970> <x or s> <host>\n`, and an OFD lock on it
//! says that it is locked, to those who must not lock it themselves to find out.
//!
//! A collection of garbage removes the files that nobody holds, each while it holds it. Whoever gets a
//! lock looks therefore whether its file is still the one at its path, and begins again where it is not;
//! `tests/models/race.py` says why just so.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::os;
use crate::store::{Holder, LockRequest, OrCannot as _, Result, StoreError, Time};

use crate::os::flock::{self, Kind, Patience};

/// More than the longest content.
const LONGEST: usize = 512;

/// How long "one try" takes where no holder is seen: who looks at one, or removes a file that nobody
/// holds, locks it for a moment, and must not make a single try fail. Where there are OFD locks, only such a
/// one is waited for.
const A_MOMENT: Duration = Duration::from_millis(if os::HAS_OFD_LOCKS { 1_000 } else { 10 });

/// Locks a file, as it was asked for at that time. Returns false if others hold it for too long.
pub(in crate::engine) fn take(
    file: &File,
    request: LockRequest,
    begun: Instant,
) -> io::Result<bool> {
    let kind = match request.is_shared {
        true => Kind::Shared,
        false => Kind::Exclusive,
    };
    let patience = match request.patience {
        None => Patience::Endless,
        Some(limit) => Patience::Until(begun, limit),
    };
    let tried = Instant::now();
    while flock::lock(file, kind, patience)?.is_some() {
        let is_held = os::HAS_OFD_LOCKS && !matches!(os::ofd_locked(file), Ok(None));
        if is_held || tried.elapsed() > A_MOMENT {
            return Ok(false);
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(true)
}

/// Tells whether a file has the name of one that a lock has.
pub(in crate::engine) fn is_lock(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Tells who holds the lock of a file.
pub(in crate::engine) fn find(file: &File, path: &Path) -> Result<Option<Holder>> {
    let begun = Instant::now();
    loop {
        let Some(is_shared) = held_how(file).or_cannot("lock", path)? else {
            return Ok(None);
        };
        let mut bytes = vec![0; LONGEST];
        let len = file.read_at(&mut bytes, 0).or_cannot("read", path)?;
        // Another who has come may be writing at this moment.
        match read(&bytes[..len]).filter(|holder| holder.is_shared == is_shared) {
            Some(holder) => return Ok(Some(holder)),
            None if begun.elapsed() > Duration::from_millis(500) => {
                let why = "it is locked but does not say by whom";
                return Err(StoreError::damaged(path, why));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Tells whether somebody holds a lock, and if so, whether it is shared.
fn held_how(file: &File) -> io::Result<Option<bool>> {
    if os::HAS_OFD_LOCKS {
        return os::ofd_locked(file);
    }
    let is_shared = flock::try_lock(file, Kind::Shared)?;
    let is_free = is_shared && flock::try_lock(file, Kind::Exclusive)?;
    _ = flock::unlock(file);
    Ok((!is_free).then_some(is_shared))
}

/// Says that this process holds a lock.
pub(in crate::engine) fn text(is_shared: bool, now: Time) -> String {
    let mark = if is_shared { 's' } else { 'x' };
    let pid = std::process::id();
    format!("{pid} {} {mark} {}\n", now.0, os::host_name())
}

/// Reads who holds a lock; `None` if the content does not tell.
fn read(bytes: &[u8]) -> Option<Holder> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut fields = text.splitn(4, ' ');
    Some(Holder {
        pid: fields.next()?.parse().ok()?,
        since: Time(fields.next()?.parse().ok()?),
        is_shared: match fields.next()? {
            "s" => true,
            "x" => false,
            _ => return None,
        },
        host: fields.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_who_holds_a_lock_and_nothing_else() {
        let holder = read(b"17 5 x a host\n").unwrap();
        let want = Holder {
            pid: 17,
            host: "a host".into(),
            since: Time(5),
            is_shared: false,
        };
        assert_eq!(holder, want);
        for bad in [
            &b""[..],
            b"17 5 x host",
            b"17 x\n",
            b"17 5 y host\n",
            b"\xff\n",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
