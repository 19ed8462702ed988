//! Many entries at once: `import`, and the removal of many keys.

use rusqlite::params;

use crate::engine::merge;
use crate::engine::runs::{Run, Sorter, UnnamedFile};
use crate::store::{
    Bulk, Clock, Feed, Imported, Incoming, Key, Merge, Namespace, Result, Stopped, StoreError, Time,
};

use super::Sqlite;
use super::namespace_row::Space;
use super::schema::PART_LEN;
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
        let imported = self.change(namespace, |space| {
            space.import_sorted(&mut entries, merge, clock.now())
        });
        imported.map(Some)
    }

    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        _failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        self.in_steps(namespace, keys, |space, key| {
            match space.is_to_remove(key, clock.now())? {
                true => space.delete(key.as_bytes()).map(|()| 1),
                false => Ok(0),
            }
        })
    }
}

impl Space<'_> {
    /// Moves what has come to its place, in the order in which it is stored.
    fn import_sorted(
        &mut self,
        entries: &mut Entries,
        merge: Merge,
        now: Time,
    ) -> Result<Imported> {
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
                done.removed += self.remove_between(&last, Some(key))?;
                last.clear();
                last.extend_from_slice(key);
            }
            let modified = modified.unwrap_or(now);
            let before = self.select_as_is(key)?;
            if matches!(merge, Merge::IfAbsent | Merge::Newer) {
                self.sound(key, before.as_ref())?;
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
                _ => self.store.spool(&mut value)?,
            };
            self.upsert((key, before), &spool, modified, expires)?;
            done.stored += 1;
        }
        if merge == Merge::Replace {
            done.removed += self.remove_between(&last, None)?;
        }
        Ok(done)
    }

    /// Removes the keys behind one, which is empty where all are behind it, and before another.
    fn remove_between(&mut self, behind: &[u8], before: Option<&[u8]>) -> Result<u64> {
        let before_it = match before {
            Some(_) => "AND key < ?3",
            None => "AND ?3 IS NULL",
        };
        let sql = format!(
            "DELETE FROM entry WHERE namespace = ?1 AND key > ?2 {before_it} RETURNING key, expires"
        );
        let id = self.id;
        self.delete_by(&sql, params![id, behind, before])
    }
}

impl Sqlite {
    /// Does something to each of many in as few transactions as others can wait for, and counts.
    pub(super) fn in_steps<T>(
        &self,
        namespace: &Namespace,
        all: &[T],
        mut work: impl FnMut(&mut Space<'_>, &T) -> Result<u64>,
    ) -> Result<u64> {
        let mut count = 0;
        for step in all.chunks(self.at_once()) {
            let done = self.change_if_any(namespace, |space| {
                step.iter().map(|one| work(space, one)).sum::<Result<u64>>()
            })?;
            count += done.unwrap_or_default();
        }
        Ok(count)
    }
}
