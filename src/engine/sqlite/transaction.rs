//! Transactions, begun and ended by statements that a connection keeps; pragmas that take many steps.

use std::ops::Deref;
use std::time::Duration;

use rusqlite::{Connection, Result};

use crate::engine::Sync;
use crate::os;

/// How often it is looked again whether a process is only ending, or only beginning a store, and after
/// which pause each time.
pub(super) const LOOKS: u32 = 50;
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Brings the log home, and lets it begin anew.
pub(super) const EMPTY_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// A transaction: what is done in it is undone when this is dropped, unless it was committed.
#[derive(Debug)]
pub(super) struct Transaction<'c>(&'c Connection);

impl<'c> Transaction<'c> {
    /// Begins to read what there is at one moment.
    pub(super) fn read(connection: &'c Connection) -> Result<Self> {
        run(connection, "BEGIN").map(|()| Self(connection))
    }

    /// Waits until nobody else writes, and begins.
    pub(super) fn write(connection: &'c mut Connection) -> Result<Self> {
        run(connection, "BEGIN IMMEDIATE").map(|()| Self(connection))
    }

    pub(super) fn commit(self) -> Result<()> {
        run(self.0, "COMMIT")
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            _ = run(self.0, "ROLLBACK");
        }
    }
}

fn run(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(|_| ())
}

/// Says what is to survive a power cut.
pub(super) fn set_sync(connection: &Connection, sync: Sync) -> Result<()> {
    let level = match sync {
        Sync::Full => "FULL",
        Sync::Off => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", level)?;
    match os::HAS_LAZY_FSYNC {
        true => connection.pragma_update(None, "fullfsync", true),
        false => Ok(()),
    }
}

/// Brings home what it can of the log, for which nobody is waited for: the lock of who writes would be held
/// as long as somebody reads.
pub(super) fn shorten_log(connection: &Connection, busy_timeout: Duration) -> Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let done = run_to_end(connection, EMPTY_LOG);
    set_patience(connection, busy_timeout)?;
    done
}

/// Has SQLite wait for so long for who writes. It counts milliseconds in an int (sqlite3_busy_timeout).
pub(super) fn set_patience(connection: &Connection, busy_timeout: Duration) -> Result<()> {
    const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);
    connection.busy_timeout(busy_timeout.min(LONGEST))
}

/// Runs a pragma that works as long as it is asked for one more row.
pub(super) fn run_to_end(connection: &Connection, pragma: &str) -> Result<()> {
    let mut statement = connection.prepare(pragma)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
