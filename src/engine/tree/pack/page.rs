//! The hash pages of a pack: where the record of a key is.
//!
//! A page has [`PAGE_LEN`] bytes:
//!
//! ```text
//! sum        8   XXH3-64 of the rest, seeded with the sum of the pack's number and the page's
//! count      2   slots in use
//! flags      1   bit 0: slots are missing, and what is not found here is lost; others are refused
//! nothing    5   zeros
//! slots      12 each, in the order of their hashes, the rest zeros
//!   hash     4   bits of the hash below those that chose the page
//!   offset   5   where the record begins in the pack
//!   length   3   bytes of the record in the low 20 bits; bit 20: the record is lost
//! ```
//!
//! What was lost to damage is marked by whoever saves the rest of a pack: a slot of its own for each
//! record that is known to have been there, and a flag for a page of which nobody knows.
//!
//! The hash of a key is the first 8 bytes of its SHA-1 as a big-endian number, so that a key that is
//! known only by the name of its file can be looked up too. `page = floor(hash × pages / 2^64)`.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::super::codec::Damage;

/// Bytes of a page.
pub(crate) const PAGE_LEN: usize = 4096;
/// The most slots that a page can have.
pub(crate) const MOST_SLOTS: usize = (PAGE_LEN - HEAD_LEN) / SLOT_LEN;
/// Slots that a page has in the mean. With so many, one in 36 million pages would need more than
/// [`MOST_SLOTS`], and a pack where one does gets more pages.
pub(crate) const MEAN_SLOTS: u64 = 250;
const HEAD_LEN: usize = 16;
const SLOT_LEN: usize = 12;
/// The first offset that does not fit.
pub(crate) const OFFSET_LIMIT: u64 = 1 << 40;
const LEN_LIMIT: u32 = 1 << 20;
const LOST: u32 = LEN_LIMIT;
/// Slots of this page are missing.
const INCOMPLETE: u8 = 1;

/// Bytes of a [`Slot`] that was put aside.
pub(crate) const SLOT_BYTES: usize = 16;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    /// The hash of its key.
    pub(crate) hash: u64,
    /// The offset in the low 40 bits, and behind them the 24 bits of length and flag.
    place: u64,
}

impl Slot {
    pub(crate) fn new(hash: u64, offset: u64, len: usize) -> Self {
        debug_assert!(offset < OFFSET_LIMIT && len < LEN_LIMIT as usize);
        Self {
            hash,
            place: offset | (len as u64) << 40,
        }
    }

    /// Marks a record as lost that was at this place of a pack with so many pages.
    pub(crate) fn lost((page, below): (u64, u32), pages: u64) -> Self {
        // The least of the hashes that have this place.
        let product = u128::from(page) << 64 | u128::from(below) << 32;
        let hash = product.div_ceil(u128::from(pages));
        Self {
            hash: u64::try_from(hash).expect("a page is one of those there are"),
            place: u64::from(LOST) << 40,
        }
    }

    /// As bytes, in the order of slots, for a file that is read back by the same process.
    pub(crate) fn to_bytes(self) -> [u8; SLOT_BYTES] {
        (u128::from(self.hash) << 64 | u128::from(self.place)).to_be_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; SLOT_BYTES]) -> Self {
        let number = u128::from_be_bytes(bytes);
        Self {
            hash: (number >> 64) as u64,
            place: number as u64,
        }
    }
}

/// Where a key's record may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) offset: u64,
    pub(crate) len: usize,
    /// The record was damaged, and this slot is all that is left of it.
    pub(crate) lost: bool,
}

/// Returns the hash of a key whose SHA-1 this is.
pub(crate) fn hash_of(sha1: &[u8; 20]) -> u64 {
    let first = sha1.first_chunk().expect("a SHA-1 has 20 bytes");
    u64::from_be_bytes(*first)
}

/// Returns the page of a hash, and what its slot holds of it.
pub(crate) fn place_of(hash: u64, pages: u64) -> (u64, u32) {
    let product = u128::from(hash) * u128::from(pages);
    let below = (product >> 32) & u128::from(u32::MAX);
    let page = u64::try_from(product >> 64).expect("it is less than the number of pages");
    (page, u32::try_from(below).expect("32 bits were left"))
}

/// Returns how many pages so many records are to have.
pub(crate) fn pages_for(records: u64) -> u64 {
    records.div_ceil(MEAN_SLOTS).max(1)
}

/// Writes a page with these slots, which are in order and at most [`MOST_SLOTS`]. `id` is the number
/// of the pack.
pub(crate) fn encode(
    id: u64,
    number: u64,
    pages: u64,
    slots: &[Slot],
    is_incomplete: bool,
) -> [u8; PAGE_LEN] {
    let mut page = [0; PAGE_LEN];
    page[10] = if is_incomplete { INCOMPLETE } else { 0 };
    let count = u16::try_from(slots.len()).expect("a page has few slots");
    page[8..10].copy_from_slice(&count.to_le_bytes());
    for (slot, bytes) in slots
        .iter()
        .zip(page[HEAD_LEN..].chunks_exact_mut(SLOT_LEN))
    {
        let (_, below) = place_of(slot.hash, pages);
        bytes[..4].copy_from_slice(&below.to_le_bytes());
        bytes[4..].copy_from_slice(&slot.place.to_le_bytes());
    }
    let sum = xxh3_64_with_seed(&page[8..], id.wrapping_add(number));
    page[..8].copy_from_slice(&sum.to_le_bytes());
    page
}

