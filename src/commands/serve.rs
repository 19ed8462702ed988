//! `kv serve`: serves a store over HTTP.

use std::io::{self, Write};

use anyhow::{Context as _, Result};
use parking_lot::Mutex;

use crate::cli::ServeArgs;
use crate::commands::output::Output;
use crate::commands::session::read_token;
use crate::commands::{Session, batch};
use crate::exit::{Exit, UsageError};
use crate::os;
use crate::server::{self, BatchRequest, Config, Listener};
use crate::store::StoreError;
use crate::wire::http::Address;

/// Serves until a signal ends it.
pub(super) fn run(args: &ServeArgs, session: &mut Session<'_>) -> Result<Exit> {
    let token = session.token_file.as_deref();
    let token = token.map(read_token).transpose()?.map(String::into_bytes);
    let given = os::inherited_socket().context("cannot take the service manager's socket")?;
    let given = given.map(Listener::adopt).transpose();
    let given = given.context("cannot listen on the service manager's socket")?;
    let address = given.as_ref().map_or(&args.listen, Listener::address);
    let is_guarded = token.is_some() || matches!(address, Address::Unix(_));
    if let Address::Tcp(address) = address
        && !is_guarded
        && !address.ip().is_loopback()
    {
        return Err(UsageError(format!(
            "whoever reaches {address} could use the store: give --token-file FILE, such as one made \
             by `(umask 077; head -c 32 /dev/urandom | base64 > FILE)`, or --listen 127.0.0.1:{}",
            address.port()
        ))
        .into());
    }
    let listener = match given {
        Some(listener) => listener,
        None => Listener::bind(args.listen.clone())
            .with_context(|| format!("cannot listen on {}", args.listen))?,
    };
    if session.choice.location.locator().is_at(listener.address()) {
        let error = format!(
            "the service would be its own store: {} names the address that it listens on",
            session.choice.setting
        );
        return Err(UsageError(error).into());
    }
    let mut line = format!("kv: listening on {}", listener.address());
    if !is_guarded {
        let what = if args.read_only {
            "read"
        } else {
            "read and write"
        };
        line += &format!("; every user and program of this machine can {what}");
    }
    let choice = session.choice.clone();
    let batch = move |request: BatchRequest, replies: &mut dyn Write| {
        let mut out = Output::new();
        let mut session = Session::of(choice.clone(), &mut out);
        batch::serve(&mut session, request, replies).map_err(io::Error::other)
    };
    let config = Config {
        store: session.take_store(),
        clock: Box::new(session.clock),
        namespace: session.namespace.clone(),
        token,
        hosts: args.host.clone(),
        max_value: args.max_value,
        read_only: args.read_only,
        batch: Box::new(batch),
        tell: Box::new(tell),
    };
    let ready = || {
        super::say(&line);
        os::tell_ready();
    };
    server::serve(listener, config, ready).context("cannot serve")?;
    Ok(Exit::Success)
}

/// Tells the operator what went wrong with the store; no value and no token is in it. Who reads none of it keeps no
/// client waiting, and is told nothing more until there is room again.
pub(super) fn tell(err: &StoreError) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    if os::stderr_has_room() {
        super::say(&super::complaint(err));
    }
}
