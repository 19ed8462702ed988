//! `kv help`: prints help, for kv or for one command.

use std::io::Write as _;

use anyhow::Result;

use crate::cli;
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::exit::{Exit, UsageError};

/// Prints the long help of a command, as `kv COMMAND --help` does.
pub(super) fn run(command: Option<&str>, out: &mut Output) -> Result<Exit> {
    let mut kv = cli::command();
    kv.build();
    let help = match command {
        None => kv.render_long_help(),
        Some(name) => match kv.find_subcommand_mut(name) {
            Some(command) => command.render_long_help(),
            None => return Err(UsageError(format!("no command is called `{name}`")).into()),
        },
    };
    write!(out, "{help}").or_cannot_write()?;
    Ok(Exit::Success)
}
