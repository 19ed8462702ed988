//! `gc`: collects garbage.
//!
//! 1. Under the maintenance lock, and only where MANIFEST is whole: what dead processes left goes, and
//!    the files of named locks that nobody holds.
//! 2. What needs no space comes first: entries that have expired, and those that are evicted.
//! 3. Every shard is locked and unlocked once. Whoever removes an entry from now on sees that gc is at
//!    work and leaves a tombstone.
//! 4. Loose entries are folded into packs, in rounds that bound what space and memory they need; see
//!    [`fold`].
//! 5. Packs are merged where that pays; see [`merge`].
//! 6. What is left of namespaces whose makers or removers died goes.

mod candidate;
mod fold;
mod merge;
mod unlink;

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use crate::store::{
    Clock, Collect, Collected, Etag, Key, Namespace, Progress, Result, StoreError, Time, evict,
};

use super::Tree;
use super::bulk::Removal;
use super::dir::cannot;
use super::disk;
use super::expiry;
use super::layout::{GC_LOCK, SHARDS, shard_name};
use super::lock::{Kind, Lock, Patience};
use super::maintenance::Maintenance;
use super::named;
use super::namespace_dir::NamespaceDir;
use super::namespaces::sweep_litter;

pub(super) use self::fold::folds;
pub(super) use self::merge::is_due;

use self::merge::round_len;

/// For how long to try to be the one that collects: who removes a key holds the lock for a moment.
const PATIENCE: Duration = Duration::from_millis(200);

/// So many entries are evicted at once, which bounds the memory for their keys.
const AT_ONCE: usize = 1 << 20;

/// One collection.
struct Collection<'a> {
    tree: &'a Tree,
    namespace: &'a Namespace,
    maintenance: Maintenance,
    clock: &'a dyn Clock,
    progress: &'a mut dyn Progress,
    done: Collected,
}

impl Tree {
    /// Collects garbage; see [`crate::store::Upkeep::collect`].
    pub(super) fn collect_garbage(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        if request.dry_run {
            return Ok(Collected {
                evicted: evict::tell(self, namespace, request, clock.now(), progress)?,
                ..Collected::default()
            });
        }
        let patience = Patience::Until(Instant::now(), PATIENCE);
        let maintenance = match self.lock_maintenance(namespace, false, patience) {
            Err(StoreError::Busy { .. }) => {
                return Ok(Collected {
                    is_busy: true,
                    ..Collected::default()
                });
            }
            Ok(None) => return Ok(Collected::default()),
            maintenance => maintenance?.expect("there is one"),
        };
        // Where MANIFEST is damaged nothing is deleted: what it named might be among it.
        maintenance.packs()?;
        let done = Collected::default();
        let mut collection = Collection {
            tree: self,
            namespace,
            maintenance,
            clock,
            progress,
            done,
        };
        let ran = collection.run(request);
        // It may have used them up, and got nowhere.
        collection.maintenance.restock_spares();
        ran?;
        Ok(collection.done)
    }
}

impl Collection<'_> {
    fn run(&mut self, request: &Collect) -> Result<()> {
        let now = self.clock.now();
        let space = &self.maintenance.space;
        self.done.litter += self.maintenance.sweep_packs()?;
        self.done.litter += expiry::sweep_drafts(space, now)?;
        named::sweep(space)?;
        self.done.expired += self.tree.sweep_all(self.namespace, space, now)?;
        if request.evicts() {
            self.evict(request, now)?;
        }
        self.wait_for_removers()?;
        self.fold(request.at_once)?;
        self.merge()?;
        note(&self.maintenance, now)?;
        let space = &self.maintenance.space;
        let just_written = space.path_of(GC_LOCK);
        self.done.litter += sweep_litter(space.store_path(), &just_written, usize::MAX);
        Ok(())
    }

    /// Removes the entries that are to go, unless they change meanwhile.
    fn evict(&mut self, request: &Collect, now: Time) -> Result<()> {
        let (tree, namespace, maintenance) = (self.tree, self.namespace, &mut self.maintenance);
        let remove = |keys: &[(Key, Etag)], progress: &mut dyn Progress| {
            let removals: Vec<Removal<'_>> = keys
                .iter()
                .map(|(key, etag)| Removal {
                    key: key.as_bytes(),
                    etag: Some(*etag),
                })
                .collect();
            let failed = &mut |err| progress.damage(err);
            tree.remove_sorted(namespace, maintenance, &removals, now, failed)
        };
        let progress = &mut *self.progress;
        self.done.evicted +=
            evict::each_round(tree, namespace, request, now, progress, AT_ONCE, remove)?;
        Ok(())
    }

    /// Waits until everybody who changes entries at this moment is done. A lock file that does not
    /// exist is held by nobody, and whoever makes it comes later.
    fn wait_for_removers(&self) -> Result<()> {
        for shard in 0..SHARDS {
            let below = ["locks/", &shard_name(shard)].concat();
            let space = &self.maintenance.space;
            if space.path_of(&below).symlink_metadata().is_ok() {
                drop(Lock::acquire(
                    space,
                    &below,
                    Kind::Exclusive,
                    self.tree.patience(),
                )?);
            }
        }
        Ok(())
    }
}

/// Notes in the lock's file when garbage was collected: for people, and never synced.
fn note(maintenance: &Maintenance, now: Time) -> Result<()> {
    let text = format!("{:020}\n", now.0);
    disk::write_at(maintenance.lock_file(), text.as_bytes(), 0)
        .map_err(|err| cannot(err, "write", &maintenance.space.path_of(GC_LOCK)))
}

/// Returns when garbage was collected last.
pub(super) fn last(space: &NamespaceDir) -> Option<Time> {
    let file = space.open_if_any(GC_LOCK).ok()??;
    let mut digits = [0; 20];
    file.read_exact_at(&mut digits, 0).ok()?;
    str::from_utf8(&digits).ok()?.parse().ok().map(Time)
}
