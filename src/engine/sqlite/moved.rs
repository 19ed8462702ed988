//! A file that another takes the name of, as when a backup is moved over it. The log beside it belongs
//! to the file, and SQLite finds it by the name: it would write the last changes of the one into the
//! other.

use std::borrow::Borrow;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::thread;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::fs::OFlags;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::store::{OrCannot as _, Result, StoreError};

use super::Sqlite;
use super::transaction::{EMPTY_LOG, LOOKS, PAUSE, run_to_end};

/// The byte that is locked in the index of a log by whoever has the log open, and the first that may be
/// locked in the file, and their number (`UNIX_SHM_DMS` and `PENDING_BYTE` in SQLite's `os_unix.c` and
/// `os.h`).
const OPEN_LOG: u64 = 128;
const FILE_LOCKS: u64 = 0x4000_0000;
const FILE_LOCKS_LEN: u64 = 512;

/// Which file it is, whatever name it has: its device and inode.
pub(super) type FileId = (u64, u64);

/// A connection, and what it has open.
#[derive(Debug)]
pub(super) struct Open {
    /// Dropped first: what is closed last removes its log.
    pub(super) files: Arc<Files>,
    pub(super) connection: Connection,
}

impl Borrow<Connection> for Open {
    fn borrow(&self) -> &Connection {
        &self.connection
    }
}

/// The file and the log that all connections of a process have open.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) file: FileId,
    /// Where the log and its index were, and which they are.
    logs: Vec<(PathBuf, FileId)>,
    /// The version of its schema that has no trigger but kv's; of none that is known, less than any.
    pub(super) untriggered: AtomicI64,
}

impl Files {
    /// Tells whether the log is in its place still.
    pub(super) fn has_log(&self) -> bool {
        let mut logs = self.logs.iter();
        logs.all(|(path, log)| id_at(path) == Some(*log))
    }
}

fn id_at(path: &Path) -> Option<FileId> {
    fs::metadata(path).map(|meta| id(&meta)).ok()
}

fn id(meta: &Metadata) -> FileId {
    (meta.dev(), meta.ino())
}

impl Sqlite {
    /// Empties the log of a file that has lost its name, or that was removed itself, into its file, before
    /// it is closed. To close it takes nothing of the file that has the name now: SQLite looks first
    /// (`databaseIsUnmoved` in its pager.c). Where the file has another log by now, each of the two would
    /// write over the other's pages.
    pub(super) fn bring_home(&self, open: Open) -> Result<()> {
        let Open { connection, files } = open;
        let is_there = self.find_file().ok().flatten() == Some(files.file);
        let mut logs = files.logs.iter();
        if is_there && logs.any(|(path, log)| id_at(path).is_some_and(|now| now != *log)) {
            let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            _ = connection.set_db_config(keep, true);
            return Err(self.lost_log(&files, "another program has made another"));
        }
        let done = run_to_end(&connection, EMPTY_LOG);
        done.map_err(self.cannot("empty the log of what was"))
    }

