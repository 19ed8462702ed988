//! What keeps a store small, and what is told of it.

use std::time::Duration;

use crate::store::check::Severity;
use crate::store::{
    Check, Clock, Condition, Entries, Etag, Finding, Key, Listed, Meta, Namespace, Result,
    Selection, StoreError, Time, evict,
};

/// What a collection of garbage is to do besides its usual work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collect {
    /// Remove entries that were written longer ago than this.
    pub evict_older_than: Option<Duration>,
    /// Remove the entries written first until at most so many are left.
    pub max_entries: Option<u64>,
    /// Remove the entries written first until their keys and values take at most so many bytes.
    pub max_size: Option<u64>,
    /// Treat what was written a moment ago as what has rested for long.
    pub at_once: bool,
    /// Change nothing, and report what would be done.
    pub dry_run: bool,
}

impl Collect {
    /// Tells whether live entries may have to go.
    pub fn evicts(&self) -> bool {
        self.evict_older_than.is_some() || self.max_entries.is_some() || self.max_size.is_some()
    }
}

/// What hears of the progress of long work.
pub trait Progress {
    /// So many steps of so many are done; `total` may grow.
    fn step(&mut self, done: u64, total: u64);

    /// This key's entry is evicted, or would be.
    fn evict(&mut self, key: &Key);

    /// Something is damaged, and the work goes on without it.
    fn damage(&mut self, err: crate::store::StoreError);
}

/// What a collection did, or with `dry_run` would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Another collection is at work; this one did nothing.
    pub is_busy: bool,
    /// Entries removed because they had expired.
    pub expired: u64,
    /// Entries removed because they were among the oldest.
    pub evicted: u64,
    /// Entries moved from files of their own into packs.
    pub folded: u64,
    /// Packs that were merged into others.
    pub merged: u64,
    /// Files that dead processes had left.
    pub litter: u64,
}

/// What is known of a namespace as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The version of the format that it is kept in; 0 where there is no such thing.
    pub format: u32,
    /// Live entries.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Bytes of the blocks that the disk gave for all of it, where that is known.
    pub disk_bytes: Option<u64>,
    /// Files and directories, where that is known.
    pub inodes: Option<u64>,
    /// Entries in files of their own, dead ones and tombstones too.
    pub loose: u64,
    /// Records in packs, dead ones and tombstones too.
    pub packed: u64,
    /// Packs.
    pub packs: u64,
    /// Records and files that only say that a key was removed.
    pub tombstones: u64,
    /// Entries that have expired and still take space.
    pub expired: u64,
    /// Files of writers, alive or dead.
    pub temporary: u64,
    /// When garbage was collected last.
    pub collected: Option<Time>,
    /// Whether a collection of garbage would free much.
    pub collection_pays: bool,
    /// What cannot be read, and so is not counted.
    pub damaged: u64,
    /// Whether entries are dropped when memory is full, of a store that is kept in memory.
    pub evicts: Option<bool>,
    /// How many live entries have a value of 0 bytes, 1, 2 to 3, 4 to 7 and so on.
    pub sizes: Vec<u64>,
    /// How many live entries were written less than a second ago, 1, 2 to 3, 4 to 7 seconds and
    /// so on.
    pub ages: Vec<u64>,
}

impl Info {
    /// Counts a live entry.
    pub fn count(&mut self, key_len: usize, meta: &Meta, now: Time) {
        self.entries += 1;
        self.bytes += key_len as u64 + meta.size;
        add(&mut self.sizes, meta.size);
        add(&mut self.ages, meta.age(now).as_secs());
    }
}

/// Counts a number in the row of those with as many binary digits.
fn add(rows: &mut Vec<u64>, number: u64) {
    let row = (u64::BITS - number.leading_zeros()) as usize;
    if rows.len() <= row {
        rows.resize(row + 1, 0);
    }
    rows[row] += 1;
}

/// What keeps a store in order, and what tells of it; by default by listing all of it.
pub trait Upkeep: Entries {
    /// Collects garbage: sweeps what has expired, evicts what was asked for, and packs the rest.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read or changed. What was done until then stays done.
    fn collect(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        Ok(Collected {
            evicted: self.evict(namespace, request, clock, progress)?,
            ..Collected::default()
        })
    }

    /// Evicts what was asked for, or tells of it where nothing is to be changed. Returns how many went.
    ///
    /// # Errors
    ///
    /// As [`Upkeep::collect`].
    fn evict(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<u64> {
        let now = clock.now();
        if request.dry_run {
            return evict::tell(self, namespace, request, now, progress);
        } else if !request.evicts() {
            return Ok(0);
        }
        let remove =
            |keys: &[_], _: &mut dyn Progress| self.remove_unchanged(namespace, keys, clock);
        evict::each_round(
            self,
            namespace,
            request,
            now,
            progress,
            EVICTED_AT_ONCE,
            remove,
        )
    }

    /// Removes entries that are still what they were, and returns how many that is.
    ///
    /// # Errors
    ///
    /// As [`Upkeep::collect`].
    fn remove_unchanged(
        &self,
        namespace: &Namespace,
        keys: &[(Key, Etag)],
        clock: &dyn Clock,
    ) -> Result<u64> {
        let mut removed = 0;
        for (key, etag) in keys {
            let is_gone = self.remove(namespace, key, &Condition::Etag(*etag), clock)?;
            removed += u64::from(is_gone);
        }
        Ok(removed)
    }

    /// Checks that a namespace is what was written, and repairs it if that is asked for. What is
    /// found is told, one thing at a time, and is no error. It holds of a store in use too.
    ///
    /// # Errors
    ///
    /// Where not all of it could be looked at, or a repair failed. What was told is true all the
    /// same.
    fn check(
        &self,
        namespace: &Namespace,
        _request: &Check,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let selection = Selection {
            values: true,
            ..Selection::default()
        };
        let mut listing = self.scan(namespace, &selection, clock.now())?;
        while let Some(listed) = listing.next() {
            let (key, read) = match listed {
                Ok(mut listed) => {
                    let read = listed
                        .value
                        .as_mut()
                        .map_or(Ok(Ok(())), |value| value.for_each(|_| Ok(())));
                    (Some(listed.key.to_vec()), read.map(drop))
                }
                Err(err) => (None, Err(err)),
            };
            match read {
                Ok(()) => {}
                Err(err @ (StoreError::Damaged { .. } | StoreError::OtherKey { .. })) => {
                    let finding =
                        Finding::new(Severity::Damage, namespace.as_str(), err.to_string());
                    tell(Finding { key, ..finding })
                }
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    /// Tells what is known of a namespace; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    fn info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        if !self.namespaces()?.contains(namespace) {
            return Ok(None);
        }
        let mut info = Info::default();
        let mut listing = self.scan(namespace, &Selection::default(), now)?;
        while let Some(listed) = listing.next() {
            match listed {
                Ok(Listed { key, meta, .. }) => {
                    info.count(key.len(), &meta, now);
                }
                Err(_) => info.damaged += 1,
            }
        }
        Ok(Some(info))
    }
}

/// How many keys are evicted between two listings.
const EVICTED_AT_ONCE: usize = 10_000;
