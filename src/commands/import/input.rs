//! The entries on standard input, in the order in which they come.

use anyhow::{Context as _, Result};
use rustix::fs::{FileType, SeekFrom};

use crate::commands::progress::Progress;
use crate::commands::value::Given;
use crate::exit::UsageError;
use crate::store::{Incoming, Namespace, Source, StoreError};
use crate::wire::lines::Lines;
use crate::wire::record::{self, Record};
use crate::wire::tsv;

/// What was read last, and where more comes from.
pub(super) struct Input<'a> {
    source: Box<dyn Source + 'a>,
    lines: Lines,
    form: Form,
    /// The bytes of the last record that do not stand in its line as they are.
    decoded: Vec<u8>,
    record: Option<Record>,
    /// The namespace that was named for all entries; a line may not name another.
    only: Option<Namespace>,
    progress: Option<(Progress, Option<u64>)>,
    /// Whether each line so far has ended in a carriage return and a newline, and there was one.
    is_crlf: bool,
}

/// How an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Tsv,
    /// With a carriage return in front of each newline.
    TsvCrlf,
}

/// What some programs of Windows write in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl<'a> Input<'a> {
    /// Reads standard input.
    pub(super) fn stdin(form: Form, only: Option<Namespace>) -> Self {
        Self {
            only,
            progress: Some((Progress::new("bytes"), stdin_size())),
            ..Self::new(Box::new(Given::Stdin), form)
        }
    }

    /// Reads lines that were put aside.
    pub(super) fn new(source: Box<dyn Source + 'a>, form: Form) -> Self {
        Self {
            source,
            lines: Lines::default(),
            form,
            decoded: Vec::new(),
            record: None,
            only: None,
            progress: None,
            is_crlf: false,
        }
    }

    /// Reads the next entry. Returns false at the end.
    ///
    /// # Errors
    ///
    /// [`UsageError`] for a line that is wrong, [`StoreError`] where the input cannot be read.
    pub(super) fn read(&mut self) -> Result<bool> {
        loop {
            let before = self.lines.read();
            if !self.lines.advance(&mut *self.source)? {
                self.record = None;
                self.progress = None;
                if self.form == Form::Tsv && self.is_crlf {
                    let why = "it ends in a carriage return, as every line does: give --crlf, which \
                               takes them off";
                    return Err(wrong(1, why).into());
                }
                return Ok(false);
            }
            if let Some((progress, total)) = &mut self.progress
                && self.lines.read() != before
            {
                progress.set(self.lines.read(), *total);
            }
            let (line, number) = (self.lines.line(), self.lines.number());
            let has_newline = self.lines.has_newline();
            if self.form != Form::Json && !has_newline && line == BYTE_ORDER_MARK && number == 1 {
                continue;
            }
            let ends_in_return = line.ends_with(b"\r");
            if has_newline {
                self.is_crlf = ends_in_return && (self.is_crlf || number == 1);
            }
            let line = text_of(&self.lines, self.form);
            let record = match self.form {
                Form::Json if line.trim_ascii().is_empty() => continue,
                Form::Json => record::read_json(line, &mut self.decoded),
                Form::TsvCrlf if has_newline && !ends_in_return => {
                    Err("it does not end in a carriage return, as --crlf says".to_owned())
                }
                Form::Tsv | Form::TsvCrlf => tsv::read(line, &mut self.decoded),
            };
            let record = record.and_then(|record| self.check(record));
            self.record = Some(record.map_err(|why| wrong(number, &why))?);
            return Ok(true);
        }
    }

    fn check(&self, record: Record) -> Result<Record, String> {
        match (&self.only, &record.namespace) {
            (Some(only), Some(own)) if only != own => Err(format!(
                "it belongs to the namespace `{own}`, and -n or KV_NAMESPACE names `{only}`"
            )),
            _ => Ok(record),
        }
    }

    /// Returns the line of the entry that was read last.
    pub(super) fn line(&self) -> &[u8] {
        text_of(&self.lines, self.form)
    }

    /// Returns what the line says besides key and value.
    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// Returns the entry that was read last.
    pub(super) fn entry(&self) -> Option<Incoming<'_>> {
        Some(self.record.as_ref()?.entry(self.line(), &self.decoded))
    }
}

/// Returns a line without what is no part of it in its form.
fn text_of(lines: &Lines, form: Form) -> &[u8] {
    let mut line = lines.line();
    if form != Form::Json && lines.number() == 1 {
        line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    }
    // The last line may lack its newline, and has the carriage return before it all the same.
    if form == Form::TsvCrlf {
        line = line.strip_suffix(b"\r").unwrap_or(line);
    }
    line
}

fn wrong(number: u64, why: &str) -> UsageError {
    let line = format!("line {number} of standard input");
    UsageError(format!("{line}: {why}: nothing was imported"))
}

/// Adds to a failed read of standard input that it had no effect.
pub(super) fn without_effect<T>(read: Result<T>) -> Result<T> {
    match read {
        Err(err) if err.is::<StoreError>() => Err(err).context("nothing was imported"),
        read => read,
    }
}

/// Returns how many bytes standard input has left, if that is known.
fn stdin_size() -> Option<u64> {
    let stdin = rustix::stdio::stdin();
    let stat = rustix::fs::fstat(stdin).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let at = rustix::fs::seek(stdin, SeekFrom::Current(0)).ok()?;
    u64::try_from(stat.st_size).ok()?.checked_sub(at)
}
