//! Which part of a value a request wants (RFC 9110, section 14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

use crate::store::Etag;

/// What a request wants of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: it asks for no part, or in a way that is not known here and may be passed over.
    All,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes that the value does not have.
    Nothing,
}

/// Reads the headers of a request for a value of this size.
pub(super) fn wanted(headers: &HeaderMap, etag: Etag, size: u64) -> Wanted {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(condition) = text(header::IF_RANGE)
        && condition != format!("\"{etag}\"")
    {
        return Wanted::All;
    }
    text(header::RANGE).map_or(Wanted::All, |range| {
        read(range, size).unwrap_or(Wanted::All)
    })
}

fn read(text: &str, size: u64) -> Option<Wanted> {
    let (unit, range) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let range = match (first, last) {
        ("", suffix) => size.saturating_sub(number(suffix)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(match range.is_empty() {
        true => Wanted::Nothing,
        false => Wanted::Part(range),
    })
}

/// Reads digits and nothing else; more than fit are the most that do.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_value() {
        for (text, want) in [
            ("bytes=0-0", Some(Wanted::Part(0..1))),
            ("Bytes=2-", Some(Wanted::Part(2..10))),
            ("bytes=-3", Some(Wanted::Part(7..10))),
            ("bytes=-30", Some(Wanted::Part(0..10))),
            ("bytes=9-99999999999999999999", Some(Wanted::Part(9..10))),
            ("bytes=10-", Some(Wanted::Nothing)),
            ("bytes=-0", Some(Wanted::Nothing)),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=+1-2", None),
            ("bytes=-", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(read(text, 10), want, "{text}");
        }
        assert_eq!(read("bytes=0-", 0), Some(Wanted::Nothing));
    }
}
