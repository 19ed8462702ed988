//! The key index of a pack: which keys each block of records begins with.
//!
//! ```text
//! offsets    12 bytes for each block: where it begins in the pack (8), and where its key begins in
//!            what follows (4)
//! keys       the shortest beginning of each block's first key that is behind the last key of the
//!            block before it, one directly behind the other
//! ```
//!
//! A block has [`BLOCK_LEN`] bytes of records or a little more, and is what a listing reads at once. Where
//! the index would have more than 256 bytes of the key behind it, it goes on until it is 64 times as long
//! as these, so that no keys make an index that is large beside its pack.

use crate::store::key::MAX_KEY_LEN;

use super::super::codec::Damage;
use super::codec::LONGEST_RECORD;
use super::geometry::{Geometry, HEAD_LEN};

/// A block ends with the first record that reaches this many bytes.
pub(crate) const BLOCK_LEN: u64 = 16 * 1024;
const ENTRY_LEN: usize = 12;
/// A block is at least so many times as long as what the index has of the key behind it.
const BLOCK_PER_KEY: u64 = 64;
/// No block is longer.
const LONGEST_BLOCK: u64 = BLOCK_LEN + BLOCK_PER_KEY * MAX_KEY_LEN as u64 + LONGEST_RECORD as u64;

/// The index of a pack that is being written.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    offsets: Vec<(u64, u32)>,
    keys: Vec<u8>,
    last: Vec<u8>,
    begin: u64,
}

impl IndexBuilder {
    /// Notes the next record, which begins at `offset`. Returns false if the index would be too long.
    #[must_use]
    pub(crate) fn add(&mut self, key: &[u8], offset: u64) -> bool {
        if self.offsets.is_empty() || offset - self.begin >= BLOCK_LEN {
            let common = key
                .iter()
                .zip(&self.last)
                .take_while(|(a, b)| a == b)
                .count();
            let shown = &key[..key.len().min(common + 1)];
            let is_due = offset - self.begin >= BLOCK_PER_KEY * shown.len() as u64;
            if self.offsets.is_empty() || is_due {
                let Ok(at) = u32::try_from(self.keys.len()) else {
                    return false;
                };
                self.offsets.push((offset, at));
                self.keys.extend_from_slice(shown);
                self.begin = offset;
            }
        }
        self.last.clear();
        self.last.extend_from_slice(key);
        true
    }

    /// Returns how many blocks there are, and the bytes of the index.
    pub(crate) fn finish(self) -> (u64, Vec<u8>) {
        let mut bytes = Vec::with_capacity(self.offsets.len() * ENTRY_LEN + self.keys.len());
        for (offset, at) in &self.offsets {
            bytes.extend_from_slice(&offset.to_le_bytes());
            bytes.extend_from_slice(&at.to_le_bytes());
        }
        bytes.extend_from_slice(&self.keys);
        (self.offsets.len() as u64, bytes)
    }
}

/// The index of a pack, read.
#[derive(Debug)]
pub(crate) struct Index {
    bytes: Vec<u8>,
    blocks: usize,
    /// Where the records end.
    end: u64,
}

impl Index {
    /// Takes the bytes of an index whose sum was found right.
    pub(crate) fn new(bytes: Vec<u8>, geometry: &Geometry) -> Result<Self, Damage> {
        let blocks = usize::try_from(geometry.blocks).map_err(|_| Damage::Field)?;
        let table = blocks.checked_mul(ENTRY_LEN).ok_or(Damage::Field)?;
        if table > bytes.len() {
            return Err(Damage::Field);
        }
        let index = Self {
            bytes,
            blocks,
            end: geometry.index_at,
        };
        // The sum holds of what a stranger wrote too: what is read at once is short all the same.
        let mut begin = HEAD_LEN;
        for block in 0..blocks {
            let (from, to) = index.range(block);
            let is_sound = from == begin && from < to && to - from <= LONGEST_BLOCK;
            if !is_sound {
                return Err(Damage::Field);
            }
            begin = to;
        }
        match begin == index.end {
            true => Ok(index),
            false => Err(Damage::Field),
        }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Returns where the records of a block are.
    pub(crate) fn range(&self, block: usize) -> (u64, u64) {
        let end = if block + 1 < self.blocks {
            self.entry(block + 1).0
        } else {
            self.end
        };
        (self.entry(block).0, end)
    }

    /// Returns the block in which a key would be: the last that does not begin behind it.
    pub(crate) fn block_of(&self, key: &[u8]) -> usize {
        let behind = self.first_not(|block| self.key(block) <= key);
        behind.saturating_sub(1)
    }

    /// Returns where the first block begins that does so behind this offset.
    pub(crate) fn begin_behind(&self, offset: u64) -> Option<u64> {
        let block = self.first_not(|block| self.entry(block).0 <= offset);
        (block < self.blocks).then(|| self.entry(block).0)
    }

    /// Returns the first block of which this is not so, as it is of all before that one.
    fn first_not(&self, is_so: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_so(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Returns the key at which a block begins, as far as the index has it.
    pub(crate) fn key(&self, block: usize) -> &[u8] {
        let keys = &self.bytes[self.blocks * ENTRY_LEN..];
        let end = if block + 1 < self.blocks {
            self.entry(block + 1).1
        } else {
            keys.len()
        };
        keys.get(self.entry(block).1..end).unwrap_or_default()
    }

    fn entry(&self, block: usize) -> (u64, usize) {
        let entry = &self.bytes[block * ENTRY_LEN..(block + 1) * ENTRY_LEN];
        let number = |part: &[u8]| part.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b));
        let at = usize::try_from(number(&entry[8..])).unwrap_or(usize::MAX);
        (number(&entry[..8]), at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(index_at: u64, blocks: u64) -> Geometry {
        Geometry {
            records: blocks,
            index_at,
            blocks,
            ..Geometry::default()
        }
    }

    #[test]
    fn long_keys_with_one_beginning_make_no_long_index() {
        let mut builder = IndexBuilder::default();
        let mut key = vec![b'x'; MAX_KEY_LEN];
        let (mut at, count) = (HEAD_LEN, 2_000_u64);
        for number in 0..count {
            key[MAX_KEY_LEN - 8..].copy_from_slice(&number.to_be_bytes());
            assert!(builder.add(&key, at));
            at += MAX_KEY_LEN as u64 + 20;
        }
        let (blocks, bytes) = builder.finish();
        assert!((bytes.len() as u64) < at / 32, "{} of {at}", bytes.len());
        assert!(Index::new(bytes, &geometry(at, blocks)).is_ok());
    }

    #[test]
    fn a_block_is_within_the_records_and_short() {
        let index = |offsets: &[u64]| {
            let mut bytes = Vec::new();
            for offset in offsets {
                bytes.extend_from_slice(&offset.to_le_bytes());
                bytes.extend_from_slice(&[0; 4]);
            }
            Index::new(bytes, &geometry(100_000, offsets.len() as u64)).is_ok()
        };
        assert!(index(&[16, 20_000, 60_000]));
        for offsets in [
            &[][..],
            &[17],
            &[16, 1 << 29],
            &[16, 60_000, 20_000, 70_000],
            &[16, 16],
            &[16, u64::MAX],
        ] {
            assert!(!index(offsets), "{offsets:?}");
        }
    }
}
