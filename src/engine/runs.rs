//! Puts the entries of an import in order, in little memory: as many as fit are sorted and written to
//! a file, a run, and in the end all runs are read as one.
//!
//! ```text
//! modified 8, expires 8 (0: none), value length 8, key length 4, key, value
//! ```
//!
//! Numbers are those of the machine, as the process that writes them reads them.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use crate::store::{Deadline, Incoming, OrCannot as _, Result, StoreError, Time, key};

use super::merge::{Merge, Sorted};

/// How much of a run is read, and written, at a time; of many runs less, as all are read at once.
const PART: usize = 256 * 1024;
const LEAST_PART: usize = 8 * 1024;
const HEAD_LEN: usize = 8 + 8 + 8 + 4;
/// Stands for an entry that does not say when it was modified; beyond what can be said.
const NO_TIME: Time = Time(u64::MAX);

/// A file that holds a run, and is gone when this is dropped.
pub(super) trait Scratch {
    fn file(&self) -> &File;

    /// Says what could not be done with it.
    fn cannot(&self, action: &'static str, err: io::Error) -> StoreError;

    /// Writes from where the file stands.
    fn write(&self, bytes: &[u8]) -> Result<()>;
}

/// A file without a name in the directory for temporary files, which is gone with the process however
/// that ends.
pub(super) struct UnnamedFile(File);

const UNNAMED: &str = "a temporary file";

impl UnnamedFile {
    pub(super) fn make() -> Result<Self> {
        let file = tempfile::tempfile();
        file.map(Self).or_cannot("make", UNNAMED.as_ref())
    }
}

impl Scratch for UnnamedFile {
    fn file(&self) -> &File {
        &self.0
    }

    fn cannot(&self, action: &'static str, source: io::Error) -> StoreError {
        StoreError::io(action, UNNAMED, source)
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        io::Write::write_all(&mut &self.0, bytes).or_cannot("write", UNNAMED.as_ref())
    }
}

/// Makes a file for a run.
type Make<'a, F> = Box<dyn FnMut() -> Result<F> + 'a>;

/// Entries being put in order.
pub(super) struct Sorter<'a, F> {
    make: Make<'a, F>,
    /// Bytes held in memory before they are sorted and written.
    run_len: usize,
    held: Held,
    runs: Vec<F>,
    /// How many entries there are, equal keys counted each.
    pub(super) count: u64,
    /// The earliest modification of all that have one.
    pub(super) first: Option<Time>,
}

/// Entries in memory.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// For each entry eight bytes of its key, for a quick comparison, and where it begins.
    order: Vec<(u64, usize)>,
}

impl<'a, F: Scratch> Sorter<'a, F> {
    /// Begins with nothing; `make` makes files, if there are more than so many bytes.
    pub(super) fn new(run_len: usize, make: impl FnMut() -> Result<F> + 'a) -> Self {
        Self {
            make: Box::new(make),
            run_len,
            held: Held::default(),
            runs: Vec::new(),
            count: 0,
            first: None,
        }
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, entry: &Incoming<'_>) -> Result<()> {
        let Held { bytes, order } = &mut self.held;
        order.push((0, bytes.len()));
        bytes.extend_from_slice(&entry.modified.unwrap_or(NO_TIME).0.to_ne_bytes());
        bytes.extend_from_slice(&entry.expires.map_or(0, Deadline::as_millis).to_ne_bytes());
        bytes.extend_from_slice(&(entry.value.len() as u64).to_ne_bytes());
        let key_len = u32::try_from(entry.key.len()).expect("a key has at most 65,535 bytes");
        bytes.extend_from_slice(&key_len.to_ne_bytes());
        bytes.extend_from_slice(entry.key);
        bytes.extend_from_slice(entry.value);
        self.count += 1;
        if let Some(modified) = entry.modified {
            self.first = Some(self.first.map_or(modified, |first| first.min(modified)));
        }
        if bytes.len() + order.len() * size_of::<(u64, usize)>() >= self.run_len {
            self.write_run()?;
        }
        Ok(())
    }

    /// Returns all entries in order. Of equal keys the one that was added last comes.
    pub(super) fn finish(mut self) -> Result<Merge<Run<F>>> {
        self.held.sort();
        let part = (self.run_len / self.runs.len().max(1)).clamp(LEAST_PART, PART);
        let mut runs = vec![Run::Held {
            held: self.held,
            next: 0,
            at: 0,
        }];
        // The newest first: it hides the others.
        for scratch in self.runs.into_iter().rev() {
            let cannot = |err| scratch.cannot("read", err);
            scratch.file().rewind().map_err(cannot)?;
            let file = scratch.file().try_clone().map_err(cannot)?;
            runs.push(Run::Written {
                reader: BufReader::with_capacity(part, file),
                scratch,
                entry: Vec::new(),
                left: 0,
            });
        }
        Ok(Merge::new(runs, false))
    }

    fn write_run(&mut self) -> Result<()> {
        self.held.sort();
        let scratch = (self.make)()?;
        let mut part = Vec::with_capacity(2 * PART);
        for &(_, at) in &self.held.order {
            part.extend_from_slice(entry_at(&self.held.bytes, at));
            if part.len() >= PART {
                scratch.write(&part)?;
                part.clear();
            }
        }
        scratch.write(&part)?;
        self.runs.push(scratch);
        self.held.bytes.clear();
        self.held.order.clear();
        Ok(())
    }
}

