//! What is asked of the service, and where below `/v1`.

use std::time::Duration;

use ureq::http::{Method, StatusCode};

use crate::store::{Key, Namespace, percent};
use crate::wire::http::request::{OnKey, OnNamespace};

/// The most bytes of a key that stands in a path: who is between may take no more.
const MAX_KEY: usize = 4096;
/// How much longer the service may take for what concerns a whole namespace.
const LONG_WORK: Duration = Duration::from_secs(3600);

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// The path below `/v1`, and the query.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
    /// How long the answer may take beyond the usual.
    pub(super) waits: Duration,
    /// How long all of it may take, where an answer that comes later is of no use.
    pub(super) within: Option<Duration>,
    /// For how long its answer, which goes on for ever, may say nothing.
    pub(super) silence: Option<Duration>,
    /// It changes nothing, or the same once more, so that it may be sent again.
    pub(super) is_safe: bool,
    /// The codes that say yes.
    pub(super) yes: &'static [StatusCode],
}

/// What an answer that brings something has for a code.
const WITH_BODY: &[StatusCode] = &[StatusCode::OK];
/// What an answer has for a code that brings nothing, as that was done.
const DONE: &[StatusCode] = &[StatusCode::NO_CONTENT];
/// The same of a put, which may have made what it stored.
const STORED: &[StatusCode] = &[StatusCode::NO_CONTENT, StatusCode::CREATED];

impl<'a> Ask<'a> {
    /// Asks for something, which changes nothing.
    pub(super) fn look(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            headers: Vec::new(),
            body: b"",
            waits: Duration::ZERO,
            within: None,
            silence: None,
            is_safe: true,
            yes: WITH_BODY,
        }
    }

    /// Asks for a verb on an entry. A key that cannot stand in a path is the beginning of the body.
    pub(super) fn on_key(namespace: &Namespace, key: &'a Key, verb: OnKey) -> Self {
        let (is_safe, yes) = match verb {
            OnKey::Get | OnKey::Stat => (true, WITH_BODY),
            OnKey::Wait(_) => (true, DONE),
            OnKey::Take | OnKey::Incr { .. } => (false, WITH_BODY),
            OnKey::Put { .. } => (false, STORED),
            OnKey::Remove { .. } | OnKey::Append | OnKey::Expire(_) => (false, DONE),
        };
        let waits = match &verb {
            OnKey::Wait(wait) => wait.wait,
            _ => Duration::ZERO,
        };
        let (method, path, body) = match (key_path(namespace, key), verb) {
            (Some(path), OnKey::Get) => (Method::GET, path, &b""[..]),
            (Some(path), OnKey::Put { if_value: None }) => (Method::PUT, path, &b""[..]),
            (Some(path), OnKey::Remove { if_value: None }) => (Method::DELETE, path, &b""[..]),
            (Some(path), verb) => (Method::POST, path + &verb.write(), &b""[..]),
            (None, verb) => {
                let bytes = key.as_bytes();
                let query = OnNamespace::Key(verb, Some(bytes.len())).write();
                (Method::POST, namespace_path(namespace) + &query, bytes)
            }
        };
        Self {
            method,
            body,
            waits,
            is_safe,
            yes,
            ..Self::look(path)
        }
    }

    /// Asks for a verb on a namespace.
    pub(super) fn on_namespace(namespace: &Namespace, verb: &OnNamespace) -> Self {
        use OnNamespace::{Batch, Drop, Free, Holder, Import, Keep, Lock, Pop};
        Self {
            method: Method::POST,
            waits: match verb {
                Pop { wait, .. } => *wait,
                Import(..) | Drop => LONG_WORK,
                _ => Duration::ZERO,
            },
            is_safe: matches!(verb, Lock | Keep | Free | Holder),
            yes: match verb {
                Pop { .. } | Batch { .. } | Import(..) | Lock | Holder => WITH_BODY,
                _ => DONE,
            },
            ..Self::look(namespace_path(namespace) + &verb.write())
        }
    }

    /// Asks for something that concerns a whole namespace.
    pub(super) fn look_long(path: String) -> Self {
        Self {
            waits: LONG_WORK,
            ..Self::look(path)
        }
    }
}

/// Returns the path of a namespace.
pub(super) fn namespace_path(namespace: &Namespace) -> String {
    format!("/{}", percent::encode(namespace.as_str().as_bytes()))
}

/// Returns the path of an entry; `None` where its key cannot stand in one, because it is too long, or
/// because who is between might take a part of it for a step in a directory.
fn key_path(namespace: &Namespace, key: &Key) -> Option<String> {
    let bytes = key.as_bytes();
    let is_step = |part: &[u8]| [&b""[..], b".", b".."].contains(&part);
    if bytes.len() > MAX_KEY || bytes.split(|&byte| byte == b'/').any(is_step) {
        return None;
    }
    Some(namespace_path(namespace) + "/" + &percent::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_no_path_can_hold_has_none() {
        let path = |key: &[u8]| {
            let key = Key::new(key.to_vec()).unwrap();
            key_path(&"a b".parse().unwrap(), &key)
        };
        assert_eq!(path(b"x/y.z").as_deref(), Some("/a%20b/x%2Fy%2Ez"));
        assert_eq!(path(b"\xff~_-").as_deref(), Some("/a%20b/%FF~_-"));
        assert!(path(&[b'x'; MAX_KEY]).is_some());
        for odd in [&b"/"[..], b"a//b", b"/a", b"a/", b".", b"a/../b", b"./a"] {
            assert_eq!(path(odd), None);
        }
        assert_eq!(path(&[b'x'; MAX_KEY + 1]), None);
    }
}
