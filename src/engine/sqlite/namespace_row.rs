//! The row of a namespace, and what it knows of the entries: how many there are, and a sum over them by
//! which a listing tells that it is whole.

use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, Params, Row, params};

use crate::store::{Deadline, Namespace, Result, StoreError};

use super::Sqlite;
use super::row::{deadline, hash, share_of};
use super::transaction::Transaction;

/// A namespace, as it is or will be in its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamespaceRow {
    pub(super) id: i64,
    name: String,
    /// The number of the next element, if it is a list.
    pub(super) next: u64,
    /// How often a key came or went, or got another expiry.
    pub(super) changes: u64,
    /// What it holds; `None` in tables of the version before.
    pub(super) tally: Option<Tally>,
    /// The row is not what it was read as any more.
    is_changed: bool,
}

/// How many entries there are, expired ones too, and all of their [`share_of`], xored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) entries: u64,
    total: u64,
}

impl Tally {
    pub(super) fn add(&mut self, key: &[u8], expires: Option<Deadline>) {
        self.entries = self.entries.wrapping_add(1);
        self.total ^= share_of(key, expires);
    }

    pub(super) fn join(&mut self, others: Self) {
        self.entries = self.entries.wrapping_add(others.entries);
        self.total ^= others.total;
    }

    fn take(&mut self, key: &[u8], expires: Option<Deadline>) {
        self.entries = self.entries.wrapping_sub(1);
        self.total ^= share_of(key, expires);
    }
}

impl NamespaceRow {
    /// Notes that a key has come, or that it replaces what it held.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        before: Option<Option<Deadline>>,
        expires: Option<Deadline>,
    ) {
        // Another value of the same key is nothing new.
        if before != Some(expires) {
            if let Some(before) = before {
                self.forget(key, before);
            }
            self.tally.get_or_insert_default().add(key, expires);
            self.is_changed = true;
        }
    }

    /// Notes that a key has gone.
    pub(super) fn forget(&mut self, key: &[u8], expires: Option<Deadline>) {
        self.tally.get_or_insert_default().take(key, expires);
        self.is_changed = true;
    }

    /// Notes that a list goes on behind the element of this number.
    pub(super) fn note_element(&mut self, number: u64) {
        if self.next <= number {
            self.next = number.saturating_add(1);
            self.is_changed = true;
        }
    }

    fn sum(&self) -> u64 {
        let Tally { entries, total } = self.tally.unwrap_or_default();
        let numbers = [
            self.id.cast_unsigned(),
            self.next,
            self.changes,
            entries,
            total,
        ];
        hash(&numbers, self.name.as_bytes())
    }
}

/// A namespace in a transaction, or at whatever moments a connection reads it. What changes it wants it
/// mutable, which [`Sqlite::change`] gives.
pub(super) struct Space<'c> {
    pub(super) store: &'c Sqlite,
    pub(super) connection: &'c Connection,
    pub(super) row: NamespaceRow,
}

impl Deref for Space<'_> {
    type Target = NamespaceRow;

    fn deref(&self) -> &NamespaceRow {
        &self.row
    }
}

impl DerefMut for Space<'_> {
    fn deref_mut(&mut self) -> &mut NamespaceRow {
        &mut self.row
    }
}

/// Among so many namespaces one that is lost is looked for before another is said not to be there.
const MOST_NAMES: u32 = 64;

/// How many columns [`namespace_row`] reads.
pub(super) const NAMESPACE_WIDTH: usize = 6;

