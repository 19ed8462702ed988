//! The options that any command takes, before it or behind it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use crate::cli::{Cli, value};
use crate::store::{Location, Namespace};

/// Options of any command, as they stand before it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalBefore {
    /// Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST
    /// [default: $KV_STORE, or ~/.local/share/kv]
    #[arg(short, long, value_name = "LOCATION", value_parser = value::location())]
    #[arg(value_hint = ValueHint::DirPath)]
    store: Option<Location>,

    /// Namespace to use [default: $KV_NAMESPACE, or default]
    #[arg(short, long, value_name = "NAME", value_parser = value::namespace())]
    #[arg(value_hint = ValueHint::Other)]
    namespace: Option<Namespace>,

    #[command(flatten)]
    rest: GlobalRest,
}

/// The same as they stand behind it: with long names only, so that commands can have the short
/// ones, as with git's -C.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct GlobalAfter {
    /// Where the store is: a directory, sqlite:FILE, redis://HOST or http://HOST
    /// [default: $KV_STORE, or ~/.local/share/kv]
    #[arg(long, value_name = "LOCATION", value_parser = value::location(), hide_short_help = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    store: Option<Location>,

    /// Namespace to use [default: $KV_NAMESPACE, or default]
    #[arg(long, value_name = "NAME", value_parser = value::namespace(), hide_short_help = true)]
    #[arg(value_hint = ValueHint::Other)]
    namespace: Option<Namespace>,

    #[command(flatten)]
    rest: GlobalRest,
}

#[derive(Debug, Default, Args)]
pub(super) struct GlobalRest {
    /// What a write survives once it has succeeded [default: $KV_SYNC, or full]
    #[arg(long, value_name = "WHEN", hide_short_help = true)]
    sync: Option<Durability>,

    /// How long to wait for the store's own locks [default: $KV_BUSY_TIMEOUT, or
    /// 10s]
    #[arg(long, value_name = "DURATION", value_parser = value::patience, hide_short_help = true)]
    #[arg(value_hint = ValueHint::Other)]
    busy_timeout: Option<Duration>,

    /// Fail where the store does not exist, and never make it [default: $KV_EXISTING]
    #[arg(long, hide_short_help = true)]
    existing: bool,

    /// The first line of FILE is the token: of the service that the store is behind
    /// [default: $KV_TOKEN], or with serve the one that its clients need
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// A power cut
    Full,
    /// The death of any process, kv itself too, but not a power cut
    Off,
}

/// The options that any command takes; what was not given is `None`.
#[derive(Clone, Debug, Default)]
pub struct Global {
    /// Where the store is.
    pub store: Option<Location>,
    /// Which namespace to use.
    pub namespace: Option<Namespace>,
    /// What an acknowledged write survives.
    pub sync: Option<Durability>,
    /// How long to wait for locks.
    pub busy_timeout: Option<Duration>,
    /// Whether the store must exist.
    pub existing: bool,
    /// Where a token is.
    pub token_file: Option<PathBuf>,
}

impl Global {
    /// Tells whether an option is given that is about the store as a whole, so that it counts for all
    /// commands of a batch or for none.
    pub fn is_about_the_store(&self) -> bool {
        let Self {
            store,
            namespace: _,
            sync,
            busy_timeout,
            existing,
            token_file,
        } = self;
        let is_some = store.is_some() || sync.is_some() || busy_timeout.is_some();
        is_some || *existing || token_file.is_some()
    }
}

impl Cli {
    /// Joins the global options before the command with those behind it, which win.
    pub fn global(&self) -> Global {
        let before = &self.before;
        let after = self.command.after();
        Global {
            store: after
                .and_then(|g| g.store.clone())
                .or_else(|| before.store.clone()),
            namespace: after
                .and_then(|g| g.namespace.clone())
                .or_else(|| before.namespace.clone()),
            sync: after.and_then(|g| g.rest.sync).or(before.rest.sync),
            busy_timeout: after
                .and_then(|g| g.rest.busy_timeout)
                .or(before.rest.busy_timeout),
            existing: before.rest.existing || after.is_some_and(|g| g.rest.existing),
            token_file: after
                .and_then(|g| g.rest.token_file.clone())
                .or_else(|| before.rest.token_file.clone()),
        }
    }
}
