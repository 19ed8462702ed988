//! `kv ttl`: prints how long a key has to live.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::TtlArgs;
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::Exit;

/// Prints whole seconds, rounded up so that a living key never shows 0.
pub(super) fn run(args: &TtlArgs, session: &mut Session<'_>) -> Result<Exit> {
    let now = session.now();
    let Some(meta) = session.store.stat(&session.namespace, &args.key, now)? else {
        return Ok(Exit::No);
    };
    match meta.expires {
        None => writeln!(session.out, "never"),
        Some(deadline) => {
            let left = deadline.left(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            writeln!(session.out, "{seconds}")
        }
    }
    .or_cannot_write()?;
    Ok(Exit::Success)
}
