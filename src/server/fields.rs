//! What a request says of an entry that it puts, in headers of ours.

use hyper::http::{HeaderMap, HeaderName};

use crate::store::units::ttl;
use crate::store::{Expiry, Time};
use crate::wire::time::{read_expires, read_modified};

use super::reply::Refusal;

/// When an entry expires.
pub(super) const EXPIRES: HeaderName = HeaderName::from_static("kv-expires");
/// When its value was written, to the nanosecond: `Last-Modified` has whole seconds.
pub(super) const MODIFIED: HeaderName = HeaderName::from_static("kv-modified");

/// Refuses what a request says in headers of ours that it does not know.
pub(super) fn check_headers(headers: &HeaderMap, puts: bool) -> Result<(), Refusal> {
    const OF_PUT: [&str; 4] = ["kv-ttl", "kv-expires", "kv-keep-ttl", "kv-modified"];
    let ours = headers.keys().map(HeaderName::as_str);
    let mut ours = ours.filter(|name| name.starts_with("kv-"));
    match ours.find(|name| !(puts && OF_PUT.contains(name))) {
        Some(name) => Err(Refusal::usage(format!(
            "unknown header `{name}` for this request"
        ))),
        None => Ok(()),
    }
}

/// Reads a header that is text and can stand in a request once.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str());
    if values.next().is_some() {
        return Err(Refusal::usage(format!("`{name}` is given twice")));
    }
    value
        .transpose()
        .map_err(|_| Refusal::usage(format!("`{name}` is not text")))
}

/// Reads when a new entry expires.
pub(super) fn expiry(headers: &HeaderMap) -> Result<Expiry, Refusal> {
    let keeps = match text(headers, "kv-keep-ttl")? {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => return Err(Refusal::usage("invalid `KV-Keep-TTL`: use 1 or 0")),
    };
    match (
        text(headers, "kv-ttl")?,
        text(headers, EXPIRES.as_str())?,
        keeps,
    ) {
        (None, None, true) => Ok(Expiry::Keep),
        (None, None, false) => Ok(Expiry::Never),
        (Some(text), None, false) => match ttl(text) {
            Ok(ttl) => Ok(Expiry::After(ttl)),
            Err(why) => Err(Refusal::usage(format!("invalid `KV-TTL`: {why}"))),
        },
        (None, Some(text), false) => match read_expires(text) {
            Ok(deadline) => Ok(Expiry::At(deadline)),
            Err(why) => Err(Refusal::usage(format!("`KV-Expires` {why}"))),
        },
        _ => Err(Refusal::usage(
            "give only one of `KV-TTL`, `KV-Expires` and `KV-Keep-TTL`",
        )),
    }
}

/// Reads which time of modification a new entry is to show.
pub(super) fn modified(headers: &HeaderMap) -> Result<Option<Time>, Refusal> {
    let Some(text) = text(headers, MODIFIED.as_str())? else {
        return Ok(None);
    };
    let time = read_modified(text);
    time.map(Some)
        .map_err(|why| Refusal::usage(format!("`KV-Modified` {why}")))
}
