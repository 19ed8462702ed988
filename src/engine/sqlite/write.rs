//! The verbs on entries, and changing one key: each change is one transaction.

use std::time::Duration;

use rusqlite::{Connection, Params, params};

use crate::store::lists::number_of;
use crate::store::{
    Clock, Condition, Deadline, Entries, Entry, Etag, Expiry, Key, Listing, Meta, Namespace, Place,
    Put, Result, Selection, Time,
};

use super::Sqlite;
use super::namespace_row::Space;
use super::rename::move_row;
use super::row::{Found, deadline, millis, new_etag, sum_of};
use super::value::Spool;

impl Entries for Sqlite {
    fn get(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>> {
        self.find(namespace, key, now)
    }

    fn stat(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Meta>> {
        self.find_meta(namespace, key, now)
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        mut put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        // The answer "no" needs no value.
        if put.condition != Condition::Always {
            self.fill_blank()?;
            let allows = self.read_in(namespace, |space| {
                space.allows(key, &put.condition, clock.now())
            })?;
            if !allows.unwrap_or_else(|| put.condition.holds(None)) {
                return Ok(None);
            }
        }
        // It goes into the file that has the name when the value has come.
        drop(self.connect_or_create()?);
        let spool = self.spool(put.value)?;
        self.change(namespace, |space| {
            let now = clock.now();
            let before = space.select_as_is(key.as_bytes())?;
            if put.condition != Condition::Always || put.expiry == Expiry::Keep {
                space.sound(key.as_bytes(), before.as_ref())?;
            }
            if let Some(was_there) = &mut put.was_there {
                **was_there = space.is_there(key, before.as_ref(), now);
            }
            let live = before.filter(|found| found.is_live(now));
            if !space.holds(key, &put.condition, live.as_ref())? {
                return Ok(None);
            }
            let kept = live.and_then(|found| found.meta.expires);
            let expires = put.expiry.resolve(now, kept);
            let modified = put.modified.unwrap_or(now);
            let entry = (key.as_bytes(), before);
            space.upsert(entry, &spool, modified, expires).map(Some)
        })
    }

    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let removed = self.change_if_any(namespace, |space| {
            let now = clock.now();
            if !space.is_to_remove(key, now)? || !space.allows(key, condition, now)? {
                return Ok(false);
            }
            space.delete(key.as_bytes()).map(|()| true)
        })?;
        Ok(removed == Some(true))
    }

    fn take(&self, namespace: &Namespace, key: &Key, clock: &dyn Clock) -> Result<Option<Entry>> {
        let take = |space: &mut Space<'_>| space.take_row(key.as_bytes(), clock.now());
        let taken = self.change_if_any(namespace, take)?;
        Ok(taken.flatten())
    }

    fn expire(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let done = self.change_if_any(namespace, |space| {
            let now = clock.now();
            let found = space.select(key.as_bytes())?;
            let Some(found) = found.filter(|found| found.is_live(now)) else {
                return Ok(false);
            };
            let Found {
                meta, sum, large, ..
            } = found;
            let new = Meta {
                etag: new_etag()?,
                expires: expiry.resolve(now, meta.expires),
                ..meta
            };
            let value_sum = sum_of(key.as_bytes(), &meta, sum);
            let sum = sum_of(key.as_bytes(), &new, value_sum);
            let head = Found::new(new, sum, large).head_of(space.id, key.as_bytes());
            space.write_rows(
                "UPDATE entry SET etag = ?3, expires = ?4, sum = ?5, head = ?6
                 WHERE namespace = ?1 AND key = ?2",
                params![
                    space.id,
                    key.as_bytes(),
                    new.etag.0.cast_signed(),
                    millis(new.expires),
                    sum.cast_signed(),
                    head.cast_signed(),
                ],
            )?;
            space.put(key.as_bytes(), Some(meta.expires), new.expires);
            Ok(true)
        })?;
        Ok(done == Some(true))
    }

    fn rename(
        &self,
        from: Place<'_>,
        to: Place<'_>,
        is_new: bool,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let rename = |space: &mut Space<'_>| move_row(space, from, to, is_new, clock.now());
        let moved = self.change_if_any(from.0, rename)?;
        Ok(moved == Some(true))
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let removed = self.change_if_any(namespace, |space| {
            space.write_rows("DELETE FROM entry WHERE namespace = ?1", [space.id])?;
            space.write_rows("DELETE FROM namespace WHERE id = ?1", [space.id])
        })?;
        Ok(removed.is_some())
    }

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        self.list_entries(namespace, selection, now)
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.list_namespaces()
    }

    fn check_namespaces(&self) -> Result<()> {
        self.read(|moment| self.check_names(moment, u32::MAX))?;
        Ok(())
    }

    fn busy_timeout(&self) -> Duration {
        self.settings.busy_timeout
    }

    fn prepare(&self) -> Result<()> {
        self.fill_blank()
    }

    fn exists(&self) -> Result<bool> {
        self.find_file().map(|file| file.is_some())
    }
}

