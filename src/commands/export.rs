//! `kv export`: prints entries for `kv import`.

use anyhow::Result;

use crate::cli::ExportArgs;
use crate::commands::Session;
use crate::commands::listing::{glob, only_damage, print_json};
use crate::commands::progress::Progress;
use crate::commands::session::NamedBy;
use crate::exit::{Exit, UsageError};
use crate::store::Selection;

/// Prints the entries of one namespace, or of all. What is damaged is told at once and does not
/// keep the others from being printed; the first decides the exit status.
pub(super) fn run(args: &ExportArgs, session: &mut Session<'_>) -> Result<Exit> {
    let selection = Selection {
        glob: args.glob.as_ref().map(glob).transpose()?,
        values: true,
        ..Selection::default()
    };
    let namespaces = match (args.all, session.named_by) {
        (true, NamedBy::Option) => {
            let why = "--all is about every namespace, and -n names one";
            return Err(UsageError(why.to_owned()).into());
        }
        (true, _) => session.store.namespaces()?,
        (false, _) => vec![session.namespace.clone()],
    };
    let now = session.now();
    // A terminal that gets the data has no line to spare.
    let mut progress = (!session.out.is_terminal()).then(|| Progress::new("entries"));
    let mut count = 0;
    let mut failed = None;
    for namespace in namespaces {
        let mut listing = match session.store.scan(&namespace, &selection, now) {
            Ok(listing) => listing,
            Err(err) if args.all => {
                let exit = session.fails(err);
                failed.get_or_insert(exit);
                continue;
            }
            Err(err) => return Err(err.into()),
        };
        while let Some(listed) = listing.next() {
            let damage = match listed {
                Ok(listed) => {
                    count += 1;
                    if let Some(progress) = &mut progress {
                        progress.set(count, None);
                    }
                    let store = &*session.store;
                    let printed = print_json(store, &namespace, session.out, listed, now, args.all);
                    only_damage(printed)?
                }
                Err(err) => Some(err),
            };
            if let Some(err) = damage {
                if let Some(progress) = &mut progress {
                    progress.clear();
                }
                let exit = session.fails(err);
                failed.get_or_insert(exit);
            }
        }
    }
    if args.all
        && let Err(err) = session.store.check_namespaces()
    {
        let exit = session.fails(err);
        failed.get_or_insert(exit);
    }
    Ok(match failed {
        Some(exit) => exit,
        None if count == 0 && selection.is_bounded() => Exit::No,
        None => Exit::Success,
    })
}
