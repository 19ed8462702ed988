//! `kv pop`: takes an element from a list.

mod work;

use std::io::Write as _;

use anyhow::Result;

use crate::cli::PopArgs;
use crate::commands::Session;
use crate::commands::output::lost;
use crate::exit::Exit;
use crate::store::{End, Entry};

/// Prints the element, or has a program work on it; says no when there is none in the time allowed.
pub(super) fn run(args: &PopArgs, session: &mut Session<'_>) -> Result<Exit> {
    if !args.command.is_empty() {
        return work::run(args, session);
    }
    let Some(mut entry) = take(args, session)? else {
        return Ok(Exit::No);
    };
    let written = session
        .out
        .write_value(&mut entry.value)?
        .and_then(|()| session.out.flush());
    written.map_err(|err| lost(&format!("the element of `{}`", args.list), &err))?;
    Ok(Exit::Success)
}

fn take(args: &PopArgs, session: &Session<'_>) -> Result<Option<Entry>> {
    let clock = &session.clock;
    Ok(match args.wait {
        None => session.store.pop(&args.list, end_of(args), clock)?,
        Some(wait) => session
            .store
            .pop_within(&args.list, end_of(args), wait, clock)?,
    })
}

fn end_of(args: &PopArgs) -> End {
    if args.last { End::Last } else { End::First }
}
