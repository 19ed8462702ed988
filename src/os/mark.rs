//! A mark on a lock file that tells whether it is locked, and how, to those who must not lock it
//! themselves to find out.
//!
//! flock(2) has no such question. The mark is a lock of the other kind (fcntl(2), open file
//! description locks): it belongs to the same open file, and so it goes when the flock goes.

use std::fs::File;
use std::io;

/// Whether this system has such marks.
pub(crate) const HAS_MARKS: bool = cfg!(target_os = "linux");

#[cfg(target_os = "linux")]
mod linux {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use super::{File, io};

    /// Says that the file is locked. To be called by whoever has locked it.
    pub(crate) fn mark(file: &File, is_shared: bool) -> io::Result<()> {
        fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(is_shared)))?;
        Ok(())
    }

    /// Tells whether somebody has marked the file, and if so, whether as shared.
    pub(crate) fn marked(file: &File) -> io::Result<Option<bool>> {
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
pub(crate) use self::linux::{mark, marked};

#[cfg(not(target_os = "linux"))]
pub(crate) fn mark(_file: &File, _is_shared: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn marked(_file: &File) -> io::Result<Option<bool>> {
    Err(io::ErrorKind::Unsupported.into())
}
