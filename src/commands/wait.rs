//! `kv wait`: waits until a key is there, gone or changed.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::WaitArgs;
use crate::commands::Session;
use crate::exit::Exit;
use crate::store::{Meta, WatchTarget};

/// A look at a key: whether what is waited for holds, and when at the latest it may without anybody
/// doing anything.
struct Look {
    holds: bool,
    expires_in: Option<Duration>,
}

/// Returns as soon as it holds; says no when the time is over.
pub(super) fn run(args: &WaitArgs, session: &mut Session<'_>) -> Result<Exit> {
    if look(args, session)?.holds {
        return Ok(Exit::Success);
    }
    // A timeout too long to count is none.
    let until = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let mut watcher = session
        .store
        .watch(&session.namespace, WatchTarget::Key(&args.key))?;
    loop {
        let seen = look(args, session)?;
        if seen.holds {
            return Ok(Exit::Success);
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(Exit::No);
        }
        let expiry = seen
            .expires_in
            .and_then(|left| Instant::now().checked_add(left));
        watcher.wait(until.into_iter().chain(expiry).min())?;
    }
}

fn look(args: &WaitArgs, session: &Session<'_>) -> Result<Look> {
    let now = session.now();
    let found: Option<Meta> = session.store.stat(&session.namespace, &args.key, now)?;
    let holds = match (&found, args.changed) {
        (Some(meta), Some(etag)) => meta.etag != etag,
        (None, Some(_)) => true,
        (found, None) => found.is_none() == args.gone,
    };
    let expires_in = found
        .and_then(|meta| meta.expires)
        .map(|deadline| deadline.left(now));
    Ok(Look { holds, expires_in })
}
