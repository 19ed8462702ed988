//! Reads the records of a pack in the order of their keys, or in the reverse.

use std::ops::Range;
use std::sync::Arc;

use crate::store::{Meta, Result, StoreError};

use super::codec::{self, Record};
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
    /// The block that is being read.
    bytes: Vec<u8>,
    /// Where the next record begins in it; for a cursor that goes forward.
    at: usize,
    /// Where records begin that are still to come; for one that goes backward.
    behind: Vec<usize>,
    current: Option<Spot>,
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
            at: 0,
            behind: Vec::new(),
            current: None,
            damage: None,
            is_damaged: false,
        })
    }

    /// Returns the record that the cursor stands on.
    pub(crate) fn record(&self) -> Record<'_> {
        let spot = self.spot();
        Record {
            key: &self.bytes[spot.key.clone()],
            value: &self.bytes[spot.value.clone()],
            meta: spot.meta,
            tombstone: spot.tombstone,
        }
    }

    fn spot(&self) -> &Spot {
        self.current.as_ref().expect("it stands on a record")
    }

    /// Returns the pack.
    pub(crate) fn pack(&self) -> &Pack {
        &self.pack
    }

    /// Moves on to the first record whose key is not before this one, if the cursor does not stand on
    /// it or behind it already. Returns false if there is none. Only for a cursor that goes forward.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<bool> {
        if self.current.is_some() && self.key() >= key {
            return Ok(true);
        }
        let index = self.pack.index()?;
        if self.next.is_some_and(|next| index.block_of(key) > next) {
            self.next = Some(index.block_of(key));
            self.at = self.bytes.len();
            self.current = None;
        }
        while self.advance()? {
            if self.key() >= key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stands on the record at an offset of the block, and says how many bytes it has.
    fn stand(&mut self, at: usize) -> Result<usize> {
        let (record, len) = match codec::decode(&self.bytes[at..], self.pack.base()) {
            Ok(decoded) => decoded,
            Err(damage) => return Err(self.pack.damaged(damage)),
        };
        let value_at = at + len - record.value.len();
        let (key, value) = (value_at - record.key.len()..value_at, value_at..at + len);
        let (meta, tombstone) = (record.meta, record.tombstone);
        self.current = Some(Spot {
            key,
            value,
            meta,
            tombstone,
        });
        Ok(len)
    }

    /// Goes on to the next block; false if there is none.
    fn load(&mut self) -> Result<bool> {
        let Some(block) = self.next else {
            return Ok(false);
        };
        let blocks = self.pack.index()?.blocks();
        self.next = match self.reverse {
            false => Some(block + 1).filter(|&next| next < blocks),
            true => block.checked_sub(1),
        };
        self.at = 0;
        if let Err(err) = self.pack.block(block, &mut self.bytes) {
            self.bytes.clear();
            return Err(err);
        }
        Ok(true)
    }

    fn forward(&mut self) -> Result<bool> {
        loop {
            if self.at >= self.bytes.len() {
                if !self.load()? {
                    return Ok(false);
                }
                continue;
            }
            match self.stand(self.at) {
                Ok(len) => self.at += len,
                Err(err) => {
                    // Where the next record begins nobody knows, but the next block does.
                    self.at = self.bytes.len();
                    return Err(err);
                }
            }
            if self.bounds.is_behind(self.key()) {
                (self.next, self.at) = (None, self.bytes.len());
                return Ok(false);
            }
            if !self.bounds.is_before(self.key()) {
                return Ok(true);
            }
        }
    }

    fn backward(&mut self) -> Result<bool> {
        loop {
            if let Some(at) = self.behind.pop() {
                self.stand(at)?;
                if self.bounds.is_before(self.key()) {
                    self.next = None;
                    self.behind.clear();
                    return Ok(false);
                }
                if !self.bounds.is_behind(self.key()) {
                    return Ok(true);
                }
                continue;
            }
            if let Some(damage) = self.damage.take() {
                return Err(damage);
            }
            if !self.load()? {
                return Ok(false);
            }
            while self.at < self.bytes.len() {
                match self.stand(self.at) {
                    Ok(len) => {
                        self.behind.push(self.at);
                        self.at += len;
                    }
                    Err(err) => {
                        self.damage = Some(err);
                        break;
                    }
                }
            }
        }
    }
}

impl Sorted for Cursor {
    fn advance(&mut self) -> Result<bool> {
        let moved = if self.reverse {
            self.backward()
        } else {
            self.forward()
        };
        if !matches!(moved, Ok(true)) {
            self.current = None;
        }
        self.is_damaged |= moved.is_err();
        moved
    }

    fn key(&self) -> &[u8] {
        &self.bytes[self.spot().key.clone()]
    }
}
