//! `kv pop`: takes an element from a list.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::PopArgs;
use crate::commands::Session;
use crate::commands::output::lost;
use crate::exit::Exit;
use crate::store::{End, Entry};

/// Prints the element; says no when there is none in the time allowed.
pub(super) fn run(args: &PopArgs, session: &mut Session<'_>) -> Result<Exit> {
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
    let end = if args.last { End::Last } else { End::First };
    Ok(match args.wait {
        None => session.store.pop(&args.list, end, &session.clock)?,
        Some(wait) => {
            let clock = &session.clock;
            session.store.pop_within(&args.list, end, wait, clock)?
        }
    })
}
