//! `kv items`: prints the elements of a list.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::ItemsArgs;
use crate::commands::Session;
use crate::commands::listing::{line_end, print_json};
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::commands::table::{Table, ago};
use crate::exit::Exit;
use crate::store::{Listed, Namespace, Selection, Store, Time, jobs, lists};
use crate::wire::text::escape;
use crate::wire::time::rfc3339;
use crate::wire::units;

/// Prints all elements in their order. A damaged one does not keep the others from being printed.
pub(super) fn run(args: &ItemsArgs, session: &mut Session<'_>) -> Result<Exit> {
    let selection = Selection {
        values: !args.long,
        ..Selection::default()
    };
    let now = session.now();
    let mut damage = None;
    let Session { store, out, .. } = session;
    let is_table = args.long && out.is_terminal();
    let mut table = is_table.then(|| Table::new(HEADS, &args.screen));
    let mut listing = store.scan(&args.list, &selection, now)?;
    while let Some(listed) = listing.next() {
        match listed {
            Ok(listed) if !lists::is_element(listed.key) => {}
            Ok(listed) if args.long => {
                long(&**store, &args.list, &listed, now, out, table.as_mut())?
            }
            Ok(listed) if args.json => print_json(&**store, &args.list, out, listed, now, false)?,
            Ok(listed) => {
                if let Some(mut value) = listed.value {
                    value
                        .for_each(|part| out.write_all(part))?
                        .or_cannot_write()?;
                }
                out.write_all(&[line_end(args.null)]).or_cannot_write()?;
            }
            Err(err) => damage = damage.or(Some(err)),
        }
    }
    if let Some(mut table) = table {
        table.end(out).or_cannot_write()?;
    }
    damage.map_or(Ok(Exit::Success), |err| Err(err.into()))
}

const HEADS: &[&str] = &[" SIZE", " PUSHED", " ATTEMPTS", " SINCE", "WORKER", "KEY"];

/// Prints what is known of an element: bytes, time of the push, attempts, since when who works on it, key.
fn long(
    store: &dyn Store,
    list: &Namespace,
    listed: &Listed<'_>,
    now: Time,
    out: &mut Output,
    table: Option<&mut Table>,
) -> Result<()> {
    let (key, meta) = (listed.to_key(), &listed.meta);
    let attempts = jobs::attempts(store, list, &key, now)?;
    let holder = store.lock_holder(list, &key)?;
    let nobody = || "-".to_owned();
    let worker = holder.as_ref().map_or_else(nobody, |holder| {
        format!("{}@{}", holder.pid, escape(holder.host.as_bytes()))
    });
    let since = holder.map(|holder| holder.since);
    if let Some(table) = table {
        let (size, pushed) = (units::bytes(meta.size.into()), ago(meta.modified, now));
        let since = since.map_or_else(nobody, |since| ago(since, now));
        let cells = vec![size, pushed, attempts.to_string(), since, worker];
        return table.row(out, cells, listed.key).or_cannot_write();
    }
    let since = since.map_or_else(nobody, rfc3339);
    let (size, modified) = (meta.size, rfc3339(meta.modified));
    writeln!(
        out,
        "{size}\t{modified}\t{attempts}\t{since}\t{worker}\t{key}"
    )
    .or_cannot_write()
}
