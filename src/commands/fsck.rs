//! `kv fsck`: checks a store, and repairs it.

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::Result;

use crate::cli::FsckArgs;
use crate::commands::Session;
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::commands::session::NamedBy;
use crate::exit::Exit;
use crate::store::check::Severity;
use crate::store::{Check, Finding, Namespace};
use crate::wire::finding;
use crate::wire::text::escape;

/// Treats one namespace or all of them. What fails in one keeps no other from being treated.
pub(super) fn run(args: &FsckArgs, session: &mut Session<'_>) -> Result<Exit> {
    let request = Check {
        repair: args.repair,
        dry_run: args.dry_run,
    };
    let mut exit = Exit::Success;
    let namespaces = match session.namespaces() {
        // What is wrong with the list of them may be mended with any.
        Err(err) if Exit::from_error(&err) == Exit::Damaged => {
            let namespace = session.namespace.clone();
            let told;
            (exit, told) = check(&namespace, &request, args.json, session)?;
            match session.namespaces() {
                Err(err) if told == Some(err.to_string()) => return Ok(exit),
                namespaces => namespaces?,
            }
        }
        namespaces => namespaces?,
    };
    for namespace in &namespaces {
        exit = exit.max(check(namespace, &request, args.json, session)?.0);
    }
    // A misspelt name must not pass for a sound namespace.
    if exit == Exit::Success
        && session.named_by != NamedBy::Nobody
        && !session.store.namespaces()?.contains(&session.namespace)
    {
        return Ok(Exit::No);
    }
    Ok(exit)
}

/// Treats one namespace. An error is one of the output; the store's are told at once, and returned as text.
fn check(
    namespace: &Namespace,
    request: &Check,
    json: bool,
    session: &mut Session<'_>,
) -> Result<(Exit, Option<String>)> {
    let Session {
        store, clock, out, ..
    } = session;
    let mut exit = Exit::Success;
    let mut written = Ok(());
    let mut tell = |found: Finding| {
        let is_settled = found.repair.as_ref().is_some_and(|repair| repair.settles);
        if found.severity == Severity::Damage && !is_settled {
            exit = Exit::Damaged;
        }
        // The store cannot be told of a failed output, and has to come to its end.
        if written.is_ok() {
            written = match json {
                true => finding::write_json(out, namespace.as_str(), &found),
                false => print(out, &found),
            };
        }
    };
    let done = store.check(namespace, request, clock, &mut tell);
    written.or_cannot_write()?;
    let mut told = None;
    if let Err(err) = done {
        told = Some(err.to_string());
        exit = exit.max(session.fails(err));
    }
    Ok((exit, told))
}

/// Prints a finding in one line, whatever characters its path and its key have.
fn print(out: &mut Output, found: &Finding) -> io::Result<()> {
    let path = escape(found.path.as_os_str().as_bytes());
    write!(out, "{}: {path}: {}", found.severity.word(), found.what)?;
    if let Some(key) = &found.key {
        write!(out, " (key `{}`)", escape(key))?;
    }
    if let Some(repair) = &found.repair {
        write!(out, "; {}", repair.what)?;
    }
    out.write_all(b"\n")
}
