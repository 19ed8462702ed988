//! Room for removals: where a disk has little left, some of it is kept in a file beside the database, for
//! even who removes has to write a log first. A removal that finds the disk full takes that room.

use std::fs;
use std::io;

use rustix::fs::{AtFlags, FallocateFlags, StatVfs, fallocate, statvfs, unlinkat};
use rustix::io::Errno;

use crate::os;
use crate::store::{OrCannot as _, Result, StoreError};

use super::Sqlite;
use super::create;
use super::transaction::{Transaction, shorten_log};

/// A disk with fewer free bytes, or with room for fewer files, has little.
const LITTLE: u64 = 64 << 20;
const FEW: u64 = 100;
/// What is kept of such a disk: the log of a step of [`FEW_AT_ONCE`] is shorter.
const LEN: u64 = 512 << 10;
/// Of a small disk no more is kept than one byte of so many.
const SHARE: u64 = 8;
/// What the index of a log takes, and a part of the log.
const LOG_LEN: u64 = 64 << 10;

/// Keys that are removed in one transaction: others who write wait no longer than for these.
pub(super) const AT_ONCE: usize = 10_000;
/// The same where the disk has little room.
const FEW_AT_ONCE: usize = 8;

impl Sqlite {
    /// Returns how many keys are removed in one transaction.
    pub(super) fn at_once(&self) -> usize {
        match self.has_little_room() {
            true => FEW_AT_ONCE,
            false => AT_ONCE,
        }
    }

    pub(super) fn has_little_room(&self) -> bool {
        self.disk().is_some_and(|disk| has_little(&disk))
    }

    /// Keeps room for removals where the disk has little left; fails if there is none any more. Tells
    /// whether there is little.
    fn keep_reserve(&self) -> Result<bool> {
        let Some(disk) = self.disk().filter(has_little) else {
            return Ok(false);
        };
        let (dir, mode) = self.directory_beside("-reserve")?;
        let path = self.beside("-reserve").join("room");
        let file = match create::make(dir, "room".as_ref(), mode) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => return Ok(true),
            made => made.or_cannot("make", &path)?,
        };
        let len = LEN.min(disk.f_blocks.saturating_mul(disk.f_frsize) / SHARE);
        match fallocate(&file, FallocateFlags::empty(), 0, len).map_err(io::Error::from) {
            Err(err) if is_no_room(&err) => {
                self.free_reserve();
                Err(os::explain_full(err, &path)).or_cannot("keep room for removals in", &path)
            }
            // Not every file system can.
            _ => Ok(true),
        }
    }

    /// Gives up what was kept, where the disk has more again.
    pub(super) fn drop_reserve(&self) {
        if !self.has_little_room() {
            self.free_reserve();
        }
    }

    /// Does what frees room; on a full disk with what was kept for that.
    pub(super) fn freeing<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut done = work();
        if is_full(&done) {
            self.free_reserve();
            done = work();
            if is_full(&done) {
                self.shorten_log();
                done = work();
            }
            // It may have been enough for this as well.
            _ = self.give_back();
            _ = self.keep_reserve();
        }
        done
    }

    /// Does what takes room. Where there is too little, the log has grown in vain, and as long as it has
    /// all of the room, what is in it can not be brought home.
    pub(super) fn taking<T>(&self, work: impl FnOnce(bool) -> Result<T>) -> Result<T> {
        let is_little = self.keep_reserve().or_else(|_| {
            _ = self.give_back();
            self.keep_reserve()
        })?;
        let done = work(is_little);
        if is_full(&done) {
            self.free_reserve();
            self.shorten_log();
            _ = self.keep_reserve();
        }
        done
    }

    /// Fails unless all that is in the log has room beside it.
    pub(super) fn check_room(&self, transaction: &Transaction<'_>) -> Result<()> {
        let Some(disk) = self.disk() else {
            return Ok(());
        };
        let len =
            self.number(transaction, "page_count")? * self.number(transaction, "page_size")?;
        let there = fs::metadata(&self.path).or_cannot("find", &self.path)?;
        // What comes is in the log first, and in the file then.
        match len.cast_unsigned().saturating_sub(there.len()) > room(&disk) / 2 {
            true => Err(io::Error::from(Errno::NOSPC)).or_cannot("change", &self.path),
            false => Ok(()),
        }
    }

    /// Has the log begin anew, if all of it can be brought home.
    fn shorten_log(&self) {
        if let Ok(Some(lent)) = self.connect() {
            _ = shorten_log(&lent, self.settings.busy_timeout);
        }
    }

    /// Tells whether the disk has no room for a log.
    pub(super) fn is_disk_full(&self) -> bool {
        self.disk()
            .is_some_and(|disk| room(&disk) < LOG_LEN || disk.f_files > 0 && disk.f_favail < 2)
    }

    /// The file is in a directory of its own, so that two are free with it: the log has an index.
    fn free_reserve(&self) {
        let Ok(dir) = self.open_beside("-reserve") else {
            return;
        };
        _ = unlinkat(dir, "room", AtFlags::empty());
        // What else somebody keeps there is none of ours.
        _ = fs::remove_dir(self.beside("-reserve"));
    }

    fn disk(&self) -> Option<StatVfs> {
        statvfs(&self.path).ok()
    }
}

fn room(disk: &StatVfs) -> u64 {
    disk.f_bavail.saturating_mul(disk.f_frsize)
}

fn has_little(disk: &StatVfs) -> bool {
    room(disk) < LITTLE || disk.f_files > 0 && disk.f_favail < FEW
}

fn is_full<T>(done: &Result<T>) -> bool {
    matches!(done, Err(StoreError::Io { source, .. }) if is_no_room(source))
}

fn is_no_room(err: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(err.kind(), StorageFull | QuotaExceeded)
}
