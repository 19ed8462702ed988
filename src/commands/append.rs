//! `kv append`: adds to the end of a value.

use anyhow::{Result, bail};

use crate::cli::AppendArgs;
use crate::commands::Session;
use crate::commands::value::Given;
use crate::exit::Exit;

/// Adds the argument, or all of standard input, which is held in memory meanwhile: it may have to
/// be written more than once when others change the key.
pub(super) fn run(args: &AppendArgs, session: &mut Session<'_>) -> Result<Exit> {
    let addition = Given::open(args.value.as_ref(), None)?.into_vec()?;
    if let Some(longest) = session.longest {
        let now = session.now();
        let there = session.store.stat(&session.namespace, &args.key, now)?;
        let there = there.map_or(0, |meta| meta.size);
        if there.saturating_add(addition.len() as u64) > longest {
            bail!("the value would be larger than {longest} bytes");
        }
    }
    session
        .store
        .append(&session.namespace, &args.key, &addition, &session.clock)?;
    Ok(Exit::Success)
}
