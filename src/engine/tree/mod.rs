//! The default engine: a directory in which each key has one file, until it is packed.
//!
//! # On disk
//!
//! ```text
//! STORE/                     one directory; holds namespaces; its mode is the policy of all below
//! └── NAMESPACE/             a tree of its own
//!     ├── format             `kv 1`, the hash, the number of shards; written once, always read
//!     ├── objects/ab/cdef…   one file per loose entry; abcdef… is the SHA-1 of the key in hex
//!     ├── packs/MANIFEST     which packs there are, the newest first; replaced by a rename
//!     ├── packs/pack-…       many entries in one file, written once; see [`pack`]
//!     ├── locks/ab           one lock per shard, never removed; one byte once the shard is durable
//!     ├── locks/ab.turn      where those line up who read, change and write back; decides nothing
//!     ├── locks/gc           the maintenance lock, for whoever changes packs, or removes what it did
//!     │                      not write; says when garbage was collected last
//!     ├── locks/list         of a list: its lock, and what is known of the file in `list/`
//!     ├── list/              of a list: between which numbers its elements are; see [`range`]
//!     ├── named/             the locks of `kv lock`, `kv memo` and of elements, by the SHA-1 of their names
//!     ├── tmp/               files being written; a live writer holds a lock on its own
//!     ├── spare/             two empty files, for gc where no more files can be made
//!     ├── expiry/            hints: which entry expires when; never trusted alone
//!     └── lost/              what a repair moved out of the way; nobody looks into it
//! ```
//!
//! # How a `put` reaches the disk
//!
//! 1. [`draft`] writes the entry to a file in `tmp/` and syncs it. No lock is held.
//! 2. [`lock`] takes the shard's lock; [`shard`] makes the shard's directory durable, once.
//! 3. [`put`] looks at what the key holds, decides the condition and renames the draft over it.
//! 4. The lock is freed, then the directory is synced; only now is the write acknowledged.
//!
//! [`remove`] locks, decides and unlinks in the same way, or leaves a tombstone where a pack would
//! bring an older value back. [`gc`] folds loose entries into packs, and [`bulk`] writes packs at once.
//!
//! # Invariants
//!
//! - Nothing is updated in place; every change is a rename or an unlink of one name, under the lock
//!   of its shard, or the rename of MANIFEST, under `locks/gc`. There is no state from which a reader
//!   would have to recover, and a reader takes no lock.
//! - A loose entry hides what packs hold of its key, and a newer pack what an older one holds. A
//!   tombstone hides as an entry does, and goes only together with the last thing that it hides.
//! - A lock is never held while a value is written or synced, and it is not valid unless its file
//!   is still the one at its path: a namespace that is removed takes its locks along. They are taken
//!   in this order: gc, list, shards ascending. Nobody waits for gc while holding a shard.
//! - Names are resolved from the store's path anew in each step, or below a directory that one look
//!   shows to be the one at its path still ([`kept`]); no symbolic link below the store is followed.
//! - A hit decides. A damaged entry is an error, a tombstone is "no such key", and neither is ever
//!   passed over for something older.
//! - Every change on disk goes through [`disk`]. Nothing here reads the clock or the environment.
//!
//! Read the files in this order: [`layout`], [`hash`], [`codec`], [`percent`], [`mod@dir`], [`namespace_dir`], [`create`],
//! [`loose`], [`pack`], [`kept`], [`find`], [`temp`], [`draft`], [`lock`], [`shard`], [`publish`], [`put`], [`remove`],
//! [`expiry`], [`walk`], [`scan`], [`range`], [`seek`], [`mod@list`], [`maintenance`], [`bulk`], [`repack`], [`gc`],
//! [`info`], [`named`], [`watch`], [`mod@follow`], [`namespaces`], [`fsck`]; [`disk`] is what they stand on, and [`tries`]
//! ends what they try again.