/// Reads `id, next, changes, entries, total, sum` of a namespace, and tells whether that is what was written.
pub(super) fn namespace_row(
    row: &Row<'_>,
    namespace: &Namespace,
) -> rusqlite::Result<(NamespaceRow, bool)> {
    let number = |nth| {
        let number = row.get::<_, Option<i64>>(nth)?;
        Ok::<_, rusqlite::Error>(number.map(i64::cast_unsigned))
    };
    let (entries, total) = (number(3)?, number(4)?);
    let space = NamespaceRow {
        id: row.get(0)?,
        name: namespace.to_string(),
        next: number(1)?.unwrap_or_default(),
        changes: number(2)?.unwrap_or_default(),
        tally: entries
            .zip(total)
            .map(|(entries, total)| Tally { entries, total }),
        is_changed: false,
    };
    let is_sound = match number(5)? {
        Some(sum) => sum == space.sum(),
        None => space.tally.is_none(),
    };
    Ok((space, is_sound))
}

impl Sqlite {
    /// Reads the row of a namespace; `None` if there is no such thing.
    pub(super) fn row_of_namespace<'c>(
        &'c self,
        connection: &'c Connection,
        namespace: &Namespace,
    ) -> Result<Option<Space<'c>>> {
        match self.row_as_is(connection, namespace)? {
            Some((_, false)) => {
                Err(self.unsound(format!("the row of the namespace `{namespace}`")))
            }
            Some((space, true)) => Ok(Some(space)),
            None => self.check_names(connection, MOST_NAMES).map(|()| None),
        }
    }

    /// Fails if a namespace that is not found may be one whose row was lost, or got another name. Among more
    /// than `most` nobody looks.
    pub(super) fn check_names(&self, connection: &Connection, most: u32) -> Result<()> {
        let sql = "SELECT name FROM namespace LIMIT ?1";
        let names: Vec<String> = connection
            .prepare_cached(sql)
            .and_then(|mut select| {
                select
                    .query_map([i64::from(most) + 1], |row| row.get(0))?
                    .collect()
            })
            .map_err(self.cannot("read"))?;
        if names.len() > most as usize {
            return Ok(());
        }
        for name in names {
            let row = || self.unsound(format!("the row of the namespace `{name}`"));
            let namespace = name.parse().map_err(|_| row())?;
            match self.row_as_is(connection, &namespace)? {
                Some((_, true)) => {}
                _ => return Err(row()),
            }
        }
        match self.homeless(connection)?.first() {
            None => Ok(()),
            Some(id) => Err(self.unsound(format!(
                "it has entries of a namespace that is not there, number {id}; `kv fsck --repair` moves \
                 them to the table `lost`"
            ))),
        }
    }

    /// Returns the numbers that entries have as their namespace, and no namespace has. Each is found by the
    /// order of the rows, and none of them is counted.
    pub(super) fn homeless(&self, connection: &Connection) -> Result<Vec<i64>> {
        let next = "SELECT min(namespace) FROM entry WHERE namespace > ?1";
        let known = "SELECT 1 FROM namespace WHERE id = ?1";
        let mut found = Vec::new();
        let mut last = i64::MIN;
        while let Some(id) = self
            .first(connection, next, [last], |row| row.get(0))?
            .flatten()
        {
            if self.first(connection, known, [id], |_| Ok(()))?.is_none() {
                found.push(id);
            }
            last = id;
        }
        Ok(found)
    }

    /// As [`Sqlite::row_of_namespace`], and tells whether the row is what was written.
    pub(super) fn row_as_is<'c>(
        &'c self,
        connection: &'c Connection,
        namespace: &Namespace,
    ) -> Result<Option<(Space<'c>, bool)>> {
        let sql = "SELECT id, next, changes, entries, total, sum FROM namespace WHERE name = ?1";
        let name = [namespace.as_str()];
        let found = self.first(connection, sql, name, |row| namespace_row(row, namespace))?;
        if found.is_none() {
            // The index of the names may have lost one.
            let sql = "SELECT 1 FROM namespace NOT INDEXED WHERE name = ?1";
            if self.first(connection, sql, name, |_| Ok(()))?.is_some() {
                return Err(self.unsound(format!("the index of the namespace `{namespace}`")));
            }
        }
        let space = |row| Space {
            store: self,
            connection,
            row,
        };
        Ok(found.map(|(row, is_sound)| (space(row), is_sound)))
    }

    /// Reads the row of a namespace, which is made where there is no such thing.
    pub(super) fn row_or_create<'c>(
        &'c self,
        tx: &'c Connection,
        namespace: &Namespace,
    ) -> Result<Space<'c>> {
        if let Some(space) = self.row_of_namespace(tx, namespace)? {
            return Ok(space);
        }
        let sql = "INSERT INTO namespace (name) VALUES (?1)";
        self.write_rows(tx, sql, [namespace.as_str()])?;
        let row = NamespaceRow {
            id: tx.last_insert_rowid(),
            name: namespace.to_string(),
            next: 1,
            changes: 0,
            tally: Some(Tally::default()),
            is_changed: true,
        };
        let (store, connection) = (self, tx);
        Ok(Space {
            store,
            connection,
            row,
        })
    }

    /// Counts what each namespace holds, and writes that into its row.
    pub(super) fn count_all(&self, tx: &Transaction<'_>) -> Result<()> {
        for namespace in self.namespaces_in(tx)? {
            if let Some((mut space, _)) = self.row_as_is(tx, &namespace)? {
                space.recount()?;
            }
        }
        Ok(())
    }

    /// Says that the database is damaged.
    pub(super) fn unsound(&self, what: String) -> StoreError {
        StoreError::damaged(&self.path, what)
    }
}

