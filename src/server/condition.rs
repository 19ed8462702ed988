//! What must hold of an entry for a request to be carried out (RFC 9110, section 13).

use std::time::{Duration, SystemTime};

use hyper::http::{HeaderMap, HeaderName, header};

use crate::store::{Condition, Etag, Meta, Time};

use super::reply::Refusal;

/// What `If-Match`, `If-None-Match` and the two headers with a time say. A time counts only where the
/// etags beside it do not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Preconditions {
    matches: Option<Tags>,
    none: Option<Tags>,
    unmodified_since: Option<SystemTime>,
    modified_since: Option<SystemTime>,
}

/// What there is: its etag, and when it was written.
pub(super) type Current = Option<(Etag, Time)>;

pub(super) fn current(found: Option<&Meta>) -> Current {
    found.map(|meta| (meta.etag, meta.modified))
}

/// Tells whether something was written until a time, which has whole seconds.
fn is_by(written: Time, time: SystemTime) -> bool {
    SystemTime::from(written) < time + Duration::from_secs(1)
}

/// The tags of one header.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// Those that can be one of an entry here.
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    etag: Etag,
    is_weak: bool,
}

impl Tags {
    fn has(&self, etag: Etag, weakly: bool) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags
                .iter()
                .any(|tag| tag.etag == etag && (weakly || !tag.is_weak)),
        }
    }
}

impl Preconditions {
    /// Reads them.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let time = |name: HeaderName| {
            let text = headers.get(name)?.to_str().unwrap_or_default();
            Some(httpdate::parse_http_date(text))
        };
        let unmodified = time(header::IF_UNMODIFIED_SINCE).transpose();
        let unmodified = unmodified.map_err(|_| {
            Refusal::usage("invalid `If-Unmodified-Since`: write it as `Last-Modified` shows it")
        })?;
        Ok(Self {
            matches: tags(headers, header::IF_MATCH)?,
            none: tags(headers, header::IF_NONE_MATCH)?,
            unmodified_since: unmodified,
            // It saves sending what is known; one that is not understood saves nothing.
            modified_since: time(header::IF_MODIFIED_SINCE).and_then(Result::ok),
        })
    }

    /// Refuses conditions on a request that has none: a change would take place without them. Those
    /// that only save a reader bytes may be ignored.
    pub(super) fn refuse(headers: &HeaderMap, reads: bool) -> Result<(), Refusal> {
        let of_changes = [header::IF_MATCH, header::IF_UNMODIFIED_SINCE];
        let of_reads = Some(header::IF_NONE_MATCH).filter(|_| !reads);
        match of_changes
            .into_iter()
            .chain(of_reads)
            .find(|name| headers.contains_key(name))
        {
            Some(name) => Err(Refusal::usage(format!("`{name}` is not supported here"))),
            None => Ok(()),
        }
    }

    /// Tells whether a change may take place on what there is.
    pub(super) fn allows(&self, current: Current) -> bool {
        let is_known = |tags: &Tags| current.is_some_and(|(etag, _)| tags.has(etag, true));
        self.holds(current) && !self.none.as_ref().is_some_and(is_known)
    }

    /// Tells whether `If-Match` holds, or `If-Unmodified-Since`.
    pub(super) fn holds(&self, current: Current) -> bool {
        match (&self.matches, self.unmodified_since) {
            (Some(tags), _) => current.is_some_and(|(etag, _)| tags.has(etag, false)),
            (None, Some(time)) => current.is_none_or(|(_, written)| is_by(written, time)),
            (None, None) => true,
        }
    }

    /// Tells whether a reader has this entry already, as `If-None-Match` says, or
    /// `If-Modified-Since`.
    pub(super) fn is_known(&self, current: Current) -> bool {
        let Some((etag, written)) = current else {
            return false;
        };
        match (&self.none, self.modified_since) {
            (Some(tags), _) => tags.has(etag, true),
            (None, Some(time)) => is_by(written, time),
            (None, None) => false,
        }
    }

    /// Returns the same as a condition of the store, if there is one; otherwise somebody has to look
    /// first.
    pub(super) fn simple(&self) -> Option<Condition> {
        if self.matches.is_none() && self.unmodified_since.is_some() {
            return None;
        }
        match (&self.matches, &self.none) {
            (None, None) => Some(Condition::Always),
            (Some(Tags::Any), None) => Some(Condition::Exists),
            (None, Some(Tags::Any)) => Some(Condition::Absent),
            (Some(Tags::These(tags)), None) if tags.len() == 1 && !tags[0].is_weak => {
                Some(Condition::Etag(tags[0].etag))
            }
            _ => None,
        }
    }
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Tags>, Refusal> {
    let malformed = || Refusal::usage(format!("`{name}` is neither `*` nor etags in quotes"));
    let mut found = None;
    for value in headers.get_all(&name) {
        let text = value.to_str().map_err(|_| malformed())?.trim();
        match (&mut found, text) {
            (None, "*") => found = Some(Tags::Any),
            (Some(Tags::Any), _) | (_, "*") => return Err(malformed()),
            (None, _) => found = Some(Tags::These(read(text).ok_or_else(malformed)?)),
            (Some(Tags::These(tags)), _) => tags.extend(read(text).ok_or_else(malformed)?),
        }
    }
    Ok(found)
}

/// Reads etags with commas between them. One that another service made is none of an entry here.
fn read(text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let strong = rest.strip_prefix("W/");
        let is_weak = strong.is_some();
        let (tag, behind) = strong.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        if let Ok(etag) = tag.parse() {
            tags.push(Tag { etag, is_weak });
        }
        rest = behind.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}
