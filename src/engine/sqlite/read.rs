//! Finding one key.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::{Entry, Key, Meta, Namespace, Result, Time, Value};

use super::Sqlite;
use super::row::{COLUMNS, Found};

impl Sqlite {
    /// Finds a key; see [`crate::store::Store::get`].
    pub(super) fn find(
        &self,
        namespace: &Namespace,
        key: &Key,
        now: Time,
    ) -> Result<Option<Entry>> {
        let Some(lent) = self.connect()? else {
            return Ok(None);
        };
        let Some(id) = self.id_of(&lent, namespace)? else {
            return Ok(None);
        };
        match self.select_value(&lent, id, key.as_bytes())? {
            Some((found, value)) if found.is_live(now) => {
                if let Some(value) = value {
                    return self.verified(key.as_bytes(), &found, value).map(Some);
                }
            }
            _ => return Ok(None),
        }
        // A large value is read in the state of one moment, for which it is found once more.
        lent.execute_batch("BEGIN").map_err(self.cannot("read"))?;
        let found = self.select(&lent, id, key.as_bytes())?;
        let Some(found) = found.filter(|found| found.is_live(now)) else {
            return Ok(None);
        };
        if found.large.is_none() {
            drop(lent);
            return self.find(namespace, key, now);
        }
        let parts = self.parts(lent.into_own(), key.as_bytes(), &found);
        Ok(parts.map(|parts| Entry {
            meta: found.meta,
            value: Value::Stream(Box::new(parts)),
        }))
    }

    /// Finds what is known of a key; see [`crate::store::Store::stat`].
    pub(super) fn find_meta(
        &self,
        namespace: &Namespace,
        key: &Key,
        now: Time,
    ) -> Result<Option<Meta>> {
        let Some(lent) = self.connect()? else {
            return Ok(None);
        };
        let Some(id) = self.id_of(&lent, namespace)? else {
            return Ok(None);
        };
        let found = self.select(&lent, id, key.as_bytes())?;
        Ok(found
            .filter(|found| found.is_live(now))
            .map(|found| found.meta))
    }

    /// Reads a key's row without its value, whether it is live or not.
    pub(super) fn select(
        &self,
        connection: &Connection,
        namespace: i64,
        key: &[u8],
    ) -> Result<Option<Found>> {
        let sql = format!("SELECT {COLUMNS} FROM entry WHERE namespace = ?1 AND key = ?2");
        connection
            .prepare_cached(&sql)
            .and_then(|mut select| {
                select
                    .query_row(params![namespace, key], |row| Found::read(row, 0))
                    .optional()
            })
            .map_err(self.cannot("read"))
    }

    /// As [`Sqlite::select`], with the value unless it is large.
    pub(super) fn select_value(
        &self,
        connection: &Connection,
        namespace: i64,
        key: &[u8],
    ) -> Result<Option<(Found, Option<Vec<u8>>)>> {
        let sql = format!("SELECT {COLUMNS}, value FROM entry WHERE namespace = ?1 AND key = ?2");
        connection
            .prepare_cached(&sql)
            .and_then(|mut select| {
                select
                    .query_row(params![namespace, key], |row| {
                        Ok((Found::read(row, 0)?, row.get(6)?))
                    })
                    .optional()
            })
            .map_err(self.cannot("read"))
    }

    /// Names the namespaces; see [`crate::store::Store::namespaces`].
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        let Some(lent) = self.connect()? else {
            return Ok(Vec::new());
        };
        let names: Vec<String> = lent
            .prepare_cached("SELECT name FROM namespace ORDER BY name")
            .and_then(|mut select| select.query_map([], |row| row.get(0))?.collect())
            .map_err(self.cannot("read"))?;
        let names = names.iter().map(|name| {
            name.parse()
                .map_err(|_| self.damaged(name.as_bytes(), "no name of a namespace"))
        });
        names.collect()
    }
}
