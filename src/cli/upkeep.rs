//! Arguments of the commands that look after a store.

use std::time::Duration;

use clap::{Args, ValueHint};

use crate::cli::value;

/// Arguments of `kv gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Remove entries that were written longer ago than this
    #[arg(long, value_name = "DURATION", value_parser = value::patience)]
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub evict_older_than: Option<Duration>,

    /// Remove the entries written first until at most N are left
    #[arg(long, value_name = "N", value_parser = value::count)]
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub max_entries: Option<u64>,

    /// Remove the entries written first until keys and values take at most SIZE
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub max_size: Option<u64>,

    /// Pack what was written within the last hour, too
    #[arg(long)]
    pub now: bool,

    /// Change nothing; print the keys that would be evicted
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `kv fsck`.
#[derive(Debug, Args)]
pub struct FsckArgs {
    /// Repair what is damaged; delete nothing
    #[arg(long)]
    pub repair: bool,

    /// With --repair: change nothing; print what would be done
    #[arg(long, requires = "repair")]
    pub dry_run: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `kv info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Print one JSON object a line, for each namespace
    #[arg(long)]
    pub json: bool,
}
