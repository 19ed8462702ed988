//! Arguments of the commands that add to what a key holds.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::{Variable, value};
use crate::store::Key;

/// Arguments of `kv incr`.
#[derive(Debug, Args)]
pub struct IncrArgs {
    /// Key that holds the number
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Add N, which may be negative
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = value::addend, allow_negative_numbers = true)]
    pub by: i64,

    /// If this makes the key, let it expire after this long; else its expiry stays
    #[arg(long, value_name = "DURATION", value_parser = value::ttl, allow_negative_numbers = true)]
    pub ttl: Option<Duration>,

    /// Where the answer goes.
    #[command(flatten)]
    pub variable: Variable,
}

/// Arguments of `kv append`.
#[derive(Debug, Args)]
pub struct AppendArgs {
    /// Key to add to
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// What to add; without it, standard input is read
    #[arg(value_name = "VALUE", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub value: Option<OsString>,
}