/// A page that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page<'a> {
    slots: &'a [u8],
    /// Slots are missing: what is not found here is lost.
    pub(crate) is_incomplete: bool,
}

impl<'a> Page<'a> {
    /// Takes the bytes of the page of that number in the pack of that number.
    ///
    /// # Errors
    ///
    /// Where they are not that page.
    pub(crate) fn read(bytes: &'a [u8; PAGE_LEN], id: u64, number: u64) -> Result<Self, Damage> {
        let (sum, summed) = bytes
            .split_first_chunk()
            .expect("a page is longer than its sum");
        if u64::from_le_bytes(*sum) != xxh3_64_with_seed(summed, id.wrapping_add(number)) {
            return Err(Damage::PageSum);
        }
        if bytes[10] & !INCOMPLETE != 0 {
            return Err(Damage::Newer);
        }
        let count = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        if count > MOST_SLOTS {
            return Err(Damage::Field);
        }
        Ok(Self::again(bytes))
    }

    /// As [`Page::read`], of bytes that were found to be that page before.
    pub(crate) fn again(bytes: &'a [u8; PAGE_LEN]) -> Self {
        let count = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        Self {
            slots: &bytes[HEAD_LEN..HEAD_LEN + count * SLOT_LEN],
            is_incomplete: bytes[10] & INCOMPLETE != 0,
        }
    }

    /// Returns what each slot holds of its hash, and where it leads.
    pub(crate) fn slots(self) -> impl Iterator<Item = (u32, Candidate)> + 'a {
        self.whole_slots().iter().map(read_slot)
    }

    fn whole_slots(self) -> &'a [[u8; SLOT_LEN]] {
        self.slots.as_chunks().0
    }

    /// Finds the records whose keys may have this hash.
    pub(crate) fn find(self, below: u32) -> impl Iterator<Item = Candidate> + 'a {
        let slots = self.whole_slots();
        let first = slots.partition_point(|slot| read_slot(slot).0 < below);
        slots[first..]
            .iter()
            .map(read_slot)
            .take_while(move |&(hash, _)| hash == below)
            .map(|(_, candidate)| candidate)
    }
}

/// Returns what a slot holds of its hash, and where it leads.
fn read_slot(slot: &[u8; SLOT_LEN]) -> (u32, Candidate) {
    let [a, b, c, d, place @ ..] = *slot;
    let place = u64::from_le_bytes(place);
    let len = u32::try_from(place >> 40).expect("24 bits are left");
    let candidate = Candidate {
        offset: place & (OFFSET_LIMIT - 1),
        len: (len & (LEN_LIMIT - 1)) as usize,
        lost: len & LOST != 0,
    };
    (u32::from_le_bytes([a, b, c, d]), candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let pages = 3;
        let mut slots: Vec<Slot> = (1..=300_u64)
            .map(|n| Slot::new(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n * 1000, n as usize))
            .filter(|slot| place_of(slot.hash, pages).0 == 1)
            .collect();
        slots.sort_unstable();
        let bytes = encode(70, 1, pages, &slots, false);
        let page = Page::read(&bytes, 70, 1).unwrap();
        for slot in &slots {
            let (_, below) = place_of(slot.hash, pages);
            let found: Vec<_> = page.find(below).collect();
            let want = Candidate {
                offset: slot.place & 0xff_ffff_ffff,
                len: (slot.place >> 40) as usize,
                lost: false,
            };
            assert_eq!(found, [want]);
            assert_eq!(page.find(below ^ 1).count(), 0);
        }
        assert!(!page.is_incomplete && page.slots().count() == slots.len());
        assert!(Page::read(&bytes, 71, 1).is_err(), "a page of another pack");
        assert!(
            Page::read(&bytes, 70, 2).is_err(),
            "a page in the place of another"
        );
    }

    #[test]
    fn reports_every_flipped_bit() {
        let good = encode(7, 0, 1, &[Slot::new(7, 16, 40)], true);
        for bit in (0..PAGE_LEN * 8).step_by(3) {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                Page::read(&bad, 7, 0).is_err(),
                "accepted a flip of bit {bit}"
            );
        }
    }

    #[test]
    fn a_lost_slot_keeps_its_place() {
        for pages in [1, 2, 7, 4_000, 1 << 31] {
            for page in [0, 1, pages / 2, pages - 1] {
                for below in [0, 1, 12_345_678, u32::MAX] {
                    let place = (page.min(pages - 1), below);
                    let slot = Slot::lost(place, pages);
                    assert_eq!(place_of(slot.hash, pages), place, "{pages}");
                    let bytes = encode(7, place.0, pages, &[slot], false);
                    let read = Page::read(&bytes, 7, place.0).unwrap();
                    assert!(read.find(below).all(|found| found.lost));
                    assert_eq!(read.find(below).count(), 1);
                }
            }
        }
    }

    #[test]
    fn a_slot_reads_back() {
        let slot = Slot::new(u64::MAX - 5, OFFSET_LIMIT - 1, 0xf_ffff);
        assert_eq!(Slot::from_bytes(slot.to_bytes()), slot);
        assert_eq!(place_of(u64::MAX, 9), (8, u32::MAX));
        assert_eq!(place_of(0, 9), (0, 0));
    }
}
