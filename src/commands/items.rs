//! `kv items`: prints the elements of a list.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::ItemsArgs;
use crate::commands::Session;
use crate::commands::listing::{line_end, print_json};
use crate::commands::output::OrCannotWrite as _;
use crate::exit::Exit;
use crate::store::{Selection, lists};

/// Prints all elements in their order. A damaged one does not keep the others from being printed.
pub(super) fn run(args: &ItemsArgs, session: &mut Session<'_>) -> Result<Exit> {
    let selection = Selection {
        values: true,
        ..Selection::default()
    };
    let now = session.now();
    let mut damage = None;
    let Session { store, out, .. } = session;
    let mut listing = store.scan(&args.list, &selection, now)?;
    while let Some(listed) = listing.next() {
        match listed {
            Ok(listed) if !lists::is_element(listed.key) => {}
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
    damage.map_or(Ok(Exit::Success), |err| Err(err.into()))
}
