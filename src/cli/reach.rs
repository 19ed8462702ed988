//! Arguments of the commands about whole stores.

use clap::{Args, ValueHint};

use crate::cli::value;
use crate::store::Namespace;

/// Arguments of `kv namespaces`.
#[derive(Debug, Args)]
pub struct NamespacesArgs {
    /// End each name with NUL instead of a newline
    #[arg(short = '0', long)]
    pub null: bool,

    /// Remove the namespace NAME with all its keys
    #[arg(long, value_name = "NAME", value_parser = value::namespace())]
    #[arg(value_hint = ValueHint::Other)]
    pub remove: Option<Namespace>,

    /// With --remove: remove nothing; print the keys that would go
    #[arg(long, requires = "remove")]
    pub dry_run: bool,
}
