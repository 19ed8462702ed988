//! `kv lock`: runs a program while holding a lock.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::{LockArgs, OnLoss};
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::commands::program::{self, Loss};
use crate::exit::{Exit, UsageError};
use crate::os::{self, Supervisor};
use crate::store::{LockRequest, StoreError};
use crate::wire::json;
use crate::wire::text::escape;
use crate::wire::time::rfc3339;

/// The most bytes that are shown of a machine's name.
const MAX_HOST: usize = 255;

/// Takes the lock, runs the program, and returns its status.
pub(super) fn run(args: &LockArgs, session: &mut Session<'_>) -> Result<Exit> {
    if args.show {
        return show(args, session);
    }
    let patience = if args.no_wait {
        Some(Duration::ZERO)
    } else {
        args.wait
    };
    let request = LockRequest {
        is_shared: args.shared,
        patience,
    };
    let held = session
        .store
        .lock(&session.namespace, &args.name, request, &session.clock)?;
    let Some(held) = held else {
        return match args.wait {
            // Under cron a line would be a mail each time that the last run is still going.
            None => Ok(Exit::Program(124)),
            Some(waited) => {
                let path = format!("lock {}", args.name).into();
                Err(StoreError::Busy { path, waited }.into())
            }
        };
    };
    let supervisor = Supervisor::new().context("cannot hold back signals")?;
    let mut command = program::command(&args.command);
    program::tell_token(&*held, &mut command);
    if args.inherit {
        let descriptor = held.descriptor().ok_or_else(|| {
            let why = "--inherit is for stores of this machine: a lease has no descriptor";
            UsageError(why.to_owned())
        })?;
        os::hand_down(descriptor).context("cannot pass the lock on to the program")?;
    }
    let mut child = program::spawn(&supervisor, &mut command, !args.inherit)?;
    let is_the_end = args.on_loss == OnLoss::Term;
    let loss = Loss::watch(
        &*held,
        format!("lock `{}`", args.name),
        is_the_end,
        &supervisor,
    );
    let status = supervisor
        .wait(&mut child)
        .context("cannot wait for the program")?;
    if !held.end() {
        loss.tell();
        return Ok(Exit::Program(125));
    }
    Ok(program::exit_of(status))
}

/// Prints who holds the lock, as `stat` prints its fields.
fn show(args: &LockArgs, session: &mut Session<'_>) -> Result<Exit> {
    let Some(holder) = session.store.lock_holder(&session.namespace, &args.name)? else {
        return Ok(Exit::No);
    };
    // It is what a client of a service calls its machine, and can be anything.
    let host = holder.host.as_bytes();
    let host = &host[..host.len().min(MAX_HOST)];
    let is_shared = holder.is_shared;
    let mut print = || -> io::Result<()> {
        if args.json {
            write!(session.out, "{{\"pid\":{}", holder.pid)?;
            json::member(session.out, "host", &String::from_utf8_lossy(host))?;
            json::member(session.out, "since", &rfc3339(holder.since))?;
            return writeln!(session.out, ",\"shared\":{is_shared}}}");
        }
        writeln!(session.out, "pid: {}", holder.pid)?;
        writeln!(session.out, "host: {}", escape(host))?;
        writeln!(session.out, "since: {}", rfc3339(holder.since))?;
        let shared = if is_shared { "yes" } else { "no" };
        writeln!(session.out, "shared: {shared}")
    };
    print().or_cannot_write()?;
    Ok(Exit::Success)
}
