//! Arguments of the commands on many entries at once.

use std::ffi::OsString;

use clap::{ArgGroup, Args, ValueHint};

/// Arguments of `kv export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Pattern that keys must match
    #[arg(value_name = "GLOB", value_hint = ValueHint::Other)]
    pub glob: Option<OsString>,

    /// Export all namespaces, lists too, and name each entry's
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `kv import`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("merge").multiple(false))]
pub struct ImportArgs {
    /// Take each line as a key, a tab and a value, with `\t`, `\n` and `\\` in either
    #[arg(long)]
    pub tsv: bool,

    /// With --tsv: take the carriage return off the end of each line, as Windows writes them
    #[arg(long, requires = "tsv")]
    pub crlf: bool,

    /// Leave keys as they are that hold something
    #[arg(long, group = "merge")]
    pub if_absent: bool,

    /// Of an entry that is there and an imported one, keep the one modified later
    #[arg(long = "merge", group = "merge")]
    pub newer: bool,

    /// Remove every key of the namespace that is not imported
    #[arg(long, group = "merge")]
    pub replace: bool,

    /// Import nothing; print the keys whose entry would be replaced or removed
    #[arg(long)]
    pub dry_run: bool,
}
