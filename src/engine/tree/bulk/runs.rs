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

use crate::store::{Deadline, Incoming, Namespace, Result, Time};

use super::super::Tree;
use super::super::pack::{Merge, Sorted};
use super::super::space::cannot;
use super::super::temp::Temp;

/// Bytes held in memory before they are sorted and written.
const RUN_LEN: usize = 64 * 1024 * 1024;
/// How much of a run is read, and written, at a time.
const PART: usize = 256 * 1024;
const HEAD_LEN: usize = 8 + 8 + 8 + 4;

/// Entries being put in order.
pub(super) struct Sorter<'a> {
    tree: &'a Tree,
    namespace: &'a Namespace,
    held: Held,
    runs: Vec<Temp>,
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

impl<'a> Sorter<'a> {
    pub(super) fn new(tree: &'a Tree, namespace: &'a Namespace) -> Self {
        let (held, runs) = (Held::default(), Vec::new());
        Self {
            tree,
            namespace,
            held,
            runs,
            count: 0,
            first: None,
        }
    }

    /// Adds an entry.
    pub(super) fn push(&mut self, entry: &Incoming<'_>) -> Result<()> {
        let Held { bytes, order } = &mut self.held;
        order.push((0, bytes.len()));
        bytes.extend_from_slice(&entry.modified.map_or(0, |time| time.0.max(1)).to_ne_bytes());
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
        if bytes.len() + order.len() * size_of::<(u64, usize)>() >= RUN_LEN {
            self.write_run()?;
        }
        Ok(())
    }

    /// Returns all entries in order. Of equal keys the one that was added last comes.
    pub(super) fn finish(mut self) -> Result<Merge<Run>> {
        self.held.sort();
        let mut runs = vec![Run::Held {
            held: self.held,
            next: 0,
            at: 0,
        }];
        // The newest first: it hides the others.
        for temp in self.runs.into_iter().rev() {
            (&temp.file)
                .rewind()
                .map_err(|err| cannot(err, "read", &temp.path()))?;
            let file = temp
                .file
                .try_clone()
                .map_err(|err| cannot(err, "open", &temp.path()))?;
            let reader = BufReader::with_capacity(PART, file);
            runs.push(Run::Written {
                reader,
                temp,
                entry: Vec::new(),
            });
        }
        Ok(Merge::new(runs, false))
    }

    fn write_run(&mut self) -> Result<()> {
        self.held.sort();
        let temp = loop {
            let space = self.tree.open_or_create_space(self.namespace)?;
            if let Some(temp) = Temp::create(&space)? {
                break temp;
            }
        };
        let mut part = Vec::with_capacity(2 * PART);
        for &(_, at) in &self.held.order {
            part.extend_from_slice(entry_at(&self.held.bytes, at));
            if part.len() >= PART {
                temp.write(&part)?;
                part.clear();
            }
        }
        temp.write(&part)?;
        self.runs.push(temp);
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
        let first = self
            .order
            .first()
            .map(|&(_, at)| key(at))
            .unwrap_or_default();
        let common = self.order.iter().fold(first.len(), |common, &(_, at)| {
            first[..common]
                .iter()
                .zip(key(at))
                .take_while(|(a, b)| a == b)
                .count()
        });
        for (digest, at) in &mut self.order {
            *digest = digest_of(&key(*at)[common..]);
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

/// The first eight bytes as a number, so that numbers compare as the bytes do.
fn digest_of(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// Sorted entries, in memory or in a file.
pub(super) enum Run {
    Held {
        held: Held,
        next: usize,
        at: usize,
    },
    Written {
        reader: BufReader<File>,
        temp: Temp,
        entry: Vec<u8>,
    },
}

impl Run {
    /// Returns the entry that the run stands on.
    pub(super) fn entry(&self) -> Incoming<'_> {
        let bytes = match self {
            Self::Held { held, at, .. } => entry_at(&held.bytes, *at),
            Self::Written { entry, .. } => entry,
        };
        let (modified, expires) = (number_at(bytes, 0), number_at(bytes, 8));
        let key = key_of(bytes);
        Incoming {
            key,
            value: &bytes[HEAD_LEN + key.len()..],
            modified: (modified > 0).then_some(Time(modified)),
            expires: Deadline::from_millis(expires),
        }
    }
}

impl Sorted for Run {
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
                temp,
                entry,
            } => {
                entry.resize(HEAD_LEN, 0);
                let read = match reader.read_exact(entry) {
                    Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                    Err(err) => Err(err),
                    Ok(()) => {
                        let len = len_of(entry);
                        entry.resize(len, 0);
                        reader.read_exact(&mut entry[HEAD_LEN..])
                    }
                };
                read.map(|()| true)
                    .map_err(|err| cannot(err, "read", &temp.path()))
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Held { held, at, .. } => key_of(entry_at(&held.bytes, *at)),
            Self::Written { entry, .. } => key_of(entry),
        }
    }
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
