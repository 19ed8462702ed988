//! `kv ls`: lists keys.

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use crate::cli::LsArgs;
use crate::commands::Session;
use crate::commands::listing::{glob, line_end, only_damage, print_json, write_key_line};
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::commands::table::{Table, ago, until};
use crate::exit::Exit;
use crate::store::{Listed, Meta, Namespace, Selection, Store, Time};
use crate::wire::time::{rfc3339, rfc3339_deadline};
use crate::wire::units;

/// Prints the keys asked for. A damaged entry does not keep the others from being printed.
pub(super) fn run(args: &LsArgs, session: &mut Session<'_>) -> Result<Exit> {
    let bytes = |text: &Option<std::ffi::OsString>| text.as_ref().map(|t| t.as_bytes().to_vec());
    let is_plain = !(args.json || args.long || args.values || args.count);
    let selection = Selection {
        glob: args.glob.as_ref().map(glob).transpose()?,
        prefix: bytes(&args.prefix).unwrap_or_default(),
        from: bytes(&args.from),
        to: bytes(&args.to),
        reverse: args.reverse,
        // Whether anything matches decides the exit status, even if nothing is to be shown.
        limit: args.limit.map(|limit| limit.max(1)),
        values: args.values && !args.count,
        keys_only: is_plain || args.count,
    };
    let now = session.now();
    let shows = args.limit != Some(0);
    let end = line_end(args.null);
    let mut has_matched = false;
    let mut count = 0_u64;
    let mut damage = None;
    let Session {
        store,
        namespace,
        out,
        ..
    } = session;
    if !(args.count || args.null || args.no_pager) {
        out.page();
    }
    let is_table = args.long && !args.null && out.is_terminal();
    let mut table = is_table.then(|| Table::new(HEADS, &args.screen));
    let mut listing = store.scan(namespace, &selection, now)?;
    while let Some(listed) = listing.next() {
        match listed {
            Ok(listed) => {
                has_matched = true;
                if shows {
                    count += 1;
                }
                if is_plain && shows {
                    write_key_line(out, listed.key, end).or_cannot_write()?;
                } else if let Some(table) = table.as_mut().filter(|_| shows) {
                    table
                        .row(out, cells(&listed.meta, now), listed.key)
                        .or_cannot_write()?;
                } else if shows && !args.count {
                    let printed = print(args, &**store, namespace, out, listed, now);
                    damage = damage.or(only_damage(printed)?);
                }
            }
            // The first is reported, when all that is sound has been printed.
            Err(err) => damage = damage.or(Some(err)),
        }
    }
    if let Some(mut table) = table {
        table.end(out).or_cannot_write()?;
    }
    if args.count {
        writeln!(out, "{count}").or_cannot_write()?;
    }
    match damage {
        Some(err) => Err(err.into()),
        None if !has_matched && selection.is_bounded() && !args.count => Ok(Exit::No),
        None => Ok(Exit::Success),
    }
}

const HEADS: &[&str] = &["ETAG", " SIZE", " MODIFIED", " EXPIRES", "KEY"];

/// Returns what a person is told of an entry, but for its key.
fn cells(meta: &Meta, now: Time) -> Vec<String> {
    let (modified, expires) = (ago(meta.modified, now), until(meta.expires, now));
    vec![
        meta.etag.to_string(),
        units::bytes(meta.size.into()),
        modified,
        expires,
    ]
}

fn print(
    args: &LsArgs,
    store: &dyn Store,
    namespace: &Namespace,
    out: &mut Output,
    listed: Listed<'_>,
    now: Time,
) -> Result<()> {
    if args.json {
        return print_json(store, namespace, out, listed, now, false);
    }
    let Listed { key, meta, value } = listed;
    let end = line_end(args.null);
    if args.long {
        print_details(out, &meta).or_cannot_write()?;
    }
    match value {
        None => write_key_line(out, key, end).or_cannot_write(),
        Some(mut value) => {
            let between = if args.null { 0 } else { b'\t' };
            write_key_line(out, key, between).or_cannot_write()?;
            let read = value.for_each(|part| out.write_all(part));
            // Behind a damaged value too: the next key is not to be taken for a part of it.
            out.write_all(&[end]).or_cannot_write()?;
            read?.or_cannot_write()
        }
    }
}

fn print_details(out: &mut Output, meta: &Meta) -> io::Result<()> {
    let expires = meta
        .expires
        .map_or_else(|| "-".to_owned(), rfc3339_deadline);
    let modified = rfc3339(meta.modified);
    write!(out, "{}\t{}\t{modified}\t{expires}\t", meta.etag, meta.size)
}
