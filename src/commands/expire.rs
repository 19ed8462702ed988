//! `kv expire`: sets when a key expires.

use anyhow::Result;

use crate::cli::{ExpireArgs, NewExpiry};
use crate::commands::Session;
use crate::exit::Exit;
use crate::store::Expiry;

/// Gives the key its new expiry; says no when there is no such key.
pub(super) fn run(args: &ExpireArgs, session: &mut Session<'_>) -> Result<Exit> {
    let expiry = match args.expiry {
        NewExpiry::After(ttl) => Expiry::After(ttl),
        NewExpiry::Never => Expiry::Never,
    };
    let found = session
        .store
        .expire(&session.namespace, &args.key, expiry, &session.clock)?;
    Ok(if found { Exit::Success } else { Exit::No })
}
