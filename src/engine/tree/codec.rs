//! The bytes of one entry file.
//!
//! ```text
//! kv1 <etag> <modified> <expires> <flags> <key length> <value length> <value sum> <header sum>\n
//! <the key, percent-encoded>\n
//! <the value, byte for byte, to the end of the file>
//! ```
//!
//! | field | digits | meaning |
//! |---|---|---|
//! | etag | 16 hex | 64 random bits, new with every write |
//! | modified | 19 decimal | nanoseconds since 1970-01-01 UTC |
//! | expires | 15 decimal | milliseconds since 1970-01-01 UTC; 0 is never |
//! | flags | 2 hex | bit 0: a tombstone, the key is removed; any other bit is refused |
//! | key length | 5 decimal | bytes of the key before its encoding |
//! | value length | 19 decimal | bytes of the value; with both lines, the size of the file |
//! | value sum | 16 hex | XXH3-64 of the value |
//! | header sum | 16 hex | XXH3-64 of the line before this field's blank, and of the encoded key |
//!
//! Hexadecimal digits are lower case. Every field has all its digits, so the first line has
//! [`LINE_LEN`] bytes and can be written last, when the length of the value is known. This file
//! does no I/O, never panics on any input, and finds accidents rather than attacks.

use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Deadline, Etag, Meta, StoreError, Time};

/// Bytes of the first line, its newline included.
pub(super) const LINE_LEN: usize = 120;
/// Bytes of the first line that the header sum covers.
pub(super) const SUMMED_LEN: usize = 102;
const MAGIC: &[u8] = b"kv1 ";
const TOMBSTONE: u64 = 1;

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) meta: Meta,
    pub(super) tombstone: bool,
    pub(super) key_len: usize,
    /// XXH3-64 of the value.
    pub(super) value_sum: u64,
}

impl Header {
    /// Tells whether the entry is there for a reader at `now`.
    pub(super) fn is_live(&self, now: Time) -> bool {
        !self.tombstone && self.meta.is_live(now)
    }
}

/// Writes the first line of an entry whose second is `key_line`.
pub(super) fn encode(header: &Header, key_line: &[u8]) -> [u8; LINE_LEN] {
    let mut line = [b' '; LINE_LEN];
    let mut rest = &mut line[..];
    put(&mut rest, MAGIC);
    put_hex(&mut rest, 16, header.meta.etag.0);
    // What packs of the past may hold beyond that has no more digits.
    put_number(&mut rest, 19, header.meta.modified.min(Time::LATEST).0, 10);
    let expires = header.meta.expires.map_or(0, Deadline::as_millis);
    put_number(&mut rest, 15, expires, 10);
    put_hex(&mut rest, 2, u64::from(header.tombstone) * TOMBSTONE);
    put_number(&mut rest, 5, header.key_len as u64, 10);
    put_number(&mut rest, 19, header.meta.size, 10);
    put_hex(&mut rest, 16, header.value_sum);
    let sum = header_sum(&line[..SUMMED_LEN], key_line);
    put_hex(&mut &mut line[SUMMED_LEN + 1..], 16, sum);
    line[LINE_LEN - 1] = b'\n';
    line
}

fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (now, later) = std::mem::take(rest).split_at_mut(bytes.len());
    now.copy_from_slice(bytes);
    *rest = later;
}

/// Writes the last `digits` digits of a number, and leaves the blank behind them.
fn put_number(rest: &mut &mut [u8], digits: usize, mut number: u64, base: u64) {
    let (now, later) = std::mem::take(rest).split_at_mut(digits);
    for digit in now.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % base) as usize];
        number /= base;
    }
    *rest = later.get_mut(1..).unwrap_or_default();
}

fn put_hex(rest: &mut &mut [u8], digits: usize, number: u64) {
    put_number(rest, digits, number, 16);
}

fn header_sum(summed: &[u8], key_line: &[u8]) -> u64 {
    let mut bytes = Vec::with_capacity(summed.len() + key_line.len());
    bytes.extend_from_slice(summed);
    bytes.extend_from_slice(key_line);
    xxh3_64(&bytes)
}

