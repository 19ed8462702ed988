//! `kv expire`: sets when a key expires.

use anyhow::Result;

use crate::cli::ExpireArgs;
use crate::commands::Session;
use crate::commands::nearest;
use crate::exit::Exit;

/// Gives the key its new expiry; says no when there is no such key.
pub(super) fn run(args: &ExpireArgs, session: &mut Session<'_>) -> Result<Exit> {
    let found = session
        .store
        .expire(&session.namespace, &args.key, args.expiry, &session.clock)?;
    Ok(match found {
        true => Exit::Success,
        false => nearest::missing(session, &args.key),
    })
}
