//! Many entries at once: `import`, and the removal of many keys.

use rusqlite::params;

use crate::engine::merge;
use crate::engine::runs::{Run, Sorter, UnnamedFile};
use crate::store::{
    Bulk, Clock, Feed, Imported, Incoming, Key, Merge, Namespace, Result, Stopped, StoreError,
};

use super::Sqlite;
use super::namespace_row::NamespaceRow;
use super::schema::PART_LEN;
use super::transaction::Transaction;
use super::value::Spool;

/// What is imported, in order.
type Entries = merge::Merge<Run<UnnamedFile>>;

/// Bytes of an import that are put in order in memory; what is more is written to a file.
const RUN_LEN: usize = 16 << 20;

impl Bulk for Sqlite {
    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        // What comes may come slowly, and nobody else has to wait for that.
        let mut sorter = Sorter::new(RUN_LEN.min(feed.memory()), UnnamedFile::make);
        loop {
            match feed.next() {
                Ok(Some(incoming)) => sorter.push(&incoming)?,
                Ok(None) => break,
                Err(Stopped) => return Ok(None),
            }
        }
        let mut entries = sorter.finish()?;
        self.change(namespace, |tx, space| {
            self.import_sorted(tx, space, &mut entries, merge, clock)
        })
        .map(Some)
    }

    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        _failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        self.in_steps(namespace, keys, |tx, space, key| {
            match self.is_to_remove(tx, space, key, clock.now())? {
                true => self.delete(tx, space, key.as_bytes()).map(|()| 1),
                false => Ok(0),
            }
        })
    }
}

impl Sqlite {
    /// Moves what has come to its place, in the order in which it is stored.
    fn import_sorted(
        &self,
        tx: &Transaction<'_>,
        space: &mut NamespaceRow,
        entries: &mut Entries,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Imported> {
        let now = clock.now();
        let mut done = Imported::default();
        let mut last = Vec::new();
        while let Some(run) = entries.advance()? {
            let Incoming {
                key,
                mut value,
                modified,
                expires,
            } = entries.source_mut(run).entry()?;
            if merge == Merge::Replace {
                done.removed += self.remove_between(tx, space, &last, Some(key))?;
                last.clear();
                last.extend_from_slice(key);
            }
            let modified = modified.unwrap_or(now);
            let before = self.select_as_is(tx, space, key)?;
            if matches!(merge, Merge::IfAbsent | Merge::Newer) {
                self.sound(space, key, before.as_ref())?;
                let present = before.filter(|found| found.is_live(now));
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
            self.upsert(tx, space, (key, before), &spool, modified, expires)?;
            done.stored += 1;
        }
        if merge == Merge::Replace {
            done.removed += self.remove_between(tx, space, &last, None)?;
        }
        Ok(done)
    }

    /// Removes the keys behind one, which is empty where all are behind it, and before another.
    fn remove_between(
        &self,
        tx: &Transaction<'_>,
        space: &mut NamespaceRow,
        behind: &[u8],
        before: Option<&[u8]>,
    ) -> Result<u64> {
        let before_it = match before {
            Some(_) => "AND key < ?3",
            None => "AND ?3 IS NULL",
        };
        let sql = format!(
            "DELETE FROM entry WHERE namespace = ?1 AND key > ?2 {before_it} RETURNING key, expires"
        );
        let id = space.id;
        self.delete_by(tx, space, &sql, params![id, behind, before])
    }

    /// Does something to each of many in as few transactions as others can wait for, and counts.
    pub(super) fn in_steps<T>(
        &self,
        namespace: &Namespace,
        all: &[T],
        mut work: impl FnMut(&Transaction<'_>, &mut NamespaceRow, &T) -> Result<u64>,
    ) -> Result<u64> {
        let mut count = 0;
        for step in all.chunks(self.at_once()) {
            let done = self.change_if_any(namespace, |tx, space| {
                let each = step.iter().map(|one| work(tx, space, one));
                each.sum::<Result<u64>>()
            })?;
            count += done.unwrap_or_default();
        }
        Ok(count)
    }
}