impl Space<'_> {
    /// Tells whether it is the first: what concerns the file as a whole is done once, with it.
    pub(super) fn is_first(&self) -> Result<bool> {
        let sql = "SELECT 1 FROM namespace WHERE id < ?1";
        let before = self.first(sql, [self.id], |_| Ok(()))?;
        Ok(before.is_none())
    }

    /// Reads the first row that a statement finds.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.store.first(self.connection, sql, params, read)
    }

    /// Writes the row, if it is to change.
    pub(super) fn save(&mut self) -> Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        self.changes = self.changes.wrapping_add(1);
        let Tally { entries, total } = self.tally.unwrap_or_default();
        let sql = "UPDATE namespace SET next = ?2, changes = ?3, entries = ?4, total = ?5, sum = ?6
                   WHERE id = ?1";
        let number = u64::cast_signed;
        let columns = params![
            self.id,
            number(self.next),
            number(self.changes),
            number(entries),
            number(total),
            number(self.sum()),
        ];
        self.write_rows(sql, columns)
    }

    /// Counts what it holds.
    pub(super) fn count(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        self.connection
            .prepare("SELECT key, expires FROM entry WHERE namespace = ?1")
            .and_then(|mut select| {
                let mut rows = select.query([self.id])?;
                while let Some(row) = rows.next()? {
                    tally.add(row.get_ref(0)?.as_blob()?, deadline(row, 1)?);
                }
                Ok(())
            })
            .map_err(self.store.cannot("count"))?;
        Ok(tally)
    }

    /// Counts what it holds, and writes that into its row.
    pub(super) fn recount(&mut self) -> Result<()> {
        self.tally = Some(self.count()?);
        self.is_changed = true;
        self.save()
    }

    /// Compares what was found with what is to be there.
    pub(super) fn judge(&self, found: Tally) -> Result<()> {
        match self.tally {
            Some(tally) if tally != found => Err(self.store.unsound(format!(
                "the namespace `{}` had {} entries, and these are not what is found there now ({})",
                self.name, tally.entries, found.entries
            ))),
            _ => Ok(()),
        }
    }

    /// Fails if the index knows a key that the table does not.
    pub(super) fn check_absent(&self, key: &[u8]) -> Result<()> {
        if self.tally.is_none() {
            return Ok(());
        }
        let sql = "SELECT 1 FROM entry INDEXED BY entry_key WHERE namespace = ?1 AND key = ?2";
        match self.first(sql, params![self.id, key], |_| Ok(()))? {
            Some(()) => Err(self
                .store
                .damaged(key, "its row is not found, and the index has it")),
            None => Ok(()),
        }
    }
}
