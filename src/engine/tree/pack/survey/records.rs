//! The walk through the records of a pack.

use crate::store::check::Severity;
use crate::store::{Deadline, Key, Result};

use super::super::super::codec::Damage;
use super::super::super::hash::sha1_of;
use super::super::codec::{self, LONGEST_RECORD, Record};
use super::super::geometry::HEAD_LEN;
use super::super::page;
use super::super::reader::Pack;
use super::{Ref, Survey};

/// How much is read at a time.
const PART: usize = 1024 * 1024;
/// So many damaged records of a pack are told one by one.
const TOLD: u64 = 10;

/// A walk through the records, from each to the next.
pub(super) struct Walk<'a> {
    pack: &'a Pack,
    survey: &'a mut Survey,
    window: Window<'a>,
    last_key: Vec<u8>,
    next_block: usize,
    tombstones: u64,
    min_expires: Option<Deadline>,
    /// Records that were told, or would have been, as damaged.
    bad: u64,
}

/// What a walk counted.
pub(super) struct Counted {
    pub(super) tombstones: u64,
    pub(super) min_expires: Option<Deadline>,
    /// Blocks that begin where the index says.
    pub(super) blocks: u64,
}

impl<'a> Walk<'a> {
    /// Begins to walk through a pack whose file has `size` bytes.
    pub(super) fn new(pack: &'a Pack, survey: &'a mut Survey, size: u64) -> Self {
        Self {
            pack,
            survey,
            window: Window::new(pack, size),
            last_key: Vec::new(),
            next_block: 0,
            tombstones: 0,
            min_expires: None,
            bad: 0,
        }
    }
}

