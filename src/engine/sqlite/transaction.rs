//! Transactions, begun and ended by statements that a connection keeps.

use std::ops::Deref;

use rusqlite::{Connection, Result};

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
