//! Every change that the tree makes on disk: this file is the only one that makes any.
//!
//! The functions are what a file system can do, not what a store wants: a recording disk, or one
//! that fails on demand, can stand in their place. What each was tried on is said by the caller.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::os;

/// Creates a file that must not exist, open for writing and reading.
pub(super) fn create(dir: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    let mode = Mode::RUSR | Mode::WUSR;
    os::open_beneath(dir, name, flags, mode).map(File::from)
}

/// Opens a file for reading and writing; creates it empty if it does not exist, with the mode.
pub(super) fn open_or_create(dir: BorrowedFd<'_>, path: &str, mode: Mode) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CREATE;
    let file = os::open_beneath(dir, path, flags, Mode::RUSR | Mode::WUSR)?;
    set_mode(&file, mode)?;
    Ok(file.into())
}

/// Opens a file for appending; creates it, with the mode, if it does not exist.
pub(super) fn open_append(dir: BorrowedFd<'_>, path: &str, mode: Mode) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
    match os::open_beneath(dir, path, flags, Mode::empty()) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            let file = os::open_beneath(dir, path, flags | OFlags::CREATE, mode)?;
            set_mode(&file, mode)?;
            Ok(file.into())
        }
        done => {
            let file = File::from(done?);
            // What is written to a device is not in the store.
            match file.metadata()?.is_file() {
                true => Ok(file),
                false => Err(io::ErrorKind::InvalidInput.into()),
            }
        }
    }
}

/// Writes a file from where it stands.
pub(super) fn write(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut file, bytes)
}

/// Writes over a part of a file.
pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Cuts a file off.
pub(super) fn truncate(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

/// Sets the permissions of a file or directory; see [`os::set_mode`].
pub(super) fn set_mode(file: impl AsFd, mode: Mode) -> io::Result<()> {
    os::set_mode(file, mode)
}

/// Waits until a file, or the names in a directory, would survive a power cut.
///
/// XFS, when it has shut itself down, says of a directory that it is synced though what was done to
/// it is lost. A look at it fails then, and only one that succeeds tells that the sync was one.
pub(super) fn sync(file: impl AsFd) -> io::Result<()> {
    os::sync(&file)?;
    rustix::fs::fstat(&file)?;
    Ok(())
}

/// Has a file come to the disk before its name does, which is to be synced as well.
pub(super) fn sync_first(file: impl AsFd) -> io::Result<()> {
    os::sync_first(&file)?;
    rustix::fs::fstat(&file)?;
    Ok(())
}

/// Makes a directory, with the mode as far as the umask allows.
pub(super) fn make_dir(dir: BorrowedFd<'_>, name: &str, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(dir, name, mode)?)
}

/// Removes a directory that holds nothing.
pub(super) fn remove_dir(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}

/// Makes a directory by its path.
pub(super) fn make_dir_at(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::mkdir(path, Mode::RWXU)?)
}

/// Gives a file another name, in place of whatever had it.
pub(super) fn rename(
    from: BorrowedFd<'_>,
    old: &str,
    to: BorrowedFd<'_>,
    new: &str,
) -> io::Result<()> {
    Ok(rustix::fs::renameat(from, old, to, new)?)
}

/// Lets two files swap their names, in one step.
pub(super) fn exchange(
    a: BorrowedFd<'_>,
    name: &str,
    b: BorrowedFd<'_>,
    other: &str,
) -> io::Result<()> {
    os::exchange(a, name, b, other)
}

/// Gives a file a further name, which nothing may have.
pub(super) fn link(
    from: BorrowedFd<'_>,
    old: &str,
    to: BorrowedFd<'_>,
    new: &str,
) -> io::Result<()> {
    Ok(rustix::fs::linkat(from, old, to, new, AtFlags::empty())?)
}

/// Removes the name of a file.
pub(super) fn unlink(dir: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
}

/// Removes a directory with all that is in it, and follows no symbolic link.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(path)
}
