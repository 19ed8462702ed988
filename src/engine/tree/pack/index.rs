//! The key index of a pack: which keys each block of records begins with.
//!
//! ```text
//! offsets    12 bytes for each block: where it begins in the pack (8), and where its key begins in
//!            what follows (4)
//! keys       the shortest beginning of each block's first key that is behind the last key of the
//!            block before it, one directly behind the other
//! ```
//!
//! A block has [`BLOCK_LEN`] bytes of records or a little more, and is what a listing reads at once.

use super::super::codec::Damage;
use super::geometry::Geometry;

/// A block ends with the first record that reaches this many bytes.
pub(crate) const BLOCK_LEN: u64 = 16 * 1024;
const ENTRY_LEN: usize = 12;

/// The index of a pack that is being written.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    offsets: Vec<(u64, u32)>,
    keys: Vec<u8>,
    last: Vec<u8>,
    begin: u64,
}

impl IndexBuilder {
    /// Notes the next record, which begins at `offset`.
    pub(crate) fn add(&mut self, key: &[u8], offset: u64) {
        if self.offsets.is_empty() || offset - self.begin >= BLOCK_LEN {
            let common = key
                .iter()
                .zip(&self.last)
                .take_while(|(a, b)| a == b)
                .count();
            let at = u32::try_from(self.keys.len()).expect("the index of a pack is below 4 GiB");
            self.offsets.push((offset, at));
            self.keys
                .extend_from_slice(&key[..key.len().min(common + 1)]);
            self.begin = offset;
        }
        self.last.clear();
        self.last.extend_from_slice(key);
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
        Ok(Self {
            bytes,
            blocks,
            end: geometry.index_at,
        })
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
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.key(middle) <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
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
