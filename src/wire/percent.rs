//! Bytes as they stand in the path and the query of a URL (RFC 3986, section 2.1).

/// Writes every byte that is not of `A-Za-z0-9_~-` as `%` and two hexadecimal digits. A dot and a slash
/// are written so too, as they may mean a step in a directory to whoever is between.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"_~-".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    text
}

/// Reads text in which `%` and two hexadecimal digits stand for a byte, and anything else, `+` too,
/// for itself; `None` where a `%` has no digits behind it.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, behind @ ..] = rest else {
            return None;
        };
        bytes.push(digit(*high)? << 4 | digit(*low)?);
        rest = behind;
    }
    Some(bytes)
}

fn digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), Some(all));
        assert_eq!(encode(b"a-_~9/.%"), "a-_~9%2F%2E%25");
    }

    #[test]
    fn any_byte_can_be_written() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("a+b", b"a+b"),
            ("%2F%2f/..", b"///.."),
            ("%00%ff%25", b"\0\xff%"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        for bad in ["%", "%4", "a%zz", "%+1", "%%41"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
