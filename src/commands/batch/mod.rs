//! `kv batch`: carries out commands from standard input.

mod input;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;

use anyhow::{Result, bail};
use clap::error::ErrorKind;

use self::input::Input;
use crate::cli::{self, BatchArgs, Cli, Command, Reader};
use crate::commands::Session;
use crate::commands::output::Output;
use crate::commands::value::expect_stdin;
use crate::exit::{Exit, UsageError};
use crate::wire::words::Line;

/// Answers each command before the next is begun, and returns the highest status.
pub(super) fn run(args: &BatchArgs, session: &mut Session<'_>) -> Result<Exit> {
    expect_stdin("there are no commands to carry out")?;
    let mut reader = Reader::new();
    let mut input = Input::new(args.json);
    let mut highest = Exit::Success;
    loop {
        // Whoever waits for a reply before the next command must not wait for ever.
        let next = input.next(|| session.out.flush().map_err(replies_are_lost))?;
        let (number, line) = match next {
            None => break,
            Some((number, line)) => (number, line),
        };
        session.line = Some(number);
        let mut exit = Exit::Usage;
        let reply = Output::collect(session, |session| {
            let done = line.and_then(|line| carry_out(&mut reader, line, session));
            exit = done.unwrap_or_else(|err| {
                let exit = Exit::from_error(&err);
                session.complain(err);
                exit
            });
        });
        answer(session, exit, &reply).map_err(replies_are_lost)?;
        highest = highest.max(exit);
        if args.stop && exit >= Exit::Usage {
            break;
        }
    }
    session.line = None;
    session.out.flush().map_err(replies_are_lost)?;
    Ok(highest)
}

/// Writes the frame of a reply.
fn answer(session: &mut Session<'_>, exit: Exit, reply: &[u8]) -> io::Result<()> {
    writeln!(session.out, "{} {}", exit.row().0, reply.len())?;
    session.out.write_all(reply)?;
    session.out.write_all(b"\n")
}

/// Commands that are not answered may not have been carried out, so that even a closed pipe is a
/// failure.
fn replies_are_lost(err: io::Error) -> anyhow::Error {
    anyhow::Error::msg(format!(
        "cannot write the replies: {}",
        super::describe(&err)
    ))
}

fn carry_out(reader: &mut Reader, line: Line, session: &mut Session<'_>) -> Result<Exit> {
    let words = line.words.into_iter().map(OsString::from_vec);
    let args: Vec<OsString> = std::iter::once("kv".into()).chain(words).collect();
    let cli = reader.read(&args).map_err(|err| match err.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            UsageError("a batch has no help to give".to_owned())
        }
        _ => UsageError(cli::usage::explain(&err)),
    })?;
    check(&cli.command)?;
    let Cli { command, .. } = &cli;
    if matches!(command, Command::Pop(with) if with.args.wait.is_some()) {
        // It may wait for long, and whoever would give it an element for the replies so far.
        session.out.flush_replies().map_err(replies_are_lost)?;
    }
    let global = cli.global();
    if global.store.is_some() || global.sync.is_some() || global.busy_timeout.is_some() {
        bail!(UsageError(
            "--store, --sync and --busy-timeout are given to the batch".to_owned()
        ));
    }
    let Some(namespace) = global.namespace else {
        return super::dispatch(command, session);
    };
    let usual = std::mem::replace(&mut session.namespace, namespace);
    let done = super::dispatch(command, session);
    session.namespace = usual;
    done
}

/// Refuses what has no place in a batch: commands about more than values, and values that would
/// come from where the commands come from.
fn check(command: &Command) -> Result<(), UsageError> {
    let (reads_stdin, is_one) = match command {
        Command::Put(with) => {
            let args = &with.args;
            let from_file = args
                .file
                .as_ref()
                .is_some_and(|file| file.as_os_str() != "-");
            (args.value.is_none() && !from_file, true)
        }
        Command::Append(with) => (with.args.value.is_none(), true),
        Command::Push(with) => (with.args.value.is_none(), true),
        Command::Remove(with) => (with.args.stdin, true),
        Command::Get(_)
        | Command::Ls(_)
        | Command::Has(_)
        | Command::Stat(_)
        | Command::Expire(_)
        | Command::Ttl(_)
        | Command::Incr(_)
        | Command::Pop(_)
        | Command::Items(_) => (false, true),
        _ => (false, false),
    };
    match (is_one, reads_stdin) {
        (false, _) => Err(UsageError(
            "this command cannot be a part of a batch".to_owned(),
        )),
        (true, true) => Err(UsageError("in a batch VALUE must be given".to_owned())),
        (true, false) => Ok(()),
    }
}
