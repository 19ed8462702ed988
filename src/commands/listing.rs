//! How keys are printed.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use crate::commands::output::{OrCannotWrite as _, Output};
use crate::exit::UsageError;
use crate::store::{Glob, Listed, Namespace, Store, StoreError, Time};
use crate::wire::{entry, text};

/// Writes a key: raw, but escaped where a person reads it, as it may hold whatever moves a cursor.
#[inline]
pub(super) fn write_key(out: &mut Output, key: &[u8]) -> io::Result<()> {
    if out.is_terminal() {
        out.write_all(text::escape(key).as_bytes())
    } else {
        out.write_all(key)
    }
}

/// Writes a key and what ends it.
#[inline]
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

/// Tells a value that is damaged, which concerns one entry, from what ends the listing.
pub(super) fn only_damage(printed: Result<()>) -> Result<Option<StoreError>> {
    match printed.map_err(|err| err.downcast::<StoreError>()) {
        Ok(()) => Ok(None),
        Err(Ok(err)) if err.is_damage() => Ok(Some(err)),
        Err(Ok(err)) => Err(err.into()),
        Err(Err(err)) => Err(err),
    }
}

/// Prints one entry as JSON, with its value if that was listed; with `names_namespace` also what it is in.
pub(super) fn print_json(
    store: &dyn Store,
    namespace: &Namespace,
    out: &mut Output,
    listed: Listed<'_>,
    now: Time,
    names_namespace: bool,
) -> Result<()> {
    let more = names_namespace.then(|| ("namespace", namespace.as_str()));
    entry::write(out, store, namespace, listed, now, more)?
        .map(drop)
        .or_cannot_write()
}
