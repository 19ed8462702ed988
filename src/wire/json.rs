//! Entries as JSON: one object a line, as `ls --json` and `export` write them.
//!
//! ```json
//! {"key":"color","value":"green","size":5,"modified":"…","expires":null,"etag":"…"}
//! ```
//!
//! A key or value that is not UTF-8 has the name `key_base64` or `value_base64` (RFC 4648, section
//! 4, with padding).

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::store::Meta;
use crate::wire::time::{rfc3339, rfc3339_deadline};

/// Writes the beginning of an object: a brace and the key.
///
/// # Errors
///
/// Those of `out`, as with all functions here.
pub fn begin(out: &mut dyn Write, key: &[u8]) -> io::Result<()> {
    out.write_all(b"{")?;
    write_bytes(out, "key", key)
}

/// Writes a key as a further member.
pub(super) fn key(out: &mut dyn Write, key: &[u8]) -> io::Result<()> {
    out.write_all(b",")?;
    write_bytes(out, "key", key)
}

/// Writes the value behind the key.
///
/// # Errors
///
/// Those of `out`.
pub fn value(out: &mut dyn Write, value: &[u8]) -> io::Result<()> {
    out.write_all(b",")?;
    write_bytes(out, "value", value)
}

/// Writes a further member, whose value is text.
///
/// # Errors
///
/// Those of `out`.
pub fn member(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    out.write_all(b",")?;
    first(out, name, text)
}

/// Writes a name and its value, which is text, without a comma.
///
/// # Errors
///
/// Those of `out`.
pub fn first(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    write!(out, "\"{name}\":")?;
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// Writes what is known of the entry, the closing brace and a newline.
///
/// # Errors
///
/// Those of `out`.
pub fn end(out: &mut dyn Write, meta: &Meta) -> io::Result<()> {
    write!(
        out,
        ",\"size\":{},\"modified\":\"{}\",",
        meta.size,
        rfc3339(meta.modified)
    )?;
    expires(out, meta)?;
    writeln!(out, ",\"etag\":\"{}\"}}", meta.etag)
}

/// Writes when the entry expires, without a comma.
///
/// # Errors
///
/// Those of `out`.
pub fn expires(out: &mut dyn Write, meta: &Meta) -> io::Result<()> {
    match meta.expires {
        None => out.write_all(b"\"expires\":null"),
        Some(deadline) => write!(out, "\"expires\":\"{}\"", rfc3339_deadline(deadline)),
    }
}

fn write_bytes(out: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    match std::str::from_utf8(bytes) {
        Ok(text) => first(out, name, text),
        Err(_) => {
            write!(out, "\"{name}_base64\":\"")?;
            out.write_all(STANDARD.encode(bytes).as_bytes())?;
            out.write_all(b"\"")
        }
    }
}

/// Reads a command of a batch: an array of strings, or of objects `{"base64": …}` for other bytes.
///
/// # Errors
///
/// A text for people.
pub fn read_words(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    use serde_json::Value;

    let array: Vec<Value> = serde_json::from_slice(line).map_err(|err| err.to_string())?;
    let words = array.into_iter().map(|word| match word {
        Value::String(text) => Some(text.into_bytes()),
        Value::Object(object) if object.len() == 1 => {
            STANDARD.decode(object.get("base64")?.as_str()?).ok()
        }
        _ => None,
    });
    words
        .collect::<Option<_>>()
        .ok_or_else(|| "each word is a string or `{\"base64\": …}`".to_owned())
}

/// Writes a value behind the key part by part, for one that is too large to be held.
#[derive(Debug)]
pub struct ValueWriter {
    is_text: bool,
    /// Bytes that make no whole character, or no whole group of three, without what follows.
    carry: Vec<u8>,
}

impl ValueWriter {
    /// Begins with the member's name, which tells whether the whole value is UTF-8.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn begin(out: &mut dyn Write, is_text: bool) -> io::Result<Self> {
        let name = if is_text { "value" } else { "value_base64" };
        write!(out, ",\"{name}\":\"")?;
        Ok(Self {
            is_text,
            carry: Vec::new(),
        })
    }

    /// Writes the next part.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn part(&mut self, out: &mut dyn Write, part: &[u8]) -> io::Result<()> {
        self.carry.extend_from_slice(part);
        let whole = if self.is_text {
            match std::str::from_utf8(&self.carry) {
                Ok(text) => text.len(),
                Err(err) => err.valid_up_to(),
            }
        } else {
            self.carry.len() / 3 * 3
        };
        let rest = self.carry.split_off(whole);
        self.write_whole(out)?;
        self.carry = rest;
        Ok(())
    }

    /// Writes what is left, and the closing quote.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn end(self, out: &mut dyn Write) -> io::Result<()> {
        self.write_whole(out)?;
        out.write_all(b"\"")
    }

    fn write_whole(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_text {
            // Escapes do not depend on what stands beside them.
            let quoted = serde_json::to_vec(&String::from_utf8_lossy(&self.carry))?;
            out.write_all(&quoted[1..quoted.len() - 1])
        } else {
            out.write_all(STANDARD.encode(&self.carry).as_bytes())
        }
    }
}
