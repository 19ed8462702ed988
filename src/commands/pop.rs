//! `kv pop`: takes an element from a list.

use std::io::Write as _;

use anyhow::{Result, anyhow};

use crate::cli::PopArgs;
use crate::commands::Session;
use crate::exit::Exit;
use crate::store::{End, Entry, error};

/// Prints the element; says no when there is none in the time allowed.
pub(super) fn run(args: &PopArgs, session: &mut Session<'_>) -> Result<Exit> {
    let Some(mut entry) = take(args, session)? else {
        return Ok(Exit::No);
    };
    let written = session
        .out
        .write_value(&mut entry.value)?
        .and_then(|()| session.out.flush());
    // An element that nobody read is gone, so that even a closed pipe is a failure.
    written.map_err(|err| {
        let why = error::line(&err);
        anyhow!(
            "cannot write to standard output: {why}; the element of `{}` is lost",
            args.list
        )
    })?;
    Ok(Exit::Success)
}

fn take(args: &PopArgs, session: &Session<'_>) -> Result<Option<Entry>> {
    let end = if args.last { End::Last } else { End::First };
    Ok(match args.wait {
        None => session.store.pop(&args.list, end, &session.clock)?,
        Some(wait) => {
            let clock = &session.clock;
            session.store.pop_within(&args.list, end, wait, clock)?
        }
    })
}
