//! Entries being written, of which nobody reads anything yet.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::store::{Clock, Deadline, Etag, Expiry, Meta, Result, Source, Time};

use super::codec::{self, Header, LINE_LEN};
use super::dir::{Dir, cannot};
use super::layout::HashedKey;
use super::namespace_dir::NamespaceDir;
use super::temp::Temp;

/// How much of a value is read, and written, at a time. A value of less takes one write.
const PART: usize = 256 * 1024;

/// An entry being written. Dropped without having been published, it is removed.
#[derive(Debug)]
#[must_use = "a draft that is not published is deleted"]
pub(super) struct Draft {
    temp: Temp,
    header: Header,
}

impl Draft {
    /// Reads a value to its end and writes it as the entry of `place`.
    ///
    /// Returns `None`, and has read nothing, if the namespace was removed meanwhile.
    pub(super) fn write(
        space: &NamespaceDir,
        hashed: &HashedKey<'_>,
        value: &mut dyn Source,
        times: Times,
        clock: &dyn Clock,
    ) -> Result<Option<Self>> {
        let Some(mut draft) = Self::create(space, hashed)? else {
            return Ok(None);
        };
        let head = LINE_LEN + hashed.line.len() + 1;
        let mut bytes = Vec::with_capacity(head + 4096);
        bytes.resize(LINE_LEN, b'?');
        bytes.extend_from_slice(&hashed.line);
        bytes.push(b'\n');
        fill(&mut bytes, head, value)?;
        if bytes.len() < head + PART {
            draft.stamp(
                times,
                clock,
                (bytes.len() - head) as u64,
                xxh3_64(&bytes[head..]),
            );
            bytes[..LINE_LEN].copy_from_slice(&codec::encode(&draft.header, &hashed.line));
            draft.temp.write(&bytes)?;
            return Ok(Some(draft));
        }

        let mut sum = Xxh3Default::new();
        let mut written = 0;
        while bytes.len() > head {
            sum.update(&bytes[head..]);
            let from = if written == 0 { 0 } else { head };
            draft.temp.write(&bytes[from..])?;
            written += (bytes.len() - head) as u64;
            bytes.truncate(head);
            fill(&mut bytes, head, value)?;
        }
        draft.stamp(times, clock, written, sum.digest());
        draft.write_line(hashed)?;
        Ok(Some(draft))
    }

    fn create(space: &NamespaceDir, hashed: &HashedKey<'_>) -> Result<Option<Self>> {
        let Some(temp) = Temp::create(space)? else {
            return Ok(None);
        };
        let header = Header {
            meta: Meta {
                etag: Etag(temp.id),
                modified: Time(0),
                expires: None,
                size: 0,
            },
            tombstone: false,
            key_len: hashed.key.as_bytes().len(),
            value_sum: xxh3_64(b""),
        };
        Ok(Some(Self { temp, header }))
    }

    /// Writes the entry that says that the key is removed.
    ///
    /// Returns `None` if the namespace was removed meanwhile.
    pub(super) fn tombstone(
        space: &NamespaceDir,
        hashed: &HashedKey<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Self>> {
        let Some(mut draft) = Self::create(space, hashed)? else {
            return Ok(None);
        };
        draft.header.tombstone = true;
        draft.header.meta.modified = clock.now();
        let line = codec::encode(&draft.header, &hashed.line);
        draft
            .temp
            .write(&[&line[..], &hashed.line, b"\n"].concat())?;
        Ok(Some(draft))
    }

    /// Fills in what is known only when the value has been read to its end.
    fn stamp(&mut self, times: Times, clock: &dyn Clock, size: u64, value_sum: u64) {
        let now = clock.now();
        self.header.meta.modified = times.modified.unwrap_or(now);
        self.header.meta.expires = times.expiry.resolve(now, times.kept);
        self.header.meta.size = size;
        self.header.value_sum = value_sum;
    }

    /// Gives the draft another expiry.
    pub(super) fn set_expiry(
        &mut self,
        hashed: &HashedKey<'_>,
        expires: Option<Deadline>,
    ) -> Result<()> {
        self.header.meta.expires = expires;
        self.write_line(hashed)
    }

    /// Makes it the entry of another key, which must be of the same length and plain text.
    pub(super) fn set_key(&self, hashed: &HashedKey<'_>) -> Result<()> {
        self.write_line(hashed)?;
        self.temp.write_at(&hashed.line, LINE_LEN as u64)
    }

    fn write_line(&self, hashed: &HashedKey<'_>) -> Result<()> {
        let line = codec::encode(&self.header, &hashed.line);
        self.temp.write_at(&line, 0)
    }

    /// Writes the same entry again, as a draft of the namespace that is there now; `None` if that
    /// was removed meanwhile too.
    pub(super) fn copy_to(
        &self,
        space: &NamespaceDir,
        hashed: &HashedKey<'_>,
    ) -> Result<Option<Self>> {
        let Some(mut copy) = Self::create(space, hashed)? else {
            return Ok(None);
        };
        copy.header = self.header;
        let mut part = vec![0; PART];
        let mut offset = 0;
        loop {
            let read = || rustix::io::pread(&self.temp.file, &mut part[..], offset);
            let n = rustix::io::retry_on_intr(read)
                .map_err(std::io::Error::from)
                .map_err(|err| cannot(err, "read", &self.temp.path()))?;
            if n == 0 {
                return Ok(Some(copy));
            }
            copy.temp.write(&part[..n])?;
            offset += n as u64;
        }
    }

    /// Makes what was written survive a power cut; see [`Temp::sync`].
    pub(super) fn sync(&self) -> Result<()> {
        self.temp.sync()
    }

    /// Closes the draft; see [`Temp::park`].
    pub(super) fn park(self) -> String {
        self.temp.park()
    }

    pub(super) fn meta(&self) -> Meta {
        self.header.meta
    }

    /// Makes the draft the entry of that name, in place of whatever had it. Returns false if the
    /// draft is gone: its namespace was removed, or somebody cleared `tmp/`.
    pub(super) fn publish(&mut self, shard: &Dir, name: &str) -> Result<bool> {
        self.temp.publish(shard, name)
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
        let subdir = (have - head).max(4096).min(head + PART - have);
        bytes.resize(have + subdir, 0);
        let n = value.read(&mut bytes[have..])?;
        bytes.truncate(have + n);
        if n == 0 {
            break;
        }
    }
    Ok(())
}
