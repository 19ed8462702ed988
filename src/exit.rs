//! The numbers that a shell script sees.
//!
//! This table is the only place that chooses them. The man pages print it as EXIT STATUS, and
//! `tests/it/exit.rs` drives the binary into every row.

use std::io;
use std::process::ExitCode;

use crate::store::StoreError;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Yes, or done.
    Success,
    /// The answer is no.
    No,
    /// The command line is wrong.
    Usage,
    /// Something was not to be had in the time allowed.
    Busy,
    /// The data is damaged, or newer than this program.
    Damaged,
    /// It could not be done.
    Failure,
}

impl Exit {
    /// All rows, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::No,
        Self::Usage,
        Self::Busy,
        Self::Damaged,
        Self::Failure,
    ];

    /// Returns the process exit status and its meaning, as the man page words it.
    pub const fn row(self) -> (u8, &'static str) {
        match self {
            Self::Success => (0, "Yes; done."),
            Self::No => (
                1,
                "The answer is no: there is no such key, or it expired; the condition is false; \
                 nothing matched. Silent.",
            ),
            Self::Usage => (
                2,
                "The command line is wrong; an empty or too long key too.",
            ),
            Self::Busy => (
                3,
                "Busy: a lock or a key was not to be had in the time allowed.",
            ),
            Self::Damaged => (4, "The data is damaged, or was written by a newer kv."),
            Self::Failure => (
                5,
                "It could not be done: permission, no space, no inodes, store not reachable, \
                 output not writable.",
            ),
        }
    }

    /// Picks the status for an error that reached `main`.
    pub fn from_error(err: &anyhow::Error) -> Self {
        for cause in err.chain() {
            if cause.is::<UsageError>() {
                return Self::Usage;
            }
            match cause.downcast_ref::<StoreError>() {
                Some(StoreError::Busy { .. } | StoreError::Contended { .. }) => return Self::Busy,
                Some(
                    StoreError::Damaged { .. }
                    | StoreError::Newer { .. }
                    | StoreError::OtherKey { .. },
                ) => return Self::Damaged,
                Some(_) => return Self::Failure,
                None => {}
            }
            // `kv ls | head -1` closes our output early, and that is no failure. Engines wrap
            // their I/O errors in a `StoreError`, so a broken pipe that gets here is ours.
            let io_err = cause.downcast_ref::<io::Error>();
            if io_err.is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe) {
                return Self::Success;
            }
        }
        Self::Failure
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.row().0)
    }
}

/// A command line, or a variable that stands in for a part of it, that cannot be carried out.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
