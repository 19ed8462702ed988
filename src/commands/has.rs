//! `kv has`: tells whether there is a key.

use anyhow::Result;

use crate::cli::HasArgs;
use crate::commands::Session;
use crate::exit::Exit;

/// Answers by the exit status alone.
pub(super) fn run(args: &HasArgs, session: &mut Session<'_>) -> Result<Exit> {
    let found = session
        .store
        .stat(&session.namespace, &args.key, session.now())?;
    Ok(if found.is_some() {
        Exit::Success
    } else {
        Exit::No
    })
}
