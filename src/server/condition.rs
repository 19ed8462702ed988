//! What must hold of an entry for a request to be carried out (RFC 9110, section 13).

use axum::http::{HeaderMap, HeaderName, header};

use crate::store::{Condition, Etag};

use super::reply::Refusal;

/// What `If-Match` and `If-None-Match` say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    matches: Option<Tags>,
    none: Option<Tags>,
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

impl Asked {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        Ok(Self {
            matches: tags(headers, header::IF_MATCH)?,
            none: tags(headers, header::IF_NONE_MATCH)?,
        })
    }

    /// Tells whether a change may take place on an entry with this etag, or on none.
    pub(super) fn allows(&self, current: Option<Etag>) -> bool {
        self.matches(current) && !self.is_known(current)
    }

    /// Tells whether `If-Match` holds.
    pub(super) fn matches(&self, current: Option<Etag>) -> bool {
        let Some(tags) = &self.matches else {
            return true;
        };
        current.is_some_and(|etag| tags.has(etag, false))
    }

    /// Tells whether the client has this entry already, as `If-None-Match` says.
    pub(super) fn is_known(&self, current: Option<Etag>) -> bool {
        match (&self.none, current) {
            (Some(tags), Some(etag)) => tags.has(etag, true),
            _ => false,
        }
    }

    /// Returns the same as a condition of the store, if there is one; otherwise somebody has to look
    /// first.
    pub(super) fn simple(&self) -> Option<Condition> {
        match (&self.matches, &self.none) {
            (None, None) => Some(Condition::Always),
            (Some(Tags::Any), None) => Some(Condition::Exists),
            (None, Some(Tags::Any)) => Some(Condition::Absent),
            (Some(Tags::These(tags)), None) => match tags[..] {
                [
                    Tag {
                        etag,
                        is_weak: false,
                    },
                ] => Some(Condition::Etag(etag)),
                _ => None,
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: HeaderName, text: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(name, text.parse().unwrap());
        Asked::read(&headers).unwrap()
    }

    const ONE: &str = "\"0000000000000001\"";

    #[test]
    fn a_condition_of_the_store_says_the_same() {
        for (text, condition) in [
            ("*", Some(Condition::Exists)),
            (ONE, Some(Condition::Etag(Etag(1)))),
            ("W/\"0000000000000001\"", None),
            ("\"0000000000000001\", \"0000000000000002\"", None),
            ("\"other\"", None),
        ] {
            assert_eq!(asked(header::IF_MATCH, text).simple(), condition, "{text}");
        }
        let absent = asked(header::IF_NONE_MATCH, "*");
        assert_eq!(absent.simple(), Some(Condition::Absent));
        assert_eq!(asked(header::IF_NONE_MATCH, ONE).simple(), None);
    }

    #[test]
    fn etags_match_as_they_ought_to() {
        let table = [
            (header::IF_MATCH, ONE, [true, false, false]),
            (header::IF_MATCH, "W/\"0000000000000001\"", [false; 3]),
            (
                header::IF_MATCH,
                "\"x,y\" , \"0000000000000002\"",
                [false, true, false],
            ),
            (header::IF_MATCH, "\"other\"", [false; 3]),
            (header::IF_MATCH, "*", [true, true, false]),
            (header::IF_NONE_MATCH, "*", [false, false, true]),
            (
                header::IF_NONE_MATCH,
                "W/\"0000000000000001\"",
                [false, true, true],
            ),
        ];
        for (name, text, want) in table {
            let asked = asked(name, text);
            let got = [Some(Etag(1)), Some(Etag(2)), None].map(|etag| asked.allows(etag));
            assert_eq!(got, want, "{text}");
        }
        for bad in [
            "0000000000000001",
            "\"a",
            "\"a\" \"b\"",
            "*, \"a\"",
            "w/\"a\"",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, bad.parse().unwrap());
            assert!(Asked::read(&headers).is_err(), "{bad}");
        }
    }
}
