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
