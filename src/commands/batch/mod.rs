//! `kv batch`: carries out commands from standard input.

mod group;
mod input;

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt as _;

use anyhow::{Result, bail};
use clap::error::ErrorKind;

use self::group::Group;
use self::input::Input;
use crate::cli::{self, BatchArgs, Cli, Command, Reader};
use crate::commands::output::Output;
use crate::commands::value::expect_stdin;
use crate::commands::{Session, get};
use crate::exit::{Exit, UsageError};
use crate::server::BatchRequest;
use crate::store::error;
use crate::wire::http::answer::{self, Ended};
use crate::wire::http::frame;
use crate::wire::words::Line;

/// Answers the commands in their order, and returns the highest status.
pub(super) fn run(args: &BatchArgs, session: &mut Session<'_>) -> Result<Exit> {
    expect_stdin("there are no commands to carry out")?;
    let mut batch = Batch::new(session, args.stop);
    batch.carry_out_all(&mut Input::stdin(args.json))?;
    let highest = batch.highest;
    session.line = None;
    session.out.flush().map_err(replies_are_lost)?;
    Ok(highest)
}

/// Answers the commands of a client of the service. An error is told in the reply, behind what was
/// printed: there is no standard error.
pub(super) fn serve(
    session: &mut Session<'_>,
    request: BatchRequest,
    out: &mut dyn Write,
) -> Result<()> {
    session.namespace = request.namespace;
    session.longest = Some(request.max_value);
    session.complaints = RefCell::new(Some(String::new()));
    let mut batch = Batch::new(session, request.stop);
    batch.service = Some(Service {
        replies: out,
        read_only: request.read_only,
        max_value: request.max_value,
        count: 0,
    });
    batch.carry_out_all(&mut Input::whole(request.json, request.commands))?;
    if let Some(service) = batch.service.filter(|_| request.end) {
        let end = service.count;
        answer::write_line(service.replies, &Ended { end }).map_err(replies_are_lost)?;
    }
    Ok(())
}

/// A batch on its way.
struct Batch<'a, 's> {
    session: &'a mut Session<'s>,
    reader: Reader,
    group: Group,
    highest: Exit,
    stop: bool,
    service: Option<Service<'a>>,
}

/// What is different where the commands are a client's of the service.
struct Service<'a> {
    replies: &'a mut dyn Write,
    read_only: bool,
    max_value: u64,
    /// How many replies were written.
    count: u64,
}

impl<'a, 's> Batch<'a, 's> {
    fn new(session: &'a mut Session<'s>, stop: bool) -> Self {
        Self {
            session,
            reader: Reader::default(),
            group: Group::default(),
            highest: Exit::Success,
            stop,
            service: None,
        }
    }

    fn carry_out_all(&mut self, input: &mut Input) -> Result<()> {
        while !self.has_stopped() {
            // What could be a part of the group is not waited for, nor is a reply held back for it.
            let next = match self.group.is_empty() {
                true => input.next(|| self.session.out.flush().map_err(replies_are_lost))?,
                false => input.next_at_hand()?,
            };
            match next {
                Some((number, line)) => self.take(number, line)?,
                None if self.group.is_empty() => break,
                None => self.carry_out_group()?,
            }
        }
        Ok(())
    }

    /// Tells whether an answer was one that ends the batch.
    fn has_stopped(&self) -> bool {
        self.stop && self.highest >= Exit::Usage
    }

    /// Takes the next command: into the group, or carries it out when the group is done.
    fn take(&mut self, number: u64, line: Result<Line>) -> Result<()> {
        let cli = line.and_then(|line| read(&mut self.reader, line));
        let cli = cli.and_then(|cli| match &self.service {
            Some(service) => service.check(&cli.command).map(|()| cli),
            None => Ok(cli),
        });
        if let Ok(cli) = &cli
            && !self.group.takes(cli)
        {
            self.carry_out_group()?;
        }
        match cli {
            Ok(_) if self.has_stopped() => Ok(()),
            Ok(cli) if self.group.takes(&cli) => {
                self.group.push(number, cli);
                Ok(())
            }
            Ok(cli) => self.answer(number, |session| carry_out(&cli, session)),
            Err(err) => {
                self.carry_out_group()?;
                if self.has_stopped() {
                    return Ok(());
                }
                self.answer(number, |_| Err(err))
            }
        }
    }

    /// Carries out the commands that were gathered.
    fn carry_out_group(&mut self) -> Result<()> {
        let mut found = self.group.find(self.session).into_iter().flatten();
        let is_stored = self.group.store(self.session);
        for (number, cli) in self.group.take() {
            if self.has_stopped() {
                break;
            }
            let found = found.next();
            let run = |session: &mut Session<'_>| match (&cli.command, found) {
                (Command::Get(with), Some(found)) => in_its_namespace(&cli, session, |session| {
                    get::answer(&with.args, found?, session)
                }),
                _ if is_stored => Ok(Exit::Success),
                _ => carry_out(&cli, session),
            };
            self.answer(number, run)?;
        }
        Ok(())
    }

    /// Carries out one command and writes the reply to it.
    fn answer(
        &mut self,
        number: u64,
        run: impl FnOnce(&mut Session<'_>) -> Result<Exit>,
    ) -> Result<()> {
        self.session.line = Some(number);
        let mut exit = Exit::Usage;
        let mut reply = Output::collect(self.session, |session| {
            exit = run(session).unwrap_or_else(|err| session.fails(err));
        });
        if let Some(told) = self.session.complaints.get_mut() {
            reply.add(std::mem::take(told).as_bytes());
        }
        let out: &mut dyn Write = match &mut self.service {
            Some(service) => {
                service.count += 1;
                &mut *service.replies
            }
            None => self.session.out,
        };
        let written = frame::write(out, exit.row().0, reply.len(), |out| reply.write_to(out));
        written.map_err(replies_are_lost)?;
        self.highest = self.highest.max(exit);
        Ok(())
    }
}

