//! Where standard output goes: to itself, or at a terminal to a pager if it is more than a screenful.

use std::io::{self, Write};
use std::process::{ChildStdin, Command, Stdio};

use crate::os::{self, RawStdout, Supervisor, Waiter};

/// Where what is printed goes.
pub(super) enum Sink {
    Stdout,
    /// It is kept until it is known whether it is more than a screenful.
    Held(Vec<u8>),
    Pager(Box<Pager>),
}

/// A pager that runs. It gets the signals that kv gets, also while kv waits for it to read on.
pub(super) struct Pager {
    stdin: Option<ChildStdin>,
    waiter: Waiter,
    supervisor: Supervisor,
}

impl Sink {
    /// Ends the output, and waits for the person to have read it.
    pub(super) fn end(self) -> io::Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::Held(text) => RawStdout.write_all(&text),
            Self::Pager(mut pager) => {
                drop(pager.stdin.take());
                let status = pager.waiter.status()?;
                let ended_by = pager.supervisor.ended_by();
                drop(pager);
                ended_by.inspect(|signal| os::die_of(*signal));
                match status.code() {
                    Some(126 | 127) => Err(io::Error::other("PAGER cannot be run; see --no-pager")),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Starts the pager, as git does: PAGER, or else less. Where there is none, nothing stands between.
    fn open() -> Self {
        let mut command = match wanted() {
            Some(pager) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(pager);
                shell
            }
            None => Command::new("less"),
        };
        if os::first_variable(&["LESS"]).is_none() {
            command.env("LESS", "FRX");
        }
        command.stdin(Stdio::piped());
        // What the terminal sends to both is for the pager.
        let started = Supervisor::new().and_then(|supervisor| {
            let mut child = supervisor.spawn(&mut command, false)?;
            Ok(Self::Pager(Box::new(Pager {
                stdin: child.stdin.take(),
                waiter: supervisor.wait_aside(child)?,
                supervisor,
            })))
        });
        started.unwrap_or(Self::Stdout)
    }
}

fn wanted() -> Option<String> {
    os::first_variable(&["PAGER"]).map(|(_, pager)| pager)
}

/// Tells whether a pager is wanted: an empty PAGER is none, nor is cat, and a dumb terminal has no screen.
pub(super) fn is_wanted() -> bool {
    let is_empty = std::env::var_os("PAGER").is_some_and(|pager| pager.is_empty());
    !is_empty && wanted().is_none_or(|pager| pager != "cat") && !is_dumb()
}

/// Tells whether the terminal shows text and nothing else.
pub(super) fn is_dumb() -> bool {
    os::first_variable(&["TERM"]).is_none_or(|(_, term)| term == "dumb")
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => return RawStdout.write(buf),
            Self::Pager(pager) => {
                let stdin = pager.stdin.as_mut();
                return stdin.map_or(Ok(buf.len()), |stdin| stdin.write(buf));
            }
            Self::Held(text) => text.extend_from_slice(buf),
        }
        if let Self::Held(text) = self
            && lines(text) >= RawStdout.rows()
        {
            let text = std::mem::take(text);
            *self = Self::open();
            self.write_all(&text)?;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns how many lines of the terminal a text takes, about.
fn lines(text: &[u8]) -> usize {
    let columns = RawStdout.columns().unwrap_or(80);
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .map(|line| 1 + line.len().saturating_sub(1) / columns)
        .sum::<usize>()
        - 1
}
