//! `kv import`: stores entries from standard input.
//!
//! The entries of the namespace that comes first go to the store while they are read, and what
//! belongs to others is put aside until the input has ended: nothing is stored before all of it
//! has been found right.

mod input;
mod preview;
mod spool;

use anyhow::{Context as _, Result};

use self::input::{Form, Input, without_effect};
use self::preview::preview;
use self::spool::{Kept, Spool};
use crate::cli::ImportArgs;
use crate::commands::Session;
use crate::commands::session::NamedBy;
use crate::commands::value::expect_stdin;
use crate::exit::{Exit, UsageError};
use crate::store::{Feed, Incoming, Merge, Namespace, Stopped, Time};

/// Stores all entries, or none of them if a line is wrong.
pub(super) fn run(args: &ImportArgs, session: &mut Session<'_>) -> Result<Exit> {
    expect_stdin("there is nothing to import")?;
    let form = match (args.tsv, args.crlf) {
        (false, _) => Form::Json,
        (true, false) => Form::Tsv,
        (true, true) => Form::TsvCrlf,
    };
    let only = (session.named_by != NamedBy::Nobody).then(|| session.namespace.clone());
    let mut input = Input::stdin(form, only);
    if !without_effect(input.read())? {
        return empty(args);
    }
    let usual = session.namespace.clone();
    let mut entries = Entries::new(input, &usual, session.now());
    let mut exit = import_one(args, session, &mut entries, None)?;
    let (file, parts) = entries.spool.finish()?;
    let all = parts.len() + 1;
    for (done, part) in (1..).zip(&parts) {
        let mut input = Input::new(Box::new(Kept::new(file.as_ref(), part)), form);
        input.read()?;
        let mut entries = Entries::new(input, &part.namespace, session.now());
        exit = exit.max(import_one(args, session, &mut entries, Some((done, all)))?);
    }
    Ok(exit)
}

/// Decides about an input without any entry: whoever should have written it may have failed, and
/// then `--replace` would remove everything.
fn empty(args: &ImportArgs) -> Result<Exit> {
    if args.replace {
        let why = "standard input is empty: nothing was imported, and nothing removed by --replace; \
                   kv namespaces --remove empties a namespace";
        return Err(UsageError(why.to_owned()).into());
    }
    Ok(Exit::Success)
}

/// Imports into one namespace; `before` tells into how many of how many that has been done, where
/// it is known.
fn import_one(
    args: &ImportArgs,
    session: &mut Session<'_>,
    entries: &mut Entries<'_>,
    before: Option<(usize, usize)>,
) -> Result<Exit> {
    let merge = match (args.if_absent, args.newer, args.replace) {
        (true, ..) => Merge::IfAbsent,
        (_, true, _) => Merge::Newer,
        (.., true) => Merge::Replace,
        _ => Merge::Overwrite,
    };
    let namespace = entries.own.clone();
    let imported = if args.dry_run {
        preview(session, &namespace, entries, merge)?
    } else {
        let imported = session
            .store
            .import(&namespace, entries, merge, &session.clock);
        let imported = imported.with_context(|| match before {
            None => format!("not all was imported into `{namespace}`"),
            Some(before) => format!("{} and perhaps a part of `{namespace}`", only(before)),
        })?;
        imported.map(|_| Exit::Success)
    };
    match (imported, entries.fault.take()) {
        (Some(exit), _) => Ok(exit),
        (None, Some(fault)) => match before {
            None => without_effect(Err(fault)),
            Some(before) => Err(fault.context(only(before))),
        },
        (None, None) => unreachable!("a feed that stopped knows why"),
    }
}

fn only((done, all): (usize, usize)) -> String {
    format!("not all was imported, only {done} of {all} namespaces")
}

/// The entries of one namespace; those of others are put aside on the way.
struct Entries<'a> {
    input: Input<'a>,
    /// Whether the input stands at an entry that has not been yielded.
    is_ahead: bool,
    own: Namespace,
    /// Where entries belong that name no namespace.
    usual: &'a Namespace,
    now: Time,
    spool: Spool,
    fault: Option<anyhow::Error>,
}

impl<'a> Entries<'a> {
    /// Yields the entries of the namespace that the input stands at, this one included.
    fn new(input: Input<'a>, usual: &'a Namespace, now: Time) -> Self {
        let own = input.record().and_then(|record| record.namespace.clone());
        Self {
            is_ahead: input.record().is_some(),
            input,
            own: own.unwrap_or_else(|| usual.clone()),
            usual,
            now,
            spool: Spool::default(),
            fault: None,
        }
    }

    /// Goes to the next entry. Returns false at the end.
    fn advance(&mut self) -> Result<bool> {
        loop {
            if !std::mem::take(&mut self.is_ahead) {
                self.input.read()?;
            }
            let Some(record) = self.input.record() else {
                return Ok(false);
            };
            // What has expired is absent, as if its line were not there; but its namespace is.
            let is_over = record
                .expires
                .is_some_and(|expires| expires.is_over(self.now));
            let namespace = record.namespace.as_ref().unwrap_or(self.usual);
            if *namespace != self.own {
                let line = (!is_over).then(|| self.input.line());
                self.spool.keep(namespace, line)?;
            } else if !is_over {
                return Ok(true);
            }
        }
    }
}

impl Feed for Entries<'_> {
    fn next(&mut self) -> Result<Option<Incoming<'_>>, Stopped> {
        if self.fault.is_some() {
            return Err(Stopped);
        }
        match self.advance() {
            Ok(true) => Ok(self.input.entry()),
            Ok(false) => Ok(None),
            Err(fault) => {
                self.fault = Some(fault);
                Err(Stopped)
            }
        }
    }
}
