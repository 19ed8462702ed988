//! Many entries at once: `import`, and the removal of many keys.

use rusqlite::{Connection, Transaction, params};

use crate::store::{
    Clock, Deadline, Feed, Imported, Incoming, Key, Merge, Namespace, Result, Stopped, Time,
};

use super::Sqlite;
use super::row::millis;
use super::schema::PART_LEN;
use super::value::Spool;

/// Keys that are removed in one transaction: others who write wait no longer than for these.
const AT_ONCE: usize = 10_000;

/// What is imported waits here until all of it has come: it may come slowly, and nobody else has to
/// wait for that. The table is in a database of its own that has no name and is never synced
/// (<https://sqlite.org/inmemorydb.html>, "temporary databases").
const INCOMING: &str = "
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE incoming (
    key BLOB PRIMARY KEY,
    modified INTEGER,
    expires INTEGER,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID";

impl Sqlite {
    /// Stores many entries, all or none; see [`crate::store::Store::import`].
    pub(super) fn import_entries(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        let incoming = Connection::open("").map_err(self.cannot("import to"))?;
        incoming
            .execute_batch(INCOMING)
            .map_err(self.cannot("import to"))?;
        if !self.receive(&incoming, feed)? {
            return Ok(None);
        }
        let mut lent = self.connect_or_create()?;
        self.transact(&mut lent, |tx| {
            self.settle(tx, &incoming, (namespace, merge), clock)
        })
        .map(Some)
    }

    /// Takes in what comes; returns false if the feed stopped.
    fn receive(&self, incoming: &Connection, feed: &mut dyn Feed) -> Result<bool> {
        let cannot = || self.cannot("import to");
        let tx = incoming.unchecked_transaction().map_err(cannot())?;
        {
            let mut insert = tx
                .prepare("INSERT OR REPLACE INTO incoming VALUES (?1, ?2, ?3, ?4)")
                .map_err(cannot())?;
            loop {
                let incoming = match feed.next() {
                    Err(Stopped) => return Ok(false),
                    Ok(None) => break,
                    Ok(Some(incoming)) => incoming,
                };
                let Incoming {
                    key,
                    value,
                    modified,
                    expires,
                } = incoming;
                let modified = modified.map(|modified| modified.0.cast_signed());
                insert
                    .execute(params![key, modified, millis(expires), value])
                    .map_err(cannot())?;
            }
        }
        tx.commit().map_err(cannot())?;
        Ok(true)
    }

    /// Moves what has come to its place.
    fn settle(
        &self,
        tx: &Transaction<'_>,
        incoming: &Connection,
        (namespace, merge): (&Namespace, Merge),
        clock: &dyn Clock,
    ) -> Result<Imported> {
        let cannot = || self.cannot("import to");
        let id = self.id_or_create(tx, namespace)?;
        let now = clock.now();
        let mut done = Imported::default();
        if merge == Merge::Replace {
            done.removed = self.remove_others(tx, id, incoming)?;
        }
        let mut select = incoming
            .prepare("SELECT key, modified, expires, value FROM incoming ORDER BY key")
            .map_err(cannot())?;
        let mut rows = select.query([]).map_err(cannot())?;
        while let Some(row) = rows.next().map_err(cannot())? {
            let bytes = |nth| -> rusqlite::Result<&[u8]> { Ok(row.get_ref(nth)?.as_blob()?) };
            let number = |nth| -> rusqlite::Result<Option<i64>> { row.get(nth) };
            let (key, mut value) = (bytes(0).map_err(cannot())?, bytes(3).map_err(cannot())?);
            let modified = number(1).map_err(cannot())?;
            let modified = modified.map_or(now, |modified| Time(modified.cast_unsigned()));
            let expires = number(2).map_err(cannot())?;
            let expires = expires.and_then(|millis| Deadline::from_millis(millis.cast_unsigned()));
            if matches!(merge, Merge::IfAbsent | Merge::Newer) {
                let present = self.select(tx, id, key)?.filter(|found| found.is_live(now));
                let stays = present.is_some_and(|present| {
                    merge == Merge::IfAbsent || present.meta.modified >= modified
                });
                if stays {
                    done.left += 1;
                    continue;
                }
            }
            let spool = match value.len() {
                0..=PART_LEN => Spool::of(value),
                _ => self.spool(&mut value)?,
            };
            self.upsert(tx, id, key, &spool, modified, expires)?;
            done.stored += 1;
        }
        Ok(done)
    }

    /// Removes the keys that are not among those that have come.
    fn remove_others(&self, tx: &Transaction<'_>, id: i64, incoming: &Connection) -> Result<u64> {
        let cannot = || self.cannot("import to");
        let mut select = tx
            .prepare("SELECT key FROM entry WHERE namespace = ?1")
            .map_err(cannot())?;
        let mut comes = incoming
            .prepare("SELECT 1 FROM incoming WHERE key = ?1")
            .map_err(cannot())?;
        let mut others: Vec<Vec<u8>> = Vec::new();
        let mut rows = select.query([id]).map_err(cannot())?;
        while let Some(row) = rows.next().map_err(cannot())? {
            let key: Vec<u8> = row.get(0).map_err(cannot())?;
            if !comes.exists([&key]).map_err(cannot())? {
                others.push(key);
            }
        }
        for key in &others {
            self.delete(tx, id, key)?;
        }
        Ok(others.len() as u64)
    }

    /// Removes many keys; see [`crate::store::Store::remove_all`].
    pub(super) fn remove_keys(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
    ) -> Result<u64> {
        let mut removed = 0;
        for keys in keys.chunks(AT_ONCE) {
            let done = self.write_if_any(|tx| {
                let Some(id) = self.id_of(tx, namespace)? else {
                    return Ok(0);
                };
                let now = clock.now();
                let mut removed = 0;
                for key in keys {
                    let found = self.select(tx, id, key.as_bytes())?;
                    if found.is_some_and(|found| found.is_live(now)) {
                        removed += u64::from(self.delete(tx, id, key.as_bytes())?);
                    }
                }
                Ok(removed)
            })?;
            removed += done.unwrap_or_default();
        }
        Ok(removed)
    }
}
