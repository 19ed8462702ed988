//! `kv gc`: keeps a store small.

use anyhow::Result;

use crate::cli::GcArgs;
use crate::commands::Session;
use crate::commands::listing::{line_end, write_key_line};
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::commands::progress::Progress as Bar;
use crate::commands::session::NamedBy;
use crate::exit::{Exit, UsageError};
use crate::store::{Collect, Key, Namespace, Progress, StoreError};

/// Treats one namespace or all of them. What fails in one keeps no other from being treated.
pub(super) fn run(args: &GcArgs, session: &mut Session<'_>) -> Result<Exit> {
    let request = Collect {
        evict_older_than: args.evict_older_than,
        max_entries: args.max_entries,
        max_size: args.max_size,
        at_once: args.now,
        dry_run: args.dry_run,
    };
    if request.evicts() && session.named_by == NamedBy::Nobody {
        let why = "to evict entries a namespace must be named: give -n NAME or set KV_NAMESPACE";
        return Err(UsageError(why.to_owned()).into());
    }
    // Among the keys that a dry run prints, a bar would be one more line to tell from them.
    let mut bar = (!(args.dry_run && session.out.is_terminal())).then(|| Bar::new("steps"));
    let mut exit = Exit::Success;
    for namespace in session.namespaces()? {
        exit = exit.max(collect(&namespace, &request, session, bar.as_mut())?);
    }
    Ok(exit)
}

/// Treats one namespace. An error is one of the output; the store's are told at once.
fn collect(
    namespace: &Namespace,
    request: &Collect,
    session: &mut Session<'_>,
    bar: Option<&mut Bar>,
) -> Result<Exit> {
    let Session {
        store, clock, out, ..
    } = session;
    let mut report = Report {
        out,
        bar,
        lists: request.dry_run,
        exit: Exit::Success,
        written: Ok(()),
    };
    // If another is at work, that is success too: cron has nothing to mail.
    if let Err(err) = store.collect(namespace, request, clock, &mut report) {
        report.damage(err);
    }
    let Report { exit, written, .. } = report;
    written.map(|()| exit)
}

/// Passes on what a collection reports.
struct Report<'a> {
    out: &'a mut Output,
    bar: Option<&'a mut Bar>,
    /// Whether the keys that would go are wanted.
    lists: bool,
    exit: Exit,
    /// The store cannot be told of a failed output, and has to come to its end.
    written: Result<()>,
}

impl Progress for Report<'_> {
    fn step(&mut self, done: u64, total: u64) {
        if let Some(bar) = &mut self.bar {
            bar.set(done, Some(total));
        }
    }

    fn evict(&mut self, key: &Key) {
        if self.lists && self.written.is_ok() {
            let written = write_key_line(self.out, key.as_bytes(), line_end(false));
            self.written = written.or_cannot_write();
        }
    }

    /// Tells of anything that went wrong, the end of a whole collection too.
    fn damage(&mut self, err: StoreError) {
        if let Some(bar) = &mut self.bar {
            bar.clear();
        }
        let err = err.into();
        self.exit = self.exit.max(Exit::from_error(&err));
        super::complain(&err);
    }
}
