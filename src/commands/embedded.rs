//! Commands that are carried out in the process of a shell.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Result, bail};

use super::output::Output;
use super::session::Session;
use super::{complain, dispatch};
use crate::cli::{Command, Reader, Target};
use crate::exit::{Exit, UsageError};
use crate::os::{Guest, RawStdout, interrupt};
use crate::store::modify::Conflicts;
use crate::store::{Condition, End, Key, Namespace};

/// The status of what Ctrl-C has ended, as a shell tells it of a program.
const INTERRUPTED: u8 = 128 + 2;

/// What becomes of a command line.
#[derive(Debug)]
pub enum Answer {
    /// It was carried out.
    Done {
        /// The exit status.
        status: u8,
        /// What a variable is to hold.
        set: Option<Setting>,
    },
    /// It is for the program: it runs programs, waits or serves, or asks for help, or is wrong.
    Program,
}

/// What a variable of the shell is to hold.
#[derive(Debug)]
pub struct Setting {
    /// The variable's name.
    pub name: OsString,
    /// The elements of an array, or the one value; none holds NUL.
    pub values: Vec<Vec<u8>>,
    /// Whether it is an array.
    pub is_array: bool,
}

/// Lets this function tell whether the shell wants what is being done to end.
pub fn heed(interrupted: fn() -> bool) {
    interrupt::ask(interrupted);
}

/// Carries out a command line, the name `kv` included. `check` says why a variable of that name cannot be
/// set, if it cannot; it is asked before anything is changed.
pub fn embedded(
    reader: &mut Reader,
    args: &[OsString],
    check: impl FnOnce(&Target<'_>) -> Result<(), String>,
) -> Answer {
    // What is wrong, the program says as well.
    let Ok(cli) = reader.read(args) else {
        return Answer::Program;
    };
    if !is_short(&cli.command) {
        return Answer::Program;
    }
    let _guest = Guest::enter();
    let mut set = None;
    let run = || {
        let target = cli.command.target()?;
        let Some(target) = target else {
            return super::print(&cli);
        };
        check(&target).map_err(UsageError)?;
        let mut out = Output::held();
        let exit = super::run(&cli, &mut out, answer)?;
        let printed = out.into_held();
        // As with `x=$(kv …)`: what is not there leaves nothing.
        if matches!(exit, Exit::Success | Exit::No) {
            set = Some(setting(&target, printed)?);
        }
        Ok(exit)
    };
    let done: Result<Exit> = run();
    let exit = done.unwrap_or_else(|err| {
        let exit = Exit::from_error(&err);
        if exit != Exit::Success && !interrupt::is_wanted() {
            complain(&err);
        }
        exit
    });
    let status = match exit > Exit::No && interrupt::is_wanted() {
        true => INTERRUPTED,
        false => exit.row().0,
    };
    Answer::Done { status, set }
}

/// Tells whether a command is done at once, by the process itself.
fn is_short(command: &Command) -> bool {
    match command {
        Command::Pop(with) => with.args.wait.is_none() && with.args.command.is_empty(),
        // A pager may be wanted.
        Command::Ls(_) => !RawStdout.is_terminal() || matches!(command.target(), Ok(Some(_))),
        Command::Put(_)
        | Command::Get(_)
        | Command::Remove(_)
        | Command::Rename(_)
        | Command::Copy(_)
        | Command::Has(_)
        | Command::Stat(_)
        | Command::Expire(_)
        | Command::Ttl(_)
        | Command::Incr(_)
        | Command::Append(_)
        | Command::Push(_)
        | Command::Items(_) => true,
        _ => false,
    }
}

/// Carries out a command whose answer a variable gets. What none can hold is not taken out of the store.
fn answer(command: &Command, session: &mut Session<'_>) -> Result<Exit> {
    let limit = session.store.busy_timeout();
    let mut conflicts = Conflicts::default();
    match command {
        Command::Get(with) if with.args.remove => {
            let (namespace, key) = (session.namespace.clone(), &with.args.key);
            while let Some(is_taken) = take(session, &namespace, key)? {
                if is_taken {
                    return Ok(Exit::Success);
                }
                conflicts.pause(limit, key)?;
            }
            let Some(default) = &with.args.default else {
                return Ok(Exit::No);
            };
            session.out.write_all(default.as_bytes())?;
            Ok(Exit::Success)
        }
        Command::Pop(with) => {
            let list = &with.args.list;
            let end = if with.args.last {
                End::Last
            } else {
                End::First
            };
            while let Some(claim) = session.store.claim(list, end, &session.clock)? {
                let taken = take(session, list, &claim.key);
                session.store.clear(list, &claim.key, claim.held);
                if taken? == Some(true) {
                    return Ok(Exit::Success);
                }
                conflicts.pause(limit, &claim.key)?;
            }
            Ok(Exit::No)
        }
        _ => dispatch(command, session),
    }
}

/// Takes an entry and prints its value. Returns whether that was done before another changed it; `None`
/// where there is none.
fn take(session: &mut Session<'_>, namespace: &Namespace, key: &Key) -> Result<Option<bool>> {
    let Some(entry) = session.store.get(namespace, key, session.now())? else {
        return Ok(None);
    };
    let condition = Condition::Etag(entry.meta.etag);
    let value = entry.value.into_vec()?;
    expect_text(&value)?;
    let removed = session
        .store
        .remove(namespace, key, &condition, &session.clock)?;
    if removed {
        session.out.write_all(&value)?;
    }
    Ok(Some(removed))
}

/// Makes of what was printed what the variable is to hold.
fn setting(target: &Target<'_>, mut printed: Vec<u8>) -> Result<Setting> {
    let values = if target.is_array {
        // Each record ends with NUL, so that behind the last there is nothing.
        let records = printed.split(|byte| *byte == 0);
        let mut records: Vec<_> = records.map(<[u8]>::to_vec).collect();
        records.pop();
        records
    } else {
        if target.is_line && printed.last() == Some(&b'\n') {
            printed.pop();
        }
        expect_text(&printed)?;
        vec![printed]
    };
    Ok(Setting {
        name: target.name.to_owned(),
        values,
        is_array: target.is_array,
    })
}

fn expect_text(value: &[u8]) -> Result<()> {
    match value.contains(&0) {
        true => bail!("the value holds NUL, which no variable of bash can: print it instead of -v"),
        false => Ok(()),
    }
}
