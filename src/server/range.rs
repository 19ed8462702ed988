//! Which part of a value a request wants (RFC 9110, section 14).

use std::ops::Range;

use http_range_header::parse_range_header;
use hyper::http::{HeaderMap, header};

use crate::store::Etag;

/// What a request wants of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// All of it: it asks for no part, or in a way that is not known here and may be passed over.
    All,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes that the value does not have.
    Nothing,
}

/// Reads the headers of a request for a value of this size.
pub(super) fn requested(headers: &HeaderMap, etag: Etag, size: u64) -> Requested {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(condition) = text(header::IF_RANGE)
        && condition != format!("\"{etag}\"")
    {
        return Requested::All;
    }
    text(header::RANGE).map_or(Requested::All, |range| {
        read(range, size).unwrap_or(Requested::All)
    })
}

fn read(text: &str, size: u64) -> Option<Requested> {
    let ranges = parse_range_header(text).ok()?;
    // Several parts would want an answer of several parts.
    if ranges.len() != 1 {
        return None;
    }
    let parts = ranges.validate(size).unwrap_or_default();
    let part = parts.first().map(|part| *part.start()..*part.end() + 1);
    Some(part.map_or(Requested::Nothing, Requested::Part))
}
