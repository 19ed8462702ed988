//! Reads the records of a pack in the order of their keys, or in the reverse.

use std::ops::Range;
use std::sync::Arc;

use crate::store::{Meta, Result, StoreError};

use super::codec::Record;
use super::merge::Sorted;
use super::reader::Pack;

/// Which keys are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// No key before this one.
    pub(crate) from: Vec<u8>,
    /// No key from this one on.
    pub(crate) to: Option<Vec<u8>>,
}

impl Bounds {
    fn is_before(&self, key: &[u8]) -> bool {
        key < self.from.as_slice()
    }

    fn is_behind(&self, key: &[u8]) -> bool {
        self.to.as_deref().is_some_and(|to| key >= to)
    }
}

/// A place in a pack, between the records or on one of them.
#[derive(Debug)]
pub(crate) struct Cursor {
    pack: Arc<Pack>,
    bounds: Bounds,
    reverse: bool,
    /// The block that comes next.
    next: Option<usize>,
    bytes: Vec<u8>,
    spots: Vec<Spot>,
    /// The spots of the block that are still to come.
    ahead: Range<usize>,
    current: usize,
    /// It stands on a record.
    stands: bool,
    /// What is wrong with the rest of the block.
    damage: Option<StoreError>,
    /// Something in the pack could not be read.
    pub(crate) is_damaged: bool,
}

/// Where a record's parts are in the bytes of its block.
#[derive(Clone, Debug)]
struct Spot {
    key: Range<usize>,
    value: Range<usize>,
    meta: Meta,
    tombstone: bool,
}

impl Cursor {
    /// Begins to read.
    pub(crate) fn new(pack: Arc<Pack>, bounds: Bounds, reverse: bool) -> Result<Self> {
        let index = pack.index()?;
        let last = index.blocks().checked_sub(1);
        let next = match (reverse, &bounds.to) {
            (false, _) => last.map(|_| index.block_of(&bounds.from)),
            (true, Some(to)) => last.map(|_| index.block_of(to)),
            (true, None) => last,
        };
        Ok(Self {
            pack,
            bounds,
            reverse,
            next,
            bytes: Vec::new(),
            spots: Vec::new(),
            ahead: 0..0,
            current: 0,
            stands: false,
            damage: None,
            is_damaged: false,
        })
    }

    /// Returns the record that the cursor stands on.
    pub(crate) fn record(&self) -> Record<'_> {
        let spot = &self.spots[self.current];
        Record {
            key: &self.bytes[spot.key.clone()],
            value: &self.bytes[spot.value.clone()],
            meta: spot.meta,
            tombstone: spot.tombstone,
        }
    }

    /// Returns the pack.
    pub(crate) fn pack(&self) -> &Pack {
        &self.pack
    }

    /// Moves on to the first record whose key is not before this one, if the cursor does not stand on
    /// it or behind it already. Returns false if there is none. Only for a cursor that goes forward.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<bool> {
        if self.stands && self.key() >= key {
            return Ok(true);
        }
        let index = self.pack.index()?;
        if index.blocks() > 0 && self.next.is_some_and(|next| index.block_of(key) > next) {
            self.next = Some(index.block_of(key));
            self.ahead = 0..0;
            self.damage = None;
            self.stands = false;
        }
        while self.advance()? {
            if self.key() >= key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads a block, and of its records those that are asked for.
    fn load(&mut self, block: usize) -> Result<()> {
        self.spots.clear();
        self.ahead = 0..0;
        self.pack.block(block, &mut self.bytes)?;
        let mut at = 0;
        while at < self.bytes.len() {
            let (record, len) = match self.pack.decode(&self.bytes[at..]) {
                Ok(decoded) => decoded,
                Err(err) => {
                    self.damage = Some(err);
                    break;
                }
            };
            let value_at = at + len - record.value.len();
            let spot = Spot {
                key: value_at - record.key.len()..value_at,
                value: value_at..at + len,
                meta: record.meta,
                tombstone: record.tombstone,
            };
            at += len;
            if self.bounds.is_behind(record.key) {
                if !self.reverse {
                    self.next = None;
                }
                break;
            }
            if self.bounds.is_before(record.key) {
                if self.reverse {
                    self.next = None;
                }
                continue;
            }
            self.spots.push(spot);
        }
        self.ahead = 0..self.spots.len();
        Ok(())
    }
}

impl Sorted for Cursor {
    fn advance(&mut self) -> Result<bool> {
        loop {
            let ahead = if self.reverse {
                self.ahead.next_back()
            } else {
                self.ahead.next()
            };
            if let Some(spot) = ahead {
                self.current = spot;
                self.stands = true;
                return Ok(true);
            }
            self.stands = false;
            if let Some(damage) = self.damage.take() {
                self.is_damaged = true;
                return Err(damage);
            }
            let Some(block) = self.next else {
                return Ok(false);
            };
            let blocks = self.pack.index()?.blocks();
            self.next = match self.reverse {
                false => Some(block + 1).filter(|&next| next < blocks),
                true => block.checked_sub(1),
            };
            if let Err(err) = self.load(block) {
                self.is_damaged = true;
                return Err(err);
            }
        }
    }

    fn key(&self) -> &[u8] {
        &self.bytes[self.spots[self.current].key.clone()]
    }
}
