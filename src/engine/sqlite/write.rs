//! Changing one key: each change is one transaction.

use rusqlite::{Connection, Transaction, params};

use crate::os;
use crate::store::list::number_of;
use crate::store::{
    Clock, Condition, Deadline, Entry, Etag, Expiry, Key, Meta, Namespace, OrCannot as _, Put,
    Result, Time,
};

use super::Sqlite;
use super::row::{Found, millis, sum_of};
use super::value::Spool;

impl Sqlite {
    /// Stores a value; see [`crate::store::Store::put`].
    pub(super) fn put_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        // The answer "no" needs no value.
        if put.condition != Condition::Always {
            let allows = match self.connect()? {
                Some(lent) => match self.id_of(&lent, namespace)? {
                    Some(id) => self.allows(&lent, id, key, &put.condition, clock.now())?,
                    None => allows_absent(&put.condition),
                },
                None => allows_absent(&put.condition),
            };
            if !allows {
                return Ok(None);
            }
        }
        let mut lent = self.connect_or_create()?;
        let spool = self.spool(put.value)?;
        self.transact(&mut lent, |tx| {
            let id = self.id_or_create(tx, namespace)?;
            let now = clock.now();
            if !self.allows(tx, id, key, &put.condition, now)? {
                return Ok(None);
            }
            let expires = match put.expiry {
                Expiry::Never => None,
                Expiry::After(ttl) => Some(Deadline::after(now, ttl)),
                Expiry::At(deadline) => Some(deadline),
                Expiry::Keep => self
                    .select(tx, id, key.as_bytes())?
                    .filter(|found| found.is_live(now))
                    .and_then(|found| found.meta.expires),
            };
            let modified = put.modified.unwrap_or(now);
            self.upsert(tx, id, key.as_bytes(), &spool, modified, expires)
                .map(Some)
        })
    }

    /// Writes an entry in the place of whatever its key holds.
    pub(super) fn upsert(
        &self,
        tx: &Transaction<'_>,
        namespace: i64,
        key: &[u8],
        spool: &Spool,
        modified: Time,
        expires: Option<Deadline>,
    ) -> Result<Etag> {
        let large = self.write_parts(tx, spool)?;
        let meta = Meta {
            etag: new_etag()?,
            modified,
            expires,
            size: spool.size,
        };
        let sum = sum_of(key, &meta, spool.sum);
        tx.prepare_cached(
            "INSERT INTO entry (namespace, key, etag, modified, expires, size, sum, large, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET etag = ?3, modified = ?4, expires = ?5, size = ?6, sum = ?7,
             large = ?8, value = ?9",
        )
        .and_then(|mut insert| {
            insert.execute(params![
                namespace,
                key,
                meta.etag.0.cast_signed(),
                meta.modified.0.cast_signed(),
                millis(meta.expires),
                meta.size.cast_signed(),
                sum.cast_signed(),
                large,
                spool.small(),
            ])
        })
        .map_err(self.cannot("change"))?;
        // An element that is written by its key is a part of its list, wherever it comes.
        if let Some(number) = number_of(key) {
            self.note_element(tx, namespace, number)?;
        }
        Ok(meta.etag)
    }

    /// Removes a key; see [`crate::store::Store::remove`].
    pub(super) fn remove_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let removed = self.write_if_any(|tx| {
            let Some(id) = self.id_of(tx, namespace)? else {
                return Ok(false);
            };
            let now = clock.now();
            let found = self.select(tx, id, key.as_bytes())?;
            if !found.is_some_and(|found| found.is_live(now))
                || !self.allows(tx, id, key, condition, now)?
            {
                return Ok(false);
            }
            self.delete(tx, id, key.as_bytes())
        })?;
        Ok(removed == Some(true))
    }

    /// Removes a key and returns what it held; see [`crate::store::Store::take`].
    pub(super) fn take_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let taken = self.write_if_any(|tx| match self.id_of(tx, namespace)? {
            Some(id) => self.take_row(tx, id, key.as_bytes(), clock.now()),
            None => Ok(None),
        })?;
        Ok(taken.flatten())
    }

    /// Removes a live entry and returns it, verified.
    pub(super) fn take_row(
        &self,
        tx: &Transaction<'_>,
        namespace: i64,
        key: &[u8],
        now: Time,
    ) -> Result<Option<Entry>> {
        let Some((found, value)) = self.select_value(tx, namespace, key)? else {
            return Ok(None);
        };
        if !found.is_live(now) {
            return Ok(None);
        }
        let entry = match (value, self.copy_out(tx, key, &found)?) {
            (_, Some(value)) => Entry {
                meta: found.meta,
                value,
            },
            (value, None) => self.verified(key, &found, value.unwrap_or_default())?,
        };
        self.delete(tx, namespace, key)?;
        Ok(Some(entry))
    }

    /// Gives a key a new expiry; see [`crate::store::Store::expire`].
    pub(super) fn expire_entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let done = self.write_if_any(|tx| {
            let now = clock.now();
            let found = match self.id_of(tx, namespace)? {
                Some(id) => self
                    .select(tx, id, key.as_bytes())?
                    .filter(|found| found.is_live(now))
                    .map(|found| (id, found)),
                None => None,
            };
            let Some((id, Found { meta, sum, .. })) = found else {
                return Ok(false);
            };
            let new = Meta {
                etag: new_etag()?,
                expires: match expiry {
                    Expiry::Never => None,
                    Expiry::After(ttl) => Some(Deadline::after(now, ttl)),
                    Expiry::At(deadline) => Some(deadline),
                    Expiry::Keep => meta.expires,
                },
                ..meta
            };
            let value_sum = sum_of(key.as_bytes(), &meta, sum);
            let sum = sum_of(key.as_bytes(), &new, value_sum);
            tx.execute(
                "UPDATE entry SET etag = ?3, expires = ?4, sum = ?5
                 WHERE namespace = ?1 AND key = ?2",
                params![
                    id,
                    key.as_bytes(),
                    new.etag.0.cast_signed(),
                    millis(new.expires),
                    sum.cast_signed(),
                ],
            )
            .map_err(self.cannot("change"))?;
            Ok(true)
        })?;
        Ok(done == Some(true))
    }

    /// Deletes a row; tells whether there was one.
    pub(super) fn delete(&self, tx: &Transaction<'_>, namespace: i64, key: &[u8]) -> Result<bool> {
        tx.prepare_cached("DELETE FROM entry WHERE namespace = ?1 AND key = ?2")
            .and_then(|mut delete| delete.execute(params![namespace, key]))
            .map(|rows| rows > 0)
            .map_err(self.cannot("change"))
    }

    /// Removes a namespace; see [`crate::store::Store::remove_namespace`].
    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let removed = self.write_if_any(|tx| {
            let Some(id) = self.id_of(tx, namespace)? else {
                return Ok(false);
            };
            tx.execute("DELETE FROM entry WHERE namespace = ?1", [id])
                .and_then(|_| tx.execute("DELETE FROM namespace WHERE id = ?1", [id]))
                .map_err(self.cannot("change"))?;
            Ok(true)
        })?;
        Ok(removed == Some(true))
    }

    /// Tells whether a condition holds of what a key holds.
    fn allows(
        &self,
        connection: &Connection,
        namespace: i64,
        key: &Key,
        condition: &Condition,
        now: Time,
    ) -> Result<bool> {
        if *condition == Condition::Always {
            return Ok(true);
        }
        let found = self.select(connection, namespace, key.as_bytes())?;
        let Some(found) = found.filter(|found| found.is_live(now)) else {
            return Ok(allows_absent(condition));
        };
        Ok(match condition {
            Condition::Always | Condition::Exists => true,
            Condition::Absent => false,
            Condition::Etag(etag) => found.meta.etag == *etag,
            Condition::Value(value) => {
                found.meta.size == value.len() as u64
                    && self.value_is(connection, namespace, key, &found, value)?
            }
        })
    }

    fn value_is(
        &self,
        connection: &Connection,
        namespace: i64,
        key: &Key,
        found: &Found,
        value: &[u8],
    ) -> Result<bool> {
        if let Some(mut parts) = self.parts(connection, key.as_bytes(), found) {
            return Ok(crate::store::entry::read_to_end(&mut parts)? == value);
        }
        match self.select_value(connection, namespace, key.as_bytes())? {
            Some((found, Some(bytes))) => {
                let entry = self.verified(key.as_bytes(), &found, bytes)?;
                Ok(entry.value.into_vec()? == value)
            }
            _ => Ok(false),
        }
    }
}

/// Tells whether a condition holds where there is no live entry.
fn allows_absent(condition: &Condition) -> bool {
    matches!(condition, Condition::Always | Condition::Absent)
}

fn new_etag() -> Result<Etag> {
    os::random()
        .map(Etag)
        .or_cannot("read", "random bits".as_ref())
}
