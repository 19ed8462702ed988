//! `kv get`: prints the value of a key.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use crate::cli::GetArgs;
use crate::commands::Session;
use crate::commands::nearest;
use crate::commands::output::{OrCannotWrite as _, lost};
use crate::exit::Exit;
use crate::store::{Entry, Listed};
use crate::wire::entry;

/// Writes the value to standard output.
///
/// A missing key is an answer, not an error: it stays silent, so that a script can write
/// `if name=$(kv get name); then …` without hiding messages it would want to see.
pub(super) fn run(args: &GetArgs, session: &mut Session<'_>) -> Result<Exit> {
    let (namespace, key) = (&session.namespace, &args.key);
    let found = if args.remove {
        session.store.take(namespace, key, &session.clock)?
    } else {
        session.store.get(namespace, key, session.now())?
    };
    answer(args, found, session)
}

/// Tells what a key was found to hold.
pub(super) fn answer(
    args: &GetArgs,
    found: Option<Entry>,
    session: &mut Session<'_>,
) -> Result<Exit> {
    let (namespace, key) = (&session.namespace, &args.key);
    match (found, &args.default) {
        (Some(Entry { meta, value }), _) if args.json => {
            let (key, value) = (key.as_bytes(), Some(value));
            let listed = Listed { key, meta, value };
            let now = session.now();
            let written = entry::write(session.out, &*session.store, namespace, listed, now, None)?;
            Ok(match written.or_cannot_write()? {
                true => Exit::Success,
                false => Exit::No,
            })
        }
        (Some(mut entry), _) => {
            let written = session.out.write_value(&mut entry.value)?;
            if args.remove {
                let flushed = written.and_then(|()| session.out.flush());
                let what = || format!("`{key}` was removed and its value");
                flushed.map_err(|err| lost(&what(), &err))?;
            } else {
                written.or_cannot_write()?;
            }
            Ok(Exit::Success)
        }
        (None, Some(default)) => {
            session
                .out
                .write_bytes(default.as_bytes())
                .or_cannot_write()?;
            Ok(Exit::Success)
        }
        (None, None) => Ok(nearest::missing(session, key)),
    }
}
