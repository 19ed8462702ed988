//! Open file description locks (fcntl(2), F_OFD_SETLK): whoever has locked a file by flock(2) takes one
//! beside it, so that others can ask whether it is locked, and how, without locking it themselves.
//!
//! flock(2) has no such question. The second lock belongs to the same open file, and so it goes when the
//! flock goes.

use std::fs::File;
use std::io;

/// Whether this system has such locks.
pub(crate) const HAS_OFD_LOCKS: bool = cfg!(target_os = "linux");

#[cfg(target_os = "linux")]
mod linux {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use super::{File, io};

    /// Takes such a lock on a file. To be called by whoever has locked it by flock(2).
    pub(crate) fn ofd_lock(file: &File, is_shared: bool) -> io::Result<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(is_shared)))?;
        Ok(())
    }

    /// Tells whether somebody has such a lock on the file, and if so, whether a shared one.
    pub(crate) fn ofd_locked(file: &File) -> io::Result<Option<bool>> {
        let mut found = whole_file(false);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
        let kind = i32::from(found.l_type);
        Ok((kind != libc::F_UNLCK).then_some(kind == libc::F_RDLCK))
    }

    fn whole_file(is_shared: bool) -> libc::flock {
        let kind = if is_shared {
            libc::F_RDLCK
        } else {
            libc::F_WRLCK
        };
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) use self::linux::{ofd_lock, ofd_locked};

#[cfg(not(target_os = "linux"))]
pub(crate) fn ofd_lock(_file: &File, _is_shared: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn ofd_locked(_file: &File) -> io::Result<Option<bool>> {
    Err(io::ErrorKind::Unsupported.into())
}
