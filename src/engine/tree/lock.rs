//! Lock files.
//!
//! A lock is one on the open file (see [`flock`]), and therefore a lock file of our own is never removed:
//! two processes would then lock two files of the same name. Only a namespace that goes takes its lock
//! files along, and therefore whoever gets a lock checks that it is still the one at its path.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::{Mode, OFlags};

use crate::os::flock;
use crate::store::{OrCannot as _, Result, StoreError};

use super::dir::{cannot, unusable};
use super::disk;
use super::layout::{GC_LOCK, PENDING_LEN, random};
use super::namespace_dir::NamespaceDir;

pub(super) use crate::os::flock::{Kind, Patience, try_lock};

/// A lock that is held until this is dropped.
#[derive(Debug)]
#[must_use = "it is unlocked when the guard is dropped"]
pub(super) struct Lock {
    pub(super) file: File,
}

impl Lock {
    /// Locks a file below a namespace, such as `locks/ab`. Returns `None` if there is no such file at
    /// its path any more: the namespace
    /// was removed, and the caller begins again with the one that is there now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] if others hold it for too long.
    pub(super) fn acquire(
        space: &NamespaceDir,
        below: &str,
        kind: Kind,
        patience: Patience,
    ) -> Result<Option<Self>> {
        let Some(file) = open(space, below)? else {
            return Ok(None);
        };
        let given_up =
            flock::lock(&file, kind, patience).or_cannot("lock", &space.path_of(below))?;
        if let Some(waited) = given_up {
            return Err(StoreError::Busy {
                path: space.path_of(below),
                waited,
            });
        }
        Ok(space.is_at_path(below, &file)?.then_some(Self { file }))
    }
}

/// Makes a lock file if there is none.
pub(super) fn make(space: &NamespaceDir, below: &str) -> Result<()> {
    open(space, below).map(drop)
}

pub(super) const FLAGS: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK);

/// Opens a lock file, and makes it only if there is none: with O_CREAT the kernel refuses another
/// user's file in a sticky directory (proc(5), fs.protected_regular). Returns `None` if the
/// namespace was removed meanwhile.
fn open(space: &NamespaceDir, below: &str) -> Result<Option<File>> {
    let path = || space.path_of(below);
    match space.open(below, FLAGS) {
        Ok(file) => return Ok(Some(file.into())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(unusable(err, "open the lock file", &path())),
    }
    let mode = space.file_mode()?;
    // In a private store nobody else could come between the making of the file and its mode.
    if mode != Mode::RUSR | Mode::WUSR {
        match make_whole(space, below, mode) {
            Ok(file) => return Ok(Some(file)),
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                let opened = space.open(below, FLAGS).map(|file| Some(file.into()));
                return opened.map_err(|err| unusable(err, "open the lock file", &path()));
            }
            // Not every file system has hard links. What else is wrong shows again here.
            Err(_) => {}
        }
    }
    let create = || disk::open_or_create(space.store(), &space.relative(below), mode);
    let (subdir, _) = below.split_once('/').unwrap_or_default();
    match create() {
        Ok(file) => Ok(Some(file)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => match space.subdir(subdir)? {
            None => Ok(None),
            Some(_) => match create() {
                Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
                made => made
                    .map(Some)
                    .map_err(|err| cannot(err, "make the lock file", &path())),
            },
        },
        Err(err) => Err(cannot(err, "make the lock file", &path())),
    }
}

/// Makes a lock file that has its mode from the moment on at which it has its name: another user of
/// the store could not open it before, nor ever if its maker were killed in between.
fn make_whole(space: &NamespaceDir, below: &str, mode: Mode) -> io::Result<File> {
    let directory = OFlags::RDONLY | OFlags::DIRECTORY;
    let (subdir, name) = below.split_once('/').unwrap_or(("", below));
    let locks = space.open(subdir, directory)?;
    let tmp = space.open("tmp", directory)?;
    let aside = format!("{:016x}", random());
    let file = disk::create(tmp.as_fd(), &aside)?;
    let linked = disk::set_mode(&file, mode)
        .and_then(|()| disk::link(tmp.as_fd(), &aside, locks.as_fd(), name));
    // What cannot be removed is litter that a sweep collects, as it does drafts.
    _ = disk::unlink(tmp.as_fd(), &aside);
    linked.map(|()| file)
}

/// Tells whether somebody changes the packs of a namespace, or has begun to and died. Nobody holds a
/// lock whose file was never made.
pub(super) fn is_in_maintenance(space: &NamespaceDir) -> Result<bool> {
    let Some(file) = space.open_if_any(GC_LOCK)? else {
        return Ok(false);
    };
    let is_free = try_lock(&file, Kind::Shared).or_cannot("lock", &space.path_of(GC_LOCK))?;
    Ok(!is_free || is_pending(&file))
}

/// Tells by the file of the maintenance lock whether a MANIFEST may have its name and not be durable.
pub(super) fn is_pending(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.len() == PENDING_LEN)
}
