//! `kv lock`: runs a program while holding a lock.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::cli::LockArgs;
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::commands::program;
use crate::exit::Exit;
use crate::os::Supervisor;
use crate::store::{LockRequest, StoreError};
use crate::wire::time::rfc3339;

/// The variable in which the program is told the token of the lock.
const TOKEN: &str = "KV_LOCK_TOKEN";

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
    if let Some(token) = held.token() {
        command.env(TOKEN, token.to_string());
    }
    let mut child = program::spawn(&supervisor, &mut command, true)?;
    let status = supervisor
        .wait(&mut child)
        .context("cannot wait for the program")?;
    if held.is_lost() {
        session.complain(anyhow!(
            "lock `{}` was lost while the program ran: the store was out of reach for too long",
            args.name
        ));
    }
    Ok(program::exit_of(status))
}

/// Prints who holds the lock, as `stat` prints its fields.
fn show(args: &LockArgs, session: &mut Session<'_>) -> Result<Exit> {
    let Some(holder) = session.store.lock_holder(&session.namespace, &args.name)? else {
        return Ok(Exit::No);
    };
    let mut print = || -> io::Result<()> {
        writeln!(session.out, "pid: {}", holder.pid)?;
        writeln!(session.out, "host: {}", holder.host)?;
        writeln!(session.out, "since: {}", rfc3339(holder.since))?;
        writeln!(
            session.out,
            "shared: {}",
            if holder.is_shared { "yes" } else { "no" }
        )
    };
    print().or_cannot_write()?;
    Ok(Exit::Success)
}
