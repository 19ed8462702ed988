//! An entry: what is known of it, and its value.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use crate::store::{Deadline, Result, StoreError, Time};

/// Names one write: 64 random bits, new with every change of an entry.
///
/// It is no counter, which would repeat after a removal and let a late compare-and-swap through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Etag(pub u64);

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Etag {
    type Err = BadEtag;

    fn from_str(text: &str) -> Result<Self, BadEtag> {
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if text.len() != 16 || !is_hex {
            return Err(BadEtag);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| BadEtag)
    }
}

/// Text is no etag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an etag has 16 hexadecimal digits, as `kv stat --field etag` prints it")]
pub struct BadEtag;

/// What is known of an entry besides its key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Names the write that made it.
    pub etag: Etag,
    /// When its value was written.
    pub modified: Time,
    /// When it expires; `None` is never.
    pub expires: Option<Deadline>,
    /// The value's length in bytes.
    pub size: u64,
}

impl Meta {
    /// Tells whether the entry has not expired by `now`.
    pub fn is_live(&self, now: Time) -> bool {
        self.expires.is_none_or(|deadline| !deadline.is_over(now))
    }

    /// Returns for how long it has been as it is.
    pub fn age(&self, now: Time) -> Duration {
        Duration::from_nanos(now.0.saturating_sub(self.modified.0))
    }
}

/// A live entry that was found.
#[derive(Debug)]
pub struct Entry {
    /// What is known of it.
    pub meta: Meta,
    /// Its value, not yet read.
    pub value: Value,
}

impl Entry {
    /// Returns an entry whose removal ended with an error: its caller gets it where it was taken from the
    /// server that was asked, as nobody else would, and the error behind it.
    ///
    /// # Errors
    ///
    /// Any other error.
    pub fn taken_though(self, err: StoreError) -> Result<Self> {
        match err {
            StoreError::Unreplicated { .. } => Ok(self.ending_in(err)),
            err => Err(err),
        }
    }

    /// Lets whoever reads the value have all of it, and behind it an error: of an entry that was taken
    /// and may come back.
    pub fn ending_in(self, err: StoreError) -> Self {
        let failing = ThenError {
            value: self.value,
            err: Some(err),
        };
        Self {
            value: Value::ThenError(Box::new(failing)),
            ..self
        }
    }

    /// Returns the error behind the value apart, for whoever can tell it so.
    pub fn without_error(self) -> (Self, Option<StoreError>) {
        match self.value {
            Value::ThenError(failing) => {
                let ThenError { value, err } = *failing;
                (Self { value, ..self }, err)
            }
            _ => (self, None),
        }
    }
}

/// A value with an error behind it.
#[derive(Debug)]
pub struct ThenError {
    value: Value,
    /// Told once.
    err: Option<StoreError>,
}

impl Source for ThenError {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        match self.value.read(buf)? {
            0 => self.err.take().map_or(Ok(0), Err),
            n => Ok(n),
        }
    }
}

/// Where the bytes of a value come from, a part at a time.
pub trait Source {
    /// Reads some bytes into `buf` and returns how many; 0 is the end.
    ///
    /// # Errors
    ///
    /// Whatever keeps the value from being read, or shows that it is damaged.
    fn read(&mut self, buf: &mut [u8]) -> Result<usize>;
}

/// A value being read.
pub enum Value {
    /// All of it, verified, from `next` on still to be read.
    Whole {
        /// Holds the value in its last bytes.
        bytes: Vec<u8>,
        /// Where the unread part begins.
        next: usize,
    },
    /// A value too large to be held in memory.
    Stream(Box<dyn Source + Send>),
    /// All of one that was taken, and behind it why it may come back.
    ThenError(Box<ThenError>),
}

impl Value {
    /// Returns a value that is in memory.
    pub fn whole(bytes: Vec<u8>) -> Self {
        Self::Whole { bytes, next: 0 }
    }

    /// Reads what is left of the value into memory.
    pub fn into_vec(mut self) -> Result<Vec<u8>> {
        if let Self::Whole { mut bytes, next } = self {
            bytes.drain(..next);
            return Ok(bytes);
        }
        read_to_end(&mut self)
    }

    /// Hands what is left of the value to `each`, part by part and at most 256 KiB at a time, until
    /// its end or an error of `each`, which is returned inside.
    pub fn for_each(
        &mut self,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<io::Result<()>> {
        if let Self::Whole { bytes, next } = self {
            let rest = &bytes[*next..];
            *next = bytes.len();
            return Ok(if rest.is_empty() { Ok(()) } else { each(rest) });
        }
        let mut buf = vec![0; 256 * 1024];
        loop {
            match self.read(&mut buf)? {
                0 => return Ok(Ok(())),
                n => {
                    if let Err(err) = each(&buf[..n]) {
                        return Ok(Err(err));
                    }
                }
            }
        }
    }
}

/// Reads what is left of a source into memory.
pub fn read_to_end(source: &mut dyn Source) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut part = vec![0; 64 * 1024];
    loop {
        match source.read(&mut part)? {
            0 => return Ok(all),
            n => all.extend_from_slice(&part[..n]),
        }
    }
}

impl Source for Value {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        match self {
            Self::Whole { bytes, next } => {
                let n = buf.len().min(bytes.len() - *next);
                buf[..n].copy_from_slice(&bytes[*next..*next + n]);
                *next += n;
                Ok(n)
            }
            Self::Stream(source) => source.read(buf),
            Self::ThenError(failing) => failing.read(buf),
        }
    }
}

/// The bytes of a slice, for a value that is in memory already.
impl Source for &[u8] {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        let n = buf.len().min(self.len());
        let (now, later) = self.split_at(n);
        buf[..n].copy_from_slice(now);
        *self = later;
        Ok(n)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { bytes, next } => write!(f, "Value({} bytes left)", bytes.len() - next),
            Self::Stream(_) => f.write_str("Value(stream)"),
            Self::ThenError(failing) => failing.fmt(f),
        }
    }
}
