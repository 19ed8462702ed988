//! What the kernel is told of what went wrong.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use fuser::Errno;

use crate::store::{Fault, Key, StoreError, error};

use super::App;
use super::nodes::FullKey;

/// What a request is answered with, or why not.
pub(super) type Answer<T> = Result<T, Errno>;

/// Makes an error of one of a temporary file.
pub(super) fn failure(action: &'static str, app: &App, source: io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: app.spill.dir.clone(),
        source,
    }
}

/// Makes an error of a file that holds what is no more.
pub(super) fn stale(action: &'static str, name: Option<&FullKey>) -> StoreError {
    let name = name.map_or(&b"a removed file"[..], |(_, key)| key.as_bytes());
    let why = "others have changed or removed it since it was opened";
    StoreError::Io {
        action,
        path: OsStr::from_bytes(name).into(),
        source: io::Error::new(io::ErrorKind::StaleNetworkFileHandle, why),
    }
}

impl App {
    /// Returns the number for what went wrong with the store, and tells the operator.
    pub(super) fn failed(&self, err: &StoreError) -> Errno {
        (self.config.tell)(None, err);
        errno_of(err)
    }

    /// Passes an answer of the store about a file on. What was busy or refused names no key of itself.
    pub(super) fn answer_of<T>(&self, key: &Key, done: error::Result<T>) -> Answer<T> {
        done.map_err(|err| {
            let is_of_all = matches!(err, StoreError::Busy { .. } | StoreError::Service { .. });
            (self.config.tell)(Some(key).filter(|_| is_of_all), &err);
            errno_of(&err)
        })
    }

    /// Passes an answer of the store on.
    pub(super) fn answer<T>(&self, done: error::Result<T>) -> Answer<T> {
        done.map_err(|err| self.failed(&err))
    }
}

fn errno_of(err: &StoreError) -> Errno {
    match err {
        StoreError::Busy { .. } | StoreError::Contended { .. } => Errno::EBUSY,
        StoreError::Unfit { .. }
        | StoreError::Service {
            fault: Fault::TooLarge,
            ..
        } => Errno::EFBIG,
        StoreError::Service {
            fault: Fault::Full, ..
        } => Errno::ENOSPC,
        StoreError::Service {
            fault: Fault::ReadOnly,
            ..
        } => Errno::EROFS,
        StoreError::Io { source, .. } => match source.kind() {
            io::ErrorKind::StorageFull => Errno::ENOSPC,
            io::ErrorKind::QuotaExceeded => Errno::EDQUOT,
            io::ErrorKind::PermissionDenied => Errno::EACCES,
            io::ErrorKind::ReadOnlyFilesystem => Errno::EROFS,
            io::ErrorKind::FileTooLarge => Errno::EFBIG,
            io::ErrorKind::StaleNetworkFileHandle => Errno::ESTALE,
            _ => match rustix::io::Errno::from_io_error(source) {
                Some(rustix::io::Errno::MFILE) => Errno::EMFILE,
                Some(rustix::io::Errno::NFILE) => Errno::ENFILE,
                _ => Errno::EIO,
            },
        },
        _ => Errno::EIO,
    }
}
