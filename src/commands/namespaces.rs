//! `kv namespaces`: lists the namespaces, or removes one.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::cli::NamespacesArgs;
use crate::commands::Session;
use crate::commands::listing::{line_end, write_key_line};
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::exit::Exit;
use crate::store::{Namespace, Selection};
use crate::wire::json;

/// Lists all, removes the one that was named, or prints which of its keys would go.
pub(super) fn run(args: &NamespacesArgs, session: &mut Session<'_>) -> Result<Exit> {
    let end = line_end(args.null);
    match &args.remove {
        None => {
            for namespace in session.store.namespaces()? {
                print(args, session.out, &namespace).or_cannot_write()?;
            }
            session.store.check_namespaces()?;
            Ok(Exit::Success)
        }
        Some(namespace) if args.dry_run => would_remove(namespace, session, end),
        Some(namespace) => {
            let removed = session.store.remove_namespace(namespace)?;
            Ok(if removed { Exit::Success } else { Exit::No })
        }
    }
}

fn print(args: &NamespacesArgs, out: &mut Output, namespace: &Namespace) -> io::Result<()> {
    if !args.json {
        return write_key_line(out, namespace.as_str().as_bytes(), line_end(args.null));
    }
    out.write_all(b"{")?;
    json::first(out, "namespace", namespace.as_str())?;
    out.write_all(b"}\n")
}

fn would_remove(namespace: &Namespace, session: &mut Session<'_>, end: u8) -> Result<Exit> {
    if !session.store.namespaces()?.contains(namespace) {
        return Ok(Exit::No);
    }
    let now = session.now();
    let mut listing = session.store.scan(namespace, &Selection::default(), now)?;
    while let Some(listed) = listing.next() {
        write_key_line(session.out, listed?.key, end).or_cannot_write()?;
    }
    Ok(Exit::Success)
}
