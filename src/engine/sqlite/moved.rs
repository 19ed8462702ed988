//! A file that another takes the name of, as when a backup is moved over it. The log beside it belongs
//! to the file, and SQLite finds it by the name: it would write the last changes of the one into the
//! other.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::store::{OrCannot as _, Result};

use super::Sqlite;
use super::connection::FileId;
use super::transaction::{EMPTY_LOG, LOOKS, PAUSE, run_to_end};

/// The byte that is locked in the index of a log by whoever has the log open, and the first that may be
/// locked in the file, and their number (`UNIX_SHM_DMS` and `PENDING_BYTE` in SQLite's `os_unix.c` and
/// `os.h`).
const OPEN_LOG: u64 = 128;
const FILE_LOCKS: u64 = 0x4000_0000;
const FILE_LOCKS_LEN: u64 = 512;

impl Sqlite {
    /// Empties the log of a file that has lost its name, into that file, before it is closed. To close
    /// it takes nothing of the file that has the name now: SQLite looks first (`databaseIsUnmoved` in
    /// its pager.c).
    pub(super) fn bring_home(&self, connection: &Connection) -> Result<()> {
        let done = run_to_end(connection, EMPTY_LOG);
        done.map_err(self.cannot("empty the log of what was"))
    }

    /// Refuses a place where there is the log of another, that a process has open still. Nobody
    /// has a log open who has not locked its file before; only one that ends lets go of the file first.
    pub(super) fn check_log(&self) -> Result<()> {
        let Some(first) = self.owner_of_other_log() else {
            return Ok(());
        };
        for _ in 0..LOOKS {
            thread::sleep(PAUSE);
            if self.owner_of_other_log().as_ref() != Some(&first) {
                return Ok(());
            }
        }
        let [_, log, index] = self.files();
        let what = io::Error::other(format!(
            "`{}` is the log of the file that had this name before, and {first} has that open: \
             end it, or remove the log and `{}`",
            log.display(),
            index.display()
        ));
        Err(what).or_cannot("open", &self.path)
    }

    /// Finds another process that has the log open where none has the file.
    fn owner_of_other_log(&self) -> Option<String> {
        let [file, _, index] = self.files();
        let owner = locked_by(&index, OPEN_LOG, 1)?;
        match locked_by(&file, FILE_LOCKS, FILE_LOCKS_LEN) {
            Some(_) => None,
            // One of another container has no number here.
            None => Some(owner.pid.map_or("another process".to_owned(), |pid| {
                format!("process {}", pid.as_raw_pid())
            })),
        }
    }
}

/// Files of which locks were asked for. To close one would end the locks that this process has on it (see
/// fcntl_locking(2)).
static ASKED: Mutex<Vec<(FileId, File)>> = Mutex::new(Vec::new());

/// Returns a lock that another process has on these bytes of a file.
fn locked_by(path: &Path, start: u64, length: u64) -> Option<Flock> {
    let id = |meta: Metadata| (meta.dev(), meta.ino());
    let wanted = id(fs::metadata(path).ok()?);
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if !asked.iter().any(|(id, _)| *id == wanted) {
        let file = File::open(path).ok()?;
        asked.push((id(file.metadata().ok()?), file));
    }
    let (_, file) = asked.iter().find(|(id, _)| *id == wanted)?;
    let lock = Flock {
        start,
        length,
        ..Flock::from(FlockType::WriteLock)
    };
    fcntl_getlk(file, &lock).ok()?
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let now = self.find_file().ok().flatten();
        while let Some((connection, of)) = self.idle() {
            if now != Some(of) {
                _ = self.bring_home(&connection);
            }
        }
    }
}
