//! Where a command's VALUE comes from: an argument, a file, or standard input.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::exit::UsageError;
use crate::os::{self, RawStderr, RawStdin, interrupt};
use crate::store::entry::read_to_end;
use crate::store::{OrCannot as _, Source, StoreError};

/// A value that a command was given.
pub(super) enum Given<'a> {
    Argument(&'a [u8]),
    File { file: File, path: PathBuf },
    Stdin,
}

impl<'a> Given<'a> {
    /// Finds out where the value comes from, and makes sure that something can come from there.
    pub(super) fn open(value: Option<&'a OsString>, file: Option<&Path>) -> Result<Self> {
        match (value, file) {
            (Some(value), _) => Ok(Self::Argument(value.as_bytes())),
            (None, Some(path)) if path.as_os_str() == OsStr::new("-") => Ok(Self::Stdin),
            (None, Some(path)) => {
                let file = File::open(path).or_cannot("open", path)?;
                Ok(Self::File {
                    file,
                    path: path.to_owned(),
                })
            }
            (None, None) => {
                expect_stdin("give VALUE, --file PATH, or `''` for the empty value")?;
                Ok(Self::Stdin)
            }
        }
    }
}

impl Given<'_> {
    /// Reads the value into memory.
    pub(super) fn into_vec(mut self) -> Result<Vec<u8>, StoreError> {
        if let Self::Argument(bytes) = self {
            return Ok(bytes.to_vec());
        }
        read_to_end(&mut self)
    }
}

/// Refuses standard input that holds nothing, and tells a person at a terminal what is awaited. An
/// unset variable under cron must not store nothing.
pub(super) fn expect_stdin(instead: &str) -> Result<(), UsageError> {
    if os::stdin_is_null() {
        return Err(UsageError(format!(
            "standard input is closed or /dev/null: {instead}"
        )));
    }
    if io::IsTerminal::is_terminal(&io::stdin()) {
        // A note that cannot be written is no reason to fail.
        _ = RawStderr.write_all(b"kv: reading from the terminal; end with Ctrl-D\n");
    }
    Ok(())
}

impl Source for Given<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        let (done, path) = match self {
            Self::Argument(bytes) => return Source::read(bytes, buf),
            Self::File { file, path } => (retry(|| file.read(buf)), &**path),
            Self::Stdin => (RawStdin.read(buf), Path::new("standard input")),
        };
        done.or_cannot("read", path)
    }
}

/// Reads once more where a signal has interrupted it.
pub(super) fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => interrupt::check()?,
            done => return done,
        }
    }
}
