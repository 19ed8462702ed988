//! `kv help`: prints help, for kv or for one command.

use std::io::Write as _;

use anyhow::Result;

use crate::cli;
use crate::commands::output::{OrCannotWrite as _, Output};
use crate::engine::sqlite;
use crate::exit::{Exit, UsageError};

/// Prints the long help of a command, as `kv COMMAND --help` does.
pub(super) fn run(command: Option<&str>, out: &mut Output) -> Result<Exit> {
    if command == Some("recipes") {
        out.write_all(cli::RECIPES.as_bytes()).or_cannot_write()?;
        return Ok(Exit::Success);
    }
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

/// Returns what `kv --version --verbose` tells beyond the version, for those who report a fault.
pub(super) fn build() -> String {
    use std::env::consts::{ARCH, OS};
    let libc = match () {
        () if cfg!(target_env = "musl") => "musl",
        () if cfg!(target_env = "gnu") => "gnu",
        () => "of the system",
    };
    let linked = match cfg!(target_feature = "crt-static") {
        true => "static",
        false => "dynamic",
    };
    format!(
        "target: {ARCH}-{OS}\nlibc: {libc}, {linked}\nengines: tree, sqlite (SQLite {}), redis, http, memory\n\
         features: serve{}\n",
        sqlite::version(),
        if OS == "macos" { "" } else { ", mount" },
    )
}
