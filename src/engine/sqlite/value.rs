//! Values on their way in and out, a part at a time where they are large.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};

use rusqlite::{Connection, params};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::os;
use crate::store::{Entry, Meta, OrCannot as _, Result, Source, StoreError, Value};

use super::Sqlite;
use super::row::{Found, sum_of};
use super::schema::PART_LEN;

/// The first buffer for a value of which nobody knows the length.
const FIRST_LEN: usize = 4 * 1024;

/// A value that has been read to its end, before any transaction begins: it may come slowly.
#[derive(Debug)]
pub(super) struct Spool {
    bytes: Bytes,
    /// Bytes of it.
    pub(super) size: u64,
    /// XXH3 of it.
    pub(super) sum: u64,
}

#[derive(Debug)]
enum Bytes {
    /// At most [`PART_LEN`].
    Small(Vec<u8>),
    /// More, in a file that has no name.
    Large(File),
}

impl Spool {
    /// Takes in a value of at most [`PART_LEN`] bytes.
    pub(super) fn of(value: &[u8]) -> Self {
        Self {
            size: value.len() as u64,
            sum: xxh3_64(value),
            bytes: Bytes::Small(value.to_vec()),
        }
    }

    /// Returns a value that goes into its row.
    pub(super) fn small(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Small(bytes) => Some(bytes),
            Bytes::Large(_) => None,
        }
    }
}

impl Sqlite {
    /// Reads a value to its end.
    pub(super) fn spool(&self, value: &mut dyn Source) -> Result<Spool> {
        let mut first = Vec::new();
        let mut len = 0;
        // Most values are short, and so is the buffer that they get.
        for room in [FIRST_LEN, PART_LEN + 1] {
            first.resize(room, 0);
            len += fill(value, &mut first[len..])?;
            if len < room {
                return Ok(Spool::of(&first[..len]));
            }
        }
        let dir = self.directory();
        let cannot = |err: io::Error| {
            let why = os::explain_full(err, dir);
            StoreError::io("write a temporary file in", dir, why)
        };
        let mut file = tempfile::tempfile_in(dir).map_err(cannot)?;
        let mut hasher = Xxh3::new();
        let (mut size, mut part) = (0, len);
        while part > 0 {
            hasher.update(&first[..part]);
            file.write_all(&first[..part]).map_err(cannot)?;
            size += part as u64;
            part = fill(value, &mut first)?;
        }
        Ok(Spool {
            bytes: Bytes::Large(file),
            size,
            sum: hasher.digest(),
        })
    }

    /// Stores a large value in parts, and returns what they are kept under.
    pub(super) fn write_parts(&self, tx: &Connection, spool: &Spool) -> Result<Option<i64>> {
        let Bytes::Large(file) = &spool.bytes else {
            return Ok(None);
        };
        let large = os::random().or_cannot("read", "random bits".as_ref())?;
        let large = large.cast_signed();
        let dir = self.directory();
        let mut file = file;
        file.rewind().or_cannot("read a temporary file in", dir)?;
        let insert = "INSERT INTO part (large, number, bytes) VALUES (?1, ?2, ?3)";
        for number in 0_i64.. {
            let mut part = Vec::with_capacity(PART_LEN);
            file.take(PART_LEN as u64)
                .read_to_end(&mut part)
                .or_cannot("read a temporary file in", dir)?;
            if part.is_empty() {
                break;
            }
            self.write_rows(tx, insert, params![large, number, part])?;
        }
        Ok(Some(large))
    }

