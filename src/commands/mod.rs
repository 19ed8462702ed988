//! How each command is carried out: one file per command, arguments in, [`Exit`] out.

mod append;
mod batch;
mod completions;
mod copy;
mod edit;
#[cfg(feature = "bash-builtin")]
pub mod embedded;
mod expire;
mod export;
mod fsck;
mod gc;
mod get;
mod has;
mod help;
mod histogram;
mod import;
mod incr;
mod info;
mod init;
mod items;
mod listing;
mod lock;
mod ls;
mod memo;
mod mount;
mod namespaces;
mod nearest;
mod output;
mod pager;
mod pop;
mod program;
mod progress;
mod push;
mod put;
mod remove;
mod rename;
mod serve;
mod session;
mod stat;
mod table;
mod ttl;
mod update;
mod value;
mod wait;
mod watch;

use std::ffi::OsString;
use std::io::Write as _;

use anyhow::{Result, bail};
use clap::error::ErrorKind;

use crate::cli::{self, Cli, Command};
use crate::exit::{Exit, UsageError};
use crate::os::{self, RawStderr};
use crate::store::{Namespace, error};
use crate::wire::text::escape;

use self::output::{OrCannotWrite as _, Output};
use self::session::Session;

/// Carries out a command line, the program's name included, and says on standard error in one line
/// what went wrong. Returns the exit status.
pub fn main(args: Vec<OsString>) -> u8 {
    os::survive_file_limit();
    // What cannot be had is as it was: signals that nobody hears.
    _ = os::end_as_init();
    let (done, runs_a_program) = match cli::parse(&args) {
        Ok(cli) => {
            let runs_a_program = cli.command.runs_a_program();
            (run_alone(&cli), runs_a_program)
        }
        Err(err) => (answer(&err, &args), cli::names_a_program(&args)),
    };
    let done = done.and_then(|exit| match os::close_stdout() {
        // How a program has failed says more.
        Err(_) if matches!(exit, Exit::Program(1..) | Exit::Signal(_)) => Ok(exit),
        closed => closed.or_cannot_write().map(|()| exit),
    });
    let exit = done.unwrap_or_else(|err| {
        let exit = match runs_a_program {
            true => Exit::from_program_error(&err),
            false => Exit::from_error(&err),
        };
        if exit != Exit::Success {
            complain(&err);
        }
        exit
    });
    if let Exit::Signal(signal) = exit {
        os::die_of(signal);
    }
    match exit {
        _ if exit == Exit::Success || !cli::is_helper(&args) => exit.row().0,
        // As mount(8) words it: incorrect invocation, and mount failure.
        Exit::Usage => 1,
        _ => 32,
    }
}

/// Carries out a command in a process of its own.
fn run_alone(cli: &Cli) -> Result<Exit> {
    if cli.command.target()?.is_some() {
        bail!(UsageError(
            "-v sets a variable of bash, which only the builtin can: `eval \"$(kv init bash)\"` loads it"
                .to_owned()
        ));
    }
    print(cli)
}

/// Carries out a command that prints its answer.
fn print(cli: &Cli) -> Result<Exit> {
    let mut out = Output::new();
    let exit = run(cli, &mut out, dispatch);
    // What was printed before an error is as true as it was.
    let flushed = out.finish();
    let exit = exit?;
    flushed?;
    Ok(exit)
}

