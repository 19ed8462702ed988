//! Arguments of `kv memo`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::value;
use crate::store::Key;

/// Arguments of `kv memo`.
#[derive(Debug, Args)]
pub struct MemoArgs {
    /// Key to remember the run under; without one, it is made of the command line
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["cwd", "env", "modtime"])]
    pub key: Option<Key>,

    /// Remember the run for this long
    #[arg(long, value_name = "DURATION", value_parser = value::ttl, allow_negative_numbers = true)]
    #[arg(required = true)]
    pub ttl: Option<Duration>,

    /// Answer at once with a result that is older than this, and refresh it in the background
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true)]
    pub stale: Option<Duration>,

    /// Make the working directory a part of the key
    #[arg(long)]
    pub cwd: bool,

    /// Make the value of the variable NAME a part of the key, as a digest
    #[arg(long, value_name = "NAME", value_parser = value::variable())]
    pub env: Vec<OsString>,

    /// Make the time when FILE was modified a part of the key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub modtime: Vec<PathBuf>,

    /// Remember runs that fail, too
    #[arg(long)]
    pub keep_failures: bool,

    /// Program to run
    #[arg(value_name = "CMD", last = true, required = true)]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
