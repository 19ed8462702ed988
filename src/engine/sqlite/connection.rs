//! Connections: opened when they are needed, kept for the next call, and what their errors mean.

use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::thread;

use rusqlite::Error::SqliteFailure;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::os;
use crate::store::percent;
use crate::store::{Namespace, OrCannot as _, Result, StoreError};

use super::Sqlite;
use super::moved::Open;
use super::namespace_row::Space;
use super::schema::{self, Kind};
use super::transaction::{self, LOOKS, PAUSE, Transaction};

/// A connection that goes back to the others when this is dropped.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    store: &'a Sqlite,
    open: Option<Open>,
    /// It is good for this call only.
    once: Option<Once>,
}

/// Why a connection is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Once {
    /// The tables are of an earlier version, and views stand in for them.
    Old,
    /// The file is read as it is, without a log, and looked like this.
    Frozen(Look),
}

/// What would change if somebody wrote to the file: its length, and when it was last changed.
pub(super) type Look = (u64, i64, i64);

/// A connection keeps so many statements: all that there are.
const STATEMENTS: usize = 64;

/// Pages after which the log begins anew on a disk that has little room.
const SHORT_LOG: u32 = 8;

/// A file that somebody writes to while it is read without its log is read so many times.
const FROZEN_TRIES: u32 = 20;

impl Lent<'_> {
    /// Keeps the connection for good.
    pub(super) fn into_own(mut self) -> Open {
        self.open.take().expect("it is there until the drop")
    }
}

impl Deref for Lent<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        let open = self.open.as_ref();
        &open.expect("it is there until the drop").connection
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        let open = self.open.as_mut();
        &mut open.expect("it is there until the drop").connection
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take()
            && open.connection.is_autocommit()
            && self.once.is_none()
        {
            self.store.pool.lock().push(open);
        }
    }
}

