//! Reads the records of a pack in the order of their keys, or in the reverse.

use std::sync::Arc;

use crate::store::{Meta, Result};

use super::Sorted;
use super::block::{Block, Blocks};
use super::codec::Record;
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
    blocks: Blocks,
    /// The block that is being read.
    block: Block,
    /// The block that comes next.
    next: Option<usize>,
    /// The first block in which there can be what is asked for.
    first: usize,
    /// The block behind the last in which there can be what is asked for.
    end: usize,
    /// There may be records in the block that are not asked for: it is the first or the last.
    is_edge: bool,
    /// How many records of the block were passed, in the direction of the cursor.
    passed: usize,
    /// The record that it stands on.
    current: Option<usize>,
    /// Something in the pack could not be read.
    pub(crate) is_damaged: bool,
}

impl Cursor {
    /// Begins to read.
    pub(crate) fn new(pack: Arc<Pack>, bounds: Bounds, reverse: bool) -> Result<Self> {
        let index = pack.index()?;
        let last = index.blocks().checked_sub(1);
        let last_asked = last.map(|last| bounds.to.as_ref().map_or(last, |to| index.block_of(to)));
        let first = index.block_of(&bounds.from);
        let next = match reverse {
            false => last.map(|_| first),
            true => last_asked,
        };
        Ok(Self {
            blocks: Blocks::new(Arc::clone(&pack)),
            pack,
            bounds,
            reverse,
            block: Block::default(),
            next,
            first,
            end: last_asked.map_or(0, |last| last + 1),
            is_edge: true,
            passed: 0,
            current: None,
            is_damaged: false,
        })
    }

    /// Returns the record that the cursor stands on.
    pub(crate) fn record(&self) -> Record<'_> {
        self.block
            .record(self.current.expect("it stands on a record"))
    }

    /// Returns what is known of that record, and whether it is a tombstone.
    pub(crate) fn meta(&self) -> (&Meta, bool) {
        self.block
            .meta(self.current.expect("it stands on a record"))
    }

    /// Tells whether there may be records that the cursor does not come upon: they could not be read, or
    /// were lost before.
    pub(crate) fn misses_some(&self) -> bool {
        self.is_damaged || self.pack.geometry().lost > 0
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
        // The index is asked only for what is not in this block.
        let is_behind = match self.block.len().checked_sub(1) {
            Some(last) => self.block.key(last) < key,
            None => true,
        };
        if is_behind && let Some(next) = self.next {
            let block = self.pack.index()?.block_of(key);
            if block > next {
                self.next = Some(block);
                self.leave_block();
            }
        }
        while self.advance()? {
            if self.key() >= key {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes on to the next block; false if there is none.
    fn load(&mut self) -> bool {
        let Some(number) = self.next else {
            return false;
        };
        let (next, ahead) = match self.reverse {
            false => (
                Some(number + 1).filter(|&next| next < self.end),
                Some(self.end),
            ),
            // No block before the first one holds what is asked for.
            true => (
                number.checked_sub(1).filter(|&next| next >= self.first),
                None,
            ),
        };
        self.is_edge = number == self.first || number + 1 == self.end;
        self.next = next;
        self.passed = 0;
        self.blocks.read(number, &mut self.block, ahead);
        true
    }

    /// Passes over what is left of the block.
    fn leave_block(&mut self) {
        self.passed = self.block.len();
        self.block.damages.clear();
    }

    fn step(&mut self) -> Result<bool> {
        loop {
            let before = match self.reverse {
                false => self.passed,
                true => self.block.len() - self.passed,
            };
            if let Some(damage) = self.block.take_damage(before, self.reverse) {
                return Err(damage);
            }
            if self.passed < self.block.len() {
                let number = match self.reverse {
                    false => before,
                    true => before - 1,
                };
                self.passed += 1;
                if !self.is_edge {
                    self.current = Some(number);
                    return Ok(true);
                }
                let key = self.block.key(number);
                let (is_early, is_late) = match self.reverse {
                    false => (self.bounds.is_before(key), self.bounds.is_behind(key)),
                    true => (self.bounds.is_behind(key), self.bounds.is_before(key)),
                };
                if is_late {
                    self.next = None;
                    self.leave_block();
                    return Ok(false);
                }
                if !is_early {
                    self.current = Some(number);
                    return Ok(true);
                }
                continue;
            }
            if !self.load() {
                return Ok(false);
            }
        }
    }
}

impl Sorted for Cursor {
    fn advance(&mut self) -> Result<bool> {
        self.current = None;
        let moved = self.step();
        self.is_damaged |= moved.is_err();
        moved
    }

    fn key(&self) -> &[u8] {
        self.block.key(self.current.expect("it stands on a record"))
    }
}
