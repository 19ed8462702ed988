//! `kv import --dry-run`: which entries an import would replace or remove.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::commands::Session;
use crate::commands::listing::write_key_line;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::Exit;
use crate::store::{Feed, Incoming, Key, Merge, Namespace, Selection, Stopped};

/// Prints their keys, in their order. `None` means that the feed stopped; then nothing is printed.
/// What is damaged is told, and has its status.
pub(super) fn preview(
    session: &mut Session<'_>,
    namespace: &Namespace,
    feed: &mut dyn Feed,
    merge: Merge,
) -> Result<Option<Exit>> {
    let now = session.now();
    let mut incoming = BTreeMap::new();
    loop {
        match feed.next() {
            Ok(None) => break,
            // The one replaces nothing, and the other everything, whatever it brings.
            Ok(Some(_)) if matches!(merge, Merge::IfAbsent | Merge::Replace) => {}
            Ok(Some(Incoming { key, modified, .. })) => {
                let key = Key::new(key.to_vec()).expect("a feed yields keys");
                incoming.insert(key, modified.unwrap_or(now));
            }
            Err(Stopped) => return Ok(None),
        }
    }
    let mut exit = Exit::Success;
    let mut complain = |session: &Session<'_>, err| exit = exit.max(session.fails(err));
    if merge == Merge::Replace {
        let mut all = session.store.scan(namespace, &Selection::default(), now)?;
        while let Some(listed) = all.next() {
            match listed {
                Ok(listed) => {
                    write_key_line(session.out, listed.key, b'\n').or_cannot_write()?;
                }
                Err(err) => complain(session, err),
            }
        }
    }
    for (key, modified) in incoming {
        match session.store.stat(namespace, &key, now) {
            Ok(Some(present)) if merge != Merge::Newer || present.modified < modified => {
                write_key_line(session.out, key.as_bytes(), b'\n').or_cannot_write()?;
            }
            Ok(_) => {}
            Err(err) => complain(session, err),
        }
    }
    Ok(Some(exit))
}