/// Carries out a command, by `dispatch` if it needs a store.
fn run(
    cli: &Cli,
    out: &mut Output,
    dispatch: impl FnOnce(&Command, &mut Session<'_>) -> Result<Exit>,
) -> Result<Exit> {
    let mut global = cli.global();
    if let Command::Memo(_) = cli.command {
        // Results have a namespace of their own, whatever the script's keys have.
        global.namespace.get_or_insert_with(Namespace::memo);
    }
    match &cli.command {
        Command::Completions(with) => completions::run(&with.args, out),
        Command::Init(with) => init::run(&with.args, out),
        Command::Help { command } => help::run(command.as_deref(), out),
        command => {
            let serves = matches!(command, Command::Serve(_));
            Session::open(global, serves, out).and_then(|mut s| dispatch(command, &mut s))
        }
    }
}

fn dispatch(command: &Command, session: &mut Session<'_>) -> Result<Exit> {
    match command {
        Command::Put(with) => put::run(&with.args, session),
        Command::Get(with) => get::run(&with.args, session),
        Command::Remove(with) => remove::run(&with.args, session),
        Command::Rename(with) => rename::run(&with.args, session),
        Command::Copy(with) => copy::run(&with.args, session),
        Command::Ls(with) => ls::run(&with.args, session),
        Command::Has(with) => has::run(&with.args, session),
        Command::Stat(with) => stat::run(&with.args, session),
        Command::Expire(with) => expire::run(&with.args, session),
        Command::Ttl(with) => ttl::run(&with.args, session),
        Command::Incr(with) => incr::run(&with.args, session),
        Command::Append(with) => append::run(&with.args, session),
        Command::Push(with) => push::run(&with.args, session),
        Command::Pop(with) => pop::run(&with.args, session),
        Command::Items(with) => items::run(&with.args, session),
        Command::Update(with) => update::run(&with.args, session),
        Command::Edit(with) => edit::run(&with.args, session),
        Command::Lock(with) => lock::run(&with.args, session),
        Command::Memo(with) => memo::run(&with.args, session),
        Command::Batch(with) => batch::run(&with.args, session),
        Command::Import(with) => import::run(&with.args, session),
        Command::Export(with) => export::run(&with.args, session),
        Command::Wait(with) => wait::run(&with.args, session),
        Command::Watch(with) => watch::run(&with.args, session),
        Command::Gc(with) => gc::run(&with.args, session),
        Command::Fsck(with) => fsck::run(&with.args, session),
        Command::Info(with) => info::run(&with.args, session),
        Command::Serve(with) => serve::run(&with.args, session),
        Command::Mount(with) => mount::run(&with.args, session),
        Command::Namespaces(with) => namespaces::run(&with.args, session),
        Command::Completions(_) | Command::Init(_) | Command::Help { .. } => {
            unreachable!("needs no store")
        }
    }
}

/// Answers a command line that asks for help or for the version, or is wrong.
fn answer(err: &clap::Error, args: &[OsString]) -> Result<Exit> {
    match err.kind() {
        kind @ (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let mut out = Output::new();
            let verbose =
                kind == ErrorKind::DisplayVersion && args.iter().any(|a| a == "--verbose");
            let build = if verbose {
                help::build()
            } else {
                String::new()
            };
            write!(out, "{err}{build}")
                .and_then(|()| out.flush())
                .or_cannot_write()?;
            Ok(Exit::Success)
        }
        _ if args.len() == 1 && !cli::is_helper(args) => {
            // Nobody is left to tell if this fails.
            _ = RawStderr.write_all(format!("{}\n", cli::welcome()).as_bytes());
            Ok(Exit::Usage)
        }
        _ => Err(UsageError(cli::usage::explain(err)).into()),
    }
}

/// Writes one line to standard error: what could not be done, on what, and why.
pub(crate) fn complain(err: &anyhow::Error) {
    say(&complaint(err.as_ref()));
}

/// No line on standard error has more bytes: what is longer is shown without its middle, which is a word that
/// somebody has given.
const LONGEST_LINE: usize = 4096;

/// Writes one line to standard error.
fn say(line: &str) {
    let mut line = escape(line.as_bytes());
    if line.len() >= LONGEST_LINE {
        let begin = line.floor_char_boundary(LONGEST_LINE / 2);
        let end = line.ceil_char_boundary(line.len() - LONGEST_LINE / 4);
        line.replace_range(begin..end, " … ");
    }
    // Nobody is left to tell if this fails.
    _ = RawStderr.write_all(format!("{line}\n").as_bytes());
}

/// Returns the line that says what could not be done.
fn complaint(err: &(dyn std::error::Error + 'static)) -> String {
    format!("kv: {}", error::line(err))
}