/// Tells whether a line of another version is one of this version but for that: its sum holds with the
/// version put back, which no newer writer would make so.
fn was_ours(line: &[u8; LINE_LEN], key_line: &[u8]) -> bool {
    let mut ours = *line;
    ours[..MAGIC.len()].copy_from_slice(MAGIC);
    let sum = header_sum(&ours[..SUMMED_LEN], key_line);
    let mut whole = ours;
    put_hex(&mut &mut whole[SUMMED_LEN + 1..], 16, sum);
    whole == ours
}

/// Reads the two lines at the beginning of an entry file. Returns what they say, the encoded key,
/// and how many bytes they take.
///
/// # Errors
///
/// [`Damage::Truncated`] where `bytes` end before the second newline; the caller decides whether
/// the file goes on.
pub(super) fn decode(bytes: &[u8]) -> Result<(Header, &[u8], usize), Damage> {
    let (line, rest) = bytes.split_first_chunk::<LINE_LEN>().ok_or_else(|| {
        let looks_right = MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]);
        if looks_right {
            Damage::Truncated
        } else {
            Damage::NotAnEntry
        }
    })?;
    if !line.starts_with(b"kv") {
        return Err(Damage::NotAnEntry);
    }
    let end = rest.iter().position(|&b| b == b'\n');
    // Only a version that could be one is "newer"; a flipped bit elsewhere fails the sum.
    let version = line[2..].split(|&b| b == b' ').next().unwrap_or_default();
    if version != b"1" {
        let digits = !version.is_empty() && version.iter().all(u8::is_ascii_digit);
        return Err(match digits {
            true if end.is_some_and(|end| was_ours(line, &rest[..end])) => Damage::HeaderSum,
            true => Damage::Newer,
            false => Damage::NotAnEntry,
        });
    }
    let end = end.ok_or(Damage::Truncated)?;
    let key_line = &rest[..end];

    let mut fields = Fields {
        rest: &line[MAGIC.len()..],
    };
    let etag = Etag(fields.take(16, 16)?);
    let modified = Time(fields.take(19, 10)?);
    let expires = fields.take(15, 10)?;
    let flags = fields.take(2, 16)?;
    let key_len = fields.take(5, 10)?;
    let size = fields.take(19, 10)?;
    let value_sum = fields.take(16, 16)?;
    let sum = fields.take(16, 16)?;
    if sum != header_sum(&line[..SUMMED_LEN], key_line) {
        return Err(Damage::HeaderSum);
    }
    // The sum holds: from here on a surprise is what another writer meant, not an accident.
    if flags & !TOMBSTONE != 0 {
        return Err(Damage::Newer);
    }
    let expires = match expires {
        0 => None,
        millis => Some(Deadline::from_millis(millis).ok_or(Damage::Field)?),
    };
    let header = Header {
        meta: Meta {
            etag,
            modified,
            expires,
            size,
        },
        tombstone: flags != 0,
        key_len: usize::try_from(key_len).map_err(|_| Damage::Field)?,
        value_sum,
    };
    Ok((header, key_line, LINE_LEN + end + 1))
}

