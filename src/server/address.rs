//! What a path names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::store::percent;
use crate::store::{Key, Namespace};

use super::reply::Refusal;

/// What a path below `/v1` names.
pub(super) enum Resource {
    Store,
    Namespace(Namespace),
    Entry(At),
}

/// An entry's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) namespace: Namespace,
    pub(super) key: Key,
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
    let namespace = namespace(name)?;
    match slash.map(|slash| &bytes[slash + 1..]) {
        None | Some([]) => Ok(Resource::Namespace(namespace)),
        Some(key) => at(namespace, key.to_vec()).map(Resource::Entry),
    }
}

/// Reads the place of an entry of a namespace.
pub(super) fn at(namespace: Namespace, key: Vec<u8>) -> Result<At, Refusal> {
    let key = key_of(key)?;
    Ok(At { namespace, key })
}

/// Reads a key.
pub(super) fn key_of(bytes: Vec<u8>) -> Result<Key, Refusal> {
    Key::new(bytes).map_err(|err| Refusal::usage(err.to_string()))
}

/// Reads the name of a namespace.
pub(super) fn namespace(bytes: Vec<u8>) -> Result<Namespace, Refusal> {
    let name = Namespace::try_from(OsString::from_vec(bytes));
    name.map_err(|err| Refusal::usage(err.to_string()))
}
