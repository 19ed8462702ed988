//! Finding one key.

use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use crate::store::{Entry, Key, Meta, Namespace, Result, StoreError, Time, Value};

use super::Sqlite;
use super::namespace_row::{NAMESPACE_WIDTH, Space, namespace_row};
use super::row::{COLUMNS, Found, WIDTH};
use super::transaction::Transaction;

/// Selects the row of a namespace and that of a key in it, as [`namespace_row`] and [`Found::read`] read them.
macro_rules! by_names {
    ($value:literal) => {
        concat!(
            "SELECT id, next, changes, entries, total, namespace.sum, etag, modified, expires, size,
             entry.sum, large, head, ",
            $value,
            " FROM namespace CROSS JOIN entry ON entry.namespace = id WHERE name = ?1 AND key = ?2"
        )
    };
}

const WITH_VALUE: &str = by_names!("value");
const WITHOUT_VALUE: &str = by_names!("NULL");

impl Sqlite {
    /// Finds a key; see [`crate::store::Entries::get`].
    pub(super) fn find(
        &self,
        namespace: &Namespace,
        key: &Key,
        now: Time,
    ) -> Result<Option<Entry>> {
        let key_bytes = key.as_bytes();
        let found = self.row_of(namespace, key_bytes, WITH_VALUE)?;
        match found.filter(|(found, _)| found.is_live(now)) {
            Some((found, Some(value))) => return self.verified(key_bytes, &found, value).map(Some),
            Some((found, None)) if found.large.is_some() => {}
            Some(_) => return Err(self.damaged(key_bytes, "it has no value")),
            None => return Ok(None),
        }
        // A large value is read in the state of one moment, for which it is found once more.
        let Some(lent) = self.connect()? else {
            return Ok(None);
        };
        lent.execute_batch("BEGIN").map_err(self.cannot("read"))?;
        let found = match self.row_of_namespace(&lent, namespace)? {
            Some(space) => space.select(key_bytes)?,
            None => None,
        };
        let Some(found) = found.filter(|found| found.is_live(now)) else {
            return Ok(None);
        };
        if found.large.is_none() {
            drop(lent);
            return self.find(namespace, key, now);
        }
        let parts = self.parts(lent.into_own(), key_bytes, &found);
        Ok(parts.map(|parts| Entry {
            meta: found.meta,
            value: Value::Stream(Box::new(parts)),
        }))
    }

    /// Finds what is known of a key; see [`crate::store::Entries::stat`].
    pub(super) fn find_meta(
        &self,
        namespace: &Namespace,
        key: &Key,
        now: Time,
    ) -> Result<Option<Meta>> {
        let found = self.row_of(namespace, key.as_bytes(), WITHOUT_VALUE)?;
        let found = found.map(|(found, _)| found.meta);
        Ok(found.filter(|meta| meta.is_live(now)))
    }