mod bulk;
mod codec;
mod create;
mod dir;
mod disk;
mod draft;
mod expiry;
mod find;
mod follow;
mod fsck;
#[cfg(any(test, fuzzing))]
#[path = "../../../tests/fuzz/readers/tree.rs"]
pub mod fuzz;
mod gc;
mod hash;
mod info;
mod kept;
mod layout;
mod list;
mod lock;
mod loose;
mod maintenance;
mod named;
mod namespace_dir;
mod namespaces;
mod pack;
mod percent;
mod publish;
mod put;
mod range;
mod remove;
mod repack;
mod scan;
mod seek;
mod shard;
mod temp;
mod tries;
mod walk;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::Settings;
use crate::engine::location::{Given, Locator};
use crate::store::{
    Clock, Condition, Entries, Entry, Etag, Key, Listing, Meta, Namespace, Put, Result, Selection,
    Store, Time, Turn,
};

use self::find::Present;
use self::kept::Kept;
use self::layout::HashedKey;
use self::loose::WHOLE_LEN;
use self::namespace_dir::NamespaceDir;
use self::range::Pushed;
use self::shard::Turns;
use self::tries::Tries;

/// A store that is a directory.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    settings: Settings,
    /// The last push of this process.
    pushed: Mutex<Option<Pushed>>,
    kept: Kept,
    turns: Turns,
}

impl Tree {
    /// Names a directory that is a store, or will be one with the first write.
    pub fn new(root: PathBuf, settings: Settings) -> Self {
        Self {
            root,
            settings,
            pushed: Mutex::default(),
            kept: Kept::default(),
            turns: Turns::default(),
        }
    }
}

/// A directory, by the path that was given.
struct Directory(PathBuf);

/// Takes any path.
pub(super) fn location(given: &Given) -> Result<Arc<dyn Locator>, &'static str> {
    Ok(Arc::new(Directory(PathBuf::from(&given.rest))))
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Locator for Directory {
    fn open(&self, settings: Settings) -> Box<dyn Store> {
        Box::new(Tree::new(self.0.clone(), settings))
    }

    fn on_disk(&self) -> Option<&Path> {
        Some(&self.0)
    }

    fn syncs_apart(&self) -> bool {
        true
    }
}

impl Entries for Tree {
    fn get(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>> {
        let found = self.find_live(namespace, &HashedKey::of(key), WHOLE_LEN, now)?;
        found.map(Present::into_entry).transpose()
    }

    fn get_cached(&self, namespace: &Namespace, key: &Key, now: Time) -> Option<Entry> {
        self.find_cached(namespace, &HashedKey::of(key), now)
    }

    fn stat(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Meta>> {
        let found = self.find_live(namespace, &HashedKey::of(key), 0, now)?;
        Ok(found.map(|present| present.meta()))
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        self.put_entry(namespace, &HashedKey::of(key), put, clock)
    }

    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        self.remove_entry(namespace, &HashedKey::of(key), condition, clock)
    }

    fn take(&self, namespace: &Namespace, key: &Key, clock: &dyn Clock) -> Result<Option<Entry>> {
        self.take_entry(namespace, &HashedKey::of(key), clock)
    }

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        let mut tries = Tries::default();
        loop {
            let space = self.open_unchecked(namespace)?;
            let stood = space.as_ref().and_then(NamespaceDir::stand);
            match (self.list_entries(namespace, selection, now), space) {
                (Err(_), Some(space)) if space.is_removed(stood.as_ref()) => {
                    tries.again(|| space.path())?;
                }
                (done, _) => return done,
            }
        }
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.list_namespaces()
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        self.drop_namespace(namespace)
    }

    fn turn(&self, namespace: &Namespace, key: &Key) -> Option<Turn> {
        self.lock_turn(namespace, &HashedKey::of(key))
    }

    fn busy_timeout(&self) -> Duration {
        self.settings.busy_timeout
    }

    fn exists(&self) -> Result<bool> {
        self.open_store().map(|store| store.is_some())
    }
}
