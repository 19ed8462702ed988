//! A locked shard: the one place from which names in `objects/` change.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{FairMutex, Mutex};

use crate::engine::Sync;
use crate::store::error::line;
use crate::store::{Namespace, OrCannot as _, Result, Turn};

use super::Tree;
use super::dir::{Dir, cannot};
use super::disk;
use super::layout::HashedKey;
use super::lock::{Kind, Lock, Patience};
use super::namespace_dir::NamespaceDir;

/// How long to wait for a turn before going on without.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// The turns of this process's threads at the shards of namespaces.
///
/// Who waits for a lock tries again after a pause, so that among many threads the newest is as likely to
/// get it as the oldest. In one process they line up, and only the first in the line tries.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<(Namespace, String), Line>>);

type Line = Arc<FairMutex<()>>;

/// From so many lines on, those in which nobody stands are forgotten.
const MANY_LINES: usize = 1024;

impl Turns {
    fn line(&self, namespace: &Namespace, shard: &str) -> Line {
        let mut lines = self.0.lock();
        if lines.len() >= MANY_LINES {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = lines.entry((namespace.clone(), shard.to_owned()));
        Arc::clone(line.or_default())
    }
}

/// A shard of a namespace, locked.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) space: NamespaceDir,
    lock: Lock,
    name: String,
}

impl Tree {
    /// Waits for this thread's turn to lock a shard, which ends with what is returned, and returns for how
    /// long to wait for the lock behind it. Who holds one must ask for no other.
    pub(super) fn turn_at(
        &self,
        namespace: &Namespace,
        shard: &str,
    ) -> (Option<impl Sized + use<>>, Patience) {
        let patience = self.patience();
        let line = self.turns.line(namespace, shard);
        let turn = FairMutex::try_lock_arc_for(&line, self.settings.busy_timeout);
        // Who got none has waited long enough: the lock is tried once.
        (turn, patience)
    }

    /// Locks a shard of a namespace; `None` if the namespace does not exist.
    pub(super) fn lock_shard_within(
        &self,
        namespace: &Namespace,
        name: &str,
        patience: Patience,
    ) -> Result<Option<Shard>> {
        let locked = self.lock_one(namespace, false, &["locks/", name].concat(), patience)?;
        Ok(locked.map(|locked| Shard::of(locked, name)))
    }

    /// Locks a shard of a namespace, and makes the namespace if it does not exist.
    pub(super) fn lock_new_shard(
        &self,
        namespace: &Namespace,
        name: &str,
        patience: Patience,
    ) -> Result<Shard> {
        let below = ["locks/", name].concat();
        let locked = self.lock_one(namespace, true, &below, patience)?;
        let locked = locked.expect("a namespace that is made where there is none exists");
        Ok(Shard::of(locked, name))
    }

    /// Locks the turn of a shard: those who read a value, change it and write it back line up here
    /// once they got in each other's way. It decides nothing, so whoever holds it for too long,
    /// asleep perhaps, is passed by. No other lock is held while one waits for it.
    pub(super) fn lock_turn(&self, namespace: &Namespace, hashed: &HashedKey<'_>) -> Option<Turn> {
        let space = self.open_namespace(namespace).ok()??;
        let below = ["locks/", hashed.shard(), ".turn"].concat();
        let limit = LONGEST_TURN.min(self.settings.busy_timeout);
        let patience = Patience::Until(Instant::now(), limit);
        let lock = Lock::acquire(&space, &below, Kind::Exclusive, patience);
        Some(Box::new(lock.ok()??))
    }

    /// Returns for how long to wait for the store's own locks, from now on.
    pub(super) fn patience(&self) -> Patience {
        Patience::Until(Instant::now(), self.settings.busy_timeout)
    }

    /// Waits until the names in a shard's directory are durable; its lock is free by then.
    ///
    /// # Errors
    ///
    /// Where that fails, and then what became of the change.
    pub(super) fn sync_shard(&self, dir: Option<Dir>) -> Result<()> {
        let Some(dir) = dir.filter(|_| self.syncs()) else {
            return Ok(());
        };
        disk::sync(&dir.fd).map_err(|err| {
            let why = line(&err);
            let what = format!("{why}; the change is made, but a power cut may undo it");
            cannot(io::Error::new(err.kind(), what), "sync", &dir.path)
        })
    }

    /// Tells whether an acknowledged write is to survive a power cut.
    pub(super) fn syncs(&self) -> bool {
        self.settings.sync == Sync::Full
    }
}

impl Shard {
    fn of((space, lock): (NamespaceDir, Lock), name: &str) -> Self {
        let name = name.to_owned();
        Self { space, lock, name }
    }

    /// Opens the directory of the shard; `None` if nothing was ever stored in it.
    pub(super) fn dir(&self) -> Result<Option<Dir>> {
        self.space.dir_if_any(&self.below())
    }

    /// Opens the directory of the shard, and makes it if there is none; see [`make_shard_dir`].
    pub(super) fn make_dir(&self, durable: bool) -> Result<Dir> {
        make_shard_dir(&self.space, &self.lock.file, &self.name, durable)
    }

    fn below(&self) -> String {
        ["objects/", &self.name].concat()
    }
}

/// Opens the directory of a shard that is locked, makes it if there is none, and with `durable` makes
/// sure that a power cut cannot take it.
///
/// Finding the directory proves nothing: whoever made it may have been killed before it was synced.
/// The lock file has one byte once the syncs were done.
pub(super) fn make_shard_dir(
    space: &NamespaceDir,
    lock: &File,
    name: &str,
    durable: bool,
) -> Result<Dir> {
    let below = ["objects/", name].concat();
    let found = space.dir_if_any(&below)?;
    let is_marked = || lock.metadata().is_ok_and(|meta| meta.len() > 0);
    if let Some(dir) = found
        && (!durable || is_marked())
    {
        return Ok(dir);
    }
    let objects = space.kept_subdir("objects")?;
    objects.make_dir(name, space.dir_mode()?)?;
    if durable {
        objects.sync()?;
        space.sync_above()?;
        // The byte itself need not last: without it the syncs are done once more.
        disk::write_at(lock, b"1", 0).or_cannot(
            "mark as durable",
            &space.path_of(&["locks/", name].concat()),
        )?;
    }
    space.dir(&below)
}
