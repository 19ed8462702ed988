//! Arguments of the commands on lists.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::{Screen, Variable, value};
use crate::store::Namespace;

/// Arguments of `kv push`.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// List to add to
    #[arg(value_name = "LIST", value_parser = value::list())]
    pub list: Namespace,

    /// Element to add; without one, all of standard input is one element
    #[arg(value_name = "VALUE", allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub value: Option<OsString>,

    /// Add each line of standard input, without its newline, as an element
    #[arg(long, conflicts_with_all = ["value", "null"])]
    pub lines: bool,

    /// Add each record of standard input that ends with NUL, without it, as an element
    #[arg(short = '0', long, conflicts_with = "value")]
    pub null: bool,
}

/// Arguments of `kv pop`.
#[derive(Debug, Args)]
pub struct PopArgs {
    /// List to take from
    #[arg(value_name = "LIST", value_parser = value::list())]
    pub list: Namespace,

    /// Take the newest element instead of the oldest
    #[arg(long)]
    pub last: bool,

    /// If there is nothing to take, wait for at most this long for an element
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true, conflicts_with = "variable")]
    pub wait: Option<Duration>,

    /// Move an element on which CMD has failed N times to the list LIST.failed
    #[arg(long, value_name = "N", value_parser = value::at_least_one, requires = "command")]
    pub attempts: Option<u64>,

    /// Where the answer goes.
    #[command(flatten)]
    pub variable: Variable,

    /// Program that works on the element, which it gets on its input
    #[arg(value_name = "CMD", last = true, conflicts_with = "variable")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Arguments of `kv items`.
#[derive(Debug, Args)]
pub struct ItemsArgs {
    /// List to print
    #[arg(value_name = "LIST", value_parser = value::list())]
    pub list: Namespace,

    /// End each element with NUL instead of a newline
    #[arg(short = '0', long, conflicts_with = "json")]
    pub null: bool,

    /// Print one JSON object a line, as `kv ls --json --values` does
    #[arg(long)]
    pub json: bool,

    /// Print of each element, TAB-separated: size, time, attempts, since when who works on it, and its key
    #[arg(long, conflicts_with_all = ["null", "json"])]
    pub long: bool,

    /// What a terminal shows.
    #[command(flatten)]
    pub screen: Screen,
}