    /// Finds what parts are kept under that no entry names, nor one that was moved to `lost`: a row that
    /// was taken away by hand has left them.
    pub(super) fn stray_parts(&self, connection: &Connection) -> Result<Vec<i64>> {
        let sql = "SELECT DISTINCT large FROM part WHERE large NOT IN (
                   SELECT large FROM entry WHERE large IS NOT NULL
                   UNION SELECT large FROM lost WHERE large IS NOT NULL)";
        connection
            .prepare(sql)
            .and_then(|mut select| select.query_map([], |row| row.get(0))?.collect())
            .map_err(self.cannot("read"))
    }

    /// Removes parts that no entry names, and none will: a new value is kept under another number.
    pub(super) fn remove_parts(&self, tx: &Connection, strays: &[i64]) -> Result<()> {
        for large in strays {
            tx.execute("DELETE FROM part WHERE large = ?1", [large])
                .map_err(self.cannot("change"))?;
        }
        Ok(())
    }

    /// Checks a value that was in its row, and returns the entry.
    pub(super) fn verified(&self, key: &[u8], found: &Found, value: Vec<u8>) -> Result<Entry> {
        let sum = sum_of(key, &found.meta, xxh3_64(&value));
        if sum != found.sum || value.len() as u64 != found.meta.size {
            return Err(self.damaged(key, "its checksum is wrong"));
        }
        Ok(Entry {
            meta: found.meta,
            value: Value::whole(value),
        })
    }

    /// Begins to read a large value. Its last read fails if it is damaged.
    pub(super) fn parts<C>(&self, connection: C, key: &[u8], found: &Found) -> Option<Parts<C>> {
        Some(Parts {
            connection,
            large: found.large?,
            next: 0,
            part: Vec::new(),
            at: 0,
            left: found.meta.size,
            hasher: Xxh3::new(),
            meta: found.meta,
            sum: found.sum,
            key: key.to_vec(),
            path: self.path.clone(),
        })
    }

    /// Copies a large value into a file of no name, and checks it.
    pub(super) fn copy_out(
        &self,
        tx: &Connection,
        key: &[u8],
        found: &Found,
    ) -> Result<Option<Value>> {
        let Some(mut parts) = self.parts::<&Connection>(tx, key, found) else {
            return Ok(None);
        };
        let Bytes::Large(mut file) = self.spool(&mut parts)?.bytes else {
            return Err(self.damaged(key, "it is shorter than it was"));
        };
        let dir = self.directory();
        file.rewind().or_cannot("read a temporary file in", dir)?;
        Ok(Some(Value::Stream(Box::new(Copied(file)))))
    }

    /// Says that the entry of a key is damaged.
    pub(super) fn damaged(&self, key: &[u8], what: &str) -> StoreError {
        damaged(&self.path, key, what)
    }
}

fn damaged(path: &std::path::Path, key: &[u8], what: &str) -> StoreError {
    let key = String::from_utf8_lossy(key);
    StoreError::damaged(path, format!("the entry of `{key}`: {what}"))
}

/// Reads until the buffer is full or the value ends.
fn fill(value: &mut dyn Source, buf: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match value.read(&mut buf[len..])? {
            0 => break,
            n => len += n,
        }
    }
    Ok(len)
}

/// A large value that is being read, with a connection on which nothing changes meanwhile.
pub(super) struct Parts<C> {
    connection: C,
    large: i64,
    next: i64,
    part: Vec<u8>,
    at: usize,
    left: u64,
    hasher: Xxh3,
    meta: Meta,
    sum: u64,
    key: Vec<u8>,
    path: std::path::PathBuf,
}

impl<C: Borrow<Connection>> Source for Parts<C> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        if self.at == self.part.len() && self.left > 0 {
            let part: Vec<u8> = self
                .connection
                .borrow()
                .prepare_cached("SELECT bytes FROM part WHERE large = ?1 AND number = ?2")
                .and_then(|mut select| {
                    select.query_row(params![self.large, self.next], |row| row.get(0))
                })
                .map_err(|err| match err {
                    rusqlite::Error::QueryReturnedNoRows => {
                        let what = format!("part {} of its value is not there", self.next);
                        damaged(&self.path, &self.key, &what)
                    }
                    err => damaged(&self.path, &self.key, &err.to_string()),
                })?;
            self.hasher.update(&part);
            let left = self.left.checked_sub(part.len() as u64);
            let left = left
                .filter(|_| !part.is_empty())
                .ok_or_else(|| damaged(&self.path, &self.key, "its parts do not fit"))?;
            // The last bytes are given away when all of them are known to be right, and never after
            // they were found to be wrong.
            if left == 0 && sum_of(&self.key, &self.meta, self.hasher.digest()) != self.sum {
                return Err(damaged(&self.path, &self.key, "its checksum is wrong"));
            }
            (self.part, self.at, self.left) = (part, 0, left);
            self.next += 1;
        }
        let n = buf.len().min(self.part.len() - self.at);
        buf[..n].copy_from_slice(&self.part[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// A value that was taken out of the store.
struct Copied(File);

impl Source for Copied {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            match self.0.read(buf) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                done => return done.or_cannot("read", "a temporary file".as_ref()),
            }
        }
    }
}
