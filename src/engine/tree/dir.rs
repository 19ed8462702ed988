//! A directory of a store, opened, and what can be found in it or said of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::os;
use crate::store::{OrCannot as _, Result, StoreError};

use super::codec::Damage;
use super::disk;

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// An open directory, and its path for messages.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

impl Dir {
    /// Opens a file in it for reading.
    pub(super) fn open(&self, name: &str) -> io::Result<File> {
        open_file(self.fd.as_fd(), name)
    }

    /// As [`Dir::open`]; `None` if there is no such file.
    pub(super) fn open_if_any(&self, name: &str) -> Result<Option<File>> {
        if_any(self.open(name), &|| self.path.join(name))
    }

    /// Opens it once more, to read the names in it.
    pub(super) fn entries(&self) -> Result<rustix::fs::Dir> {
        let opened = retry_on_intr(|| rustix::fs::Dir::read_from(&self.fd));
        opened.or_cannot("read", &self.path)
    }

    /// Waits until the names in it are durable.
    pub(super) fn sync(&self) -> Result<()> {
        disk::sync(&self.fd).map_err(|err| cannot(err, "sync", &self.path))
    }

    /// Makes a directory in it, if there is none.
    pub(super) fn make_dir(&self, name: &str, mode: Mode) -> Result<()> {
        make_dir(self.fd.as_fd(), name, mode)
            .map_err(|err| cannot(err, "make the directory", &self.path.join(name)))
    }

    /// Removes the name of a file; one that is gone already is no error.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match disk::unlink(self.fd.as_fd(), name) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(|err| cannot(err, "remove", &self.path.join(name))),
        }
    }
}

/// Opens a file for reading. O_NONBLOCK: a pipe in its place must not make anybody wait.
pub(super) fn open_file(dir: BorrowedFd<'_>, path: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    os::open_beneath(dir, path, flags, Mode::empty()).map(File::from)
}

/// Tells what is not there from what cannot be opened.
pub(super) fn if_any<F>(opened: io::Result<F>, path: &dyn Fn() -> PathBuf) -> Result<Option<F>> {
    match opened {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened
            .map(Some)
            .map_err(|err| unusable(err, "open", &path())),
    }
}

/// Makes a directory and gives it the mode, or makes none; one that exists already is left as it is.
pub(super) fn make_dir(dir: BorrowedFd<'_>, name: &str, mode: Mode) -> io::Result<()> {
    // Other readers of a group store may come upon it before its mode is set.
    match disk::make_dir(dir, name, mode & Mode::from_raw_mode(0o777)) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        done => done?,
    }
    let made = os::open_beneath(dir, name, DIRECTORY, Mode::empty());
    made.and_then(|made| disk::set_mode(made, mode))
        .inspect_err(|_| {
            // Nobody has had the time to put anything into it, or it stays.
            _ = disk::remove_dir(dir, name);
        })
}

/// Says what a file that cannot be opened means: one of another kind, or a link, is damage.
pub(super) fn unusable(err: io::Error, action: &'static str, path: &Path) -> StoreError {
    let wrong_kind = [Errno::LOOP, Errno::NOTDIR, Errno::NXIO, Errno::ISDIR];
    if wrong_kind
        .iter()
        .any(|errno| err.raw_os_error() == Some(errno.raw_os_error()))
    {
        return Damage::NotAFile.at(path.to_owned());
    }
    cannot(err, action, path)
}

/// Says that what was to be changed is gone.
pub(super) fn gone(action: &'static str, path: &Path) -> StoreError {
    cannot(io::ErrorKind::NotFound.into(), action, path)
}

/// As [`crate::store::OrCannot`], for a change: tells apart what a full disk ran out of.
pub(super) fn cannot(err: io::Error, action: &'static str, path: &Path) -> StoreError {
    StoreError::io(action, path, os::explain_full(err, path))
}

/// Tells whether anything has this name below `dir`.
pub(super) fn is_there(dir: BorrowedFd<'_>, path: &str) -> io::Result<bool> {
    match rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        there => Ok(there.map(|_| true)?),
    }
}
