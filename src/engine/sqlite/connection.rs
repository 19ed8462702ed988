//! Connections: opened when they are needed, kept for the next call, and what their errors mean.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior,
};

use crate::engine::Sync;
use crate::os;
use crate::store::{Namespace, OrCannot as _, Result, StoreError};

use super::Sqlite;
use super::schema::{self, Kind};

/// Which file it is, whatever name it has: its device and inode.
pub(super) type FileId = (u64, u64);

/// A connection that goes back to the others when this is dropped.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    store: &'a Sqlite,
    connection: Option<Connection>,
    file: FileId,
}

impl Lent<'_> {
    /// Keeps the connection for good.
    pub(super) fn into_own(mut self) -> Connection {
        self.connection.take().expect("it is there until the drop")
    }
}

impl Deref for Lent<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
            .as_ref()
            .expect("it is there until the drop")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection
            .as_mut()
            .expect("it is there until the drop")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let (Some(connection), Ok(mut pool)) = (self.connection.take(), self.store.pool.lock())
            && connection.is_autocommit()
        {
            pool.push((connection, self.file));
        }
    }
}

impl Sqlite {
    /// Connects to the file; `None` if there is none, or nothing in it.
    pub(super) fn connect(&self) -> Result<Option<Lent<'_>>> {
        let Some(file) = self.file()? else {
            return Ok(None);
        };
        // One to a file that has lost its name would store what nobody finds. To close it takes nothing
        // of the file that has the name now: SQLite looks first (`databaseIsUnmoved` in its pager.c).
        while let Some((connection, of)) = self.idle() {
            if of == file {
                return Ok(Some(self.lend(connection, file)));
            }
        }
        let connection = self.open()?;
        match schema::kind_of(&connection).map_err(self.cannot("open"))? {
            Kind::Store => Ok(Some(self.lend(connection, file))),
            Kind::Empty => Ok(None),
            Kind::Newer(version) => Err(StoreError::Newer {
                path: self.path.clone(),
                what: format!("its tables have version {version}"),
            }),
            Kind::Foreign => {
                let what = io::Error::other("it is a database of another program");
                Err(what).or_cannot("open", &self.path)
            }
        }
    }

    /// Connects to the file, and makes it first where there is none.
    pub(super) fn connect_or_create(&self) -> Result<Lent<'_>> {
        loop {
            if let Some(lent) = self.connect()? {
                return Ok(lent);
            }
            self.create_file()?;
            let mut connection = self.open()?;
            schema::create(&mut connection).map_err(self.cannot("make"))?;
            // It stays so. Where somebody else is at work just now, the next who comes has it done.
            _ = connection.pragma_update(None, "journal_mode", "WAL");
        }
    }

    /// Makes a file of no bytes for its user alone, with the directories above it.
    fn create_file(&self) -> Result<()> {
        let dir = self.directory();
        let missing: Vec<&Path> = dir
            .ancestors()
            .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists())
            .collect();
        for dir in missing.iter().rev() {
            match DirBuilder::new().mode(0o700).create(dir) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                done => done.or_cannot("make the directory", dir)?,
            }
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
            let above = above.unwrap_or(".".as_ref());
            let synced = File::open(above).and_then(|dir| dir.sync_all());
            synced.or_cannot("sync", above)?;
        }
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path);
        match made {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(err) => Err(os::explain_full(err, &self.path)).or_cannot("make", &self.path),
            Ok(_) => Ok(()),
        }
    }

    fn open(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let cannot = || self.cannot("open");
        // A name such as `:memory:` would mean something else to SQLite.
        let path = std::path::absolute(&self.path).or_cannot("find", &self.path)?;
        let connection = Connection::open_with_flags(path, flags).map_err(cannot())?;
        connection
            .busy_timeout(self.settings.busy_timeout)
            .map_err(cannot())?;
        let sync = match self.settings.sync {
            Sync::Full => "FULL",
            Sync::Off => "NORMAL",
        };
        connection
            .pragma_update(None, "synchronous", sync)
            .map_err(cannot())?;
        // Bytes that the file has no reason to hold are not taken for a page, an index or a row.
        connection
            .pragma_update(None, "cell_size_check", true)
            .map_err(cannot())?;
        Ok(connection)
    }

    /// Finds the file; `None` if there is none.
    pub(super) fn file(&self) -> Result<Option<FileId>> {
        match fs::metadata(&self.path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err).or_cannot("open", &self.path),
            Ok(meta) if !meta.is_file() => {
                let what = io::Error::other("it is not a regular file");
                Err(what).or_cannot("open", &self.path)
            }
            Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        }
    }

    fn idle(&self) -> Option<(Connection, FileId)> {
        self.pool.lock().ok()?.pop()
    }

    fn lend(&self, connection: Connection, file: FileId) -> Lent<'_> {
        Lent {
            store: self,
            connection: Some(connection),
            file,
        }
    }

    /// Does something in a transaction of which nobody sees a part; `None` if there is no file.
    pub(super) fn write_if_any<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.connect()? {
            Some(mut lent) => self.transact(&mut lent, work).map(Some),
            None => Ok(None),
        }
    }

    /// As [`Sqlite::write_if_any`], with a connection that is at hand.
    pub(super) fn transact<T>(
        &self,
        connection: &mut Connection,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(self.cannot("change"))?;
        let done = work(&transaction)?;
        transaction.commit().map_err(self.cannot("change"))?;
        Ok(done)
    }

    /// Returns the number of a namespace; `None` if there is no such thing.
    pub(super) fn id_of(
        &self,
        connection: &Connection,
        namespace: &Namespace,
    ) -> Result<Option<i64>> {
        connection
            .prepare_cached("SELECT id FROM namespace WHERE name = ?1")
            .and_then(|mut select| {
                select
                    .query_row([namespace.as_str()], |row| row.get(0))
                    .optional()
            })
            .map_err(self.cannot("read"))
    }

    /// Returns the number of a namespace, which is made where there is no such thing.
    pub(super) fn id_or_create(&self, tx: &Transaction<'_>, namespace: &Namespace) -> Result<i64> {
        if let Some(id) = self.id_of(tx, namespace)? {
            return Ok(id);
        }
        tx.execute(
            "INSERT INTO namespace (name) VALUES (?1)",
            [namespace.as_str()],
        )
        .map_err(self.cannot("change"))?;
        Ok(tx.last_insert_rowid())
    }

    /// Says what an error of SQLite means, when this was tried on the file.
    pub(super) fn cannot(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        let waited = self.settings.busy_timeout;
        move |err| {
            let path = path.clone();
            match err.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    StoreError::Busy { path, waited }
                }
                // The numbers in a row are none that kv writes.
                Some(ErrorCode::DatabaseCorrupt) | None => StoreError::Damaged {
                    path,
                    source: err.to_string().into(),
                },
                Some(code) => StoreError::Io {
                    action,
                    path,
                    source: match code {
                        ErrorCode::DiskFull => {
                            io::Error::new(io::ErrorKind::StorageFull, err.to_string())
                        }
                        _ => io::Error::other(err.to_string()),
                    },
                },
            }
        }
    }
}
