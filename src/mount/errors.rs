//! What the kernel is told of what went wrong.

use std::io;

use fuser::Errno;

use crate::store::{Fault, StoreError, error};

use super::App;

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

impl App {
    /// Returns the number for what went wrong with the store, and tells the operator.
    pub(super) fn failed(&self, err: &StoreError) -> Errno {
        let errno = errno_of(err);
        if errno != Errno::EBUSY && errno != Errno::ESTALE {
            (self.config.tell)(err);
        }
        errno
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
