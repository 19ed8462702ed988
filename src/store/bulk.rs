//! Many entries at once: what an import brings, and what it does to what is there.

use std::collections::BTreeMap;

use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Condition, Deadline, Entries, Entry, Expiry, Key, Namespace, Put, Result, Selection,
    StoreError, Time,
};

/// More keys than this are many: an engine may have a better way for them than one by one.
pub const MANY: usize = 1_000;

/// An entry that is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Its key, which [`crate::store::Key::check`] allows.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// When it was written, as far as that is known; otherwise it is written now.
    pub modified: Option<Time>,
    /// When it expires; `None` is never.
    pub expires: Option<Deadline>,
}

/// Entries that come one after another, in any order; of equal keys the last counts.
pub trait Feed {
    /// Returns the next entry, `None` at the end.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when what comes cannot be used. The feed itself knows why.
    fn next(&mut self) -> Result<Option<Incoming<'_>>, Stopped>;

    /// Tells whether to wait for others who change as many entries, for as long as that takes. If not,
    /// the import ends with [`StoreError::Busy`] where it would have to, and has stored nothing.
    fn waits(&self) -> bool {
        true
    }

    /// Returns how many bytes an engine may hold in memory to put the entries in order, where it would take
    /// more.
    fn memory(&self) -> usize {
        usize::MAX
    }
}

/// A feed ended early: nothing of it is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What happens to a key that is imported and holds something already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// The imported entry takes its place.
    #[default]
    Overwrite,
    /// It stays as it is.
    IfAbsent,
    /// The one that was written later stays; of two of the same time, the one that is there.
    Newer,
    /// The imported entry takes its place, and every key that is not imported is removed.
    Replace,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Entries that were stored.
    pub stored: u64,
    /// Keys that were left as they are.
    pub left: u64,
    /// Keys that were removed because they are not among those imported.
    pub removed: u64,
}

/// What a store does with many entries; by default one after another.
pub trait Bulk: Entries {
    /// Finds some keys that were all asked for before, each as [`Entries::get`] does and as of some moment of this
    /// call. `None` from an engine that is no faster so, or would hold more for it than small values in memory and
    /// open files: the caller gets them one by one then.
    fn get_all(
        &self,
        namespace: &Namespace,
        keys: &[&Key],
        now: Time,
    ) -> Option<Vec<Result<Option<Entry>>>> {
        _ = (namespace, keys, now);
        None
    }

    /// Stores many entries. With `Ok(None)` the feed stopped, and nothing was stored.
    ///
    /// Each entry is stored whole or not at all; of all of them, some may be stored and others not
    /// if this fails or is killed. Doing it once more is safe.
    ///
    /// # Errors
    ///
    /// As [`Entries::put`].
    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        let mut all = BTreeMap::new();
        loop {
            match feed.next() {
                Ok(Some(entry)) => {
                    let rest = (entry.value.to_vec(), entry.modified, entry.expires);
                    all.insert(entry.key.to_vec(), rest);
                }
                Ok(None) => break,
                Err(Stopped) => return Ok(None),
            }
        }
        let mut done = Imported::default();
        for (key, (value, modified, expires)) in &all {
            let entry = Incoming {
                key,
                value,
                modified: *modified,
                expires: *expires,
            };
            match import_one(self, namespace, &entry, merge, clock)? {
                true => done.stored += 1,
                false => done.left += 1,
            }
        }
        if merge == Merge::Replace {
            let mut listing = self.scan(namespace, &Selection::default(), clock.now())?;
            while let Some(listed) = listing.next() {
                let key = listed?.to_key();
                if !all.contains_key(key.as_bytes()) {
                    let is_gone = self.remove(namespace, &key, &Condition::Always, clock)?;
                    done.removed += u64::from(is_gone);
                }
            }
        }
        Ok(Some(done))
    }

    /// Removes many keys, and returns how many there were. What cannot be removed is told to
    /// `failed`, and the others are removed all the same.
    ///
    /// # Errors
    ///
    /// Where the store as a whole cannot be changed.
    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        remove_all(self, namespace, keys, clock, failed)
    }
}

/// Stores one of the entries of an import. Returns false if its key stays as it is.
pub fn import_one<S: Entries + ?Sized>(
    store: &S,
    namespace: &Namespace,
    entry: &Incoming<'_>,
    merge: Merge,
    clock: &dyn Clock,
) -> Result<bool> {
    let key = Key::new(entry.key.to_vec()).expect("a feed yields keys");
    let mut conflicts = Conflicts::default();
    loop {
        let now = clock.now();
        let condition = match merge {
            Merge::Overwrite | Merge::Replace => Condition::Always,
            Merge::IfAbsent => Condition::Absent,
            Merge::Newer => match store.stat(namespace, &key, now)? {
                None => Condition::Absent,
                Some(meta) if meta.modified >= entry.modified.unwrap_or(now) => return Ok(false),
                Some(meta) => Condition::Etag(meta.etag),
            },
        };
        let mut value = entry.value;
        let put = Put {
            expiry: entry.expires.map_or(Expiry::Never, Expiry::At),
            modified: entry.modified,
            ..Put::new(&mut value, condition)
        };
        if store.put(namespace, &key, put, clock)?.is_some() {
            return Ok(true);
        }
        if merge == Merge::IfAbsent {
            return Ok(false);
        }
        conflicts.pause(store.busy_timeout(), &key)?;
    }
}

/// Removes keys one after another; see [`Bulk::remove_all`].
pub fn remove_all<S: Entries + ?Sized>(
    store: &S,
    namespace: &Namespace,
    keys: &[Key],
    clock: &dyn Clock,
    failed: &mut dyn FnMut(StoreError),
) -> Result<u64> {
    let mut removed = 0;
    for key in keys {
        match store.remove(namespace, key, &Condition::Always, clock) {
            Ok(was_there) => removed += u64::from(was_there),
            Err(err) => failed(err),
        }
    }
    Ok(removed)
}
