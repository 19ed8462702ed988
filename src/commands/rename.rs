//! `kv rename`: gives a key another name.

use anyhow::Result;

use crate::cli::MoveArgs;
use crate::commands::Session;
use crate::commands::nearest;
use crate::exit::Exit;

/// Says no where there is nothing to rename, or NEW is there and is to stay.
pub(super) fn run(args: &MoveArgs, session: &mut Session<'_>) -> Result<Exit> {
    let (namespace, clock) = (&session.namespace, &session.clock);
    let (from, to) = ((namespace, &args.old), (namespace, &args.new));
    let done = session.store.rename(from, to, args.if_absent, clock)?;
    Ok(answer(done, args, session))
}

/// Returns the status of what puts OLD in the place of NEW.
pub(super) fn answer(done: bool, args: &MoveArgs, session: &Session<'_>) -> Exit {
    match done {
        true => Exit::Success,
        // It may be NEW that is there.
        false if args.if_absent => Exit::No,
        false => nearest::missing(session, &args.old),
    }
}
