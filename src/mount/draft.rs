//! Content on its way: in memory while it is short, and in a file without a name otherwise.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use fuser::Errno;

use crate::os;
use crate::store::{OrCannot as _, Result, Source, Value};

use super::{Answer, Config, Spill};

/// Content up to this length is kept in memory.
const LONGEST_IN_MEMORY: u64 = 1 << 20;
/// So many bytes are moved from one to another at once.
const PART: usize = 1 << 20;

/// Bytes that can be read and written anywhere.
#[derive(Debug)]
pub(super) enum Draft {
    /// All of them.
    Memory(Vec<u8>),
    /// In a file that no directory names, which is gone with the process however that ends.
    File(File, u64),
}

/// What stood where something was written.
#[derive(Debug)]
pub(super) struct Undo {
    len: u64,
    at: u64,
    bytes: Vec<u8>,
}

impl Default for Draft {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Draft {
    /// Takes over a value of which so much was read.
    pub(super) fn of(read: Vec<u8>, mut value: Value, spill: &Spill) -> Result<Self> {
        let mut at = read.len() as u64;
        if at == 0 && matches!(value, Value::Whole { .. }) {
            return Ok(Self::Memory(value.into_vec()?));
        }
        let mut draft = Self::Memory(read);
        let written = value.for_each(|part| {
            draft.write(at, part, spill)?;
            at += part.len() as u64;
            Ok(())
        })?;
        written.or_cannot("write a temporary file in", &spill.dir)?;
        Ok(draft)
    }

    /// Returns how many bytes there are.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads up to so many bytes at an offset.
    pub(super) fn read(&self, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let left = self.len().saturating_sub(offset);
        let size = usize::try_from(left).map_or(size, |left| left.min(size));
        match self {
            Self::Memory(bytes) => {
                let start = bytes
                    .len()
                    .min(usize::try_from(offset).unwrap_or(usize::MAX));
                Ok(bytes[start..start + size].to_vec())
            }
            Self::File(file, _) => {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            }
        }
    }

    /// Writes bytes at an offset; what lies between the end and there is zeros. A write that fails leaves it
    /// as it was.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], spill: &Spill) -> io::Result<Undo> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let undo = Undo {
            len: self.len(),
            at: offset,
            bytes: self.read(offset, bytes.len())?,
        };
        if end > self.len() {
            self.make_room(end, spill)?;
        }
        match self {
            Self::Memory(all) => {
                let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
                let end = start + bytes.len();
                if start == all.len() {
                    all.extend_from_slice(bytes);
                } else {
                    all.resize(all.len().max(end), 0);
                    all[start..end].copy_from_slice(bytes);
                }
            }
            Self::File(file, len) => match file.write_all_at(bytes, offset) {
                Ok(()) => *len = end.max(*len),
                Err(err) => {
                    self.undo(&undo)?;
                    return Err(err);
                }
            },
        }
        Ok(undo)
    }

    /// Writes all of another behind its end.
    pub(super) fn add(&mut self, other: &Self, spill: &Spill) -> io::Result<()> {
        let mut at = 0;
        while at < other.len() {
            let part = other.read(at, PART)?;
            self.write(self.len(), &part, spill)?;
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Takes the last write back.
    pub(super) fn undo(&mut self, undo: &Undo) -> io::Result<()> {
        match self {
            Self::Memory(all) => {
                let len = |len| usize::try_from(len).unwrap_or(usize::MAX);
                all.truncate(len(undo.len));
                let at = len(undo.at).min(all.len());
                all[at..at + undo.bytes.len()].copy_from_slice(&undo.bytes);
            }
            Self::File(file, len) => {
                file.set_len(undo.len)?;
                file.write_all_at(&undo.bytes, undo.at)?;
                *len = undo.len;
            }
        }
        Ok(())
    }

    /// Cuts it, or adds zeros.
    pub(super) fn set_len(&mut self, len: u64, spill: &Spill) -> io::Result<()> {
        self.make_room(len, spill)?;
        match self {
            Self::Memory(bytes) => {
                let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
                bytes.resize(len, 0);
            }
            Self::File(file, known) => {
                file.set_len(len)?;
                *known = len;
            }
        }
        Ok(())
    }

    /// Moves to a file what is to become too long for memory.
    fn make_room(&mut self, len: u64, spill: &Spill) -> io::Result<()> {
        if let Self::Memory(bytes) = self
            && len > LONGEST_IN_MEMORY
        {
            os::spare_descriptors()?;
            let file = tempfile::tempfile_in(&spill.dir)?;
            file.write_all_at(bytes, 0)?;
            *self = Self::File(file, bytes.len() as u64);
        }
        Ok(())
    }

    /// Returns all of it, to be stored.
    pub(super) fn source<'a>(&'a self, spill: &'a Spill) -> DraftSource<'a> {
        DraftSource {
            draft: self,
            spill,
            at: 0,
        }
    }
}

/// A draft that is being stored.
pub(super) struct DraftSource<'a> {
    draft: &'a Draft,
    spill: &'a Spill,
    at: u64,
}

impl Source for DraftSource<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = match self.draft {
            Draft::Memory(bytes) => {
                let mut rest = &bytes[usize::try_from(self.at).unwrap_or(bytes.len())..];
                Source::read(&mut rest, buf)?
            }
            Draft::File(file, _) => file
                .read_at(buf, self.at)
                .or_cannot("read a temporary file in", &self.spill.dir)?,
        };
        self.at += n as u64;
        Ok(n)
    }
}

/// Refuses zeros that a disk has no room for, which take none before they are stored; and, on the disk of the store,
/// the first bytes of a file where nothing more can be written: a shell closes what it has redirected by dup2(2),
/// which tells of no error.
pub(super) fn must_have_room(config: &Config, from: u64, to: u64) -> Answer<()> {
    let gap = to.saturating_sub(from);
    let disk = match gap > LONGEST_IN_MEMORY {
        true => Some(config.disk()),
        false => config.disk.as_deref().filter(|_| from == 0),
    };
    let Some(disk) = disk else {
        return Ok(());
    };
    let room = os::disk_space(disk).map_err(|_| Errno::EIO)?;
    // An entry takes a block for less.
    match gap.max(room.block) > room.usable() {
        _ if room.is_read_only && config.disk.is_some() => Err(Errno::EROFS),
        true => Err(Errno::ENOSPC),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_a_file_in_memory_or_not() {
        let spill = Spill {
            dir: std::env::temp_dir(),
        };
        for base in [0, LONGEST_IN_MEMORY - 3, LONGEST_IN_MEMORY + 7] {
            let mut draft = Draft::default();
            draft.write(base, b"abc", &spill).unwrap();
            draft.write(base + 5, b"f", &spill).unwrap();
            draft.write(base + 1, b"B", &spill).unwrap();
            let undo = draft.write(base + 4, b"12345", &spill).unwrap();
            draft.undo(&undo).unwrap();
            assert_eq!(draft.read(base, 100).unwrap(), b"aBc\0\0f");
            assert_eq!(draft.read(base + 6, 1).unwrap(), b"");
            assert_eq!(draft.read(base + 60, 1).unwrap(), b"");
            draft.set_len(base + 2, &spill).unwrap();
            draft.set_len(base + 4, &spill).unwrap();
            assert_eq!(draft.read(base, 100).unwrap(), b"aB\0\0");
            let all = crate::store::entry::read_to_end(&mut draft.source(&spill)).unwrap();
            assert_eq!(all.len() as u64, base + 4);
            assert!(all.ends_with(b"aB\0\0"));
        }
    }
}