impl Walk<'_> {
    /// Walks along slots in the order of their offsets.
    pub(super) fn run(mut self) -> Result<Counted> {
        let end = self.pack.geometry().index_at;
        let mut at = HEAD_LEN;
        let mut last = None;
        loop {
            let refs = self.survey.look_at_pages(self.pack, last)?;
            for &slot in &refs.found {
                let behind = slot.offset() + u64::from(slot.len());
                if slot.offset() < at || behind > end {
                    self.lose(slot, "a slot leads to where no record begins");
                    continue;
                }
                self.walk_gap(at, slot.offset())?;
                at = behind;
                self.look_at(slot)?;
            }
            if !refs.is_part {
                break;
            }
            last = refs.found.last().copied();
        }
        self.walk_gap(at, end)?;
        let untold = self.bad.saturating_sub(TOLD);
        if untold > 0 {
            self.survey
                .damage(format!("{untold} more places are damaged"));
        }
        Ok(Counted {
            tombstones: self.tombstones,
            min_expires: self.min_expires,
            blocks: self.next_block as u64,
        })
    }

    fn lose(&mut self, slot: Ref, what: &str) {
        self.tell(what);
        self.survey.lost.records.push(slot.place());
    }

    /// Tells of damage, unless much was told before.
    fn tell(&mut self, what: &str) {
        self.bad += 1;
        if self.bad <= TOLD {
            self.survey.damage(what);
        }
    }

    /// Looks at the record of a slot.
    fn look_at(&mut self, slot: Ref) -> Result<()> {
        let frame = self.pack.frame();
        let offset = slot.offset();
        let bytes = self.window.bytes(offset, slot.len() as usize)?.to_vec();
        match codec::decode(&bytes, frame) {
            Ok((record, len)) if len == bytes.len() => {
                if self.place_of(&record) != slot.place() {
                    let what = format!("the slot of the record at {offset} is another key's");
                    self.lose(slot, &what);
                } else if !self.takes(&record, offset, slot.len()) {
                    self.survey.lost.records.push(slot.place());
                }
            }
            Err(Damage::Newer) => {
                self.survey.is_newer = true;
                let what = format!("the record at {offset}: {}", Damage::Newer);
                self.survey.tell(Severity::Warning, what, None);
            }
            _ => {
                let what = format!("the checksum of the record at {offset} does not match");
                self.lose(slot, &what);
            }
        }
        Ok(())
    }

    /// Looks at records that no slot leads to: those of pages that cannot be read.
    fn walk_gap(&mut self, mut at: u64, end: u64) -> Result<()> {
        let frame = self.pack.frame();
        while at < end {
            let bytes = self.window.record(at, end)?.to_vec();
            match codec::decode(&bytes, frame) {
                Ok((record, len)) => {
                    let page = self.place_of(&record).0;
                    let lost = &self.survey.lost.incomplete;
                    if !self.survey.bad_pages.contains(&page) && !lost.contains(&page) {
                        let what = format!("no slot leads to the record at {at}");
                        self.survey.tell(Severity::Damage, what, Some(record.key));
                    }
                    let len = u32::try_from(len).expect("a record is short");
                    self.takes(&record, at, len);
                    at += u64::from(len);
                }
                Err(damage) => {
                    self.survey.is_newer |= damage == Damage::Newer;
                    self.tell(&format!("the bytes from {at} on are no record"));
                    let index = self.pack.index().ok();
                    let next = index.and_then(|index| index.begin_behind(at));
                    at = next.unwrap_or(end).min(end);
                }
            }
        }
        Ok(())
    }

    /// Takes a record whose sum is right, if it stands where it belongs.
    fn takes(&mut self, record: &Record<'_>, offset: u64, len: u32) -> bool {
        let what = if Key::check(record.key).is_err() {
            "is of no key that there can be"
        } else if !self.last_key.is_empty() && record.key <= self.last_key.as_slice() {
            "is not in the order of the keys"
        } else {
            self.count(record, offset);
            let behind = offset + u64::from(len);
            match self.survey.stretches.last_mut() {
                Some(stretch) if stretch.end == offset => stretch.end = behind,
                _ => self.survey.stretches.push(offset..behind),
            }
            self.survey.sound += 1;
            return true;
        };
        let what = format!("the record at {offset} {what}");
        self.survey.tell(Severity::Damage, what, Some(record.key));
        false
    }

    fn count(&mut self, record: &Record<'_>, offset: u64) {
        self.tombstones += u64::from(record.tombstone);
        if let Some(expires) = record.meta.expires {
            self.min_expires = Some(self.min_expires.map_or(expires, |first| first.min(expires)));
        }
        if let Ok(index) = self.pack.index()
            && self.next_block < index.blocks()
            && index.range(self.next_block).0 == offset
        {
            let begins = index.key(self.next_block);
            let is_behind = self.last_key.is_empty() || begins > self.last_key.as_slice();
            if is_behind && begins <= record.key {
                self.next_block += 1;
            }
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(record.key);
    }

    fn place_of(&self, record: &Record<'_>) -> (u64, u32) {
        let hash = page::hash_of(&sha1_of(record.key));
        page::place_of(hash, self.pack.geometry().pages)
    }
}

/// A part of a pack that was read, which follows who goes through it.
pub(super) struct Window<'a> {
    pack: &'a Pack,
    /// Where the file ends.
    end: u64,
    held: Vec<u8>,
    held_at: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(pack: &'a Pack, end: u64) -> Self {
        Self {
            pack,
            end,
            held: Vec::new(),
            held_at: 0,
        }
    }

    /// Returns all bytes that a record can have which begins here and ends there at the latest.
    pub(super) fn record(&mut self, offset: u64, end: u64) -> Result<&[u8]> {
        let most = usize::try_from(end - offset).unwrap_or(usize::MAX);
        self.bytes(offset, most.min(LONGEST_RECORD))
    }

    /// Returns bytes of the pack; fewer where the file ends before.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let is_held =
            offset >= self.held_at && offset + len as u64 <= self.held_at + self.held.len() as u64;
        if offset >= self.end {
            return Ok(&[]);
        }
        if !is_held {
            self.held.resize(len.max(PART), 0);
            let read = self.pack.read_some(&mut self.held, offset)?;
            self.held.truncate(read);
            self.held_at = offset;
        }
        let from = usize::try_from(offset - self.held_at).expect("it is in the window");
        let to = (from + len).min(self.held.len());
        Ok(&self.held[from..to])
    }
}