impl Space<'_> {
    /// Writes an entry in the place of whatever its key held before, a damaged one too.
    pub(super) fn upsert(
        &mut self,
        (key, before): (&[u8], Option<Found>),
        spool: &Spool,
        modified: Time,
        expires: Option<Deadline>,
    ) -> Result<Etag> {
        let large = self.store.write_parts(self.connection, spool)?;
        let meta = Meta {
            etag: new_etag()?,
            modified,
            expires,
            size: spool.size,
        };
        let row = Found::new(meta, sum_of(key, &meta, spool.sum), large);
        // What has no expiry before and after is not to be looked for in the index of them.
        let has_expiry = before.is_some_and(|before| before.has_expiry());
        let expires_too = match has_expiry || expires.is_some() {
            true => ", expires = ?5",
            false => "",
        };
        let sql = format!(
            "INSERT INTO entry
             (namespace, key, etag, modified, expires, size, sum, large, value, head)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT DO UPDATE SET etag = ?3, modified = ?4, size = ?6, sum = ?7, large = ?8,
             value = ?9, head = ?10{expires_too}"
        );
        let columns = params![
            self.id,
            key,
            meta.etag.0.cast_signed(),
            meta.modified.0.cast_signed(),
            millis(meta.expires),
            meta.size.cast_signed(),
            row.sum.cast_signed(),
            large,
            spool.small(),
            row.head_of(self.id, key).cast_signed(),
        ];
        self.write_rows(&sql, columns)?;
        // An element that is written by its key is a part of its list, wherever it comes.
        if let Some(number) = number_of(key) {
            self.note_element(number);
        }
        self.put(key, before.map(|before| before.meta.expires), expires);
        Ok(meta.etag)
    }

    /// Removes a live entry and returns it, verified.
    pub(super) fn take_row(&mut self, key: &[u8], now: Time) -> Result<Option<Entry>> {
        let Some((found, value)) = self.select_value(key)? else {
            return Ok(None);
        };
        if !found.is_live(now) {
            return Ok(None);
        }
        let store = self.store;
        let entry = match (value, store.copy_out(self.connection, key, &found)?) {
            (_, Some(value)) => Entry {
                meta: found.meta,
                value,
            },
            (value, None) => store.verified(key, &found, value.unwrap_or_default())?,
        };
        self.delete(key)?;
        Ok(Some(entry))
    }

    /// Tells whether a key is there to be removed: it is live, or damaged.
    pub(super) fn is_to_remove(&self, key: &Key, now: Time) -> Result<bool> {
        let found = self.select_as_is(key.as_bytes())?;
        Ok(self.is_there(key, found.as_ref(), now))
    }

    pub(super) fn is_there(&self, key: &Key, found: Option<&Found>, now: Time) -> bool {
        found.is_some_and(|found| found.is_live(now) || !found.is_sound(self.id, key.as_bytes()))
    }

    /// Runs a statement that writes rows.
    pub(super) fn write_rows(&self, sql: &str, params: impl Params) -> Result<()> {
        self.store.write_rows(self.connection, sql, params)
    }

    /// Deletes a row, which is there.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<()> {
        let sql = "DELETE FROM entry WHERE namespace = ?1 AND key = ?2 RETURNING key, expires";
        let id = self.id;
        self.delete_by(sql, params![id, key]).map(drop)
    }

    /// Deletes rows by a statement that returns the key and the expiry of each, and counts them.
    pub(super) fn delete_by(&mut self, sql: &str, params: impl Params) -> Result<u64> {
        let (store, connection) = (self.store, self.connection);
        let mut gone = 0;
        connection
            .prepare_cached(sql)
            .and_then(|mut delete| {
                let mut rows = delete.query(params)?;
                while let Some(row) = rows.next()? {
                    self.forget(row.get_ref(0)?.as_blob()?, deadline(row, 1)?);
                    gone += 1;
                }
                Ok(gone)
            })
            .map_err(store.cannot("change"))
    }

    /// Tells whether a condition holds of what a key holds.
    fn allows(&self, key: &Key, condition: &Condition, now: Time) -> Result<bool> {
        if *condition == Condition::Always {
            return Ok(true);
        }
        let found = self.select(key.as_bytes())?;
        let live = found.filter(|found| found.is_live(now));
        self.holds(key, condition, live.as_ref())
    }

    /// As [`Space::allows`], of the live entry that was found.
    fn holds(&self, key: &Key, condition: &Condition, live: Option<&Found>) -> Result<bool> {
        let Some(found) = live else {
            return Ok(condition.holds(None));
        };
        Ok(match condition {
            Condition::Always | Condition::Exists => true,
            Condition::Absent => false,
            Condition::Etag(etag) => found.meta.etag == *etag,
            Condition::Value(value) => {
                found.meta.size == value.len() as u64 && self.value_is(key, found, value)?
            }
        })
    }

    fn value_is(&self, key: &Key, found: &Found, value: &[u8]) -> Result<bool> {
        let (store, key) = (self.store, key.as_bytes());
        if let Some(mut parts) = store.parts(self.connection, key, found) {
            return Ok(crate::store::entry::read_to_end(&mut parts)? == value);
        }
        match self.select_value(key)? {
            Some((found, Some(bytes))) => {
                let entry = store.verified(key, &found, bytes)?;
                Ok(entry.value.into_vec()? == value)
            }
            _ => Ok(false),
        }
    }
}

impl Sqlite {
    /// Runs a statement that writes rows, in a transaction.
    pub(super) fn write_rows(&self, tx: &Connection, sql: &str, params: impl Params) -> Result<()> {
        let write = tx.prepare_cached(sql);
        let done = write.and_then(|mut write| write.execute(params));
        done.map(drop).map_err(self.cannot("change"))
    }
}
