//! An entry as a line of two columns: the key, a tab and the value.
//!
//! In both, `\t` is a tab, `\n` a newline and `\\` a backslash; other bytes stand for themselves.

use memchr::{memchr, memchr2};

use crate::store::Key;
use crate::wire::record::Record;

/// Reads a line without its newline. `decoded` is overwritten where there is an escape; else the
/// record points into the line.
///
/// # Errors
///
/// A text for people.
pub fn read(line: &[u8], decoded: &mut Vec<u8>) -> Result<Record, String> {
    let (is_decoded, key, value) = match memchr2(b'\t', b'\\', line) {
        Some(tab) if line[tab] == b'\t' && memchr2(b'\t', b'\\', &line[tab + 1..]).is_none() => {
            (false, 0..tab, tab + 1..line.len())
        }
        _ => {
            let len = decode(line, decoded)?;
            (true, 0..len, len..decoded.len())
        }
    };
    let bytes = if is_decoded { &**decoded } else { line };
    Key::check(&bytes[key.clone()]).map_err(|err| err.to_string())?;
    Ok(Record {
        is_decoded,
        key,
        value,
        modified: None,
        expires: None,
        namespace: None,
    })
}

/// Decodes the key and behind it the value, and returns the length of the key.
#[cold]
fn decode(line: &[u8], decoded: &mut Vec<u8>) -> Result<usize, String> {
    let Some(tab) = memchr(b'\t', line) else {
        return Err("it has no tab between key and value".to_owned());
    };
    let (key, value) = (&line[..tab], &line[tab + 1..]);
    if memchr(b'\t', value).is_some() {
        return Err("it has more than one tab; inside of a value it is `\\t`".to_owned());
    }
    decoded.clear();
    unescape(key, decoded)?;
    let len = decoded.len();
    unescape(value, decoded)?;
    Ok(len)
}

fn unescape(mut bytes: &[u8], decoded: &mut Vec<u8>) -> Result<(), String> {
    while let Some(at) = memchr(b'\\', bytes) {
        decoded.extend_from_slice(&bytes[..at]);
        decoded.push(match bytes.get(at + 1) {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'\\') => b'\\',
            Some(&other) => {
                let shown = super::text::escape(&[other]);
                let known = "there are `\\t`, `\\n` and `\\\\`";
                return Err(format!("`\\{shown}` is no escape: {known}"));
            }
            None => return Err("its key or value ends in a single backslash".to_owned()),
        });
        bytes = &bytes[at + 2..];
    }
    decoded.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
        let mut decoded = b"what was there before".to_vec();
        let record = read(line, &mut decoded)?;
        let (key, value) = record.entry(line, &decoded);
        Ok((key.to_vec(), value.to_vec()))
    }

    fn escape(bytes: &[u8]) -> Vec<u8> {
        let mut escaped = Vec::new();
        for &byte in bytes {
            match byte {
                b'\t' => escaped.extend(b"\\t"),
                b'\n' => escaped.extend(b"\\n"),
                b'\\' => escaped.extend(b"\\\\"),
                _ => escaped.push(byte),
            }
        }
        escaped
    }

    #[test]
    fn any_bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        let parts: [&[u8]; 8] = [
            b"plain",
            b"a\tb",
            b"a\nb",
            b"\\",
            b"\\t",
            b"\\\\n\t",
            &all[1..],
            b"\xff\xfe",
        ];
        for key in parts {
            for value in parts.into_iter().chain([&b""[..], &all]) {
                let line = [&*escape(key), b"\t", &escape(value)].concat();
                assert!(!line.contains(&b'\n'));
                let read = read_line(&line).unwrap();
                assert_eq!((&*read.0, &*read.1), (key, value));
            }
        }
    }

    #[test]
    fn a_line_without_an_escape_is_not_copied() {
        let mut decoded = Vec::new();
        let record = read(b"key\tvalue", &mut decoded).unwrap();
        assert!(!record.is_decoded && decoded.is_empty());
        let record = read(b"key\tva\\\\lue", &mut decoded).unwrap();
        assert!(record.is_decoded && decoded == b"keyva\\lue");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, why) in [
            ("", "no tab"),
            ("key", "no tab"),
            ("k\\tv", "no tab"),
            ("k\tv\t", "more than one tab"),
            ("k\t\\\\\tv", "more than one tab"),
            ("k\t\\x41", "`\\x` is no escape"),
            ("k\\0\tv", "`\\0` is no escape"),
            ("k\t\\r", "`\\r` is no escape"),
            ("k\t\\", "a single backslash"),
            ("k\\\tv", "a single backslash"),
            ("\tv", "cannot be empty"),
            ("a\0b\tv", "NUL"),
        ] {
            let err = read_line(line.as_bytes()).unwrap_err();
            assert!(err.contains(why), "{line:?}: {err}");
        }
        let long = format!("{}\tv", "k".repeat(65_536));
        assert!(
            read_line(long.as_bytes())
                .unwrap_err()
                .contains("65535 bytes")
        );
    }
}