/// What each byte counts as a digit; 255 if it is none. A listing reads 112 digits of each entry.
const DIGIT: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    /// Takes one field and the blank or newline behind it.
    fn take(&mut self, digits: usize, base: u64) -> Result<u64, Damage> {
        let (field, rest) = self.rest.split_at_checked(digits).ok_or(Damage::Field)?;
        let (end, rest) = rest.split_first().ok_or(Damage::Field)?;
        if *end != if rest.is_empty() { b'\n' } else { b' ' } {
            return Err(Damage::Field);
        }
        self.rest = rest;
        let (mut number, mut largest) = (0_u64, 0);
        for &digit in field {
            let digit = DIGIT[usize::from(digit)];
            largest = largest.max(digit);
            // 19 decimal digits and 16 hexadecimal ones cannot overflow.
            number = number.wrapping_mul(base).wrapping_add(u64::from(digit));
        }
        if u64::from(largest) < base {
            Ok(number)
        } else {
            Err(Damage::Field)
        }
    }
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    /// The file ends before its second line does.
    #[error("the file ends too early")]
    Truncated,
    /// The file does not begin as an entry does.
    #[error("it does not begin like an entry")]
    NotAnEntry,
    /// It begins like the entry of a later version.
    #[error("its version or one of its flags is unknown")]
    Newer,
    /// A field of the first line is not what its place asks for.
    #[error("its first line is malformed")]
    Field,
    #[error("the checksum of its header does not match")]
    HeaderSum,
    /// The second line is not the one encoding of a key of the stated length.
    #[error("its second line is no proper encoding of a key")]
    KeyLine,
    /// The file has another size than its first line says.
    #[error("it has another size than its header says")]
    Size,
    #[error("the checksum of its value does not match")]
    ValueSum,
    /// The checksum of a record in a pack does not match.
    #[error("the checksum of a record does not match")]
    RecordSum,
    /// The checksum of a hash page, of an index or of a footer does not match.
    #[error("the checksum of its index does not match")]
    PageSum,
    /// The file does not begin, or end, as a pack does.
    #[error("it is no pack")]
    NotAPack,
    /// It does not begin as a MANIFEST does.
    #[error("it is no MANIFEST")]
    NotAManifest,
    /// The last line of a MANIFEST is not the checksum of the others.
    #[error("the checksum in its last line is not that of MANIFEST")]
    ManifestSum,
    /// A record was damaged before and could not be saved.
    #[error("the record was damaged before and is lost")]
    Lost,
    /// The file is not there.
    #[error("it is missing")]
    Missing,
    /// The file is a link, a pipe, a directory or the like.
    #[error("it is no regular file, or lies behind a symbolic link")]
    NotAFile,
}

impl Damage {
    /// Says which file it is that is damaged, or newer.
    pub(super) fn at(self, path: PathBuf) -> StoreError {
        match self {
            Self::Newer => StoreError::Newer {
                path,
                what: self.to_string(),
            },
            _ => StoreError::damaged(path, self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header {
            meta: Meta {
                etag: Etag(0x0123_4567_89ab_cdef),
                modified: Time(1_732_158_611_000_000_000),
                expires: Deadline::from_millis(1_732_158_999_000),
                size: 5,
            },
            tombstone: false,
            key_len: 5,
            value_sum: xxh3_64(b"green"),
        }
    }

    fn file() -> Vec<u8> {
        [&encode(&sample(), b"color")[..], b"color\ngreen"].concat()
    }

    #[test]
    fn extremes_fit() {
        let header = Header {
            meta: Meta {
                etag: Etag(u64::MAX),
                modified: Time::LATEST,
                expires: Deadline::from_millis(crate::store::time::LATEST_DEADLINE_MS),
                size: i64::MAX.cast_unsigned(),
            },
            tombstone: true,
            key_len: 65_535,
            value_sum: u64::MAX,
        };
        let bytes = [&encode(&header, b"k")[..], b"k\n"].concat();
        assert_eq!(decode(&bytes).unwrap().0, header);
    }

    #[test]
    fn reports_every_truncation_of_the_header() {
        let bytes = file();
        for len in 0..LINE_LEN + 6 {
            assert!(decode(&bytes[..len]).is_err(), "accepted {len} bytes");
        }
    }

    #[test]
    fn reports_every_flipped_bit_of_the_header() {
        let good = file();
        for bit in 0..(LINE_LEN + 6) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "accepted a flip of bit {bit}");
        }
    }

    #[test]
    fn an_unknown_flag_or_version_is_newer_and_not_damaged() {
        let mut line = encode(&sample(), b"color");
        line[58] = b'2';
        let sum = header_sum(&line[..SUMMED_LEN], b"color");
        put_hex(&mut &mut line[SUMMED_LEN + 1..], 16, sum);
        let bytes = [&line[..], b"color\n"].concat();
        assert_eq!(decode(&bytes), Err(Damage::Newer));

        let mut line = encode(&sample(), b"color");
        line[2] = b'2';
        let flipped = [&line[..], b"color\n"].concat();
        assert_eq!(decode(&flipped), Err(Damage::HeaderSum));
        let sum = header_sum(&line[..SUMMED_LEN], b"color");
        put_hex(&mut &mut line[SUMMED_LEN + 1..], 16, sum);
        let newer = [&line[..], b"color\n"].concat();
        assert_eq!(decode(&newer), Err(Damage::Newer));
    }
}
