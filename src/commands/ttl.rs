//! `kv ttl`: prints how long a key has to live.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::cli::TtlArgs;
use crate::commands::Session;
use crate::commands::nearest;
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::exit::Exit;
use crate::store::Meta;
use crate::wire::json;

/// Prints whole seconds, rounded up so that a living key never shows 0.
pub(super) fn run(args: &TtlArgs, session: &mut Session<'_>) -> Result<Exit> {
    let now = session.now();
    let Some(meta) = session.store.stat(&session.namespace, &args.key, now)? else {
        return Ok(nearest::missing(session, &args.key));
    };
    let left = meta
        .expires
        .map(|deadline| deadline.seconds_left(now).to_string());
    match args.json {
        true => print_json(session.out, args, &meta, left).or_cannot_write()?,
        false => {
            writeln!(session.out, "{}", left.as_deref().unwrap_or("never")).or_cannot_write()?
        }
    }
    Ok(Exit::Success)
}

fn print_json(
    out: &mut Output,
    args: &TtlArgs,
    meta: &Meta,
    left: Option<String>,
) -> io::Result<()> {
    json::begin(out, args.key.as_bytes())?;
    write!(out, ",\"ttl\":{},", left.as_deref().unwrap_or("null"))?;
    json::expires(out, meta)?;
    out.write_all(b"}\n")
}
