//! `kv copy`: copies what a key holds.

use anyhow::Result;

use crate::cli::MoveArgs;
use crate::commands::Session;
use crate::commands::rename;
use crate::exit::Exit;

/// Says no where there is nothing to copy, or NEW is there and is to stay.
pub(super) fn run(args: &MoveArgs, session: &mut Session<'_>) -> Result<Exit> {
    let (namespace, clock) = (&session.namespace, &session.clock);
    let (from, to) = ((namespace, &args.old), (namespace, &args.new));
    let done = session.store.copy(from, to, args.if_absent, clock)?;
    Ok(rename::answer(done, args, session))
}
