//! Arguments of the commands that run a program, and of `wait`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use crate::cli::value;
use crate::store::{Etag, Key};

/// Arguments of `kv update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Key to change
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Program that turns the value on its input into the one on its output
    #[arg(value_name = "CMD", last = true, required = true)]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// Arguments of `kv lock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Name of the lock; it has nothing to do with a key of that name
    #[arg(value_name = "NAME", value_parser = value::lock_name(), allow_negative_numbers = true)]
    #[arg(value_hint = ValueHint::Other)]
    pub name: Key,

    /// Wait for at most this long; then status 124
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true, conflicts_with = "no_wait")]
    pub wait: Option<Duration>,

    /// Do not wait: if the lock is taken, end with status 124 at once and in silence
    #[arg(long)]
    pub no_wait: bool,

    /// Share the lock with others who ask for that
    #[arg(long)]
    pub shared: bool,

    /// Let CMD and all that it starts hold the lock too: it is free when the last of them is gone
    #[arg(long)]
    pub inherit: bool,

    /// What becomes of CMD when the lock is lost; the status is 125 then
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "term",
        hide_default_value = true
    )]
    pub on_loss: OnLoss,

    /// Run nothing; print who holds the lock, or end with status 1 if nobody does
    #[arg(long, conflicts_with_all = ["wait", "no_wait", "shared", "inherit", "on_loss", "command"])]
    pub show: bool,

    /// With --show: print one JSON object
    #[arg(long, requires = "show", conflicts_with = "command")]
    pub json: bool,

    /// Program to run while the lock is held
    #[arg(value_name = "CMD", last = true, required_unless_present = "show")]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// What becomes of a program whose lock is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnLoss {
    /// It is sent TERM (the default)
    Term,
    /// It goes on
    Ignore,
}

/// Arguments of `kv wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Key to wait for
    #[arg(value_name = "KEY", value_parser = value::key(), allow_negative_numbers = true)]
    pub key: Key,

    /// Wait for at most this long; then status 1
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true)]
    pub timeout: Option<Duration>,

    /// Wait until there is no such key
    #[arg(long, conflicts_with = "changed")]
    pub gone: bool,

    /// Wait until the key's entry has another etag than this one, or is gone
    #[arg(long, value_name = "ETAG", value_hint = ValueHint::Other)]
    pub changed: Option<Etag>,
}

/// Arguments of `kv watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Pattern that keys must match
    #[arg(value_name = "GLOB", value_hint = ValueHint::Other)]
    pub glob: Option<OsString>,

    /// Tell changes of keys that begin with PREFIX
    #[arg(long, value_name = "PREFIX", allow_negative_numbers = true)]
    #[arg(value_hint = ValueHint::Other)]
    pub prefix: Option<OsString>,

    /// End each line, or each change and value, with NUL instead
    #[arg(short = '0', long)]
    pub null: bool,

    /// Print one JSON object a line
    #[arg(long, conflicts_with = "null")]
    pub json: bool,

    /// Print each value too
    #[arg(long)]
    pub values: bool,

    /// Begin with what is there
    #[arg(long, conflicts_with = "since")]
    pub now: bool,

    /// Begin with what has changed since `kv ls -l` printed FILE, and with -0 `kv ls -l -0`; `-` is
    /// standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub since: Option<PathBuf>,

    /// Tell changes when none has come for this long, or for ten times as long at the latest
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true)]
    pub settle: Option<Duration>,

    /// End after this long, with status 1 if nothing was told
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true)]
    pub timeout: Option<Duration>,

    /// Program to run for each key that has changed, instead of printing it
    #[arg(value_name = "CMD", last = true, conflicts_with_all = ["json", "values"])]
    #[arg(value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
