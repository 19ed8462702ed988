//! An entry of a listing as a line of JSON, with its value however large that is.

use std::io::{self, Write};

use crate::store::{Key, Listed, Namespace, Result, Store, Time};

use super::json::{self, ValueWriter};
use super::text::Utf8Check;

/// A value of at most this many bytes is held in memory.
const HELD: u64 = 1024 * 1024;

/// Writes one entry that `store` has listed, with its value if that was listed, and behind its key one more
/// member, if one is given. Returns whether it was still there.
///
/// # Errors
///
/// The outer one is the store's: the value cannot be read or is damaged. The inner one is `out`'s.
pub fn write(
    out: &mut dyn Write,
    store: &dyn Store,
    namespace: &Namespace,
    listed: Listed<'_>,
    now: Time,
    more: Option<(&str, &str)>,
) -> Result<io::Result<bool>> {
    let Listed {
        key,
        mut meta,
        value,
    } = listed;
    let begin = |out: &mut dyn Write| {
        json::begin(out, key)?;
        more.map_or(Ok(()), |(name, text)| json::member(out, name, text))
    };
    let Some(mut value) = value else {
        return Ok(begin(out)
            .and_then(|()| json::end(out, &meta))
            .map(|()| true));
    };
    if meta.size <= HELD {
        let value = value.into_vec()?;
        let begun = begin(out).and_then(|()| json::value(out, &value));
        return Ok(begun.and_then(|()| json::end(out, &meta)).map(|()| true));
    }
    loop {
        // Its name in the object depends on all of it, so it is read twice.
        let mut check = Utf8Check::default();
        _ = value.for_each(|part| {
            check.part(part);
            Ok(())
        })?;
        let key = Key::new(key.to_vec()).expect("what is listed has a key");
        let Some(mut again) = store.get(namespace, &key, now)? else {
            return Ok(Ok(false));
        };
        if again.meta.etag != meta.etag {
            (meta, value) = (again.meta, again.value);
            continue;
        }
        let mut writer = match begin(out).and_then(|()| ValueWriter::begin(out, check.is_text())) {
            Ok(writer) => writer,
            Err(err) => return Ok(Err(err)),
        };
        let read = again.value.for_each(|part| writer.part(out, part));
        if read.is_err() {
            // It was sound a moment ago. The next entry is not to stand on the torn line.
            if let Err(err) = out.write_all(b"\n") {
                return Ok(Err(err));
            }
        }
        let written = read?;
        return Ok(written
            .and_then(|()| writer.end(out))
            .and_then(|()| json::end(out, &meta))
            .map(|()| true));
    }
}

/// Writes that an entry is what is listed here, or that there is none of the key any more: a line of
/// `kv watch --json`.
///
/// # Errors
///
/// As [`write()`].
pub fn write_change(
    out: &mut dyn Write,
    store: &dyn Store,
    namespace: &Namespace,
    (key, listed): (&Key, Option<Listed<'_>>),
    now: Time,
) -> Result<io::Result<()>> {
    match listed {
        Some(listed) => {
            let written = write(out, store, namespace, listed, now, Some(("event", "put")))?;
            Ok(written.map(drop))
        }
        None => Ok(json::begin(out, key.as_bytes())
            .and_then(|()| json::member(out, "event", "gone"))
            .and_then(|()| out.write_all(b"}\n"))),
    }
}
