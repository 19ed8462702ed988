//! An entry as Redis holds it: one string, a line of text and then the value.
//!
//! ```text
//! bytes   what
//! 0       "kv1 "
//! 4       etag, 16 hexadecimal digits
//! 21      modified, nanoseconds since 1970, 20 decimal digits
//! 42      expires, milliseconds since 1970, 15 decimal digits; zeros are never
//! 58      bytes of the value, 10 decimal digits
//! 69      checksum of the value, 16 hexadecimal digits
//! 86      which checksum that is: x is XXH3-64, s the first 64 bits of SHA-1
//! 88      checksum of what stands before it and of the key, the first 64 bits of SHA-1, 16 digits
//! 104     a newline; then the value to the end
//! ```
//!
//! Fields are followed by a blank. All of it is text of fixed width because the scripts read and write
//! it too, and because `redis-cli` shows it. A script has no XXH3, so that what it computes itself (the
//! sums of `incr`) has the other checksum.

use sha1::{Digest as _, Sha1};
use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Deadline, Entry, Etag, Meta, Time, Value};

/// Bytes before the value.
pub(super) const HEADER_LEN: usize = 105;

/// Bytes of the header that its checksum covers.
pub(super) const COVERED_LEN: usize = 87;

/// Why bytes are no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// They are not what was written.
    Damaged(&'static str),
    /// A newer version wrote them.
    Newer,
}

/// What an index names: an entry, nothing, or something damaged.
pub(super) type Indexed = Option<Result<Meta, Bad>>;

/// What is said of a key of Redis that is no string, where an entry is to be.
pub(super) const FOREIGN: Bad = Bad::Damaged("it is of a type that another program made");

/// Returns an entry as it is stored.
pub(super) fn encode(
    key: &[u8],
    etag: Etag,
    modified: Time,
    expires: Option<Deadline>,
    value: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LEN + value.len());
    let expires = expires.map_or(0, Deadline::as_millis);
    let (len, sum) = (value.len(), xxh3_64(value));
    let text = format!(
        "kv1 {etag} {:020} {expires:015} {len:010} {sum:016x} x",
        modified.0
    );
    bytes.extend_from_slice(text.as_bytes());
    let sum = header_sum(&bytes, key);
    bytes.extend_from_slice(format!(" {sum}\n").as_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Reads what is known of an entry from its first bytes, all of them or only the header.
pub(super) fn decode_meta(key: &[u8], bytes: &[u8]) -> Result<Meta, Bad> {
    const MALFORMED: Bad = Bad::Damaged("its first line is malformed");
    let newer = |version: &[u8]| version.starts_with(b"kv") && version != b"kv1 ";
    let header = match bytes.split_at_checked(HEADER_LEN) {
        Some((header, _)) => header,
        None if bytes.get(..4).is_some_and(newer) => return Err(Bad::Newer),
        None => return Err(Bad::Damaged("it is too short")),
    };
    if newer(&header[..4]) {
        return Err(Bad::Newer);
    }
    // Of other text a part might begin within a character.
    let text = std::str::from_utf8(header)
        .ok()
        .filter(|text| text.is_ascii());
    let text = text.ok_or(MALFORMED)?;
    if header[COVERED_LEN] != b' ' || header[HEADER_LEN - 1] != b'\n' {
        return Err(MALFORMED);
    }
    if text.get(88..104) != Some(&header_sum(&header[..COVERED_LEN], key)) {
        return Err(Bad::Damaged("its first line does not have its checksum"));
    }
    let number = |at: std::ops::Range<usize>| -> Result<u64, Bad> {
        let digits = &text[at];
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_plain).ok_or(MALFORMED)
    };
    let expires = number(42..57)?;
    Ok(Meta {
        etag: text[4..20].parse().map_err(|_| MALFORMED)?,
        modified: Time(number(21..41)?),
        expires: match expires {
            0 => None,
            millis => Some(Deadline::from_millis(millis).ok_or(MALFORMED)?),
        },
        size: number(58..68)?,
    })
}

/// Reads an entry with its value, all of which is verified.
pub(super) fn decode(key: &[u8], bytes: Vec<u8>) -> Result<Entry, Bad> {
    let meta = decode_meta(key, &bytes)?;
    let value = &bytes[HEADER_LEN..];
    if value.len() as u64 != meta.size {
        return Err(Bad::Damaged("its value does not have its length"));
    }
    let sum = match bytes[86] {
        b'x' => format!("{:016x}", xxh3_64(value)),
        b's' => hex::encode(&Sha1::digest(value)[..8]),
        _ => return Err(Bad::Newer),
    };
    if bytes[69..85] != *sum.as_bytes() {
        return Err(Bad::Damaged("its value does not have its checksum"));
    }
    Ok(Entry {
        meta,
        value: Value::Whole {
            bytes,
            next: HEADER_LEN,
        },
    })
}

pub(super) fn header_sum(covered: &[u8], key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(covered);
    hash.update(key);
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Vec<u8> {
        let expires = Deadline::from_millis(5);
        encode(b"k", Etag(0xff), Time(7), expires, b"v\0")
    }

    #[test]
    fn every_flipped_bit_is_found() {
        for at in 0..entry().len() {
            for bit in 0..8 {
                let mut bytes = entry();
                bytes[at] ^= 1 << bit;
                assert!(decode(b"k", bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(decode(b"l", entry()).is_err());
        for len in 0..entry().len() {
            assert!(decode(b"k", entry()[..len].to_vec()).is_err());
        }
    }

    #[test]
    fn what_is_no_ascii_is_damage() {
        // With the right sum, as of one who wants to do harm.
        for at in [4, 20, 41, 57, 86] {
            let mut bytes = entry();
            bytes[at..at + 2].copy_from_slice("é".as_bytes());
            let sum = header_sum(&bytes[..COVERED_LEN], b"k");
            bytes[88..104].copy_from_slice(sum.as_bytes());
            assert!(matches!(decode(b"k", bytes), Err(Bad::Damaged(_))), "{at}");
        }
    }

    #[test]
    fn what_is_newer_is_told_apart() {
        let mut bytes = entry();
        bytes[2] = b'2';
        assert_eq!(decode(b"k", bytes).unwrap_err(), Bad::Newer);
        assert_eq!(decode_meta(b"k", b"kv2 short"), Err(Bad::Newer));
    }
}
