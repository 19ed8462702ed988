//! Running the user's program, for the commands that have one.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use anyhow::Result;
use rustix::io::Errno;

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
    supervisor.spawn(command, dies_along).map_err(|source| {
        // What kv lacks says nothing of the program.
        let lacks = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM];
        if Errno::from_io_error(&source).is_some_and(|errno| lacks.contains(&errno)) {
            return anyhow::Error::from(source).context("cannot start a process");
        }
        let program = command.get_program().to_string_lossy().into_owned();
        CannotRun { program, source }.into()
    })
}

/// Returns what kv does as the program did: the same status, or the same death.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    let small = |number: i32| u8::try_from(number).ok();
    let code = status.code().and_then(small).map(Exit::Program);
    let signal = || status.signal().and_then(small).map(Exit::Signal);
    // One of the two is always there.
    code.or_else(signal).unwrap_or(Exit::Program(125))
}
