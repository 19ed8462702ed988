//! Bytes as they stand in the path and the query of a URL (RFC 3986, section 2.1).

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
