//! The numbers that a shell script sees.
//!
//! This table is the only place that chooses them. The man pages print it as EXIT STATUS, and
//! `tests/it/exit.rs` drives the binary into every row.

use std::io;

use crate::store::{Fault, StoreError};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Yes, or done.
    Success,
    /// The answer is no.
    No,
    /// The command line is wrong.
    Usage,
    /// It timed out waiting for a lock or a key.
    Busy,
    /// The data is damaged, or newer than this program.
    Damaged,
    /// It could not be done.
    Failure,
    /// The status of a program that was run, or one that stands in for it.
    Program(u8),
    /// The number of the signal that killed a program that was run.
    Signal(u8),
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
            Self::Busy => (3, "Busy: timed out waiting for a lock or a key."),
            Self::Damaged => (4, "The data is damaged, or was written by a newer kv."),
            Self::Program(status) => (status, "The status of the program that was run."),
            Self::Signal(signal) => (
                signal.wrapping_add(128),
                "The signal that killed the program that was run.",
            ),
            Self::Failure => (
                5,
                "It could not be done: permission, no space, no inodes, store not reachable, \
                 output not writable.",
            ),
        }
    }

    /// Picks the status for what went wrong with a store.
    pub fn of_store(err: &StoreError) -> Self {
        match err {
            StoreError::Service { fault, .. } => match fault {
                Fault::Busy => Self::Busy,
                Fault::Damaged => Self::Damaged,
                Fault::TooLarge | Fault::Full | Fault::ReadOnly | Fault::Failed => Self::Failure,
            },
            StoreError::Busy { .. } | StoreError::Contended { .. } => Self::Busy,
            StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::OtherKey { .. } => {
                Self::Damaged
            }
            _ => Self::Failure,
        }
    }

    /// Picks the status for an error that reached `main`.
    pub fn from_error(err: &anyhow::Error) -> Self {
        for cause in err.chain() {
            if cause.is::<UsageError>() {
                return Self::Usage;
            }
            if let Some(err) = cause.downcast_ref::<StoreError>() {
                return Self::of_store(err);
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

/// What the commands that run a program return when it is not the program's own status (as
/// timeout(1) and env(1)). Where a signal killed it, kv dies of the same one.
pub const PROGRAM_ROWS: [(u8, &str); 4] = [
    (124, "Busy: timed out waiting for the lock or the key."),
    (125, "kv itself failed, or the command line is wrong."),
    (126, "The program cannot be executed."),
    (127, "The program was not found."),
];

impl Exit {
    /// Picks the status for an error of a command that runs a program.
    pub fn from_program_error(err: &anyhow::Error) -> Self {
        if let Some(err) = err.downcast_ref::<CannotRun>() {
            let was_found = err.source.kind() != io::ErrorKind::NotFound;
            return Self::Program(if was_found { 126 } else { 127 });
        }
        match Self::from_error(err) {
            Self::Success => Self::Success,
            Self::Busy => Self::Program(124),
            _ => Self::Program(125),
        }
    }
}

/// A program that could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run `{program}`")]
pub struct CannotRun {
    /// What was to be run.
    pub program: String,
    /// Why it could not.
    pub source: io::Error,
}

/// A command line, or a variable that stands in for a part of it, that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);
