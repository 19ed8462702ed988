//! The second line of an entry: its key as text.
//!
//! Bytes 00–1F, 7F, `%` and bytes that are not UTF-8 are written as `%` and two upper-case
//! hexadecimal digits, all others as they are. There is exactly one encoding of a key.

use std::borrow::Cow;

/// Encodes a key as a line of text, without a newline.
pub(super) fn encode(key: &[u8]) -> Cow<'_, [u8]> {
    if is_plain(key) {
        return Cow::Borrowed(key);
    }
    let mut line = Vec::with_capacity(key.len() * 3);
    for chunk in key.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            if must_be_encoded(byte) {
                push_encoded(&mut line, byte)
            } else {
                line.push(byte)
            }
        }
        for &byte in chunk.invalid() {
            push_encoded(&mut line, byte);
        }
    }
    Cow::Owned(line)
}

/// Decodes a line; `None` unless it is the encoding of a key.
pub(super) fn decode(line: &[u8]) -> Option<Cow<'_, [u8]>> {
    if is_plain(line) {
        return Some(Cow::Borrowed(line));
    }
    let mut key = Vec::with_capacity(line.len());
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        if byte == b'%' {
            let digits = [*bytes.next()?, *bytes.next()?];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            key.extend_from_slice(&decoded);
        } else {
            key.push(byte);
        }
    }
    (*encode(&key) == *line).then_some(Cow::Owned(key))
}

fn is_plain(bytes: &[u8]) -> bool {
    !bytes.iter().copied().any(must_be_encoded) && std::str::from_utf8(bytes).is_ok()
}

fn must_be_encoded(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f || byte == b'%'
}

fn push_encoded(line: &mut Vec<u8>, byte: u8) {
    let mut digits = [0; 2];
    // Two digits always fit one byte.
    if hex::encode_to_slice([byte], &mut digits).is_ok() {
        digits.make_ascii_uppercase();
        line.push(b'%');
        line.extend_from_slice(&digits);
    }
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
