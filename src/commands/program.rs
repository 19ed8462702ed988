//! Running the user's program, for the commands that have one.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use anyhow::Result;

use crate::exit::{CannotRun, Exit};
use crate::os::Supervisor;

/// Prepares the program that was given behind `--`.
pub(super) fn command(words: &[OsString]) -> Command {
    // The command line demands one word at least.
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Starts a program; see [`Supervisor::spawn`].
pub(super) fn spawn(
    supervisor: &Supervisor,
    command: &mut Command,
    dies_along: bool,
) -> Result<Child> {
    let child = supervisor.spawn(command, dies_along);
    Ok(child.map_err(|source| CannotRun {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?)
}

/// Returns the status that stands for the way a program ended.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    // One of the two is always there, and neither is above 255.
    Exit::Program(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(125))
}
