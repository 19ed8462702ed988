//! Arguments of `kv expire` and `kv ttl`.

use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::value;
use crate::store::Key;

/// Arguments of `kv expire`.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// Key to change
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// How long it has to live from now on, such as 90s, 1h30m or 7d; or `never`
    #[arg(value_name = "DURATION", value_parser = new_expiry, allow_negative_numbers = true)]
    #[arg(value_hint = ValueHint::Other)]
    pub expiry: NewExpiry,
}

/// Arguments of `kv ttl`.
#[derive(Debug, Args)]
pub struct TtlArgs {
    /// Key to look up
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,
}

/// When a key is to expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewExpiry {
    /// After this long.
    After(Duration),
    /// Never.
    Never,
}

fn new_expiry(text: &str) -> Result<NewExpiry, String> {
    match text {
        "never" => Ok(NewExpiry::Never),
        text => value::ttl(text).map(NewExpiry::After),
    }
}
