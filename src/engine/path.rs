//! The directories above a store.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::os;
use crate::store::{OrCannot as _, Result};

/// Fails if one of the directories that lead to a path is a symbolic link to nothing: to a disk that is not plugged
/// in, for example, which is no empty store.
pub(super) fn expect_targets(path: &Path) -> Result<()> {
    for path in path.ancestors() {
        os::expect_target(path).or_cannot("follow the symbolic link", path)?;
    }
    Ok(())
}

/// Syncs a directory and every one above it that this user can open, each by `sync`.
///
/// Which of them kv made is not known: it may have been another process, killed before it synced any. A sync of a
/// directory in which nothing changed costs next to nothing.
///
/// # Errors
///
/// Where one fails. Above the first, those are passed over that have no sync, or nothing to sync.
pub(super) fn sync_path(dir: &Path, sync: impl Fn(File) -> io::Result<()>) -> Result<()> {
    let first = std::path::absolute(dir).or_cannot("find", dir)?;
    for dir in first.ancestors() {
        let Ok(file) = File::open(dir) else {
            break;
        };
        match sync(file) {
            Err(err) if dir != first && has_no_sync(&err) => {}
            done => done.or_cannot("sync", dir)?,
        }
    }
    Ok(())
}

/// Tells whether a file system has no sync for directories, or has nothing to sync as nobody can write
/// there.
fn has_no_sync(err: &io::Error) -> bool {
    let errno = Errno::from_io_error(err);
    errno.is_some_and(|errno| {
        [Errno::INVAL, Errno::ROFS, Errno::NOTSUP, Errno::NOSYS].contains(&errno)
    })
}
