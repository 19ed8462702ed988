//! Running the user's program, for the commands that have one.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus};
use std::sync::{Arc, Once};

use anyhow::{Result, anyhow};
use rustix::io::Errno;

use crate::exit::{CannotRun, Exit};
use crate::os::{self, Supervisor};
use crate::store::{Guard, StoreError, Value};

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
    os::share_stdout();
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

/// The variable in which the program is told the token of the lock that it runs under.
const TOKEN: &str = "KV_LOCK_TOKEN";

/// Tells the program the token of the lock that it will run under, if there is one.
pub(super) fn tell_token(held: &dyn Guard, command: &mut Command) {
    if let Some(token) = held.token() {
        command.env(TOKEN, token.to_string());
    }
}

/// Tells once that a lock was lost.
pub(super) struct Loss {
    /// What it is called.
    what: String,
    told: Once,
}

impl Loss {
    /// Begins to hear of the loss of a lock; if that `is_the_end`, the program does not go on without it.
    pub(super) fn watch(
        held: &dyn Guard,
        what: String,
        is_the_end: bool,
        supervisor: &Supervisor,
    ) -> Arc<Self> {
        let told = Once::new();
        let loss = Arc::new(Self { what, told });
        held.on_loss({
            let (loss, stopper) = (Arc::clone(&loss), supervisor.stopper());
            Box::new(move || {
                loss.tell();
                if is_the_end {
                    stopper.stop();
                }
            })
        });
        loss
    }

    pub(super) fn tell(&self) {
        // Who comes second waits until the line is out: it may be about to end the process.
        self.told.call_once(|| {
            super::complain(&anyhow!(
                "{} was lost while the program ran: the store was out of reach for too long, or has \
                 forgotten it",
                self.what
            ));
        });
    }
}

/// What a program did not want of its input.
pub(super) type Rest = Option<Value>;

/// Writes the value to the program, and returns it if the program does not want all of it: what is
/// damaged in a large value is known at its end.
pub(super) fn feed(mut stdin: ChildStdin, input: Option<Value>) -> Result<Rest, StoreError> {
    let Some(mut value) = input else {
        return Ok(None);
    };
    let fed = value.for_each(|part| stdin.write_all(part))?;
    Ok(fed.is_err().then_some(value))
}

/// Returns what kv does as the program did: the same status, or the same death.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    let small = |number: i32| u8::try_from(number).ok();
    let code = status.code().and_then(small).map(Exit::Program);
    let signal = || status.signal().and_then(small).map(Exit::Signal);
    // One of the two is always there.
    code.or_else(signal).unwrap_or(Exit::Program(125))
}
