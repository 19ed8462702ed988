//! The SQLite engine: a store that is one database file, for those whose data is in SQLite anyway.
//!
//! Everything is in ordinary tables, which `sqlite3 FILE` shows; the page kv-format(5) tells what
//! they mean. The file is in WAL mode: readers never wait, and a write is one transaction, synced
//! before it is acknowledged. With `--sync off` the log is synced at checkpoints only, so that a
//! power cut may take the last writes and never the database (<https://sqlite.org/pragma.html>,
//! `synchronous`).
//!
//! What the end of a call promises, and what was compared before anything was believed:
//!
//! | call | sync full | sync off | checked first |
//! |---|---|---|---|
//! | put, push, expire, remove, rename | survives a power cut | survives a kill; a power cut may take the last | under the write lock: the condition, by a row whose `head` is right; before the commit: that the file still has its name |
//! | any, on a place where a store was | or 5: it is gone, or the log beside it is another's or was removed | the same | the file by its name, and who has its log open ([`moved`]) |
//! | take, pop | the same, and the value was verified before it went | the same | `head` and `sum`, and both ends of a list by the table and by its index |
//! | put, push, import on a disk with little room | the same, or nothing is changed | that there is room for the log of removals ([`reserve`]), and for what is in the log |
//! | import | all or nothing | the same | as put, for each entry |
//! | the first put | there is a whole store, or nothing, whenever it is killed; where the file system has no files without a name, an empty file may be left, which the next put fills | the same | that nobody else was first |
//! | get, stat, has | | | `head`, and `sum` before the last bytes; a miss by the index too |
//! | a whole listing | | | the count and the sum over the keys, in the row of the namespace |
//! | a part of one | | | `head` of each row, and their number by the index |
//!
//! Where a namespace changes while a listing of more than one page is read, all that is there at its end is
//! counted and summed up once more, as its pages are of several moments. The row of the namespace is written when a key comes or goes or gets
//! another expiry, and not when only its value changes.
//!
//! Read the files in this order: [`schema`], [`create`], [`mod@file`], [`transaction`], [`connection`], [`moved`], [`reserve`], [`row`], [`namespace_row`], [`value`], [`read`],
//! [`mod@write`], [`rename`], [`scan`], [`list`], [`bulk`], [`upkeep`], [`check`], [`named`].

mod bulk;
mod check;
mod connection;
mod create;
mod file;
mod list;
mod moved;
mod named;
mod namespace_row;
mod read;
mod rename;
mod reserve;
mod row;
mod scan;
mod schema;
mod transaction;
mod upkeep;
mod value;
mod watch;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::engine::Settings;
use crate::engine::location::{Given, Locator};
use crate::store::Store;

use self::moved::{Files, Open};

pub(crate) use rusqlite::version;

/// A store that is a database file of SQLite.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    settings: Settings,
    /// Connections that nobody uses at the moment.
    pool: Mutex<Vec<Open>>,
    /// What the connections of this process have open.
    files: Mutex<Weak<Files>>,
    /// The file was there.
    was_there: AtomicBool,
}

impl Sqlite {
    /// Names a file that is a store, or will be one with the first write.
    pub fn new(path: PathBuf, settings: Settings) -> Self {
        moved::begin();
        Self {
            path,
            settings,
            pool: Mutex::default(),
            files: Mutex::default(),
            was_there: AtomicBool::default(),
        }
    }
}

/// A file, by the path that was given.
struct DatabaseFile(PathBuf);

/// Takes any path.
pub(super) fn location(given: &Given) -> Result<Arc<dyn Locator>, &'static str> {
    match given.rest.is_empty() {
        true => Err("`sqlite:` needs the path of a file"),
        false => Ok(Arc::new(DatabaseFile(PathBuf::from(&given.rest)))),
    }
}

impl fmt::Display for DatabaseFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.0.display())
    }
}

impl Locator for DatabaseFile {
    fn open(&self, settings: Settings) -> Box<dyn Store> {
        Box::new(Sqlite::new(self.0.clone(), settings))
    }

    fn on_disk(&self) -> Option<&Path> {
        Some(&self.0)
    }
}
