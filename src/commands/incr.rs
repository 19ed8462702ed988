//! `kv incr`: adds to a number.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::IncrArgs;
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::Exit;

/// Prints the sum.
pub(super) fn run(args: &IncrArgs, session: &mut Session<'_>) -> Result<Exit> {
    let (namespace, clock) = (&session.namespace, &session.clock);
    let sum = session
        .store
        .incr(namespace, &args.key, args.by, args.ttl, clock)?;
    writeln!(session.out, "{sum}").or_cannot_write()?;
    Ok(Exit::Success)
}
