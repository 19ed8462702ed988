//! The second line of an entry: its key as text.
//!
//! Bytes 00–1F, 7F, `%` and bytes that are not UTF-8 are written as `%` and two upper-case
//! hexadecimal digits, all others as they are. There is exactly one encoding of a key.

use std::borrow::Cow;

use percent_encoding::percent_encode_byte;

use crate::store::percent;

/// Encodes a key as a line of text, without a newline.
pub(super) fn encode(key: &[u8]) -> Cow<'_, [u8]> {
    if is_plain(key) {
        return Cow::Borrowed(key);
    }
    let mut line = Vec::with_capacity(key.len() * 3);
    for chunk in key.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match must_be_encoded(byte) {
                true => line.extend(percent_encode_byte(byte).bytes()),
                false => line.push(byte),
            }
        }
        for &byte in chunk.invalid() {
            line.extend(percent_encode_byte(byte).bytes());
        }
    }
    Cow::Owned(line)
}

/// Decodes a line; `None` unless it is the encoding of a key.
pub(super) fn decode(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    if is_plain(line) {
        return Some(Cow::Borrowed(line));
    }
    let key = percent::decode(line)?;
    (*encode(&key) == *line).then_some(Cow::Owned(key))
}

fn is_plain(bytes: &[u8]) -> bool {
    !bytes.iter().copied().any(must_be_encoded) && std::str::from_utf8(bytes).is_ok()
}

fn must_be_encoded(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f || byte == b'%'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255 {
            for key in [vec![byte], vec![b'a', byte], vec![byte, 0xbf, b'z']] {
                let line = encode(&key).into_owned();
                assert!(!line.contains(&b'\n') && std::str::from_utf8(&line).is_ok());
                assert_eq!(decode(&line).as_deref(), Some(&key[..]), "{key:?}");
            }
        }
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(*encode("naïve/key 1".as_bytes()), *"naïve/key 1".as_bytes());
        assert_eq!(*encode(b"100%\n\xff"), *b"100%25%0A%FF");
    }

    #[test]
    fn any_other_encoding_is_refused() {
        for line in [
            &b"%41"[..],
            b"%0a",
            b"%",
            b"%2",
            b"%zz",
            b"\xff",
            b"%C3%A9",
            b"a\tb",
        ] {
            assert_eq!(decode(line), None, "{line:?}");
        }
    }
}
