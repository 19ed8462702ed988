//! Evicting: the entries that were written first go, to keep what a user asked for.

use crate::store::evict::{self, Cutoff};
use crate::store::{Clock, Collect, Collected, Etag, Key, Namespace, Progress, Result};

use super::super::Tree;
use super::super::bulk::Removal;
use super::Collection;

/// So many are removed at once, which bounds the memory for their keys.
const AT_ONCE: usize = 1 << 20;

impl Tree {
    /// Tells which entries would be evicted, and changes nothing.
    pub(super) fn tell_evicted(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        Ok(Collected {
            evicted: evict::tell(self, namespace, request, clock.now(), progress)?,
            ..Collected::default()
        })
    }
}

impl Collection<'_> {
    /// Removes the entries that are to go, unless they change meanwhile.
    pub(super) fn evict(&mut self, request: &Collect) -> Result<()> {
        let now = self.clock.now();
        let mut cutoff = Cutoff::find(self.tree, self.namespace, request, now, self.progress)?;
        loop {
            let mut evicted: Vec<(Key, Etag)> = Vec::new();
            let mut ahead = cutoff;
            ahead.each(self.tree, self.namespace, now, &mut |key, etag| {
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
