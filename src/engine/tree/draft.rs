//! Entries being written: files in `tmp/` that nobody reads.
//!
//! A live writer holds a lock on its own draft. A draft that nobody holds and that is older than a
//! minute was left by a process that died, and a sweep removes it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::store::{Clock, Deadline, Etag, Expiry, Meta, Result, Source, Time};

use super::codec::{self, Header, LINE_LEN};
use super::create::random;
use super::disk;
use super::layout::Place;
use super::lock;
use super::space::{Dir, Space, cannot};

/// How much of a value is read, and written, at a time. A value of less takes one write.
const PART: usize = 256 * 1024;

/// An entry being written. Dropped without having been published, it is removed.
#[derive(Debug)]
#[must_use = "a draft that is not published is deleted"]
pub(super) struct Draft {
    file: File,
    dir: Dir,
    name: String,
    is_published: bool,
    header: Header,
}

impl Draft {
    /// Reads a value to its end and writes it as the entry of `place`.
    ///
    /// Returns `None`, and has read nothing, if the namespace was removed meanwhile.
    pub(super) fn write(
        space: &Space,
        place: &Place<'_>,
        value: &mut dyn Source,
        times: Times,
        clock: &dyn Clock,
    ) -> Result<Option<Self>> {
        let Some(mut draft) = Self::create(space, place)? else {
            return Ok(None);
        };
        let head = LINE_LEN + place.line.len() + 1;
        let mut bytes = Vec::with_capacity(head + 4096);
        bytes.resize(LINE_LEN, b'?');
        bytes.extend_from_slice(&place.line);
        bytes.push(b'\n');
        fill(&mut bytes, head, value)?;
        if bytes.len() < head + PART {
            draft.stamp(
                times,
                clock,
                (bytes.len() - head) as u64,
                xxh3_64(&bytes[head..]),
            );
            bytes[..LINE_LEN].copy_from_slice(&codec::encode(&draft.header, &place.line));
            draft.cannot_write(disk::write(&draft.file, &bytes))?;
            return Ok(Some(draft));
        }

        let mut sum = Xxh3Default::new();
        let mut written = 0;
        while bytes.len() > head {
            sum.update(&bytes[head..]);
            let from = if written == 0 { 0 } else { head };
            draft.cannot_write(disk::write(&draft.file, &bytes[from..]))?;
            written += (bytes.len() - head) as u64;
            bytes.truncate(head);
            fill(&mut bytes, head, value)?;
        }
        draft.stamp(times, clock, written, sum.digest());
        draft.write_line(place)?;
        Ok(Some(draft))
    }

