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
    write_string(out, text)
}

/// Writes what is known of the entry, the closing brace and a newline.
///
/// # Errors
///
/// Those of `out`.
pub fn end(out: &mut dyn Write, meta: &Meta) -> io::Result<()> {
    write!(
        out,
        ",\"size\":{},\"modified\":\"{}\"",
        meta.size,
        rfc3339(meta.modified)
    )?;
    match meta.expires {
        None => out.write_all(b",\"expires\":null")?,
        Some(deadline) => write!(out, ",\"expires\":\"{}\"", rfc3339_deadline(deadline))?,
    }
    writeln!(out, ",\"etag\":\"{}\"}}", meta.etag)
}

fn write_bytes(out: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            write!(out, "\"{name}\":")?;
            write_string(out, text)
        }
        Err(_) => {
            write!(out, "\"{name}_base64\":\"")?;
            out.write_all(STANDARD.encode(bytes).as_bytes())?;
            out.write_all(b"\"")
        }
    }
}

fn write_string(out: &mut dyn Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Deadline, Etag, Time};

    #[test]
    fn an_object_is_what_the_module_shows() {
        let meta = Meta {
            etag: Etag(10),
            modified: Time(0),
            expires: None,
            size: 2,
        };
        let mut out = Vec::new();
        begin(&mut out, b"a\"b\n").unwrap();
        value(&mut out, b"\xff\x00").unwrap();
        end(&mut out, &meta).unwrap();
        let want = "{\"key\":\"a\\\"b\\n\",\"value_base64\":\"/wA=\",\"size\":2,\
                    \"modified\":\"1970-01-01T00:00:00.000000000Z\",\"expires\":null,\
                    \"etag\":\"000000000000000a\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);

        let meta = Meta {
            expires: Deadline::from_millis(1),
            ..meta
        };
        let mut out = Vec::new();
        end(&mut out, &meta).unwrap();
        assert!(out.windows(11).any(|w| w == b"00:00:00.00"), "{out:?}");
    }

    #[test]
    fn words_are_strings_or_bytes() {
        let words = read_words(br#"["put", "k\n", {"base64": "/wA="}]"#);
        assert_eq!(
            words,
            Ok(vec![b"put".to_vec(), b"k\n".to_vec(), b"\xff\0".to_vec()])
        );
        for bad in [
            "",
            "{}",
            "[1]",
            "[[]]",
            r#"["a""#,
            r#"[{"base64":"?"}]"#,
            r#"["a"] x"#,
        ] {
            assert!(read_words(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_make_the_same_value_as_the_whole() {
        for bytes in ["héllo \"w\n€rld".as_bytes(), b"\xff\x00\x01abcdefg"] {
            let mut whole = Vec::new();
            value(&mut whole, bytes).unwrap();
            for size in 1..bytes.len() {
                let mut out = Vec::new();
                let is_text = std::str::from_utf8(bytes).is_ok();
                let mut writer = ValueWriter::begin(&mut out, is_text).unwrap();
                for part in bytes.chunks(size) {
                    writer.part(&mut out, part).unwrap();
                }
                writer.end(&mut out).unwrap();
                assert_eq!(out, whole, "in parts of {size}");
            }
        }
    }
}
