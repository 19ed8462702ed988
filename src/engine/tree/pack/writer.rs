//! Writes a pack: its records come in the order of their keys, once each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Deadline, Result, Time};

use super::super::dir::{cannot, gone};
use super::super::hash::sha1_of;
use super::super::layout::{SPARE, random};
use super::super::namespace_dir::NamespaceDir;
use super::super::temp::Temp;
use super::codec::{self, Frame, LONGEST_RECORD, Record};
use super::geometry::{Geometry, MAGIC};
use super::index::IndexBuilder;
use super::page::{self, MOST_SLOTS, OFFSET_LIMIT, PAGE_LEN, SLOT_BYTES, Slot};
use super::{Merge, Sorted};

/// How much is written at a time.
const PART: usize = 256 * 1024;
/// Slots held in memory, 16 bytes each; more are sorted and put aside.
const MOST_HELD: usize = 1 << 21;

/// What was lost of a pack whose other records are written anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// How many pages that pack had: the places below are those of so many.
    pub(crate) pages: u64,
    /// The places of records: the page, and what a slot holds of the hash.
    pub(crate) records: Vec<(u64, u32)>,
    /// Pages of which nobody knows what was in them.
    pub(crate) incomplete: BTreeSet<u64>,
}

impl Lost {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.incomplete.is_empty()
    }
}

/// A pack being written.
#[derive(Debug)]
pub(crate) struct PackWriter<'a> {
    space: &'a NamespaceDir,
    temp: Temp,
    frame: Frame,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    at: u64,
    slots: Vec<Slot>,
    /// Sorted slots that memory is too small for.
    aside: Vec<Temp>,
    index: IndexBuilder,
    records: u64,
    tombstones: u64,
    min_expires: Option<Deadline>,
}

impl<'a> PackWriter<'a> {
    /// Begins a pack in which no record was modified before `base`. The caller has the maintenance
    /// lock, so that the namespace cannot be removed meanwhile.
    pub(crate) fn create(space: &'a NamespaceDir, base: Time) -> Result<Self> {
        let temp = Temp::create_or_spare(space, SPARE)?;
        let temp = temp.ok_or_else(|| gone("write to", &space.path()))?;
        let mut buffer = Vec::with_capacity(PART + LONGEST_RECORD);
        buffer.extend_from_slice(MAGIC);
        buffer.extend_from_slice(&base.0.to_le_bytes());
        Ok(Self {
            space,
            temp,
            frame: Frame { id: random(), base },
            buffer,
            at: 0,
            slots: Vec::new(),
            aside: Vec::new(),
            index: IndexBuilder::default(),
            records: 0,
            tombstones: 0,
            min_expires: None,
        })
    }

