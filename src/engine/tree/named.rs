//! Named locks, for `kv lock` and `kv memo`.
//!
//! The lock is a flock on `named/<SHA-1 of the name>`, which is never removed, and which ends with
//! the process that holds it. Its content, and a mark on it, tell people who that is and decide
//! nothing: `<pid> <since, nanoseconds since 1970> <x or s> <host>\n`.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::os;
use crate::store::{
    Clock, Guard, Held, Holder, LockRequest, Namespace, OrCannot as _, Result, StoreError, Time,
};

use super::Tree;
use super::disk;
use super::layout::Place;
use super::lock::{Kind, Lock, Patience, try_exclusive, try_shared};
use super::loose::read_up_to;
use super::space::{cannot, make_dir, unusable};

/// More than the longest content.
const LONGEST: usize = 512;

/// How long "one try" takes. Where there are no marks, who looks at a holder locks for a moment, and
/// must not make a single try fail.
const ONE_TRY: Duration = Duration::from_millis(if os::HAS_MARKS { 0 } else { 10 });

/// The lock ends with the process, so that nothing has to be kept.
impl Guard for Lock {}

impl Tree {
    /// Takes a named lock; see [`crate::store::Store::lock`].
    pub(super) fn take_lock(
        &self,
        namespace: &Namespace,
        name: &Place<'_>,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        let below = ["named/", name.hash()].concat();
        let kind = if request.is_shared {
            Kind::Shared
        } else {
            Kind::Exclusive
        };
        let patience = match request.patience {
            None => Patience::Endless,
            Some(limit) => Patience::Until(Instant::now(), limit.max(ONE_TRY)),
        };
        loop {
            let space = self.open_or_create_space(namespace)?;
            if space.dir_if_any("named")?.is_none() {
                let root = space.dir("")?;
                make_dir(root.fd.as_fd(), "named", space.dir_mode()?)
                    .map_err(|err| cannot(err, "make the directory", &space.path_of("named")))?;
            }
            let lock = match Lock::acquire(&space, &below, kind, patience) {
                Err(StoreError::Busy { .. }) => return Ok(None),
                done => done?,
            };
            if let Some(lock) = lock {
                // A lock that cannot say who holds it is still held. The mark comes last: who is
                // marked has said who it is.
                _ = write_holder(&lock.file, request.is_shared, clock.now());
                _ = os::mark(&lock.file, request.is_shared);
                return Ok(Some(Box::new(lock)));
            }
        }
    }

    /// Tells who holds a named lock; see [`crate::store::Store::lock_holder`].
    pub(super) fn find_holder(
        &self,
        namespace: &Namespace,
        name: &Place<'_>,
    ) -> Result<Option<Holder>> {
        let Some(space) = self.open_space(namespace)? else {
            return Ok(None);
        };
        let below = ["named/", name.hash()].concat();
        let path = space.path_of(&below);
        let file = match space.open(&below, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => File::from(file),
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(unusable(err, "open", &path)),
        };
        let begun = Instant::now();
        loop {
            let Some(is_shared) = held_how(&file).or_cannot("lock", &path)? else {
                return Ok(None);
            };
            let mut bytes = Vec::new();
            read_up_to(&file, &mut bytes, LONGEST).or_cannot("read", &path)?;
            // Another who has come may be writing at this moment.
            match read_holder(&bytes).filter(|holder| holder.is_shared == is_shared) {
                Some(holder) => return Ok(Some(holder)),
                None if begun.elapsed() > Duration::from_millis(500) => {
                    return Err(StoreError::Damaged {
                        path,
                        source: "it is locked but does not say by whom".into(),
                    });
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// Tells whether somebody holds a lock, and if so, whether it is shared.
fn held_how(file: &File) -> io::Result<Option<bool>> {
    if os::HAS_MARKS {
        return os::marked(file);
    }
    let is_shared = try_shared(file)?;
    let is_free = is_shared && try_exclusive(file)?;
    _ = fs2::FileExt::unlock(file);
    Ok((!is_free).then_some(is_shared))
}

fn write_holder(file: &File, is_shared: bool, now: Time) -> io::Result<()> {
    let mark = if is_shared { 's' } else { 'x' };
    let text = format!(
        "{} {} {mark} {}\n",
        std::process::id(),
        now.0,
        os::host_name()
    );
    disk::write_at(file, text.as_bytes(), 0)?;
    disk::truncate(file, text.len() as u64)
}

fn read_holder(bytes: &[u8]) -> Option<Holder> {
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
        let holder = read_holder(b"17 5 x a host\n").unwrap();
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
            assert_eq!(read_holder(bad), None, "{bad:?}");
        }
    }
}