impl Sqlite {
    /// Connects to the file; `None` if there is none. One with nothing in it is no store, and may have been
    /// one; somebody who makes it one now is waited for.
    pub(super) fn connect(&self) -> Result<Option<Lent<'_>>> {
        for _ in 0..LOOKS {
            let lent = self.connect_if_made()?;
            if lent.is_some() || self.find_file()?.is_none() {
                return Ok(lent);
            }
            thread::sleep(PAUSE);
        }
        let what = "it is empty: it is no store until `kv put` makes one there; if it was one, put a \
                    backup in its place";
        Err(io::Error::other(what)).or_cannot("open", &self.path)
    }

    /// Connects to the file; `None` if there is none, or nothing in it.
    fn connect_if_made(&self) -> Result<Option<Lent<'_>>> {
        let file = self.file();
        // One to a file that has lost its name would store what nobody finds.
        while let Some(open) = self.idle() {
            if matches!(file, Ok(Some(file)) if file == open.files.file) && open.files.has_log() {
                return Ok(Some(self.lend(open, None)));
            }
            self.bring_home(open)?;
        }
        let Some(file) = file? else {
            return Ok(None);
        };
        self.expect_log(file)?;
        let (connection, kind, mut once) = self.open()?;
        match kind {
            Kind::Store => {}
            Kind::Old => {
                schema::stand_in(&connection).map_err(self.cannot("open"))?;
                once = once.or(Some(Once::Old));
            }
            Kind::Empty => return Ok(None),
            Kind::Newer(version) => {
                return Err(StoreError::Newer {
                    path: self.path.clone(),
                    what: format!("its tables have version {version}"),
                });
            }
            Kind::Unnumbered => {
                return Err(self.unsound("its user_version is 0, which no kv writes".to_owned()));
            }
            Kind::Foreign => {
                let what = io::Error::other("it is a database of another program");
                return Err(what).or_cannot("open", &self.path);
            }
        }
        let files = self.note_files(file, once.is_none());
        Ok(Some(self.lend(Open { connection, files }, once)))
    }

    /// Connects to the file for a change, and brings its tables to this version first; `None` if there
    /// is none, or nothing in it.
    pub(super) fn connect_to_change(&self) -> Result<Option<Lent<'_>>> {
        let Some(lent) = self.connect_if_made()? else {
            return Ok(None);
        };
        match lent.once {
            Some(Once::Old) => {}
            Some(Once::Frozen(_)) if self.is_disk_full() => {
                let full = io::Error::from(rustix::io::Errno::NOSPC);
                return Err(os::explain_full(full, &self.path)).or_cannot("change", &self.path);
            }
            // Its stand-ins would be told as damage.
            Some(Once::Frozen(_)) if schema::kind_of(&lent).is_ok_and(|kind| kind == Kind::Old) => {
                let why = ffi::Error::new(ffi::SQLITE_READONLY);
                return Err(self.cannot("change")(SqliteFailure(why, None)));
            }
            _ => return Ok(Some(lent)),
        }
        drop(lent);
        let (mut connection, ..) = self.open()?;
        let transaction = self.begin(&mut connection)?;
        if schema::kind_of(&transaction).map_err(self.cannot("change"))? == Kind::Old {
            schema::upgrade(&transaction).map_err(self.cannot("change"))?;
            self.count_all(&transaction)?;
        }
        transaction.commit().map_err(self.cannot("change"))?;
        self.connect_if_made()
    }

    /// Opens the file. Where it cannot be written, SQLite would leave a log beside it that its owner
    /// cannot use, or cannot make one: such a file is read as it is, if there is no log.
    pub(super) fn open(&self) -> Result<(Connection, Kind, Option<Once>)> {
        self.check_log()?;
        // A name such as `:memory:` would mean something else to SQLite.
        let path = std::path::absolute(&self.path).or_cannot("find", &self.path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(self.cannot("open"))?;
        let is_log_there = || {
            let [_, log, index] = self.files();
            log.exists() && index.exists()
        };
        let is_closed = connection
            .is_readonly("main")
            .map_err(self.cannot("open"))?;
        let why = if is_closed && !is_log_there() {
            None
        } else {
            match self.prepare(&connection) {
                Err(err) if lacks_log(&err) => Some(err),
                kind => return Ok((connection, kind.map_err(self.cannot("open"))?, None)),
            }
        };
        drop(connection);
        match self.look()? {
            Some(look) => {
                let connection = self.open_frozen()?;
                let kind = self.prepare(&connection).map_err(self.cannot("open"))?;
                Ok((connection, kind, Some(Once::Frozen(look))))
            }
            None => {
                let [_, log, _] = self.files();
                let why = why.map_or_else(String::new, |err| format!("{err}: "));
                let what = io::Error::other(format!(
                    "{why}its last changes are in `{}`, which only they can read who may write to it \
                     and beside it",
                    log.display()
                ));
                Err(what).or_cannot("open", &self.path)
            }
        }
    }

    /// Opens the file for reading, with no log and no locks.
    fn open_frozen(&self) -> Result<Connection> {
        let path = fs::canonicalize(&self.path).or_cannot("find", &self.path)?;
        let path = percent::encode(path.as_os_str().as_bytes());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)
            .map_err(self.cannot("open"))
    }

    /// Sets up a connection, and finds out what it is to.
    fn prepare(&self, connection: &Connection) -> rusqlite::Result<Kind> {
        transaction::set_patience(connection, self.settings.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        transaction::set_sync(connection, self.settings.sync)?;
        // A statement is prepared once, and not anew for each value that is bound to it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // Bytes that the file has no reason to hold are not taken for a page, an index or a row.
        connection.pragma_update(None, "cell_size_check", true)?;
        if self.has_little_room() {
            connection.pragma_update(None, "wal_autocheckpoint", SHORT_LOG)?;
        }
        schema::kind_of(connection)
    }

    /// Looks at a file that can be read without a log; `None` if there is a log with something in it.
    fn look(&self) -> Result<Option<Look>> {
        let logs = ["-wal", "-journal"].map(|log| fs::metadata(self.beside(log)));
        if logs.iter().flatten().any(|log| log.len() > 0) {
            return Ok(None);
        }
        let meta = fs::metadata(&self.path).or_cannot("read", &self.path)?;
        Ok(Some((meta.len(), meta.mtime(), meta.mtime_nsec())))
    }

    pub(super) fn idle(&self) -> Option<Open> {
        self.pool.lock().pop()
    }

    fn lend(&self, open: Open, once: Option<Once>) -> Lent<'_> {
        Lent {
            store: self,
            open: Some(open),
            once,
        }
    }

    /// Reads what there was at one moment; `None` if there is no file.
    pub(super) fn read<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<Option<T>> {
        self.look_by(|lent| {
            let moment = Transaction::read(lent).map_err(self.cannot("read"))?;
            work(&moment)
        })
    }

    /// Reads by single statements, each of which sees a moment of its own; `None` if there is no file.
    pub(super) fn look_by<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<Option<T>> {
        for _ in 0..FROZEN_TRIES {
            let Some(lent) = self.connect()? else {
                return Ok(None);
            };
            let done = work(&lent);
            match lent.once {
                // What is read while somebody writes there is of no moment.
                Some(Once::Frozen(look)) if self.look()? != Some(look) => {}
                _ => return done.map(Some),
            }
        }
        let what =
            io::Error::other("somebody writes to it, and no log can be made here to read it by");
        Err(what).or_cannot("read", &self.path)
    }

    /// As [`Sqlite::read`], in a namespace; `None` if there is none.
    pub(super) fn read_in<T>(
        &self,
        namespace: &Namespace,
        work: impl Fn(&Space<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let done = self.read(|moment| match self.row_of_namespace(moment, namespace)? {
            Some(space) => work(&space).map(Some),
            None => Ok(None),
        })?;
        Ok(done.flatten())
    }

    /// Changes a namespace in a transaction of which nobody sees a part; `None` if there is none. Nothing
    /// is added to it, and where the disk is full all the same, it is done once more.
    pub(super) fn change_if_any<T>(
        &self,
        namespace: &Namespace,
        mut work: impl FnMut(&mut Space<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.freeing(|| {
            let Some(mut lent) = self.connect_to_change()? else {
                return self.connect().map(|_| None);
            };
            self.transact(&mut lent, |tx| {
                let Some(mut space) = self.row_of_namespace(tx, namespace)? else {
                    return Ok(None);
                };
                let done = work(&mut space)?;
                space.save()?;
                Ok(Some(done))
            })
        })
    }

    /// Changes a namespace, with what there is not made first.
    pub(super) fn change<T>(
        &self,
        namespace: &Namespace,
        work: impl FnOnce(&mut Space<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut lent = self.connect_or_create()?;
        self.taking(|is_little| {
            self.transact(&mut lent, |tx| {
                let mut space = self.row_or_create(tx, namespace)?;
                let done = work(&mut space)?;
                space.save()?;
                if is_little {
                    self.check_room(tx)?;
                }
                Ok(done)
            })
        })
    }

    /// Does something in a transaction of which nobody sees a part.
    pub(super) fn transact<T>(
        &self,
        lent: &mut Lent<'_>,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let open = lent.open.as_ref().expect("it is there until the drop");
        let files = Arc::clone(&open.files);
        let transaction = self.begin(lent)?;
        // It could take away what is acknowledged, or keep what is removed.
        let trigger = schema::other_trigger(&transaction, &files.untriggered);
        if let Some(trigger) = trigger.map_err(self.cannot("change"))? {
            let what = io::Error::other(format!(
                "the trigger `{trigger}` of another program is on its tables, and could change what is \
                 stored: nothing is written until `DROP TRIGGER {trigger}`"
            ));
            return Err(what).or_cannot("change", &self.path);
        }
        let done = work(&transaction)?;
        // Nobody would find what is stored in a file that has lost its name.
        if self.find_file()? != Some(files.file) {
            let what =
                io::Error::other("it was moved or removed meanwhile, and nothing was changed");
            return Err(what).or_cannot("change", &self.path);
        }
        if !files.has_log() {
            return Err(self.lost_log(&files, "nothing was changed"));
        }
        transaction.commit().map_err(self.cannot("change"))?;
        Ok(done)
    }

    fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c>> {
        Transaction::write(connection).map_err(self.cannot("change"))
    }
}

/// Tells whether SQLite could not make or use the log and its index.
fn lacks_log(err: &rusqlite::Error) -> bool {
    matches!(
        err.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
        )
    )
}
