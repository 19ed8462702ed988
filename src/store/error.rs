//! What can go wrong in a store, whatever the engine.
//!
//! A variant exists for each thing that a caller handles differently; the text is for people.
//! The text never repeats its source: the command line prints the whole chain.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a store answers, or why it cannot.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused `action` on `path`.
    #[error("cannot {action} `{}`", .path.display())]
    Io {
        /// A verb, as it stands behind "cannot".
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// `path` exists, but its bytes are not what was written. Trying again does not help.
    #[error("`{}` is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// `path` was written in a way that this version does not know.
    #[error("`{}` was written by a newer kv: {what}", .path.display())]
    Newer {
        /// The file or directory.
        path: PathBuf,
        /// What is not known about it.
        what: String,
    },
    /// `path` is the place of the key that was asked for, and holds the entry of another.
    #[error(
        "`{}` holds the entry of another key: the two collide in SHA-1, or the file was moved there",
        .path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
    },
    /// The value of `key` cannot take part in what was asked. Nothing was changed.
    #[error("cannot {action} `{key}`: {why}")]
    Unfit {
        /// A verb, as it stands behind "cannot".
        action: &'static str,
        /// The key.
        key: String,
        /// What is wrong with its value.
        why: &'static str,
    },
    /// Others kept changing `key` for all of `waited`. Trying again may help.
    #[error(
        "cannot change `{key}`: others kept changing it for {:.1} s",
        .waited.as_secs_f32()
    )]
    Contended {
        /// The key.
        key: String,
        /// For how long it was tried.
        waited: Duration,
    },
    /// What was to be written is on one server, but fewer replicas have it than were asked for: it is lost
    /// with that server, unless one of those takes its place.
    #[error(
        "the change{} was made on a server of `{place}`, but {reached} of {wanted} replicas had it after \
         {:.1} s, and it may be lost: look before you try again",
        .key.as_ref().map(|key| format!(" of `{key}`")).unwrap_or_default(),
        .waited.as_secs_f32()
    )]
    Unreplicated {
        /// The store.
        place: String,
        /// The key, where it is about one.
        key: Option<String>,
        /// How many replicas were asked for.
        wanted: u32,
        /// How many have it.
        reached: u32,
        /// For how long they were waited for.
        waited: Duration,
    },
    /// The service that keeps the store could not do it, and said why.
    #[error("{place}: {error}")]
    Service {
        /// The store.
        place: String,
        /// What kind of failure it is.
        fault: Fault,
        /// What the service said.
        error: String,
    },
    /// Another process held the lock for all of `waited`. Trying again may help.
    #[error(
        "`{}` is in use: another process held it for {:.1} s",
        .path.display(),
        .waited.as_secs_f32()
    )]
    Busy {
        /// The lock.
        path: PathBuf,
        /// For how long it was tried.
        waited: Duration,
    },
}

impl StoreError {
    /// Says in one line what went wrong to those who are not to know where the store is, nor which files
    /// it has.
    pub fn without_place(&self) -> String {
        match self {
            Self::Io { action, source, .. } => {
                let why = line(source);
                format!("at the store of the service, `{action}` failed: {why}")
            }
            Self::Busy { waited, .. } => format!(
                "the store of the service is in use: another process held it for {:.1} s",
                waited.as_secs_f32()
            ),
            Self::Damaged { path, .. } | Self::Newer { path, .. } | Self::OtherKey { path } => {
                match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => {
                        line(self).replace(&format!("{}/", parent.display()), "")
                    }
                    _ => line(self),
                }
            }
            _ => line(self),
        }
    }
}

/// What kind of failure a service has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It timed out waiting for a lock or a key; trying again may help.
    Busy,
    /// The data is damaged.
    Damaged,
    /// It takes no values of this size.
    TooLarge,
    /// It has no room.
    Full,
    /// It lets nobody change anything.
    ReadOnly,
    /// Any other.
    Failed,
}

impl StoreError {
    /// Tells whether one entry is not what was written, so that others may be sound.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::OtherKey { .. } => true,
            Self::Service { fault, .. } => *fault == Fault::Damaged,
            _ => false,
        }
    }

    /// Tells whether one entry cannot be read by this version, for whatever reason; others may be sound.
    #[must_use]
    pub fn is_of_one_entry(&self) -> bool {
        self.is_damage() || matches!(self, Self::Newer { .. })
    }

    /// Says that something could not be done, and why.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        Self::Io {
            action,
            path,
            source,
        }
    }

    /// Says what is wrong with what is not as it was written.
    pub fn damaged(
        path: impl Into<PathBuf>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let (path, source) = (path.into(), source.into());
        Self::Damaged { path, source }
    }

    /// Says why the value of a key cannot take part.
    pub fn unfit(action: &'static str, key: impl ToString, why: &'static str) -> Self {
        let key = key.to_string();
        Self::Unfit { action, key, why }
    }

    /// Says that there is no store at a place where the user demands one.
    pub fn no_store(path: PathBuf) -> Self {
        let why = "there is none, and --existing or KV_EXISTING says that there must be";
        let source = io::Error::new(io::ErrorKind::NotFound, why);
        Self::io("find the store", path, source)
    }
}

/// Returns an error, then what caused it, and so on.
pub fn causes<'a>(
    err: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(err), |err: &&'a (dyn Error + 'static)| (*err).source())
}

/// Says in one line what went wrong, and why. The number of an error of the operating system means
/// nothing to a person.
pub fn line(err: &(dyn Error + 'static)) -> String {
    let texts = causes(err).map(|cause| {
        let text = cause.to_string();
        let code = cause.downcast_ref().and_then(io::Error::raw_os_error);
        let number = code.map(|code| format!(" (os error {code})"));
        let plain = number.and_then(|number| text.strip_suffix(&number).map(str::to_owned));
        plain.unwrap_or(text)
    });
    texts.collect::<Vec<_>>().join(": ")
}

/// Adds to an I/O error what was tried, and on what: the two facts that `io::Error` leaves out.
pub trait OrCannot<T> {
    /// Reads as a sentence: `File::open(path).or_cannot("open", path)?`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] for any error.
    fn or_cannot(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> OrCannot<T> for std::result::Result<T, E> {
    fn or_cannot(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| StoreError::io(action, path, source.into()))
    }
}
