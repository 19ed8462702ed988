//! A line of a listing, as [`super::json`] and the service write it, read back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::store::{Etag, Meta};
use crate::wire::time::{read_rfc3339, read_rfc3339_deadline};

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Vec<u8>,
    /// What is known of it.
    pub meta: Meta,
    /// Its value, where it was listed too.
    pub value: Option<Vec<u8>>,
}

/// What a line of the service can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// An entry.
    Entry(Listed),
    /// There is more than was asked for.
    Cursor,
    /// It is whole, with so many entries.
    End(u64),
    /// Something could not be listed.
    Refusal {
        /// The exit status of it.
        status: u8,
        /// What is wrong, for people.
        error: String,
    },
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    key_base64: Option<&'a str>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    value_base64: Option<&'a str>,
    size: Option<u64>,
    modified: Option<&'a str>,
    expires: Option<&'a str>,
    etag: Option<&'a str>,
    cursor: Option<&'a str>,
    status: Option<u8>,
    error: Option<String>,
    end: Option<u64>,
}

/// Reads a line of a listing of the service.
///
/// # Errors
///
/// A text for people.
pub fn read_line(line: &[u8]) -> Result<Line, String> {
    let members: Members<'_> =
        serde_json::from_slice(line).map_err(|_| "it lists what is no line of JSON".to_owned())?;
    if members.cursor.is_some() {
        return Ok(Line::Cursor);
    }
    if let Some(end) = members.end {
        return Ok(Line::End(end));
    }
    if let (Some(status), Some(error)) = (members.status, &members.error) {
        let error = error.clone();
        return Ok(Line::Refusal { status, error });
    }
    entry(members)
        .map(Line::Entry)
        .ok_or_else(|| "it lists what is no entry".to_owned())
}

/// Reads an entry.
///
/// # Errors
///
/// A text for people.
pub fn read(line: &[u8]) -> Result<Listed, String> {
    match read_line(line)? {
        Line::Entry(listed) => Ok(listed),
        _ => Err("it is no entry".to_owned()),
    }
}

fn entry(members: Members<'_>) -> Option<Listed> {
    let key = bytes(members.key, members.key_base64)?;
    let value = match (members.value, members.value_base64) {
        (None, None) => None,
        (text, base64) => Some(bytes(text, base64)?),
    };
    let expires = match members.expires {
        None => None,
        Some(text) => Some(read_rfc3339_deadline(text)?),
    };
    let etag: Etag = members.etag?.parse().ok()?;
    Some(Listed {
        key,
        meta: Meta {
            etag,
            modified: read_rfc3339(members.modified?)?,
            expires,
            size: members.size?,
        },
        value,
    })
}

fn bytes(text: Option<Cow<'_, str>>, base64: Option<&str>) -> Option<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Some(text.into_owned().into_bytes()),
        (None, Some(base64)) => STANDARD.decode(base64).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Deadline, Time};
    use crate::wire::http::answer;
    use crate::wire::json;

    #[test]
    fn what_is_written_is_read_back() {
        for (key, value) in [
            (&b"a\"\\\n"[..], None),
            (b"\xff", Some(&b""[..])),
            ("ä".as_bytes(), Some(b"\0\xff")),
        ] {
            for expires in [None, Deadline::from_millis(1_500)] {
                let meta = Meta {
                    etag: Etag(7),
                    modified: Time(1_732_158_611_000_000_001),
                    expires,
                    size: 2,
                };
                let mut line = Vec::new();
                json::begin(&mut line, key).unwrap();
                if let Some(value) = value {
                    json::value(&mut line, value).unwrap();
                }
                json::end(&mut line, &meta).unwrap();
                let want = Listed {
                    key: key.to_vec(),
                    meta,
                    value: value.map(<[u8]>::to_vec),
                };
                assert_eq!(read(&line), Ok(want));
            }
        }
    }

    #[test]
    fn other_lines_are_told_apart() {
        let cursor = answer::Cursor {
            cursor: "YQ".into(),
        };
        assert_eq!(read_line(&answer::line(&cursor)), Ok(Line::Cursor));
        let end = answer::line(&answer::Ended { end: 7 });
        assert_eq!(read_line(&end), Ok(Line::End(7)));
        let (status, error) = (4, "x".to_owned());
        let told = answer::Refused {
            status,
            error: error.clone(),
        };
        let refusal = Line::Refusal { status, error };
        assert_eq!(read_line(&answer::line(&told)), Ok(refusal));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"key":"a"}"#,
            r#"{"key":"a","key_base64":"YQ=="}"#,
        ] {
            assert!(read_line(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
