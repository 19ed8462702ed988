//! Where an entry is below `/v1`.

use crate::store::percent;
use crate::store::{Key, Namespace};

/// The most bytes of a key that stands in a path: who is between may take no more.
const MAX_KEY: usize = 4096;

/// Returns the path of a namespace.
pub(super) fn namespace_path(namespace: &Namespace) -> String {
    format!("/{}", percent::encode(namespace.as_str().as_bytes()))
}

/// Returns the path of an entry; `None` where its key cannot stand in one, because it is too long, or
/// because who is between might take a part of it for a step in a directory.
pub(super) fn key_path(namespace: &Namespace, key: &Key) -> Option<String> {
    let bytes = key.as_bytes();
    let is_step = |part: &[u8]| [&b""[..], b".", b".."].contains(&part);
    if bytes.len() > MAX_KEY || bytes.split(|&byte| byte == b'/').any(is_step) {
        return None;
    }
    Some(format!(
        "{}/{}",
        namespace_path(namespace),
        percent::encode(bytes)
    ))
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