    /// Finds a key's row by one of two statements, which sees one moment without a transaction; what is
    /// not found so, or is not as it was written, is looked for in one that can tell what is wrong.
    fn row_of(
        &self,
        namespace: &Namespace,
        key: &[u8],
        sql: &str,
    ) -> Result<Option<(Found, Option<Vec<u8>>)>> {
        let found = self.look_by(|lent| {
            let quick = lent.prepare_cached(sql).and_then(|mut select| {
                let read = |row: &Row<'_>| {
                    let (space, is_sound) = namespace_row(row, namespace)?;
                    let found = Found::read(row, NAMESPACE_WIDTH)?;
                    let is_sound = is_sound && found.is_sound(space.id, key);
                    Ok((is_sound, (found, row.get(NAMESPACE_WIDTH + WIDTH)?)))
                };
                let row = params![namespace.as_str(), key];
                select.query_row(row, read).optional()
            });
            if let Ok(Some((true, found))) = quick {
                return Ok(Some(found));
            }
            let moment = Transaction::read(lent).map_err(self.cannot("read"))?;
            match self.row_of_namespace(&moment, namespace)? {
                Some(space) => space.select_value(key),
                None => Ok(None),
            }
        })?;
        Ok(found.flatten())
    }

    /// Says that the row of a key is not what was written.
    pub(super) fn unsound_row(&self, key: &[u8]) -> StoreError {
        self.damaged(key, "the checksum of its row is wrong")
    }

    /// Reads the first row that a statement finds.
    pub(super) fn first<T>(
        &self,
        connection: &Connection,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        connection
            .prepare_cached(sql)
            .and_then(|mut select| select.query_row(params, read).optional())
            .map_err(self.cannot("read"))
    }

    /// Reads a number that SQLite keeps of the file.
    pub(super) fn number(&self, connection: &Connection, pragma: &str) -> Result<i64> {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .map_err(self.cannot("read"))
    }

    /// Names the namespaces; see [`crate::store::Entries::namespaces`].
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        Ok(self
            .read(|moment| self.namespaces_in(moment))?
            .unwrap_or_default())
    }

    /// Names the namespaces, in order. The table and its index have to agree on them, and where there is
    /// none there is no entry.
    pub(super) fn namespaces_in(&self, connection: &Connection) -> Result<Vec<Namespace>> {
        let names = |sql: &str| -> Result<Vec<String>> {
            connection
                .prepare_cached(sql)
                .and_then(|mut select| select.query_map([], |row| row.get(0))?.collect())
                .map_err(self.cannot("read"))
        };
        let listed = names("SELECT name FROM namespace ORDER BY name")?;
        let mut rows = names("SELECT name FROM namespace NOT INDEXED")?;
        rows.sort_unstable();
        let has_entry = || {
            let sql = "SELECT EXISTS (SELECT 1 FROM entry)";
            let any = connection.query_row(sql, [], |row| row.get(0));
            any.map_err(self.cannot("read"))
        };
        if listed != rows || listed.is_empty() && has_entry()? {
            return Err(self.unsound("a namespace is not where it was".to_owned()));
        }
        let names = listed.iter().map(|name| {
            name.parse()
                .map_err(|_| self.unsound(format!("`{name}` is no name of a namespace")))
        });
        names.collect()
    }
}

impl Space<'_> {
    /// Reads a key's row without its value, whether it is live or not.
    pub(super) fn select(&self, key: &[u8]) -> Result<Option<Found>> {
        let found = self.select_as_is(key)?;
        self.sound(key, found.as_ref())?;
        Ok(found)
    }

    /// As [`Space::select`], whether or not the row is what was written.
    pub(super) fn select_as_is(&self, key: &[u8]) -> Result<Option<Found>> {
        let sql = format!("SELECT {COLUMNS} FROM entry WHERE namespace = ?1 AND key = ?2");
        let found = self.first(&sql, params![self.id, key], |row| Found::read(row, 0))?;
        if found.is_none() {
            self.check_absent(key)?;
        }
        Ok(found)
    }

    /// Fails if a row is not what was written.
    pub(super) fn sound(&self, key: &[u8], found: Option<&Found>) -> Result<()> {
        match found {
            Some(found) if !found.is_sound(self.id, key) => Err(self.store.unsound_row(key)),
            _ => Ok(()),
        }
    }

    /// As [`Space::select`], with the value unless it is large.
    pub(super) fn select_value(&self, key: &[u8]) -> Result<Option<(Found, Option<Vec<u8>>)>> {
        let sql = format!("SELECT {COLUMNS}, value FROM entry WHERE namespace = ?1 AND key = ?2");
        let read = |row: &Row<'_>| Ok((Found::read(row, 0)?, row.get(WIDTH)?));
        let found = self.first(&sql, params![self.id, key], read)?;
        match &found {
            Some((found, _)) => self.sound(key, Some(found))?,
            None => self.check_absent(key)?,
        }
        Ok(found)
    }
}
