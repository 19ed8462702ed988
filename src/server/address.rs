//! What a path names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::store::percent;
use crate::store::{Key, Namespace};

use super::reply::Refusal;

/// What a path below `/v1` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Store,
    Namespace(Namespace),
    Key(Namespace, Key),
}

/// Reads a path. A `%2F` in it is a `/`; nothing else is made equal, so that `a//b` and `a/../b`
/// are keys like any other.
pub(super) fn resource(path: &str) -> Result<Resource, Refusal> {
    let below = path.strip_prefix("/v1").unwrap_or(path);
    let below = below.strip_prefix('/').unwrap_or(below);
    let bytes = percent::decode(below.as_bytes())
        .ok_or_else(|| Refusal::usage("the path has a `%` without two hexadecimal digits"))?;
    if bytes.is_empty() {
        return Ok(Resource::Store);
    }
    let slash = bytes.iter().position(|&byte| byte == b'/');
    let name = bytes[..slash.unwrap_or(bytes.len())].to_vec();
    let namespace = Namespace::try_from(OsString::from_vec(name))
        .map_err(|err| Refusal::usage(err.to_string()))?;
    match slash.map(|slash| &bytes[slash + 1..]) {
        None | Some([]) => Ok(Resource::Namespace(namespace)),
        Some(key) => Ok(Resource::Key(namespace, key_of(key.to_vec())?)),
    }
}

/// Reads a key.
pub(super) fn key_of(bytes: Vec<u8>) -> Result<Key, Refusal> {
    Key::new(bytes).map_err(|err| Refusal::usage(err.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Option<(String, Vec<u8>)> {
        match resource(path) {
            Ok(Resource::Key(namespace, key)) => {
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
        assert!(matches!(resource("/v1"), Ok(Resource::Store)));
        assert!(matches!(resource("/v1/"), Ok(Resource::Store)));
        assert!(matches!(resource("/v1/a/"), Ok(Resource::Namespace(_))));
        for bad in [
            "/v1/../a",
            "/v1/.a/b",
            "/v1//a",
            "/v1/a/%",
            "/v1/a/%00",
            "/v1/%ff/a",
        ] {
            assert!(resource(bad).is_err(), "{bad}");
        }
    }
}
