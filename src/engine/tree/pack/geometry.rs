//! Where the parts of a pack are: the last bytes of the pack, and its line in MANIFEST.

use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Deadline, Time};

use super::super::codec::Damage;
use super::codec::take_u64;
use super::page::PAGE_LEN;

/// The first bytes of a pack.
pub(crate) const MAGIC: &[u8; 8] = b"kvpack1\n";
/// Bytes in front of the first record: the magic, and the base.
pub(crate) const HEAD_LEN: u64 = 16;
/// Bytes of the footer: a magic, thirteen numbers and a sum.
pub(crate) const FOOTER_LEN: usize = 8 + NUMBERS * 8 + 8;
const FOOTER_MAGIC: &[u8; 8] = b"kvfoot1\n";
const NUMBERS: usize = 13;
/// No pack is longer: its records have an end at 1 TiB, and what is behind them is shorter. So no sum
/// over the packs of a MANIFEST is too large.
const LONGEST: u64 = 1 << 42;

/// Where the parts of a pack are, and what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The number of the pack, which is its name too.
    pub(crate) id: u64,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Records, tombstones too.
    pub(crate) records: u64,
    pub(crate) tombstones: u64,
    /// No record was modified before this.
    pub(crate) base: Time,
    /// When the first of the records expires that ever do.
    pub(crate) min_expires: Option<Deadline>,
    /// Where the records end and the key index begins.
    pub(crate) index_at: u64,
    pub(crate) index_len: u64,
    /// Entries of the key index.
    pub(crate) blocks: u64,
    /// XXH3-64 of the key index.
    pub(crate) index_sum: u64,
    /// Where the hash pages begin: a multiple of their length.
    pub(crate) pages_at: u64,
    pub(crate) pages: u64,
    /// Marks of records that were lost to damage, and of pages that miss some; see [`super::page`].
    pub(crate) lost: u64,
}

impl Geometry {
    fn numbers(&self) -> [u64; NUMBERS] {
        [
            self.id,
            self.size,
            self.records,
            self.tombstones,
            self.base.0,
            self.min_expires.map_or(0, Deadline::as_millis),
            self.index_at,
            self.index_len,
            self.blocks,
            self.index_sum,
            self.pages_at,
            self.pages,
            self.lost,
        ]
    }

    fn of_numbers(numbers: [u64; NUMBERS]) -> Result<Self, Damage> {
        let [id, size, records, tombstones, base, expires, ..] = numbers;
        let [
            ..,
            index_at,
            index_len,
            blocks,
            index_sum,
            pages_at,
            pages,
            lost,
        ] = numbers;
        let min_expires = match expires {
            0 => None,
            millis => Some(Deadline::from_millis(millis).ok_or(Damage::Field)?),
        };
        let pages_len = pages.checked_mul(PAGE_LEN as u64).ok_or(Damage::Field)?;
        let end = pages_at.checked_add(pages_len).ok_or(Damage::Field)?;
        let is_sound = HEAD_LEN <= index_at
            && index_at
                .checked_add(index_len)
                .is_some_and(|index_end| index_end <= pages_at)
            && end.checked_add(FOOTER_LEN as u64) == Some(size)
            && pages > 0
            && size <= LONGEST
            && records <= index_at
            && tombstones <= records
            && blocks <= records
            && lost <= size;
        if !is_sound {
            return Err(Damage::Field);
        }
        Ok(Self {
            id,
            size,
            records,
            tombstones,
            base: Time(base),
            min_expires,
            index_at,
            index_len,
            blocks,
            index_sum,
            pages_at,
            pages,
            lost,
        })
    }

    /// Returns the footer of the pack.
    pub(crate) fn to_footer(self) -> Vec<u8> {
        let mut bytes = FOOTER_MAGIC.to_vec();
        for number in self.numbers() {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let sum = xxh3_64(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a footer.
    pub(crate) fn from_footer(bytes: &[u8; FOOTER_LEN]) -> Result<Self, Damage> {
        let (summed, mut sum) = bytes.split_at(FOOTER_LEN - 8);
        if xxh3_64(summed) != take_u64(&mut sum)? {
            return Err(Damage::PageSum);
        }
        let mut rest = summed.strip_prefix(FOOTER_MAGIC).ok_or(Damage::NotAPack)?;
        let mut numbers = [0; NUMBERS];
        for number in &mut numbers {
            *number = take_u64(&mut rest)?;
        }
        Self::of_numbers(numbers)
    }

    /// Returns all numbers but the first as text, with blanks between them.
    pub(crate) fn to_text(self) -> String {
        let texts = self.numbers().map(|number| number.to_string());
        texts[1..].join(" ")
    }

    /// Reads the numbers from text, but for the first.
    pub(crate) fn from_text<'a>(
        id: u64,
        words: impl Iterator<Item = &'a str>,
    ) -> Result<Self, Damage> {
        let words = words.map(|word| word.parse().map_err(|_| Damage::Field));
        let numbers: Vec<u64> = std::iter::once(Ok(id))
            .chain(words)
            .collect::<Result<_, _>>()?;
        Self::of_numbers(numbers.try_into().map_err(|_| Damage::Field)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_from_a_footer_and_from_text() {
        let geometry = Geometry {
            id: 5,
            size: 8192 + 4096 + FOOTER_LEN as u64,
            records: 3,
            tombstones: 1,
            base: Time(7),
            min_expires: Deadline::from_millis(9),
            index_at: 100,
            index_len: 13,
            blocks: 1,
            index_sum: u64::MAX,
            pages_at: 8192,
            pages: 1,
            lost: 2,
        };
        let footer: [u8; FOOTER_LEN] = geometry.to_footer().try_into().unwrap();
        assert_eq!(Geometry::from_footer(&footer), Ok(geometry));
        assert_eq!(
            Geometry::from_text(5, geometry.to_text().split(' ')),
            Ok(geometry)
        );
        for bit in 0..FOOTER_LEN * 8 {
            let mut bad = footer;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Geometry::from_footer(&bad).is_err(),
                "accepted a flip of bit {bit}"
            );
        }
        let bad = Geometry {
            pages: u64::MAX,
            ..geometry
        };
        assert!(Geometry::from_text(5, bad.to_text().split(' ')).is_err());
    }
}
