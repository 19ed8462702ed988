//! What a path and a query name.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use crate::store::units::patience;
use crate::store::{Key, Namespace};
use crate::wire::percent;

use super::reply::Refusal;
use super::wait::LONGEST;

/// What a path below `/v1` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Store,
    Namespace(Namespace),
    Key(Namespace, Key),
}

/// Reads a path. A `%2F` in it is a `/`; nothing else is made equal, so that `a//b` and `a/../b`
/// are keys like any other.
pub(super) fn place(path: &str) -> Result<Place, Refusal> {
    let below = path.strip_prefix("/v1").unwrap_or(path);
    let below = below.strip_prefix('/').unwrap_or(below);
    let bytes = percent::decode(below.as_bytes())
        .ok_or_else(|| Refusal::usage("the path has a `%` without two hexadecimal digits"))?;
    if bytes.is_empty() {
        return Ok(Place::Store);
    }
    let slash = bytes.iter().position(|&byte| byte == b'/');
    let name = bytes[..slash.unwrap_or(bytes.len())].to_vec();
    let namespace = Namespace::try_from(OsString::from_vec(name))
        .map_err(|err| Refusal::usage(err.to_string()))?;
    match slash.map(|slash| &bytes[slash + 1..]) {
        None | Some([]) => Ok(Place::Namespace(namespace)),
        Some(key) => {
            let key = Key::new(key.to_vec()).map_err(|err| Refusal::usage(err.to_string()))?;
            Ok(Place::Key(namespace, key))
        }
    }
}

/// The parameters of a query, each of which may stand there once.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    /// Reads a query. A name that is not known is an error, as is an option of a command.
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        let parts = query.unwrap_or_default().split('&');
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&name) {
                let known = known.join("`, `");
                let name = name.escape_debug();
                let error = format!("no parameter `{name}` is known here; there are `{known}`");
                return Err(Refusal::usage(error));
            }
            if parameters.iter().any(|(other, _)| other == name) {
                return Err(Refusal::usage(format!("`{name}` is given twice")));
            }
            let value = percent::decode(value.as_bytes());
            let value = value.ok_or_else(|| Refusal::usage(format!("`{name}` has a lone `%`")))?;
            parameters.push((name.to_owned(), value));
        }
        Ok(Self(parameters))
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// Reads a parameter by `read`, whose error is told with its name.
    pub(super) fn parse<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Refusal> {
        let Some(bytes) = self.bytes(name) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
        let value = text.and_then(read);
        value
            .map(Some)
            .map_err(|why| Refusal::usage(format!("invalid `{name}`: {why}")))
    }

    /// Reads a parameter that is on where it is there, unless it says `0`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        let flag = self.parse(name, |text| match text {
            "" | "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err("it is 1 or 0".to_owned()),
        })?;
        Ok(flag.unwrap_or(false))
    }

    /// Reads for how long to wait, which is not at all where nothing is said.
    pub(super) fn wait(&self) -> Result<Duration, Refusal> {
        let wait = self.parse("wait", patience)?.unwrap_or_default();
        Ok(wait.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Option<(String, Vec<u8>)> {
        match place(path) {
            Ok(Place::Key(namespace, key)) => {
                Some((namespace.to_string(), key.as_bytes().to_vec()))
            }
            _ => None,
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        for (path, want) in [
            ("/v1/a/b", &b"b"[..]),
            ("/v1/a%2Fb", b"b"),
            ("/v1/a//b/", b"/b/"),
            ("/v1/a/../b", b"../b"),
            ("/v1/a/%2E%2e/%ff+", b"../\xff+"),
        ] {
            assert_eq!(key(path), Some(("a".to_owned(), want.to_vec())), "{path}");
        }
        assert!(matches!(place("/v1"), Ok(Place::Store)));
        assert!(matches!(place("/v1/"), Ok(Place::Store)));
        assert!(matches!(place("/v1/a/"), Ok(Place::Namespace(_))));
        for bad in [
            "/v1/../a",
            "/v1/.a/b",
            "/v1//a",
            "/v1/a/%",
            "/v1/a/%00",
            "/v1/%ff/a",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_has_known_names_once() {
        let query = Query::read(Some("a=%00+&b"), &["a", "b"]).unwrap();
        assert_eq!(query.bytes("a"), Some(&b"\0+"[..]));
        assert!(query.flag("b").unwrap());
        for bad in ["c", "a=1&a=2", "a=%"] {
            assert!(Query::read(Some(bad), &["a"]).is_err(), "{bad}");
        }
    }
}
