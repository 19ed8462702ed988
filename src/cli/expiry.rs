//! Arguments of `kv expire` and `kv ttl`.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command};

use crate::cli::{Variable, value};
use crate::store::{Expiry, Key, units};

/// Arguments of `kv expire`.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// Key to change
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// How long it has to live from now on, such as 90s, 1h30m or 7d; or `never`
    #[arg(value_name = "DURATION", value_parser = ExpiryParser, allow_negative_numbers = true)]
    #[arg(hide_possible_values = true)]
    pub expiry: Expiry,
}

/// Arguments of `kv ttl`.
#[derive(Debug, Args)]
pub struct TtlArgs {
    /// Key to look up
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// Where the answer goes.
    #[command(flatten)]
    pub variable: Variable,
}

/// Reads a new expiry, and tells the completions of the one word that it may be.
#[derive(Clone)]
struct ExpiryParser;

impl TypedValueParser for ExpiryParser {
    type Value = Expiry;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Expiry, clap::Error> {
        units::expiry.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue>>> {
        Some(Box::new([PossibleValue::new("never")].into_iter()))
    }
}
