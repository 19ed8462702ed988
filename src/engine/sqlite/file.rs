//! The files of a store, whose they are, and what is said where SQLite cannot use them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use rusqlite::ErrorCode;
use rustix::fs::{Access, Mode, OFlags, access, fstat, open};
use rustix::io::Errno;

use crate::engine::path::expect_targets;
use crate::os;
use crate::store::{OrCannot as _, Result, StoreError};

use super::Sqlite;
use super::connection::Lent;
use super::create::{Made, create};
use super::moved::FileId;
use super::schema;

impl Sqlite {
    /// Says what an error of SQLite means, when this was tried on the file.
    pub(super) fn cannot(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        move |err| {
            let path = self.path.clone();
            let waited = self.settings.busy_timeout;
            match err.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    StoreError::Busy { path, waited }
                }
                // The numbers in a row are none that kv writes, a header none of a database, or the
                // tables are not those that kv asks for.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
                | None => StoreError::Damaged {
                    source: format!("{err}{}", what_helps(&err)).into(),
                    path,
                },
                Some(code) => StoreError::Io {
                    action,
                    source: match code {
                        ErrorCode::DiskFull => {
                            io::Error::new(io::ErrorKind::StorageFull, err.to_string())
                        }
                        ErrorCode::ReadOnly => io::Error::new(
                            io::ErrorKind::PermissionDenied,
                            "it, or the directory that its log is in, cannot be written to",
                        ),
                        ErrorCode::SystemIoFailure if is_at_limit(&path) => {
                            io::Error::from(io::ErrorKind::FileTooLarge)
                        }
                        ErrorCode::CannotOpen => match access(&path, Access::READ_OK) {
                            Err(why) => why.into(),
                            Ok(()) => io::Error::other(err.to_string()),
                        },
                        _ => io::Error::other(err.to_string()),
                    },
                    path,
                },
            }
        }
    }

    /// Finds the file; `None` if there is none, and there was none before.
    pub(super) fn file(&self) -> Result<Option<FileId>> {
        let file = self.find_file()?;
        if file.is_some() {
            self.was_there.store(true, Relaxed);
        } else if self.was_there.load(Relaxed) {
            let what = io::Error::new(io::ErrorKind::NotFound, "it is gone from its place");
            return Err(what).or_cannot("find the store", &self.path);
        }
        Ok(file)
    }

    pub(super) fn find_file(&self) -> Result<Option<FileId>> {
        match fs::metadata(&self.path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                expect_targets(&self.path)?;
                match self.settings.existing {
                    true => Err(StoreError::no_store(self.path.clone())),
                    false => Ok(None),
                }
            }
            Err(err) => Err(err).or_cannot("open", &self.path),
            Ok(meta) if !meta.is_file() => {
                let what = io::Error::other("it is not a regular file");
                Err(what).or_cannot("open", &self.path)
            }
            // Each name would have a log of its own, and each log would write over the other's changes.
            Ok(meta) if meta.nlink() > 1 => {
                let what = io::Error::other(format!(
                    "it has {} names (hard links), and what is stored by one is lost by another: \
                     leave it one name, and use symbolic links or copies for others",
                    meta.nlink()
                ));
                Err(what).or_cannot("open", &self.path)
            }
            Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        }
    }

    /// Returns the directory that the file is in.
    pub(super) fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => ".".as_ref(),
        }
    }

    /// Names the files of a store: the database, its log, and the index of that. SQLite follows a
    /// symbolic link to the database before it names the others.
    pub(super) fn files(&self) -> [PathBuf; 3] {
        ["", "-wal", "-shm"].map(|suffix| self.beside(suffix))
    }

    /// Names a file beside the database, wherever a symbolic link leads to it from.
    pub(super) fn beside(&self, suffix: &str) -> PathBuf {
        let path = fs::canonicalize(&self.path);
        let mut path: OsString = path.unwrap_or_else(|_| self.path.clone()).into();
        path.push(suffix);
        path.into()
    }

    /// Connects to the file, and makes it first where there is none.
    pub(super) fn connect_or_create(&self) -> Result<Lent<'_>> {
        loop {
            if let Some(lent) = self.connect_to_change()? {
                return Ok(lent);
            }
            self.check_log()?;
            // SQLite would take what is left of a log for that of a whole database, and removes it where it
            // finds an empty one.
            let is_log_left = ["-wal", "-journal"].map(|log| self.beside(log).exists());
            let made = create(&self.path, self.directory(), is_log_left.contains(&true))?;
            if made == Made::Store {
                continue;
            }
            let (mut connection, ..) = self.open()?;
            if let Err(err) = schema::create(&mut connection) {
                // Nothing is left of it, and who has it open too looks for its name before he commits.
                if made == Made::Empty && fs::metadata(&self.path).is_ok_and(|meta| meta.len() == 0)
                {
                    _ = fs::remove_file(&self.path);
                }
                return Err(self.cannot("make")(err));
            }
            // It stays so. Where somebody else is at work just now, the next who comes has it done.
            _ = connection.pragma_update(None, "journal_mode", "WAL");
        }
    }

    /// Makes a store of a file with nothing in it; see [`crate::store::Entries::prepare`].
    pub(super) fn fill_blank(&self) -> Result<()> {
        match fs::metadata(&self.path).is_ok_and(|meta| meta.len() == 0) {
            true => self.connect_or_create().map(drop),
            false => Ok(()),
        }
    }

    /// Opens a directory beside the database. A symbolic link is none: what it leads to is not the store's.
    pub(super) fn open_beside(&self, suffix: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match open(self.beside(suffix), flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) => Err(io::Error::other(
                "it is no directory, and nothing is followed there: move it away",
            )),
            opened => Ok(opened?),
        }
    }

    /// Opens a directory beside the database, which is made if need be, and returns the mode of the files in
    /// it too: that of the database, which its owner may have made one to read only for a while. Nobody makes
    /// it who may not write to the database: it would be his, and its owner's of no use.
    pub(super) fn directory_beside(&self, suffix: &str) -> Result<(OwnedFd, u32)> {
        let mode = fs::metadata(&self.path)
            .or_cannot("find", &self.path)?
            .mode()
            & 0o666
            | 0o600;
        let dir = self.beside(suffix);
        if !dir.exists() {
            let may_write = access(&self.path, Access::WRITE_OK).map_err(io::Error::from);
            may_write.or_cannot("write to", &self.path)?;
        }
        // Who may read there may enter.
        let dir_mode = mode | (mode & 0o444) >> 2;
        let made = DirBuilder::new().mode(dir_mode).create(&dir);
        let is_made = match made {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => false,
            made => made.or_cannot("make the directory", &dir).map(|()| true)?,
        };
        let opened = self
            .open_beside(suffix)
            .or_cannot("open the directory", &dir)?;
        let there = Mode::from_raw_mode(fstat(&opened).or_cannot("find", &dir)?.st_mode);
        let wanted = match is_made {
            true => there & Mode::SGID | os::mode(dir_mode),
            // Kv once made it with the mode of a database that was only to be read.
            false => there | Mode::RWXU,
        };
        if there != wanted {
            let set = os::set_mode(&opened, wanted);
            if is_made {
                set.or_cannot("set the permissions of", &dir)?;
            }
        }
        Ok((opened, mode))
    }
}

/// Says behind an error that is damage what may help.
fn what_helps(err: &rusqlite::Error) -> &'static str {
    match err.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => "; `.recover` of sqlite3(1) saves what can be read",
        _ if err.to_string().contains("no such index") => "; `kv fsck --repair` makes it anew",
        _ => "",
    }
}

/// Tells whether one of the files of a database is about as long as files may become (RLIMIT_FSIZE).
fn is_at_limit(path: &Path) -> bool {
    // What SQLite writes at once is shorter.
    const PART: u64 = 128 * 1024;
    let Some(limit) = os::file_limit() else {
        return false;
    };
    ["", "-wal", "-journal", "-shm"].iter().any(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::metadata(name).is_ok_and(|meta| meta.len() + PART > limit)
    })
}
