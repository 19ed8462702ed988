//! The bytes of a record, and the numbers in front of it.
//!
//! ```text
//! sum            8   XXH3-64 of all that follows, seeded with the number of the pack
//! flags          1   bit 0: a tombstone, the key is removed; bit 1: it expires; others are refused
//! key length     1–  as a varint
//! value length   1–  as a varint
//! modified       1–  as a varint, nanoseconds since the base of the pack
//! expires        1–  as a varint, milliseconds since 1970-01-01 UTC; only with bit 1
//! etag           8   64 random bits
//! key, value         their bytes
//! ```
//!
//! Fixed numbers are little-endian. A varint has seven bits a byte, the lowest first, and the top
//! bit of every byte but the last is set (LEB128); only the shortest form is one. An entry of today's
//! usual size, without expiry and written together with the others of its pack, has a header of 20
//! bytes.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::store::key::MAX_KEY_LEN;
use crate::store::{Deadline, Etag, Key, Meta, Time};

use super::super::codec::Damage;

/// A value of more bytes stays in a file of its own, which wastes little.
pub(crate) const LONGEST_VALUE: u64 = 16 * 1024;
/// Bytes of the sum.
const SUM_LEN: usize = 8;
/// Bytes of the longest header: flags, four varints and an etag behind the sum.
pub(crate) const LONGEST_HEADER: usize = SUM_LEN + 1 + 3 + 3 + 10 + 10 + 8;
/// Bytes of the longest record.
pub(crate) const LONGEST_RECORD: usize = LONGEST_HEADER + MAX_KEY_LEN + LONGEST_VALUE as usize;

const TOMBSTONE: u8 = 1;
const EXPIRES: u8 = 2;

/// One record: a key, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) meta: Meta,
    /// The key is removed; the value is empty.
    pub(crate) tombstone: bool,
}

impl Record<'_> {
    /// Tells whether the entry is there for a reader at `now`.
    pub(crate) fn is_live(&self, now: Time) -> bool {
        !self.tombstone && !self.has_expired(now)
    }

    /// Tells whether the entry had a deadline that is over.
    pub(crate) fn has_expired(&self, now: Time) -> bool {
        !self.meta.is_live(now)
    }
}

/// What the records of one pack have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The number of the pack: a record of one pack is none of another.
    pub(crate) id: u64,
    /// No record was modified before this.
    pub(crate) base: Time,
}

/// Adds a record to `out`.
pub(crate) fn encode(record: &Record<'_>, frame: Frame, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; SUM_LEN]);
    let expires = record.meta.expires;
    let mut flags = if record.tombstone { TOMBSTONE } else { 0 };
    if expires.is_some() {
        flags |= EXPIRES;
    }
    out.push(flags);
    put_varint(out, record.key.len() as u64);
    put_varint(out, record.value.len() as u64);
    put_varint(out, record.meta.modified.0.saturating_sub(frame.base.0));
    if let Some(expires) = expires {
        put_varint(out, expires.as_millis());
    }
    out.extend_from_slice(&record.meta.etag.0.to_le_bytes());
    out.extend_from_slice(record.key);
    out.extend_from_slice(record.value);
    let sum = xxh3_64_with_seed(&out[start + SUM_LEN..], frame.id);
    out[start..start + SUM_LEN].copy_from_slice(&sum.to_le_bytes());
}

/// Reads the record at the beginning of `bytes`, and says how many bytes it has.
///
/// # Errors
///
/// [`Damage::Truncated`] where `bytes` end before the record does.
#[inline]
pub(crate) fn decode(bytes: &[u8], frame: Frame) -> Result<(Record<'_>, usize), Damage> {
    let mut rest = bytes;
    let sum = take_u64(&mut rest)?;
    let summed = rest;
    let flags = take(&mut rest, 1)?[0];
    let key_len = take_len(&mut rest, MAX_KEY_LEN as u64)?;
    let value_len = take_len(&mut rest, LONGEST_VALUE)?;
    let since = take_varint(&mut rest)?;
    // An unknown flag may change what follows, so only the sum tells whether it was meant.
    let is_known = flags & !(TOMBSTONE | EXPIRES) == 0;
    let expires = if flags & EXPIRES == 0 {
        None
    } else {
        Some(take_varint(&mut rest)?)
    };
    let etag = Etag(take_u64(&mut rest)?);
    let key = take(&mut rest, key_len)?;
    let value = take(&mut rest, value_len)?;
    let len = summed.len() - rest.len();
    if xxh3_64_with_seed(&summed[..len], frame.id) != sum {
        return Err(if is_known {
            Damage::RecordSum
        } else {
            Damage::Newer
        });
    }
    if !is_known {
        return Err(Damage::Newer);
    }
    let expires = match expires {
        None => None,
        Some(millis) => Some(Deadline::from_millis(millis).ok_or(Damage::Field)?),
    };
    let record = Record {
        key,
        value,
        meta: Meta {
            etag,
            modified: Time(frame.base.0.checked_add(since).ok_or(Damage::Field)?),
            expires,
            size: value_len as u64,
        },
        tombstone: flags & TOMBSTONE != 0,
    };
    if Key::check(key).is_err() || (record.tombstone && value_len > 0) {
        return Err(Damage::Field);
    }
    Ok((record, SUM_LEN + len))
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a number off the beginning of `rest`.
#[inline]
pub(crate) fn take_varint(rest: &mut &[u8]) -> Result<u64, Damage> {
    // Most have one byte.
    if let [byte @ ..0x80, behind @ ..] = *rest {
        *rest = behind;
        return Ok(u64::from(*byte));
    }
    take_long_varint(rest)
}

fn take_long_varint(rest: &mut &[u8]) -> Result<u64, Damage> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take(rest, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
            return Err(Damage::Field);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Damage::Field)
}

