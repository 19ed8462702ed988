//! `kv ttl`: prints how long a key has to live.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::TtlArgs;
use crate::commands::Session;
use crate::commands::nearest;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::Exit;

/// Prints whole seconds, rounded up so that a living key never shows 0.
pub(super) fn run(args: &TtlArgs, session: &mut Session<'_>) -> Result<Exit> {
    let now = session.now();
    let Some(meta) = session.store.stat(&session.namespace, &args.key, now)? else {
        return Ok(nearest::missing(session, &args.key));
    };
    match meta.expires {
        None => writeln!(session.out, "never"),
        Some(deadline) => writeln!(session.out, "{}", deadline.seconds_left(now)),
    }
    .or_cannot_write()?;
    Ok(Exit::Success)
}