impl Held {
    /// Sorts the entries, and drops those that another with the same key follows.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |at| key_of(entry_at(bytes, at));
        // Keys often begin alike; what tells them apart comes behind that.
        let common = key::common_prefix(self.order.iter().map(|&(_, at)| key(at)));
        for (digest, at) in &mut self.order {
            *digest = key::digest(&key(*at)[common..]);
        }
        self.order
            .sort_unstable_by(|&(digest_a, a), &(digest_b, b)| {
                let keys = || key(a)[common..].cmp(&key(b)[common..]);
                digest_a.cmp(&digest_b).then_with(keys).then(b.cmp(&a))
            });
        // Of equal ones the last that came is the first by now.
        self.order
            .dedup_by(|later, first| later.0 == first.0 && key(later.1) == key(first.1));
    }
}

/// Sorted entries, in memory or in a file.
pub(super) enum Run<F> {
    Held {
        held: Held,
        next: usize,
        at: usize,
    },
    Written {
        reader: BufReader<File>,
        scratch: F,
        /// What was read of an entry: its head and its key, and the value when it was asked for.
        entry: Vec<u8>,
        /// Bytes of its value that were not read. There may be many runs, and values are large.
        left: usize,
    },
}

impl<F: Scratch> Run<F> {
    /// Returns the entry that the run stands on.
    pub(super) fn entry(&mut self) -> Result<Incoming<'_>> {
        let bytes = match self {
            Self::Held { held, at, .. } => entry_at(&held.bytes, *at),
            Self::Written {
                reader,
                scratch,
                entry,
                left,
            } => {
                let begin = entry.len();
                entry.resize(begin + *left, 0);
                let read = reader.read_exact(&mut entry[begin..]);
                read.map_err(|err| scratch.cannot("read", err))?;
                *left = 0;
                entry
            }
        };
        let (modified, expires) = (number_at(bytes, 0), number_at(bytes, 8));
        let key = key_of(bytes);
        Ok(Incoming {
            key,
            value: &bytes[HEAD_LEN + key.len()..],
            modified: Some(Time(modified)).filter(|time| *time != NO_TIME),
            expires: Deadline::from_millis(expires),
        })
    }
}

impl<F: Scratch> Sorted for Run<F> {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Held { held, next, at } => {
                let Some(&(_, begin)) = held.order.get(*next) else {
                    return Ok(false);
                };
                (*at, *next) = (begin, *next + 1);
                Ok(true)
            }
            Self::Written {
                reader,
                scratch,
                entry,
                left,
            } => read_head(reader, entry, left).map_err(|err| scratch.cannot("read", err)),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Held { held, at, .. } => key_of(entry_at(&held.bytes, *at)),
            Self::Written { entry, .. } => key_of(entry),
        }
    }
}

/// Passes over what is left of an entry, and reads the next up to its value; false at the end.
fn read_head(
    reader: &mut BufReader<File>,
    entry: &mut Vec<u8>,
    left: &mut usize,
) -> io::Result<bool> {
    reader.seek_relative(i64::try_from(*left).expect("it was in memory"))?;
    *left = 0;
    // A value that was large does not keep its room.
    entry.truncate(HEAD_LEN);
    entry.shrink_to(PART);
    entry.resize(HEAD_LEN, 0);
    match reader.read_exact(entry) {
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let key_end = HEAD_LEN + key_len_of(entry);
    *left = len_of(entry) - key_end;
    entry.resize(key_end, 0);
    reader.read_exact(&mut entry[HEAD_LEN..])?;
    Ok(true)
}

fn entry_at(bytes: &[u8], at: usize) -> &[u8] {
    &bytes[at..at + len_of(&bytes[at..])]
}

/// Returns how long an entry is that begins with these bytes.
fn len_of(head: &[u8]) -> usize {
    let value_len = usize::try_from(number_at(head, 16)).expect("it was in memory");
    HEAD_LEN + key_len_of(head) + value_len
}

fn key_of(entry: &[u8]) -> &[u8] {
    &entry[HEAD_LEN..HEAD_LEN + key_len_of(entry)]
}

fn key_len_of(head: &[u8]) -> usize {
    let bytes = head[24..HEAD_LEN].try_into().expect("four bytes");
    u32::from_ne_bytes(bytes) as usize
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th of many entries: there are few keys, and values of several lengths.
    fn entry(n: u64) -> (String, Vec<u8>, Time) {
        let value = vec![b'a' + (n % 26) as u8; (n % 7) as usize * 1_000];
        (format!("{}", n * 37 % 100), value, Time(n + 1))
    }

    #[test]
    fn the_last_of_each_key_comes_in_order_from_however_many_runs() {
        for run_len in [1, 10_000, 1 << 30] {
            let mut sorter = Sorter::new(run_len, UnnamedFile::make);
            let mut want = std::collections::BTreeMap::new();
            for n in 0..1_000 {
                let (key, value, modified) = entry(n);
                let incoming = Incoming {
                    key: key.as_bytes(),
                    value: &value,
                    modified: Some(modified),
                    expires: Deadline::from_millis(n),
                };
                sorter.push(&incoming).unwrap();
                want.insert(key, n);
            }
            assert_eq!((sorter.count, sorter.first), (1_000, Some(Time(1))));
            let mut merge = sorter.finish().unwrap();
            let mut found = Vec::new();
            while let Some(run) = merge.advance().unwrap() {
                let key = String::from_utf8(merge.source(run).key().to_vec()).unwrap();
                let n = want[&key];
                found.push(key.clone());
                // Who does not look at a value passes over it; who looks twice sees the same.
                for _ in 0..n % 3 {
                    let got = merge.source_mut(run).entry().unwrap();
                    let (_, value, modified) = entry(n);
                    assert_eq!(got.key, key.as_bytes());
                    assert!(got.value == value, "{n}");
                    assert_eq!(got.modified, Some(modified));
                    assert_eq!(got.expires, Deadline::from_millis(n));
                }
            }
            assert_eq!(found, want.into_keys().collect::<Vec<_>>());
        }
    }
}
