//! `kv completions`: prints the completion script of a shell.

use std::io::Write as _;

use anyhow::Result;

use crate::cli::{CompletionsArgs, Shell};
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::exit::Exit;

/// Prints the script as it is kept in `completions/`.
pub(super) fn run(args: &CompletionsArgs, out: &mut Output) -> Result<Exit> {
    let script: &[u8] = match args.shell {
        Shell::Bash => include_bytes!("../../completions/kv.bash"),
        Shell::Zsh => include_bytes!("../../completions/_kv"),
        Shell::Fish => include_bytes!("../../completions/kv.fish"),
    };
    out.write_all(script).or_cannot_write()?;
    Ok(Exit::Success)
}
