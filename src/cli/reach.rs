//! Arguments of the commands about whole stores.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::cli::{Screen, value};
use crate::store::Namespace;

/// Arguments of `kv namespaces`.
#[derive(Debug, Args)]
pub struct NamespacesArgs {
    /// End each name with NUL instead of a newline
    #[arg(short = '0', long)]
    pub null: bool,

    /// Print one JSON object a line
    #[arg(long, conflicts_with_all = ["null", "remove"])]
    pub json: bool,

    /// Print entries, bytes and name, with tabs between them or, at a terminal, in columns
    #[arg(short, long, conflicts_with = "remove")]
    pub long: bool,

    /// Remove the namespace NAME with all its keys
    #[arg(long, value_name = "NAME", value_parser = value::namespace())]
    #[arg(value_hint = ValueHint::Other)]
    pub remove: Option<Namespace>,

    /// With --remove: remove nothing; print the keys that would go
    #[arg(long, requires = "remove")]
    pub dry_run: bool,

    /// What a terminal shows.
    #[command(flatten)]
    pub screen: Screen,
}

/// Arguments of `kv mount`.
#[derive(Debug, Args)]
pub struct MountArgs {
    /// Directory to mount on
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,

    /// Stay in the foreground, and end when it is unmounted
    #[arg(long)]
    pub foreground: bool,

    /// Mount also on a directory that is not empty, or on another mount, and hide what is there
    #[arg(long)]
    pub over: bool,

    /// Let nobody change anything
    #[arg(long)]
    pub read_only: bool,

    /// Let nobody run a program from it
    #[arg(long)]
    pub no_exec: bool,

    /// Store each write before it returns, as `sync` of mount(8) says it
    #[arg(long, hide = true)]
    pub synchronous: bool,

    /// Let other users of this machine in: all of them can do all that you can
    #[arg(long)]
    pub allow_other: bool,
}
