//! Many entries at once: what an import brings, and what it does to what is there.

use std::collections::BTreeMap;

use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Condition, Deadline, Expiry, Key, Namespace, Put, Result, Selection, Store, StoreError,
    Time,
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

/// Stores entries one after another, for an engine that has no better way; see [`Store::import`].
///
/// # Errors
///
/// As [`Store::put`].
pub fn import<S: Store + ?Sized>(
    store: &S,
    namespace: &Namespace,
    feed: &mut dyn Feed,
    merge: Merge,
    clock: &dyn Clock,
) -> Result<Option<Imported>> {
    // All are read before the first is stored: a feed that stops leaves nothing behind.
    let mut entries = BTreeMap::new();
    while let Some(Incoming {
        key,
        value,
        modified,
        expires,
    }) = match feed.next() {
        Ok(next) => next,
        Err(Stopped) => return Ok(None),
    } {
        let key = Key::new(key.to_vec()).expect("a feed yields keys");
        entries.insert(key, (value.to_vec(), modified, expires));
    }
    let mut done = Imported::default();
    let distinct = entries.len() as u64;
    if merge == Merge::Replace {
        let mut others = Vec::new();
        let mut all = store.scan(namespace, &Selection::default(), clock.now())?;
        while let Some(listed) = all.next() {
            let key = listed?.to_key();
            if !entries.contains_key(&key) {
                others.push(key);
            }
        }
        drop(all);
        for key in others {
            done.removed += u64::from(store.remove(namespace, &key, &Condition::Always, clock)?);
        }
    }
    for (key, (value, modified, expires)) in entries {
        let entry = Incoming {
            key: key.as_bytes(),
            value: &value,
            modified,
            expires,
        };
        done.stored += u64::from(import_one(store, namespace, &entry, merge, clock)?);
    }
    done.left = distinct - done.stored;
    Ok(Some(done))
}

/// Stores one of the entries of an import. Returns false if its key stays as it is.
///
/// # Errors
///
/// As [`Store::put`].
///
/// # Panics
///
/// Where its key is none.
pub fn import_one<S: Store + ?Sized>(
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
        let put = Put {
            value: &mut { entry.value },
            expiry: entry.expires.map_or(Expiry::Never, Expiry::At),
            modified: entry.modified,
            condition,
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

/// Removes keys one after another; see [`Store::remove_all`].
///
/// # Errors
///
/// None: what fails is told to `failed`.
pub fn remove_all<S: Store + ?Sized>(
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
