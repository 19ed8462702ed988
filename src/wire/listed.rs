//! A line of a listing, as [`super::json`] and the service write it, read back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::store::{Etag, Key, Meta};
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
    event: Option<&'a str>,
}

/// What is told of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What a key holds, if anything.
    Of(Key, Option<Meta>),
    /// Something cannot be read.
    Refusal {
        /// The exit status of it.
        status: u8,
        /// What is wrong, for people.
        error: String,
    },
}

/// Reads a line of `kv watch --json`, or of what cannot be read.
///
/// # Errors
///
/// A text for people.
pub fn read_change(line: &[u8]) -> Result<Change, String> {
    let none = || "it tells a change that is none".to_owned();
    let members: Members<'_> = serde_json::from_slice(line).map_err(|_| none())?;
    if let (Some(status), Some(error)) = (members.status, &members.error) {
        let error = error.clone();
        return Ok(Change::Refusal { status, error });
    }
    let key = |bytes| Key::new(bytes).map_err(|_| none());
    match members.event {
        Some("put") => {
            let listed = entry(members).ok_or_else(none)?;
            Ok(Change::Of(key(listed.key)?, Some(listed.meta)))
        }
        Some("gone") => {
            let gone = bytes(members.key, members.key_base64).ok_or_else(none)?;
            Ok(Change::Of(key(gone)?, None))
        }
        _ => Err(none()),
    }
}

/// Reads a line of a listing of the service.
///
/// # Errors
///
/// A text for people.
pub fn read_line(line: &[u8]) -> Result<Line, String> {
    let members: Members<'_> = serde_json::from_slice(line)
        .map_err(|_| "its listing has a line that is no JSON".to_owned())?;
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
        .ok_or_else(|| "its listing has a line that is no entry".to_owned())
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