    fn create(space: &Space, place: &Place<'_>) -> Result<Option<Self>> {
        let Some(dir) = space.room("tmp")? else {
            return Ok(None);
        };
        let mode = space.file_mode()?;
        let etag = Etag(random());
        loop {
            let name = format!("{:016x}", random());
            let path = dir.path.join(&name);
            let file = match disk::create(dir.fd.as_fd(), &name) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => continue,
                // The directory was open, and yet is gone.
                Err(err) if err.kind() == io::ErrorKind::NotFound && space.has_vanished("tmp") => {
                    return Ok(None);
                }
                done => done.map_err(|err| cannot(err, "create", &path))?,
            };
            let meta = Meta {
                etag,
                modified: Time(0),
                expires: None,
                size: 0,
            };
            let key_len = place.key.as_bytes().len();
            let header = Header {
                meta,
                tombstone: false,
                key_len,
                value_sum: 0,
            };
            let draft = Self {
                file,
                dir,
                name,
                is_published: false,
                header,
            };
            // A sweep that tries the lock at this moment lets go at once: the file is too young.
            while !lock::try_exclusive(&draft.file).map_err(|err| cannot(err, "lock", &path))? {
                std::thread::yield_now();
            }
            disk::set_mode(&draft.file, mode)
                .map_err(|err| cannot(err, "set the mode of", &path))?;
            return Ok(Some(draft));
        }
    }

    /// Fills in what is known only when the value has been read to its end.
    fn stamp(&mut self, times: Times, clock: &dyn Clock, size: u64, value_sum: u64) {
        let now = clock.now();
        self.header.meta.modified = times.modified.unwrap_or(now);
        self.header.meta.expires = match times.expiry {
            Expiry::Never => None,
            Expiry::After(ttl) => Some(Deadline::after(now, ttl)),
            Expiry::At(deadline) => Some(deadline),
            Expiry::Keep => times.kept,
        };
        self.header.meta.size = size;
        self.header.value_sum = value_sum;
    }

    /// Gives the draft another expiry.
    pub(super) fn set_expiry(
        &mut self,
        place: &Place<'_>,
        expires: Option<Deadline>,
    ) -> Result<()> {
        self.header.meta.expires = expires;
        self.write_line(place)
    }

    /// Makes it the entry of another key, which must be of the same length and plain text.
    pub(super) fn set_place(&self, place: &Place<'_>) -> Result<()> {
        self.write_line(place)?;
        self.cannot_write(disk::write_at(&self.file, &place.line, LINE_LEN as u64))
    }

    fn write_line(&self, place: &Place<'_>) -> Result<()> {
        let line = codec::encode(&self.header, &place.line);
        self.cannot_write(disk::write_at(&self.file, &line, 0))
    }

    /// Writes the same entry again, as a draft of the namespace that is there now; `None` if that
    /// was removed meanwhile too.
    pub(super) fn copy_to(&self, space: &Space, place: &Place<'_>) -> Result<Option<Self>> {
        let Some(mut copy) = Self::create(space, place)? else {
            return Ok(None);
        };
        copy.header = self.header;
        let mut part = vec![0; PART];
        let mut offset = 0;
        loop {
            let n = self
                .file
                .read_at(&mut part, offset)
                .map_err(|err| cannot(err, "read", &self.path()))?;
            if n == 0 {
                return Ok(Some(copy));
            }
            copy.cannot_write(disk::write(&copy.file, &part[..n]))?;
            offset += n as u64;
        }
    }

    /// Makes what was written survive a power cut. After a failure it must not be tried again: the
    /// page cache may then claim what the disk does not have (Rebello et al., "Can Applications
    /// Recover from fsync Failures?", ATC'20).
    pub(super) fn sync(&self) -> Result<()> {
        disk::sync(&self.file).map_err(|err| cannot(err, "sync", &self.path()))
    }

    pub(super) fn meta(&self) -> Meta {
        self.header.meta
    }

    /// Makes the draft the entry of that name, in place of whatever had it. Returns false if the
    /// draft is gone: its namespace was removed, or somebody cleared `tmp/`.
    pub(super) fn publish(&mut self, space: &Space, shard: &Dir, name: &str) -> Result<bool> {
        let Some(dir) = space.dir_if_any("tmp")? else {
            return Ok(false);
        };
        match disk::rename(dir.fd.as_fd(), &self.name, shard.fd.as_fd(), name) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            done => {
                done.map_err(|err| cannot(err, "write", &shard.path.join(name)))?;
                self.is_published = true;
                Ok(true)
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path.join(&self.name)
    }

    fn cannot_write(&self, done: io::Result<()>) -> Result<()> {
        done.map_err(|err| cannot(err, "write", &self.path()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            // A draft that cannot be removed is litter that a sweep collects.
            _ = disk::unlink(self.dir.fd.as_fd(), &self.name);
        }
    }
}

/// What a put says of the times of its entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) expiry: Expiry,
    /// When the entry expires that the key holds now, for [`Expiry::Keep`].
    pub(super) kept: Option<Deadline>,
    pub(super) modified: Option<Time>,
}

/// Reads on until `bytes` hold [`PART`] of the value behind the first `head`, or the value ends.
fn fill(bytes: &mut Vec<u8>, head: usize, value: &mut dyn Source) -> Result<()> {
    while bytes.len() < head + PART {
        let have = bytes.len();
        // A small value needs no large buffer: it grows with what comes. A pipe may leave less than
        // a page of the part to be read.
        let room = (have - head).max(4096).min(head + PART - have);
        bytes.resize(have + room, 0);
        let n = value.read(&mut bytes[have..])?;
        bytes.truncate(have + n);
        if n == 0 {
            break;
        }
    }
    Ok(())
}
