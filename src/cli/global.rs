//! The options that any command takes, before it or behind it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use crate::cli::{Cli, value};
use crate::engine::{self, Location};
use crate::store::Namespace;

/// The options that any command takes; what was not given is `None`.
///
/// Behind a command they have long names only, so that commands can have the short ones, as with git's
/// -C: see [`super::With`].
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where the store is.
    #[arg(short, long, value_name = "LOCATION", value_parser = value::location())]
    #[arg(value_hint = ValueHint::DirPath, help = store_help())]
    pub store: Option<Location>,

    /// Namespace to use [default: $KV_NAMESPACE, or default]
    #[arg(short, long, value_name = "NAME", value_parser = value::namespace())]
    #[arg(value_hint = ValueHint::Other)]
    pub namespace: Option<Namespace>,

    /// What a write survives once it has succeeded [default: $KV_SYNC, or full]
    #[arg(long, value_name = "WHEN", hide_short_help = true)]
    pub sync: Option<Durability>,

    /// How long to wait for the store's own locks [default: $KV_BUSY_TIMEOUT, or
    /// 10s]
    #[arg(long, value_name = "DURATION", value_parser = value::patience, hide_short_help = true)]
    #[arg(value_hint = ValueHint::Other)]
    pub busy_timeout: Option<Duration>,

    /// Fail where the store does not exist, and never make it [default: $KV_EXISTING]
    #[arg(long, hide_short_help = true)]
    pub existing: bool,

    /// The first line of FILE is the token: of the service that the store is behind
    /// [default: $KV_TOKEN], or with serve the one that its clients need
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
}

fn store_help() -> String {
    let usage = engine::usage();
    format!("Where the store is: {usage} [default: $KV_STORE, or ~/.local/share/kv]")
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// A power cut
    Full,
    /// The death of any process, kv itself too, but not a power cut
    Off,
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
    /// Returns the namespace that is named behind the command, or else before it.
    pub fn namespace(&self) -> Option<&Namespace> {
        let after = self
            .command
            .after()
            .and_then(|after| after.namespace.as_ref());
        after.or(self.before.namespace.as_ref())
    }

    /// Tells whether [`Global::is_about_the_store`] holds for what stands before the command or behind it.
    pub fn is_about_the_store(&self) -> bool {
        let mut both = self.command.after().into_iter().chain([&self.before]);
        both.any(Global::is_about_the_store)
    }

    /// Joins the global options before the command with those behind it, which win.
    pub fn global(&self) -> Global {
        let before = self.before.clone();
        let after = self.command.after().cloned().unwrap_or_default();
        Global {
            store: after.store.or(before.store),
            namespace: after.namespace.or(before.namespace),
            sync: after.sync.or(before.sync),
            busy_timeout: after.busy_timeout.or(before.busy_timeout),
            existing: after.existing || before.existing,
            token_file: after.token_file.or(before.token_file),
        }
    }
}
