//! `push` and `pop`: the first and the last element of a list are found by the order of the keys.

use rusqlite::{Connection, Transaction, params};

use crate::store::list::{key_of, number_of};
use crate::store::{Clock, End, Entry, Namespace, Result, Source, StoreError};

use super::Sqlite;

impl Sqlite {
    /// Adds an element; see [`crate::store::Store::push`].
    pub(super) fn push_element(
        &self,
        list: &Namespace,
        value: &mut dyn Source,
        clock: &dyn Clock,
    ) -> Result<()> {
        let mut lent = self.connect_or_create()?;
        let spool = self.spool(value)?;
        self.transact(&mut lent, |tx| {
            let id = self.id_or_create(tx, list)?;
            // Numbers are not used again when a list has become empty.
            let noted = self.noted(tx, id)?;
            let last = self.end_of(tx, id, End::Last)?;
            let number = last.map_or(noted, |(number, _)| noted.max(number.saturating_add(1)));
            if number == u64::MAX {
                return Err(StoreError::Unfit {
                    action: "push to",
                    key: list.to_string(),
                    why: "its numbers are used up",
                });
            }
            let key = key_of(number);
            self.upsert(tx, id, key.as_bytes(), &spool, clock.now(), None)
                .map(|_| ())
        })
    }

    /// Notes that a list goes on behind the element of this number.
    pub(super) fn note_element(&self, tx: &Transaction<'_>, id: i64, number: u64) -> Result<()> {
        if self.noted(tx, id)? <= number {
            tx.prepare_cached("UPDATE namespace SET next = ?2 WHERE id = ?1")
                .and_then(|mut update| update.execute(params![id, (number + 1).cast_signed()]))
                .map_err(self.cannot("change"))?;
        }
        Ok(())
    }

    fn noted(&self, connection: &Connection, id: i64) -> Result<u64> {
        connection
            .prepare_cached("SELECT next FROM namespace WHERE id = ?1")
            .and_then(|mut select| select.query_row([id], |row| row.get::<_, i64>(0)))
            .map(i64::cast_unsigned)
            .map_err(self.cannot("read"))
    }

    /// Takes an element; see [`crate::store::Store::pop`].
    pub(super) fn pop_element(
        &self,
        list: &Namespace,
        end: End,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        // Who finds nothing has changed nothing, and those who wait are not woken by it.
        let is_empty = match self.connect()? {
            Some(lent) => match self.id_of(&lent, list)? {
                Some(id) => self.end_of(&lent, id, end)?.is_none(),
                None => true,
            },
            None => true,
        };
        if is_empty {
            return Ok(None);
        }
        let taken = self.write_if_any(|tx| {
            let Some(id) = self.id_of(tx, list)? else {
                return Ok(None);
            };
            while let Some((_, key)) = self.end_of(tx, id, end)? {
                if let Some(entry) = self.take_row(tx, id, &key, clock.now())? {
                    return Ok(Some(entry));
                }
                // It has expired.
                self.delete(tx, id, &key)?;
            }
            Ok(None)
        })?;
        Ok(taken.flatten())
    }

    /// Finds the number and the key of an element at one end of a list, expired ones too.
    fn end_of(&self, connection: &Connection, id: i64, end: End) -> Result<Option<(u64, Vec<u8>)>> {
        let order = match end {
            End::First => "ASC",
            End::Last => "DESC",
        };
        let sql = format!(
            "SELECT key FROM entry WHERE namespace = ?1 AND key >= ?2 AND key <= ?3
             ORDER BY key {order}"
        );
        let (first, last) = (key_of(0), key_of(u64::MAX - 1));
        let mut select = connection
            .prepare_cached(&sql)
            .map_err(self.cannot("read"))?;
        let keys = select
            .query_map(params![id, first.as_bytes(), last.as_bytes()], |row| {
                row.get::<_, Vec<u8>>(0)
            })
            .map_err(self.cannot("read"))?;
        for key in keys {
            let key = key.map_err(self.cannot("read"))?;
            // Other keys may lie between those of elements.
            if let Some(number) = number_of(&key) {
                return Ok(Some((number, key)));
            }
        }
        Ok(None)
    }
}
