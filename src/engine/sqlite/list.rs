//! `push` and `pop`: the first and the last element of a list are found by the order of the keys.

use rusqlite::{CachedStatement, params};

use crate::store::lists::{key_of, next_key, number_of};
use crate::store::{
    Claim, Clock, End, Entries as _, Entry, Lists, LockRequest, Locks as _, Namespace, Result,
    Source,
};

use super::Sqlite;
use super::namespace_row::Space;

impl Lists for Sqlite {
    fn push(&self, list: &Namespace, value: &mut dyn Source, clock: &dyn Clock) -> Result<()> {
        // It goes into the file that has the name when the value has come.
        drop(self.connect_or_create()?);
        let spool = self.spool(value)?;
        self.change(list, |space| {
            // Numbers are not used again when a list has become empty.
            let last = space.end_of(End::Last)?;
            let behind = last.map_or(1, |(number, _)| number.saturating_add(1));
            // Of the largest, which was put by its key, nothing is behind, and the others can be had.
            let next = Some(space.next).filter(|&next| next < u64::MAX);
            let number = next.unwrap_or(0).max(behind);
            let key = next_key(list, number)?;
            let before = space.select_as_is(key.as_bytes())?;
            let entry = (key.as_bytes(), before);
            space.upsert(entry, &spool, clock.now(), None).map(drop)
        })
    }

    fn pop(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Entry>> {
        // Who finds nothing has changed nothing, and those who wait are not woken by it.
        let first = self.read_in(list, |space| space.end_of(end))?;
        if first.flatten().is_none() {
            return Ok(None);
        }
        let taken = self.change_if_any(list, |space| {
            let mut after = None;
            while let Some((number, key)) = space.next_of(end, after)? {
                // Who claims one does it between two changes.
                if self.lock_holder(list, &key_of(number))?.is_some() {
                    after = Some(number);
                    continue;
                }
                if let Some(entry) = space.take_row(&key, clock.now())? {
                    return Ok(Some(entry));
                }
                // It has expired.
                space.delete(&key)?;
            }
            Ok(None)
        })?;
        Ok(taken.flatten())
    }

    fn claim(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Claim>> {
        let mut after = None;
        loop {
            let mut locked = None;
            self.change_if_any(list, |space| {
                while let Some((number, _)) = space.next_of(end, after)? {
                    after = Some(number);
                    let key = key_of(number);
                    let held = self.lock(list, &key, LockRequest::AT_ONCE, clock)?;
                    locked = held.map(|held| (key, held));
                    if locked.is_some() {
                        break;
                    }
                }
                Ok(())
            })?;
            let Some((key, held)) = locked else {
                return Ok(None);
            };
            if let Some(entry) = self.get(list, &key, clock.now())? {
                return Ok(Some(Claim { key, entry, held }));
            }
            // It has expired.
            self.clear(list, &key, held);
        }
    }
}

impl Space<'_> {
    /// Finds the number and the key of an element at one end of a list, expired ones too. The table and
    /// its index have to agree on it.
    pub(super) fn end_of(&self, end: End) -> Result<Option<(u64, Vec<u8>)>> {
        self.next_of(end, None)
    }

    /// As [`Space::end_of`], past the element of a number.
    fn next_of(&self, end: End, after: Option<u64>) -> Result<Option<(u64, Vec<u8>)>> {
        // `etag` is in the table alone.
        let found = self.next_by(("key, etag", ""), end, after)?;
        let by_index = ("key", "INDEXED BY entry_key");
        if self.tally.is_some() && self.next_by(by_index, end, after)? != found {
            let what = "an element of the list is in the table or its index and not in both";
            return Err(self.store.unsound(what.to_owned()));
        }
        Ok(found)
    }

    fn next_by(
        &self,
        (columns, by): (&str, &str),
        end: End,
        after: Option<u64>,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        let (order, first, last) = match (end, after) {
            (End::First, after) => ("ASC", after.map_or(0, |after| after + 1), u64::MAX - 1),
            (End::Last, Some(0)) => return Ok(None),
            (End::Last, after) => ("DESC", 0, after.unwrap_or(u64::MAX) - 1),
        };
        let sql = format!(
            "SELECT {columns} FROM entry {by} WHERE namespace = ?1 AND key >= ?2 AND key <= ?3
             ORDER BY key {order}"
        );
        let (first, last) = (key_of(first), key_of(last));
        let find = |mut select: CachedStatement<'_>| {
            let mut rows = select.query(params![self.id, first.as_bytes(), last.as_bytes()])?;
            while let Some(row) = rows.next()? {
                let key: Vec<u8> = row.get(0)?;
                // Other keys may lie between those of elements.
                if let Some(number) = number_of(&key) {
                    return Ok(Some((number, key)));
                }
            }
            Ok(None)
        };
        let select = self.connection.prepare_cached(&sql);
        select.and_then(find).map_err(self.store.cannot("read"))
    }
}
