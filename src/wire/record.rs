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

use crate::store::{Deadline, Incoming, Key, Namespace, Time};
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
    /// Returns the entry, from the two buffers that the record was read with.
    pub fn entry<'a>(&self, line: &'a [u8], decoded: &'a [u8]) -> Incoming<'a> {
        let bytes = if self.is_decoded { decoded } else { line };
        Incoming {
            key: &bytes[self.key.clone()],
            value: &bytes[self.value.clone()],
            modified: self.modified,
            expires: self.expires,
        }
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
