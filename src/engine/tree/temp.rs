//! Files being written: in `tmp/`, locked by their writer, under a name that nobody looks for.
//!
//! A file that nobody holds and that is older than a minute was left by a process that died, and a
//! sweep removes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::store::Result;

use super::dir::{Dir, cannot};
use super::disk;
use super::layout::{SPARES, random};
use super::lock::{self, Kind};
use super::namespace_dir::{Drafts, NamespaceDir};
use super::tries::Tries;

/// A file being written. Dropped without having got a name, it is removed.
#[derive(Debug)]
#[must_use = "a file without a name of its own is deleted"]
pub(super) struct Temp {
    pub(super) file: File,
    drafts: Arc<Drafts>,
    /// Its name, as a number that no other has.
    pub(super) id: u64,
    is_published: bool,
}

impl Temp {
    /// Creates a file; `None` if the namespace was removed meanwhile.
    pub(super) fn create(space: &NamespaceDir) -> Result<Option<Self>> {
        Self::create_with(space, |dir, name, _| disk::create(dir, name))
    }

    /// As [`Temp::create`], and takes one of the spare files if there can be no new one. They are in
    /// `spare`, or where that was moved to.
    pub(super) fn create_or_spare(space: &NamespaceDir, spares: &str) -> Result<Option<Self>> {
        Self::create_with(space, |dir, name, space| match disk::create(dir, name) {
            Err(err) if err.kind() == io::ErrorKind::StorageFull => {
                take_spare(space, spares, dir, name).unwrap_or(Err(err))
            }
            created => created,
        })
    }

    fn create_with(
        space: &NamespaceDir,
        create: impl Fn(BorrowedFd<'_>, &str, &NamespaceDir) -> io::Result<File>,
    ) -> Result<Option<Self>> {
        let mut kept = space.drafts.clone();
        let mut tries = Tries::default();
        loop {
            let drafts = match &kept {
                Some(kept) => Arc::clone(kept),
                None => match space.subdir("tmp")? {
                    Some(dir) => Arc::new(Drafts::of(space, dir)?),
                    None => return Ok(None),
                },
            };
            let id = random();
            let name = name_of(id);
            let path = drafts.dir.path.join(&name);
            let file = match create(drafts.dir.fd.as_fd(), &name, space) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    tries.again(|| path)?;
                    continue;
                }
                // Whoever looks for the directory anew makes it, or says what is wrong.
                Err(_) if kept.take().is_some() => continue,
                // The directory was open, and yet is gone.
                Err(err)
                    if err.kind() == io::ErrorKind::NotFound && space.has_vanished("tmp")? =>
                {
                    return Ok(None);
                }
                done => done.map_err(|err| cannot(err, "create", &path))?,
            };
            let temp = Self {
                file,
                drafts,
                id,
                is_published: false,
            };
            // A sweep that tries the lock at this moment lets go at once: the file is too young.
            while !lock::try_lock(&temp.file, Kind::Exclusive)
                .map_err(|err| cannot(err, "lock", &path))?
            {
                tries.again(|| path.clone())?;
            }
            temp.drafts
                .set_mode(&temp.file, kept.is_some())
                .map_err(|err| cannot(err, "set the mode of", &path))?;
            return Ok(Some(temp));
        }
    }

    /// Writes from where the file stands.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        disk::write(&self.file, bytes).map_err(|err| cannot(err, "write", &self.path()))
    }

    /// Writes over a part.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        disk::write_at(&self.file, bytes, offset).map_err(|err| cannot(err, "write", &self.path()))
    }

    /// Makes what was written survive a power cut as soon as the name survives it that the file gets: the
    /// directory of that is to be synced. After a failure it must not be tried again: the page cache may
    /// then claim what the disk does not have (Rebello et al., "Can Applications Recover from fsync
    /// Failures?", ATC'20).
    pub(super) fn sync(&self) -> Result<()> {
        disk::sync_first(&self.file).map_err(|err| cannot(err, "sync", &self.path()))
    }

    /// Gives the file a name in another directory, in place of whatever had it. Returns false if
    /// the file is gone: its namespace was removed, or somebody cleared `tmp/`.
    ///
    /// It is found where it was made, whatever has that path by now: a copy of the namespace has a copy of it.
    pub(super) fn publish(&mut self, to: &Dir, name: &str) -> Result<bool> {
        let from = self.drafts.dir.fd.as_fd();
        match disk::rename(from, &name_of(self.id), to.fd.as_fd(), name) {
            Err(err) if is_elsewhere(&err) => Ok(false),
            done => {
                done.map_err(|err| cannot(err, "write", &to.path.join(name)))?;
                self.is_published = true;
                Ok(true)
            }
        }
    }

    /// Closes the file and lets it be; from now on somebody else sees to it, by this name in `tmp/`.
    pub(super) fn park(mut self) -> String {
        self.is_published = true;
        name_of(self.id)
    }

    /// Returns where it is, for messages. Its name says nothing, and it is gone when that is read.
    pub(super) fn path(&self) -> PathBuf {
        self.drafts.dir.path.join("")
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.is_published {
            // What cannot be removed is litter that a sweep collects.
            _ = disk::unlink(self.drafts.dir.fd.as_fd(), &name_of(self.id));
        }
    }
}

/// Tells whether a rename failed because the file is not there any more, or on another disk by now.
fn is_elsewhere(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::CrossesDevices
    )
}

fn name_of(id: u64) -> String {
    format!("{id:016x}")
}

/// Moves a spare file to a place in `tmp/`; `None` if there is none left.
fn take_spare(
    space: &NamespaceDir,
    spares: &str,
    tmp: BorrowedFd<'_>,
    name: &str,
) -> Option<io::Result<File>> {
    for spare in SPARES {
        let spare = space.relative(&[spares, "/", spare].concat());
        match disk::rename(space.store(), &spare, tmp, name) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Some(Err(err)),
            Ok(()) => {
                let opened = space.open(&["tmp/", name].concat(), OFlags::RDWR);
                return Some(opened.map(File::from));
            }
        }
    }
    None
}
