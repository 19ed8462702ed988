//! `kv namespaces`: lists the namespaces, or removes one.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::cli::NamespacesArgs;
use crate::commands::Session;
use crate::commands::listing::{line_end, write_key_line};
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::commands::table::Table;
use crate::exit::Exit;
use crate::store::{Namespace, Selection};
use crate::wire::{json, units};

/// Lists all, removes the one that was named, or prints which of its keys would go.
pub(super) fn run(args: &NamespacesArgs, session: &mut Session<'_>) -> Result<Exit> {
    let end = line_end(args.null);
    match &args.remove {
        None => {
            let is_table = args.long && !args.json && !args.null && session.out.is_terminal();
            let mut table = is_table.then(|| Table::new(HEADS, &args.screen));
            let mut exit = Exit::Success;
            for namespace in session.store.namespaces()? {
                let (mut entries, mut bytes) = (0, 0);
                if args.long {
                    match session.store.info(&namespace, session.now()) {
                        Ok(Some(info)) => (entries, bytes) = (info.entries, info.bytes),
                        // One that was removed since it was listed has nothing to tell.
                        Ok(None) => continue,
                        Err(err) => {
                            exit = exit.max(session.fails(err));
                            continue;
                        }
                    }
                }
                match &mut table {
                    Some(table) => {
                        let cells = vec![entries.to_string(), units::bytes(bytes.into())];
                        table.row(session.out, cells, namespace.as_str().as_bytes())
                    }
                    None => print(args, session.out, &namespace, entries, bytes),
                }
                .or_cannot_write()?;
            }
            if let Some(mut table) = table {
                table.end(session.out).or_cannot_write()?;
            }
            session.store.check_namespaces()?;
            Ok(exit)
        }
        Some(namespace) if args.dry_run => would_remove(namespace, session, end),
        Some(namespace) => {
            let removed = session.store.remove_namespace(namespace)?;
            Ok(if removed { Exit::Success } else { Exit::No })
        }
    }
}

const HEADS: &[&str] = &[" ENTRIES", " SIZE", "NAMESPACE"];

fn print(
    args: &NamespacesArgs,
    out: &mut Output,
    namespace: &Namespace,
    entries: u64,
    bytes: u64,
) -> io::Result<()> {
    if args.json {
        out.write_all(b"{")?;
        json::first(out, "namespace", namespace.as_str())?;
        if args.long {
            write!(out, ",\"entries\":{entries},\"bytes\":{bytes}")?;
        }
        return out.write_all(b"}\n");
    }
    if args.long {
        write!(out, "{entries}\t{bytes}\t")?;
    }
    write_key_line(out, namespace.as_str().as_bytes(), line_end(args.null))
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