    /// Fails if others of this process have a log open that is not in its place: one more would have
    /// another. Whoever is about to close theirs is waited for, as that may be what removes it.
    pub(super) fn expect_log(&self, file: FileId) -> Result<()> {
        for left in (0..LOOKS).rev() {
            match self.open_files(file) {
                Some(others) if !others.has_log() && left == 0 => {
                    let what = "it is brought home when all that use it have ended";
                    return Err(self.lost_log(&others, what));
                }
                Some(others) if !others.has_log() => {}
                _ => break,
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Returns what the connections of this process have open of a file.
    fn open_files(&self, file: FileId) -> Option<Arc<Files>> {
        let files = self.files.lock();
        files.upgrade().filter(|files| files.file == file)
    }

    /// Notes what a new connection has open: what the others have, if there are any.
    pub(super) fn note_files(&self, file: FileId, has_log: bool) -> Arc<Files> {
        let others = self.open_files(file).filter(|others| others.has_log());
        others.unwrap_or_else(|| {
            let logs = self.files().into_iter().skip(1).filter(|_| has_log);
            let logs = logs.filter_map(|path| id_at(&path).map(|id| (path, id)));
            let logs = logs.collect();
            let untriggered = AtomicI64::new(i64::MIN);
            let files = Arc::new(Files {
                file,
                logs,
                untriggered,
            });
            if has_log {
                *self.files.lock() = Arc::downgrade(&files);
            }
            files
        })
    }

    pub(super) fn lost_log(&self, files: &Files, what: &str) -> StoreError {
        let log = files.logs.first().map_or(&*self.path, |(log, _)| log);
        let log = log.display();
        let why = format!("its log `{log}` was removed while it was open, and {what}");
        StoreError::io("use", &self.path, io::Error::other(why))
    }

    /// Refuses a place where there is the log of another, that a process has open still. Nobody
    /// has a log open who has not locked its file before; only one that ends lets go of the file first.
    pub(super) fn check_log(&self) -> Result<()> {
        // SQLite would wait at a pipe for who writes to it.
        let journal = self.beside("-journal");
        if fs::symlink_metadata(&journal).is_ok_and(|meta| !meta.is_file()) {
            let what = io::Error::other("it is no regular file: move it away");
            return Err(what).or_cannot("open the log", &journal);
        }
        let Some(first) = self.owner_of_other_log() else {
            return Ok(());
        };
        for _ in 0..LOOKS {
            thread::sleep(PAUSE);
            if self.owner_of_other_log().as_ref() != Some(&first) {
                return Ok(());
            }
        }
        Err(io::Error::other(first)).or_cannot("open", &self.path)
    }

    /// Finds another process that has the log open where none has the file, or that has the file open
    /// with a log that was removed, and says what helps.
    fn owner_of_other_log(&self) -> Option<String> {
        let [file, log, index] = self.files();
        let of_log = locked_by(&index, OPEN_LOG, 1);
        let of_file = locked_by(&file, FILE_LOCKS, FILE_LOCKS_LEN);
        // One of another container has no number here.
        let name = |owner: &Flock| {
            owner.pid.map_or("another process".to_owned(), |pid| {
                format!("process {}", pid.as_raw_pid())
            })
        };
        let (log_name, index_name) = (log.display(), index.display());
        match (of_log, of_file) {
            (Some(owner), None) => Some(format!(
                "`{log_name}` is the log of the file that had this name before, and {} has that open: \
                 end it, or remove the log and `{index_name}`",
                name(&owner)
            )),
            // SQLite makes the log before its index, and removes it after that. Who locks the file for
            // himself alone needs no index.
            (_, Some(owner))
                if owner.typ == FlockType::ReadLock
                    && !(log.exists() && index.exists())
                    && is_logged(&file) =>
            {
                Some(format!(
                    "{} has it open with a log that was removed (`{log_name}`, `{index_name}`): end it, \
                     so that it brings the log home",
                    name(&owner)
                ))
            }
            _ => None,
        }
    }
}

/// Files of which locks were asked for. To close one would end the locks that this process has on it (see
/// fcntl_locking(2)), so they stay open as long as there is a store.
static ASKED: Mutex<Asked> = Mutex::new(Asked {
    stores: 0,
    files: Vec::new(),
});

/// See [`ASKED`].
struct Asked {
    /// How many stores there are in this process.
    stores: usize,
    files: Vec<(FileId, File)>,
}

/// Counts one more store. It has no connection yet.
pub(super) fn begin() {
    ASKED.lock().stores += 1;
}

/// Returns a lock that another process has on these bytes of a file.
fn locked_by(path: &Path, start: u64, length: u64) -> Option<Flock> {
    let lock = Flock {
        start,
        length,
        ..Flock::from(FlockType::WriteLock)
    };
    ask(path, |file| fcntl_getlk(file, &lock).ok()?)
}

/// Tells whether a database is in WAL mode (<https://sqlite.org/fileformat2.html>, 1.3.3).
fn is_logged(path: &Path) -> bool {
    let mut version = [0];
    let read = ask(path, |file| file.read_exact_at(&mut version, 18).ok());
    read.is_some() && version == [2]
}

fn ask<T>(path: &Path, question: impl FnOnce(&File) -> Option<T>) -> Option<T> {
    let wanted = id_at(path)?;
    let mut asked = ASKED.lock();
    if !asked.files.iter().any(|(id, _)| *id == wanted) {
        // A pipe in its place must not make anybody wait.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let opened = File::options().read(true).custom_flags(flags).open(path);
        let file = opened.ok()?;
        asked.files.push((id(&file.metadata().ok()?), file));
    }
    let (_, file) = asked.files.iter().find(|(id, _)| *id == wanted)?;
    question(file)
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let now = self.find_file().ok().flatten();
        while let Some(open) = self.idle() {
            if now != Some(open.files.file) || !open.files.has_log() {
                _ = self.bring_home(open);
            }
        }
        let mut asked = ASKED.lock();
        asked.stores -= 1;
        if asked.stores == 0 {
            asked.files.clear();
        }
    }
}
