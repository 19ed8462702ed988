//! `kv serve`: serves a store over HTTP.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cli::{Listen, ServeArgs};
use crate::commands::Session;
use crate::exit::{Exit, UsageError};
use crate::server::{self, Address, Config, Listener};
use crate::store::StoreError;
use crate::wire::text::escape;

/// Serves until a signal ends it.
pub(super) fn run(args: &ServeArgs, session: &mut Session<'_>) -> Result<Exit> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    let address = match &args.listen {
        Listen::Tcp(address) => Address::Tcp(*address),
        Listen::Unix(path) => Address::Unix(path.clone()),
    };
    let is_guarded = token.is_some() || matches!(address, Address::Unix(_));
    if let Address::Tcp(address) = &address
        && !is_guarded
        && !address.ip().is_loopback()
    {
        return Err(UsageError(format!(
            "whoever reaches {address} could use the store: give --token-file FILE, such as one made \
             by `head -c 32 /dev/urandom | base64 > FILE`, or --listen 127.0.0.1:{}",
            address.port()
        ))
        .into());
    }
    let shown = address.to_string();
    let listener = Listener::bind(address).with_context(|| format!("cannot listen on {shown}"))?;
    let mut line = format!("kv: listening on {}", listener.address());
    if !is_guarded {
        let what = if args.read_only {
            "read"
        } else {
            "read and write"
        };
        line += &format!("; every user and program of this machine can {what}");
    }
    let config = Config {
        store: session.take_store(),
        clock: Box::new(session.clock),
        namespace: session.namespace.clone(),
        token,
        hosts: args.host.clone(),
        max_value: args.max_value,
        read_only: args.read_only,
        tell: Box::new(tell),
    };
    // Nobody is left to tell if this fails.
    let ready = || _ = writeln!(io::stderr().lock(), "{}", escape(line.as_bytes()));
    server::serve(listener, config, ready).context("cannot serve")?;
    Ok(Exit::Success)
}

/// Reads a token: what can stand in a header, and is not empty.
fn token(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let text = fs::read(path).with_context(|| format!("cannot read `{shown}`"))?;
    let token = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let token = token.trim_ascii();
    if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
        let error = format!("the first line of `{shown}` is no token: letters, digits and signs");
        return Err(UsageError(error).into());
    }
    Ok(token.to_vec())
}

/// Tells the operator what went wrong with the store; no value and no token is in it.
pub(super) fn tell(err: &StoreError) {
    let mut line = format!("kv: {err}");
    let mut cause = std::error::Error::source(err);
    while let Some(err) = cause {
        line += &format!(": {}", super::describe(err));
        cause = err.source();
    }
    _ = writeln!(io::stderr().lock(), "{}", escape(line.as_bytes()));
}
