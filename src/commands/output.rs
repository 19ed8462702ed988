//! Standard output: buffered, and with every failure noticed.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, anyhow};

use crate::commands::Session;
use crate::commands::pager::{self, Sink};
use crate::os::RawStdout;
use crate::store::{Value, error};

/// Standard output, or the reply of one command of a batch.
pub(super) struct Output {
    buffer: BufWriter<Sink>,
    /// What a command has printed so far whose output is not to be printed as it is.
    reply: Option<Reply>,
    is_terminal: OnceCell<bool>,
}

/// A reply is held in memory up to this many bytes, and beyond it in a temporary file: its length is
/// told before it.
const HELD: usize = 256 * 1024;

/// What a command has printed.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// What came before what is held, and how much of it there is.
    aside: Option<File>,
    written: u64,
    held: Vec<u8>,
    /// There is no room for such a file, and what was taken out of the store has nowhere else to go.
    is_kept: bool,
}

impl Reply {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        if self.held.len() > HELD && !self.is_kept {
            self.is_kept = self.put_aside().is_err();
        }
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let file = match self.aside.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        let file = self.aside.insert(file);
        file.write_all_at(&self.held, self.written)?;
        self.written += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    /// Writes all of it.
    pub(super) fn write_to(&mut self, mut out: &mut dyn Write) -> io::Result<()> {
        if let Some(file) = &mut self.aside {
            file.rewind()?;
            let copied = io::copy(&mut file.take(self.written), &mut out)?;
            if copied < self.written {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        out.write_all(&self.held)
    }
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            buffer: BufWriter::with_capacity(32 * 1024, Sink::Stdout),
            reply: None,
            is_terminal: OnceCell::new(),
        }
    }

    /// Makes an output that is kept in memory.
    #[cfg(feature = "bash-builtin")]
    pub(super) fn held() -> Self {
        let reply = Reply {
            is_kept: true,
            ..Reply::default()
        };
        Self {
            reply: Some(reply),
            ..Self::new()
        }
    }

    /// Returns what an output in memory has taken.
    #[cfg(feature = "bash-builtin")]
    pub(super) fn into_held(self) -> Vec<u8> {
        self.reply.unwrap_or_default().held
    }

    /// Tells whether a person reads the output. The kernel is asked once: a listing wants to know it
    /// of every key, and most commands never do.
    pub(super) fn is_terminal(&self) -> bool {
        let is_terminal = || RawStdout.is_terminal();
        self.reply.is_none() && *self.is_terminal.get_or_init(is_terminal)
    }

    /// Returns how many columns a line can have: those of the terminal, or 80.
    pub(super) fn columns(&self) -> usize {
        RawStdout.columns().unwrap_or(80)
    }

    /// Returns how many rows the terminal has.
    pub(super) fn rows(&self) -> usize {
        RawStdout.rows()
    }

    /// Lets a terminal show what is printed from now on in a pager, if it is more than a screenful.
    pub(super) fn page(&mut self) {
        if self.is_terminal() && pager::is_wanted() {
            *self.buffer.get_mut() = Sink::Held(Vec::new());
        }
    }

    /// Runs a command and returns what it would print to a pipe instead of printing it.
    pub(super) fn collect(session: &mut Session<'_>, run: impl FnOnce(&mut Session<'_>)) -> Reply {
        session.out.reply = Some(Reply::default());
        run(session);
        session.out.reply.take().unwrap_or_default()
    }

    /// Writes out what there is, but for the reply that is being collected.
    pub(super) fn flush_replies(&mut self) -> io::Result<()> {
        self.buffer.flush()
    }

    /// Writes out what is left in the buffer.
    pub(super) fn finish(self) -> Result<()> {
        // Without `into_parts` an error would be tried once more when the buffer is dropped.
        let (mut sink, buffered) = self.buffer.into_parts();
        let written = match buffered {
            Ok(bytes) if bytes.is_empty() => Ok(()),
            Ok(bytes) => sink.write_all(&bytes),
            Err(_) => Ok(()),
        };
        let ended = sink.end();
        ended.and(written).or_cannot_write()
    }

    /// Writes a value, and on a terminal a newline behind one that does not end in it.
    ///
    /// # Errors
    ///
    /// The outer one is the store's: the value cannot be read or is damaged. The inner one is the
    /// output's.
    pub(super) fn write_value(&mut self, value: &mut Value) -> Result<io::Result<()>> {
        let mut last = None;
        let written = value.for_each(|part| {
            last = part.last().copied().or(last);
            self.write_all(part)
        })?;
        Ok(written.and_then(|()| self.end_line(last)))
    }

    /// Writes bytes as [`Output::write_value`] does.
    pub(super) fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.end_line(bytes.last().copied())
    }

    fn end_line(&mut self, last: Option<u8>) -> io::Result<()> {
        if last != Some(b'\n') && self.is_terminal() {
            return self.write_all(b"\n");
        }
        Ok(())
    }
}

impl Write for Output {
    #[inline]
    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        match &mut self.reply {
            Some(reply) => reply.add(buf),
            None => return self.buffer.write_all(buf),
        }
        Ok(())
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.reply {
            Some(reply) => reply.add(buf),
            None => return self.buffer.write(buf),
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.reply {
            Some(_) => Ok(()),
            None => self.buffer.flush(),
        }
    }
}

/// Says that what was taken out of the store was read by nobody: even a closed pipe is a failure then.
pub(super) fn lost(what: &str, err: &io::Error) -> anyhow::Error {
    anyhow!(
        "cannot write to standard output: {}; {what} is lost",
        error::line(err)
    )
}

/// Adds to a failed write that it was to standard output.
pub(super) trait OrCannotWrite<T> {
    /// Says what a failure of the output means to a person.
    fn or_cannot_write(self) -> Result<T>;
}

impl<T> OrCannotWrite<T> for io::Result<T> {
    fn or_cannot_write(self) -> Result<T> {
        self.context("cannot write to standard output")
    }
}
