//! A line that brings an entry: JSON as [`super::json`] writes it, or [`super::tsv`].
//!
//! Of an object, these members count; others are passed over, `size` and `etag` too:
//!
//! | member | what it is |
//! |---|---|
//! | `key` or `key_base64` | the key, as text or as RFC 4648, section 4, with padding |
//! | `value` or `value_base64` | the value, in the same way |
//! | `modified` | when it was written, RFC 3339; absent or null: now |
//! | `expires` | when it expires, the same; absent or null: never |
//! | `namespace` | where it belongs; absent or null: wherever the others go |

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::store::{Deadline, Key, Namespace, Time};
use crate::wire::time::{read_expires, read_modified};

/// What a line says, and where its key and its value are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whether they are in the bytes that were decoded, or in the line itself.
    pub(super) is_decoded: bool,
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    /// When the entry was written.
    pub modified: Option<Time>,
    /// When it expires.
    pub expires: Option<Deadline>,
    /// Where it belongs.
    pub namespace: Option<Namespace>,
}

impl Record {
    /// Returns the key and the value, from the two buffers that the record was read with.
    pub fn entry<'a>(&self, line: &'a [u8], decoded: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let bytes = if self.is_decoded { decoded } else { line };
        (&bytes[self.key.clone()], &bytes[self.value.clone()])
    }
}

/// The members that count.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    key: Option<Text<'a>>,
    #[serde(borrow)]
    key_base64: Option<Text<'a>>,
    #[serde(borrow)]
    value: Option<Text<'a>>,
    #[serde(borrow)]
    value_base64: Option<Text<'a>>,
    #[serde(borrow)]
    modified: Option<Text<'a>>,
    #[serde(borrow)]
    expires: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
}

/// Text that stays where it is unless it holds an escape. It has a type of its own as serde would
/// copy a `Cow` inside of an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads an object; `decoded` is overwritten.
///
/// # Errors
///
/// A text for people.
pub fn read_json(line: &[u8], decoded: &mut Vec<u8>) -> Result<Record, String> {
    // An array would be taken for the members in their order.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is no JSON object".to_owned());
    }
    let members: Members<'_> = serde_json::from_slice(line).map_err(|err| explain(&err))?;
    decoded.clear();
    let key = decode("key", members.key, members.key_base64, decoded)?;
    let value = decode("value", members.value, members.value_base64, decoded)?;
    Key::check(&decoded[key.clone()]).map_err(|err| err.to_string())?;
    let modified = members.modified.map(|text| {
        let time = read_modified(&text.0);
        time.map_err(|why| format!("`modified` {why}"))
    });
    let expires = members.expires.map(|text| {
        let deadline = read_expires(&text.0);
        deadline.map_err(|why| format!("`expires` {why}"))
    });
    let namespace = members.namespace.map(|name| {
        let name: Result<Namespace, _> = name.0.parse();
        name.map_err(|err| err.to_string())
    });
    Ok(Record {
        is_decoded: true,
        key,
        value,
        modified: modified.transpose()?,
        expires: expires.transpose()?,
        namespace: namespace.transpose()?,
    })
}

/// Adds the bytes of one of two members, and returns where they are.
fn decode(
    name: &str,
    text: Option<Text<'_>>,
    base64: Option<Text<'_>>,
    decoded: &mut Vec<u8>,
) -> Result<Range<usize>, String> {
    let start = decoded.len();
    match (text, base64) {
        (Some(text), None) => decoded.extend_from_slice(text.0.as_bytes()),
        (None, Some(base64)) => STANDARD
            .decode_vec(base64.0.as_bytes(), decoded)
            .map_err(|err| format!("`{name}_base64` is not base64: {err}"))?,
        (None, None) => return Err(format!("it has no `{name}` and no `{name}_base64`")),
        (Some(_), Some(_)) => return Err(format!("it has both `{name}` and `{name}_base64`")),
    }
    Ok(start..decoded.len())
}

