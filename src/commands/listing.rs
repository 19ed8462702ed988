//! How keys are printed.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use crate::commands::output::{OrCannotWrite as _, Output};
use crate::exit::UsageError;
use crate::store::{Glob, Key, Listed, Namespace, Store, StoreError, Time};
use crate::wire::json::{self, ValueWriter};
use crate::wire::text::{self, Utf8Check};

/// A value of at most this many bytes is held in memory to be printed as JSON.
const HELD: u64 = 1024 * 1024;

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
    match printed.map_err(|err| err.downcast()) {
        Ok(()) => Ok(None),
        Err(Ok(err @ (StoreError::Damaged { .. } | StoreError::OtherKey { .. }))) => Ok(Some(err)),
        Err(Ok(err)) => Err(err.into()),
        Err(Err(err)) => Err(err),
    }
}

/// Prints one entry as JSON, with its value if that was listed.
pub(super) fn print_json(
    store: &dyn Store,
    namespace: &Namespace,
    out: &mut Output,
    listed: Listed<'_>,
    now: Time,
) -> Result<()> {
    print_object(store, namespace, out, listed, now, false)
}

/// Prints one entry as [`print_json`] does, and the namespace it is in.
pub(super) fn print_json_of(
    store: &dyn Store,
    namespace: &Namespace,
    out: &mut Output,
    listed: Listed<'_>,
    now: Time,
) -> Result<()> {
    print_object(store, namespace, out, listed, now, true)
}

fn print_object(
    store: &dyn Store,
    namespace: &Namespace,
    out: &mut Output,
    listed: Listed<'_>,
    now: Time,
    names_namespace: bool,
) -> Result<()> {
    let Listed {
        key,
        mut meta,
        value,
    } = listed;
    let begin = |out: &mut Output| {
        json::begin(out, key)?;
        match names_namespace {
            true => json::member(out, "namespace", namespace.as_str()),
            false => Ok(()),
        }
    };
    match value {
        None => begin(out).or_cannot_write()?,
        Some(value) if meta.size <= HELD => {
            let value = value.into_vec()?;
            begin(out).or_cannot_write()?;
            json::value(out, &value).or_cannot_write()?;
        }
        Some(mut value) => loop {
            // Its name in the object depends on all of it, so it is read twice.
            let mut check = Utf8Check::default();
            _ = value.for_each(|part| {
                check.part(part);
                Ok(())
            })?;
            let key = Key::new(key.to_vec()).expect("what is listed has a key");
            let Some(mut again) = store.get(namespace, &key, now)? else {
                return Ok(());
            };
            if again.meta.etag != meta.etag {
                (meta, value) = (again.meta, again.value);
                continue;
            }
            begin(out).or_cannot_write()?;
            let mut writer = ValueWriter::begin(out, check.is_text()).or_cannot_write()?;
            let read = again.value.for_each(|part| writer.part(out, part));
            if read.is_err() {
                // It was sound a moment ago. The next entry is not to stand on the torn line.
                out.write_all(b"\n").or_cannot_write()?;
            }
            read?.or_cannot_write()?;
            writer.end(out).or_cannot_write()?;
            break;
        },
    }
    json::end(out, &meta).or_cannot_write()
}
