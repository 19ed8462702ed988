//! The commands of a batch, as they come.

use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::exit::UsageError;
use crate::os::RawStdin;
use crate::store::OrCannot as _;
use crate::wire::json::read_words;
use crate::wire::words::{Line, Splitter};

/// How much is read at a time.
const PART: usize = 64 * 1024;

/// A command or what is wrong with it, and its line.
type Next = (u64, Result<Line>);

/// Input, cut into commands.
pub(super) struct Input {
    part: Vec<u8>,
    at: usize,
    has_ended: bool,
    form: Form,
}

enum Form {
    Shell(Splitter),
    /// The beginning of a line, and how many lines there were before.
    Json(Vec<u8>, u64),
}

impl Input {
    /// Reads standard input.
    pub(super) fn stdin(json: bool) -> Self {
        Self {
            has_ended: false,
            ..Self::whole(json, Vec::new())
        }
    }

    /// Reads commands that are all there.
    pub(super) fn whole(json: bool, commands: Vec<u8>) -> Self {
        let form = if json {
            Form::Json(Vec::new(), 0)
        } else {
            Form::Shell(Splitter::default())
        };
        Self {
            part: commands,
            at: 0,
            has_ended: true,
            form,
        }
    }

    /// Returns the next command; `None` at the end. Calls `pause` before it may have to wait.
    pub(super) fn next(&mut self, mut pause: impl FnMut() -> Result<()>) -> Result<Option<Next>> {
        self.look(|| pause().map(|()| true))
    }

    /// Returns the next command if it is at hand, `None` if one would have to wait for it.
    pub(super) fn next_at_hand(&mut self) -> Result<Option<Next>> {
        self.look(|| Ok(stdin_is_ready()))
    }

    /// Returns the next command. Reads on only if `may_read` says so.
    fn look(&mut self, mut may_read: impl FnMut() -> Result<bool>) -> Result<Option<Next>> {
        loop {
            if self.at < self.part.len() {
                let (n, found) = self.form.feed(&self.part[self.at..]);
                self.at += n;
                if found.is_some() {
                    return Ok(found);
                }
            } else if self.has_ended {
                return Ok(self.form.finish());
            } else {
                if !may_read()? {
                    return Ok(None);
                }
                self.part.resize(PART, 0);
                let part = &mut self.part[..];
                let n = RawStdin.read(part);
                let n = n.or_cannot("read", Path::new("standard input"))?;
                self.part.truncate(n);
                self.at = 0;
                self.has_ended = n == 0;
            }
        }
    }
}

/// Tells whether there is something to be read, or the end. A file is always ready.
fn stdin_is_ready() -> bool {
    let stdin = rustix::stdio::stdin();
    let mut stdin = [PollFd::from_borrowed_fd(stdin, PollFlags::IN)];
    poll(&mut stdin, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

impl Form {
    fn feed(&mut self, input: &[u8]) -> (usize, Option<Next>) {
        match self {
            Self::Shell(splitter) => {
                let (n, line) = splitter.feed(input);
                (n, line.map(|line| (line.number, Ok(line))))
            }
            Self::Json(begun, lines) => match input.iter().position(|&b| b == b'\n') {
                None => {
                    begun.extend_from_slice(input);
                    (input.len(), None)
                }
                Some(end) => {
                    begun.extend_from_slice(&input[..end]);
                    *lines += 1;
                    (end + 1, read_json(&std::mem::take(begun), *lines))
                }
            },
        }
    }

    /// Returns what is left at the end of the input; once.
    fn finish(&mut self) -> Option<Next> {
        match self {
            Self::Shell(splitter) => match std::mem::take(splitter).finish() {
                Ok(line) => line.map(|line| (line.number, Ok(line))),
                Err(err) => Some((err.number, Err(UsageError(err.to_string()).into()))),
            },
            Self::Json(begun, lines) => read_json(&std::mem::take(begun), *lines + 1),
        }
    }
}

/// Reads a line of JSON; one of blanks is no command.
fn read_json(line: &[u8], number: u64) -> Option<Next> {
    if line.trim_ascii().is_empty() {
        return None;
    }
    let words = read_words(line)
        .map_err(|why| UsageError(format!("not a JSON array of words: {why}")).into());
    Some((number, words.map(|words| Line { number, words })))
}