/// Commands that are not answered may not have been carried out, so that even a closed pipe is a
/// failure.
fn replies_are_lost(err: io::Error) -> anyhow::Error {
    anyhow::Error::msg(format!("cannot write the replies: {}", error::line(&err)))
}

fn read(reader: &mut Reader, line: Line) -> Result<Cli> {
    let words = line.words.into_iter().map(OsString::from_vec);
    let args: Vec<OsString> = std::iter::once("kv".into()).chain(words).collect();
    let cli = reader.read(&args).map_err(|err| match err.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            UsageError("--help and --version cannot be a part of a batch".to_owned())
        }
        _ => UsageError(cli::usage::explain(&err)),
    })?;
    Ok(cli)
}

fn carry_out(cli: &Cli, session: &mut Session<'_>) -> Result<Exit> {
    let command = &cli.command;
    match Part::of(command) {
        None => bail!(UsageError(
            "this command cannot be a part of a batch".to_owned()
        )),
        Some(part) if part.reads_stdin => {
            bail!(UsageError("in a batch VALUE must be given".to_owned()))
        }
        Some(_) => {}
    }
    if matches!(command, Command::Pop(with) if with.args.wait.is_some()) {
        // It may wait for long, and whoever would give it an element for the replies so far.
        session.out.flush_replies().map_err(replies_are_lost)?;
    }
    if command.target()?.is_some() {
        bail!(UsageError("-v cannot be a part of a batch".to_owned()));
    }
    if cli.is_about_the_store() {
        bail!(UsageError(
            "--store, --existing, --sync, --busy-timeout and --token-file are given to the batch"
                .to_owned()
        ));
    }
    in_its_namespace(cli, session, |session| super::dispatch(command, session))
}

fn in_its_namespace(
    cli: &Cli,
    session: &mut Session<'_>,
    run: impl FnOnce(&mut Session<'_>) -> Result<Exit>,
) -> Result<Exit> {
    let Some(namespace) = cli.namespace().cloned() else {
        return run(session);
    };
    let usual = std::mem::replace(&mut session.namespace, namespace);
    let done = run(session);
    session.namespace = usual;
    done
}

impl Service<'_> {
    /// Refuses what a client may not do: to read files of this machine, to take a thread for long, and
    /// whatever the service was told to refuse.
    fn check(&self, command: &Command) -> Result<()> {
        match command {
            Command::Put(with) if with.args.file.is_some() => {
                bail!(UsageError("a batch over HTTP reads no files".to_owned()));
            }
            Command::Pop(with) if with.args.wait.is_some() => bail!(UsageError(
                "a batch over HTTP does not wait: use POST ?op=pop&wait=".to_owned()
            )),
            _ => {}
        }
        let Some(part) = Part::of(command) else {
            return Ok(());
        };
        if part.changes && self.read_only {
            bail!("this service is read-only");
        }
        if part
            .value
            .is_some_and(|value| value.len() as u64 > self.max_value)
        {
            bail!("the value is larger than {} bytes", self.max_value);
        }
        Ok(())
    }
}

/// What a batch has to know of a command.
struct Part<'a> {
    value: Option<&'a OsString>,
    changes: bool,
    /// Its value, or its keys, would come from where the commands come from.
    reads_stdin: bool,
}

impl<'a> Part<'a> {
    /// Looks at a command; `None` for those about more than values, which have no place in a batch.
    fn of(command: &'a Command) -> Option<Self> {
        let (value, changes, reads_stdin) = match command {
            Command::Put(with) => {
                let args = &with.args;
                let from_file = args
                    .file
                    .as_ref()
                    .is_some_and(|file| file.as_os_str() != "-");
                (
                    args.value.as_ref(),
                    true,
                    args.value.is_none() && !from_file,
                )
            }
            Command::Append(with) => (with.args.value.as_ref(), true, with.args.value.is_none()),
            Command::Push(with) => (with.args.value.as_ref(), true, with.args.value.is_none()),
            Command::Remove(with) => (None, true, with.args.stdin),
            Command::Get(with) => (None, with.args.remove, false),
            // It runs a program.
            Command::Pop(with) if !with.args.command.is_empty() => return None,
            Command::Rename(_)
            | Command::Copy(_)
            | Command::Expire(_)
            | Command::Incr(_)
            | Command::Pop(_) => (None, true, false),
            Command::Has(_)
            | Command::Ls(_)
            | Command::Stat(_)
            | Command::Ttl(_)
            | Command::Items(_) => (None, false, false),
            _ => return None,
        };
        Some(Self {
            value,
            changes,
            reads_stdin,
        })
    }
}