/// Says what is wrong with JSON that is a single line.
fn explain(err: &serde_json::Error) -> String {
    let text = err.to_string();
    let place = format!(" at line {} column {}", err.line(), err.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} at column {}", err.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Etag, Meta};
    use crate::wire::json;

    type Read = (Vec<u8>, Vec<u8>, Record);

    fn read(line: &[u8]) -> Result<Read, String> {
        let mut decoded = b"what was there before".to_vec();
        let record = read_json(line, &mut decoded)?;
        let (key, value) = record.entry(line, &decoded);
        Ok((key.to_vec(), value.to_vec(), record))
    }

    #[test]
    fn what_is_written_is_read() {
        let texts = [
            "plain",
            "quote \" \\ \n\t\r \u{8}\u{c} \u{1}\u{7f}",
            "€ \u{1F600}",
            "",
        ];
        let all: Vec<u8> = (0..=255).collect();
        let texts = texts.iter().map(|text| text.as_bytes());
        for value in texts.chain([&all[..], b"\xff"]) {
            for key in [b"k".as_slice(), b"a/\xfe", &all[1..]] {
                for expires in [None, Deadline::from_millis(1_732_158_611_500)] {
                    let meta = Meta {
                        etag: Etag(10),
                        modified: Time(1_732_158_611_000_000_001),
                        expires,
                        size: value.len() as u64,
                    };
                    let mut line = Vec::new();
                    json::begin(&mut line, key).unwrap();
                    json::member(&mut line, "namespace", "häuser").unwrap();
                    json::value(&mut line, value).unwrap();
                    json::end(&mut line, &meta).unwrap();
                    let (read_key, read_value, record) = read(&line).unwrap();
                    assert_eq!((&*read_key, &*read_value), (key, value));
                    assert_eq!(record.modified, Some(meta.modified));
                    assert_eq!(record.expires, expires);
                    assert_eq!(record.namespace, Some("häuser".parse().unwrap()));
                }
            }
        }
    }

    #[test]
    fn only_key_and_value_are_needed() {
        let line = br#" {"value":"\u00e4\ud83d\ude00","more":[{"key":1}],"size":"x","key":"k",
            "etag":7,"modified":null,"expires":null,"namespace":null} "#;
        let (key, value, record) = read(line).unwrap();
        assert_eq!((&*key, &*value), (&b"k"[..], "ä\u{1F600}".as_bytes()));
        assert_eq!(
            (record.modified, record.expires, record.namespace),
            (None, None, None)
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, why) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            (r#"["k",null,"v",null,null,null,null]"#, "no JSON object"),
            ("{", "EOF while parsing an object at column 1"),
            (r#"{"key":"k","value":"v"}{}"#, "trailing characters"),
            (r#"{"key":"k","value":"v""#, "EOF"),
            (r#"{"value":"v"}"#, "no `key`"),
            (r#"{"key":"k"}"#, "no `value`"),
            (r#"{"key":"k","value":null}"#, "no `value`"),
            (r#"{"key":"k","value":1}"#, "expected a string"),
            (r#"{"key":"k","key":"l","value":"v"}"#, "duplicate field"),
            (r#"{"key":"k","key_base64":"aw==","value":"v"}"#, "both"),
            (r#"{"key":"k","value":"v","value_base64":""}"#, "both"),
            (r#"{"key":"k","value_base64":"aw"}"#, "not base64"),
            (r#"{"key":"k","value_base64":"?"}"#, "not base64"),
            (r#"{"key":"","value":"v"}"#, "cannot be empty"),
            (r#"{"key":"a\u0000b","value":"v"}"#, "NUL"),
            (r#"{"key_base64":"AA==","value":"v"}"#, "NUL"),
            (r#"{"key":"\ud800","value":"v"}"#, "hex escape"),
            (r#"{"key":"k","value":"\x"}"#, "invalid escape"),
            (
                r#"{"key":"k","value":"v","modified":"yesterday"}"#,
                "`modified`",
            ),
            (r#"{"key":"k","value":"v","expires":"never"}"#, "`expires`"),
            (
                r#"{"key":"k","value":"v","expires":1}"#,
                "expected a string",
            ),
            (r#"{"key":"k","value":"v","namespace":".."}"#, "dot"),
        ] {
            let err = read(line.as_bytes()).unwrap_err();
            assert!(err.contains(why), "{line}: {err}");
        }
        assert!(read(b"{\"key\":\"\xff\",\"value\":\"v\"}").is_err());
        let long = format!("{{\"key\":\"{}\",\"value\":\"v\"}}", "k".repeat(65_536));
        assert!(read(long.as_bytes()).unwrap_err().contains("65535 bytes"));
    }

    #[test]
    fn any_line_is_read_or_refused() {
        let good = br#"{"key":"k","value_base64":"/wA=","modified":"2024-11-21T03:10:11Z"}"#;
        for at in 0..good.len() {
            for byte in 0..=255 {
                let mut line = good.to_vec();
                line[at] = byte;
                _ = read(&line);
            }
            _ = read(&good[..at]);
        }
    }
}
