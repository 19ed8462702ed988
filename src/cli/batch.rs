//! Arguments of `kv batch`.

use clap::Args;

/// Arguments of `kv batch`.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// Take each command as a JSON array of strings, or of `{"base64": …}` for other bytes
    #[arg(long)]
    pub json: bool,

    /// End at the first command with a status of 2 or more
    #[arg(long)]
    pub stop: bool,
}