#[inline]
fn take_len(rest: &mut &[u8], longest: u64) -> Result<usize, Damage> {
    let len = take_varint(rest)?;
    if len > longest {
        return Err(Damage::Field);
    }
    usize::try_from(len).map_err(|_| Damage::Field)
}

#[inline]
pub(crate) fn take_u64(rest: &mut &[u8]) -> Result<u64, Damage> {
    let (bytes, behind) = rest.split_first_chunk().ok_or(Damage::Truncated)?;
    *rest = behind;
    Ok(u64::from_le_bytes(*bytes))
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Damage> {
    let (taken, behind) = rest.split_at_checked(len).ok_or(Damage::Truncated)?;
    *rest = behind;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Time = Time(1_732_158_611_000_000_000);
    const FRAME: Frame = Frame { id: 7, base: BASE };

    fn sample() -> Record<'static> {
        Record {
            key: b"user:1:0123456",
            value: b"hello",
            meta: Meta {
                etag: Etag(0x0123_4567_89ab_cdef),
                modified: BASE,
                expires: None,
                size: 5,
            },
            tombstone: false,
        }
    }

    fn bytes_of(record: &Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(record, FRAME, &mut bytes);
        bytes
    }

    #[test]
    fn decodes_what_it_encoded() {
        let mut table = vec![sample()];
        table.push(Record {
            value: b"",
            meta: Meta {
                size: 0,
                ..sample().meta
            },
            tombstone: true,
            ..sample()
        });
        table.push(Record {
            meta: Meta {
                modified: Time(u64::MAX),
                expires: Deadline::from_millis(crate::store::time::LATEST_DEADLINE_MS),
                ..sample().meta
            },
            ..sample()
        });
        for record in table {
            let mut bytes = bytes_of(&record);
            let len = bytes.len();
            bytes.extend_from_slice(b"more");
            assert_eq!(decode(&bytes, FRAME), Ok((record, len)));
            assert!(len - record.key.len() - record.value.len() <= LONGEST_HEADER);
        }
        assert_eq!(bytes_of(&sample()).len() - 14 - 5, 20);
    }

    #[test]
    fn reports_every_truncation_and_every_flipped_bit() {
        let good = bytes_of(&Record {
            meta: Meta {
                expires: Deadline::from_millis(77),
                ..sample().meta
            },
            ..sample()
        });
        for len in 0..good.len() {
            assert_eq!(
                decode(&good[..len], FRAME),
                Err(Damage::Truncated),
                "{len} bytes"
            );
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad, FRAME).is_err(), "accepted a flip of bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_pack_is_none_of_this() {
        let bytes = bytes_of(&sample());
        let other = Frame { id: 8, ..FRAME };
        assert_eq!(decode(&bytes, other), Err(Damage::RecordSum));
    }

    #[test]
    fn an_unknown_flag_is_newer() {
        let mut bytes = bytes_of(&sample());
        bytes[SUM_LEN] |= 0x10;
        let sum = xxh3_64_with_seed(&bytes[SUM_LEN..], FRAME.id);
        bytes[..SUM_LEN].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(decode(&bytes, FRAME), Err(Damage::Newer));
    }

    #[test]
    fn a_number_has_one_form() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            assert_eq!(take_varint(&mut &bytes[..]), Ok(number));
        }
        for bad in [&[0x80, 0][..], &[0xff; 10], &[0x80; 11]] {
            assert_eq!(take_varint(&mut &bad[..]), Err(Damage::Field), "{bad:?}");
        }
    }
}
