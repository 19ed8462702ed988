//! Standard output: buffered, and with every failure noticed.

use std::cell::OnceCell;
use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, Result};

use crate::commands::Session;
use crate::os::RawStdout;
use crate::store::Value;

/// Standard output, or the reply of one command of a batch.
pub(super) struct Output {
    buffer: BufWriter<RawStdout>,
    /// What a command has printed so far whose output is not to be printed as it is.
    reply: Option<Vec<u8>>,
    is_terminal: OnceCell<bool>,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            buffer: BufWriter::with_capacity(32 * 1024, RawStdout),
            reply: None,
            is_terminal: OnceCell::new(),
        }
    }

    /// Tells whether a person reads the output. The kernel is asked once: a listing wants to know it
    /// of every key, and most commands never do.
    pub(super) fn is_terminal(&self) -> bool {
        let is_terminal = || self.buffer.get_ref().is_terminal();
        self.reply.is_none() && *self.is_terminal.get_or_init(is_terminal)
    }

    /// Returns how many columns a line can have: those of the terminal, or 80.
    pub(super) fn columns(&self) -> usize {
        self.buffer.get_ref().columns().unwrap_or(80)
    }

    /// Runs a command and returns what it would print to a pipe instead of printing it.
    pub(super) fn collect(
        session: &mut Session<'_>,
        run: impl FnOnce(&mut Session<'_>),
    ) -> Vec<u8> {
        session.out.reply = Some(Vec::new());
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
        let (raw, buffered) = self.buffer.into_parts();
        let written = match buffered {
            Ok(bytes) if bytes.is_empty() => Ok(()),
            Ok(bytes) => { raw }.write_all(&bytes),
            Err(_) => Ok(()),
        };
        written.or_cannot_write()
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
            Some(reply) => reply.write_all(buf),
            None => self.buffer.write_all(buf),
        }
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.reply {
            Some(reply) => reply.write(buf),
            None => self.buffer.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.reply {
            Some(_) => Ok(()),
            None => self.buffer.flush(),
        }
    }
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