    /// Returns the pack that is being written; begins it with its first record.
    pub(crate) fn begun<'b>(
        begun: &'b mut Option<Self>,
        space: &'a NamespaceDir,
        base: Time,
    ) -> Result<&'b mut Self> {
        Ok(match begun {
            Some(writer) => writer,
            None => begun.insert(Self::create(space, base)?),
        })
    }

    /// Adds the next record, and returns the SHA-1 of its key.
    pub(crate) fn add(&mut self, record: &Record<'_>) -> Result<[u8; 20]> {
        let offset = self.at + self.buffer.len() as u64;
        if offset >= OFFSET_LIMIT {
            let full = io::Error::new(io::ErrorKind::FileTooLarge, "a pack has at most 1 TiB");
            return Err(cannot(full, "write", &self.temp.path()));
        }
        if !self.index.add(record.key, offset) {
            let what = "the keys of a pack have at most 4 GiB in its index";
            let full = io::Error::new(io::ErrorKind::FileTooLarge, what);
            return Err(cannot(full, "write", &self.temp.path()));
        }
        let start = self.buffer.len();
        codec::encode(record, self.frame, &mut self.buffer);
        let sha1 = sha1_of(record.key);
        let slot = Slot::new(page::hash_of(&sha1), offset, self.buffer.len() - start);
        self.slots.push(slot);
        self.records += 1;
        self.tombstones += u64::from(record.tombstone);
        if let Some(expires) = record.meta.expires {
            self.min_expires = Some(self.min_expires.map_or(expires, |first| first.min(expires)));
        }
        if self.buffer.len() >= PART {
            self.flush()?;
        }
        if self.slots.len() >= MOST_HELD {
            self.put_aside()?;
        }
        Ok(sha1)
    }

    /// Writes what follows the records, and syncs the file. What is left to do is to give it a name.
    pub(crate) fn finish(self) -> Result<(Temp, Geometry)> {
        self.finish_with(&Lost::default())
    }

    /// As [`PackWriter::finish`], with marks of what was lost.
    pub(crate) fn finish_with(mut self, lost: &Lost) -> Result<(Temp, Geometry)> {
        let index_at = self.at + self.buffer.len() as u64;
        let (blocks, index) = std::mem::take(&mut self.index).finish();
        let index_sum = xxh3_64(&index);
        self.flush()?;
        self.temp.write(&index)?;
        let index_end = index_at + index.len() as u64;
        drop(index);
        let pages_at = index_end.next_multiple_of(PAGE_LEN as u64);
        let gap = usize::try_from(pages_at - index_end).expect("a gap is shorter than a page");
        self.buffer.resize(gap, 0);
        self.at = index_end;

        let mut pages = page::pages_for(self.records);
        if !lost.is_empty() {
            pages = lost.pages;
            let marks = lost.records.iter().map(|&place| Slot::lost(place, pages));
            self.slots.extend(marks);
        }
        if !self.aside.is_empty() {
            self.put_aside()?;
        }
        let mut slots = std::mem::take(&mut self.slots);
        slots.sort_unstable();
        let aside = std::mem::take(&mut self.aside);
        while !self.write_pages(&slots, &aside, pages, &lost.incomplete)? {
            if !lost.is_empty() {
                let full = io::Error::other("a page of the pack cannot hold what belongs there");
                return Err(cannot(full, "write", &self.temp.path()));
            }
            // One page would overflow: all are made smaller, and written once more.
            pages += pages / 10 + 1;
            self.seek(index_end)?;
            self.buffer.resize(gap, 0);
        }
        let mut geometry = Geometry {
            id: self.frame.id,
            size: 0,
            records: self.records,
            tombstones: self.tombstones,
            base: self.frame.base,
            min_expires: self.min_expires,
            index_at,
            index_len: index_end - index_at,
            blocks,
            index_sum,
            pages_at,
            pages,
            lost: (lost.records.len() + lost.incomplete.len()) as u64,
        };
        geometry.size = pages_at + pages * PAGE_LEN as u64 + super::geometry::FOOTER_LEN as u64;
        self.buffer.extend_from_slice(&geometry.to_footer());
        self.flush()?;
        self.temp.sync()?;
        Ok((self.temp, geometry))
    }

    /// Writes the hash pages; false if one of them cannot hold its slots.
    fn write_pages(
        &mut self,
        held: &[Slot],
        aside: &[Temp],
        pages: u64,
        incomplete: &BTreeSet<u64>,
    ) -> Result<bool> {
        let held = SlotRun(Slots::Held(held.iter()), [0; SLOT_BYTES]);
        let aside = aside.iter().map(SlotRun::aside);
        let runs = std::iter::once(Ok(held)).chain(aside);
        let mut slots = Merge::new(runs.collect::<Result<_>>()?, false);
        let mut next_slot = || -> Result<Option<Slot>> {
            let run = slots.advance()?;
            Ok(run.map(|run| Slot::from_bytes(slots.source(run).1)))
        };
        let mut next = next_slot()?;
        let mut in_page = Vec::with_capacity(MOST_SLOTS);
        for number in 0..pages {
            in_page.clear();
            while let Some(slot) = next
                && page::place_of(slot.hash, pages).0 == number
            {
                if in_page.len() == MOST_SLOTS {
                    return Ok(false);
                }
                in_page.push(slot);
                next = next_slot()?;
            }
            let is_incomplete = incomplete.contains(&number);
            let page = page::encode(self.frame.id, number, pages, &in_page, is_incomplete);
            self.buffer.extend_from_slice(&page);
            if self.buffer.len() >= PART {
                self.flush()?;
            }
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<()> {
        self.temp.write(&self.buffer)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn seek(&mut self, offset: u64) -> Result<()> {
        let sought = (&self.temp.file).seek(io::SeekFrom::Start(offset));
        sought.map_err(|err| cannot(err, "write", &self.temp.path()))?;
        self.at = offset;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the slots held to a file of their own, sorted.
    fn put_aside(&mut self) -> Result<()> {
        self.slots.sort_unstable();
        let temp = Temp::create(self.space)?.ok_or_else(|| gone("write", &self.temp.path()))?;
        for part in self.slots.chunks(PART / SLOT_BYTES) {
            let bytes: Vec<u8> = part.iter().flat_map(|slot| slot.to_bytes()).collect();
            temp.write(&bytes)?;
        }
        self.aside.push(temp);
        self.slots.clear();
        Ok(())
    }
}

/// Slots in order, held in memory or put aside.
enum Slots<'a> {
    Held(std::slice::Iter<'a, Slot>),
    Aside(&'a Temp, BufReader<&'a File>),
}

/// Slots being read, and the bytes of the one that comes now.
struct SlotRun<'a>(Slots<'a>, [u8; SLOT_BYTES]);

impl<'a> SlotRun<'a> {
    fn aside(temp: &'a Temp) -> Result<Self> {
        let rewound = (&temp.file).rewind();
        rewound.map_err(|err| cannot(err, "read", &temp.path()))?;
        let reader = BufReader::with_capacity(PART, &temp.file);
        Ok(Self(Slots::Aside(temp, reader), [0; SLOT_BYTES]))
    }
}

impl Sorted for SlotRun<'_> {
    fn advance(&mut self) -> Result<bool> {
        match &mut self.0 {
            Slots::Held(slots) => {
                let next = slots.next().map(|slot| slot.to_bytes());
                self.1 = next.unwrap_or_default();
                Ok(next.is_some())
            }
            Slots::Aside(temp, reader) => match reader.read_exact(&mut self.1) {
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                read => read
                    .map(|()| true)
                    .map_err(|err| cannot(err, "read", &temp.path())),
            },
        }
    }

    fn key(&self) -> &[u8] {
        &self.1
    }
}
