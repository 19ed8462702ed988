//! How keys are printed.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use crate::commands::output::Output;
use crate::exit::UsageError;
use crate::store::Glob;
use crate::wire::text;

/// Writes a key: raw, but escaped where a person reads it, as it may hold whatever moves a cursor.
pub(super) fn write_key(out: &mut Output, key: &[u8]) -> io::Result<()> {
    if out.is_terminal() {
        out.write_all(text::escape(key).as_bytes())
    } else {
        out.write_all(key)
    }
}

/// Writes a key and what ends it.
pub(super) fn write_key_line(out: &mut Output, key: &[u8], end: u8) -> io::Result<()> {
    write_key(out, key)?;
    out.write_all(&[end])
}

/// Returns the byte that ends a line, or a record with `-0`.
pub(super) fn line_end(null: bool) -> u8 {
    if null { 0 } else { b'\n' }
}

/// Reads a pattern that was given as an argument.
pub(super) fn glob(pattern: &OsString) -> Result<Glob, UsageError> {
    Glob::new(pattern.as_bytes())
        .map_err(|err| UsageError(format!("invalid pattern `{}`: {err}", pattern.display())))
}
