//! Evicting: the entries that were written first go, to keep what a user asked for.

use crate::store::{
    Clock, Collect, Collected, Etag, Key, Namespace, Progress, Result, Selection, Store as _,
    StoreError, Time,
};

use super::super::Tree;
use super::super::bulk::Removal;
use super::Collection;

/// So many are removed at once, which bounds the memory for their keys.
const AT_ONCE: usize = 1 << 20;

/// Which entries are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cutoff {
    /// All that were written before this.
    before: Time,
    /// And so many of those written at that very time, in the order of their keys.
    ties: u64,
}

impl Tree {
    /// Tells which entries would be evicted, and changes nothing.
    pub(super) fn tell_evicted(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        let mut done = Collected::default();
        if request.evicts() {
            let now = clock.now();
            let mut cutoff = self.cutoff(namespace, request, now, progress)?;
            self.each_evicted(namespace, &mut cutoff, now, &mut |key, _| {
                progress.evict(&key);
                done.evicted += 1;
                true
            })?;
        }
        Ok(done)
    }

    /// Finds out which entries are to go.
    fn cutoff(
        &self,
        namespace: &Namespace,
        request: &Collect,
        now: Time,
        progress: &mut dyn Progress,
    ) -> Result<Cutoff> {
        let too_old = request.evict_older_than.map(|age| {
            Time(
                now.0
                    .saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)),
            )
        });
        let mut cutoff = Cutoff {
            before: too_old.unwrap_or(Time(0)),
            ties: 0,
        };
        if request.max_entries.is_none() && request.max_size.is_none() {
            return Ok(cutoff);
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut all = self.scan(namespace, &Selection::default(), now)?;
        while let Some(listed) = all.next() {
            match listed {
                Ok(listed) => {
                    let len = listed.key.len() as u64 + listed.meta.size;
                    bytes += len;
                    entries.push((listed.meta.modified, len));
                }
                Err(err) => progress.damage(err),
            }
        }
        // Those of the same time stay in the order of their keys.
        entries.sort_by_key(|&(modified, _)| modified);
        let mut left = entries.len() as u64;
        for (modified, len) in entries {
            let is_too_much = request.max_entries.is_some_and(|most| left > most)
                || request.max_size.is_some_and(|most| bytes > most);
            if !is_too_much {
                break;
            }
            left -= 1;
            bytes -= len;
            if modified > cutoff.before {
                cutoff = Cutoff {
                    before: modified,
                    ties: 0,
                };
            }
            if modified == cutoff.before {
                cutoff.ties += 1;
            }
        }
        Ok(cutoff)
    }

    /// Hands each entry to `each` that is to go, in the order of their keys, as long as it wants more.
    fn each_evicted(
        &self,
        namespace: &Namespace,
        cutoff: &mut Cutoff,
        now: Time,
        each: &mut dyn FnMut(Key, Etag) -> bool,
    ) -> Result<()> {
        let mut all = self.scan(namespace, &Selection::default(), now)?;
        while let Some(listed) = all.next() {
            let listed = match listed {
                Ok(listed) => listed,
                // It was told when the entries were counted, or is told when they are folded.
                Err(
                    StoreError::Damaged { .. }
                    | StoreError::Newer { .. }
                    | StoreError::OtherKey { .. },
                ) => continue,
                Err(err) => return Err(err),
            };
            let modified = listed.meta.modified;
            let is_tie = modified == cutoff.before && cutoff.ties > 0;
            if modified < cutoff.before || is_tie {
                cutoff.ties -= u64::from(is_tie);
                if !each(listed.to_key(), listed.meta.etag) {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Collection<'_> {
    /// Removes the entries that are to go, unless they change meanwhile.
    pub(super) fn evict(&mut self, request: &Collect) -> Result<()> {
        let now = self.clock.now();
        let mut cutoff = self
            .tree
            .cutoff(self.namespace, request, now, self.progress)?;
        loop {
            let mut evicted: Vec<(Key, Etag)> = Vec::new();
            let mut ahead = cutoff;
            self.tree
                .each_evicted(self.namespace, &mut ahead, now, &mut |key, etag| {
                    evicted.push((key, etag));
                    evicted.len() < AT_ONCE
                })?;
            let removals: Vec<Removal<'_>> = evicted
                .iter()
                .map(|(key, etag)| Removal {
                    key: key.as_bytes(),
                    etag: Some(*etag),
                })
                .collect();
            if removals.is_empty() {
                return Ok(());
            }
            let progress = &mut *self.progress;
            let removed = self.tree.remove_sorted(
                self.namespace,
                &mut self.upkeep,
                &removals,
                now,
                &mut |err| progress.damage(err),
            )?;
            self.done.evicted += removed;
            for (key, _) in &evicted {
                self.progress.evict(key);
            }
            // Nothing more comes of going round once more for what others keep changing.
            if evicted.len() < AT_ONCE || removed == 0 {
                return Ok(());
            }
            cutoff = ahead;
        }
    }
}
