//! What a check finds, as JSON: one object a line.
//!
//! ```json
//! {"severity":"damage","namespace":"default","path":"…","what":"…","key":"color","repair":"…"}
//! ```
//!
//! `key`, or `key_base64` where it is not UTF-8, is there where it is known, and `repair` where
//! something was done or would be. Bytes of a path that are not UTF-8 are shown as `\xff`.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;

use crate::store::Finding;
use crate::wire::{json, text};

/// Writes a finding as an object on a line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: &mut dyn Write, namespace: &str, found: &Finding) -> io::Result<()> {
    out.write_all(b"{")?;
    json::first(out, "severity", found.severity.word())?;
    json::member(out, "namespace", namespace)?;
    let path = match found.path.to_str() {
        Some(path) => path.to_owned(),
        None => text::escape(found.path.as_os_str().as_bytes()),
    };
    json::member(out, "path", &path)?;
    json::member(out, "what", &found.what)?;
    if let Some(key) = &found.key {
        json::key(out, key)?;
    }
    if let Some(repair) = &found.repair {
        json::member(out, "repair", &repair.what)?;
    }
    out.write_all(b"}\n")
}
