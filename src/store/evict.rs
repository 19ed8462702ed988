//! Evicting: the entries that were written first go, to keep what a user asked for.

use crate::store::{Collect, Entries, Etag, Key, Namespace, Progress, Result, Selection, Time};

/// Which entries are evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoff {
    /// All that were written before this.
    before: Time,
    /// And so many of those written at that very time, in the order of their keys.
    ties: u64,
}

impl Cutoff {
    /// Finds out which entries are to go.
    pub fn find<S: Entries + ?Sized>(
        store: &S,
        namespace: &Namespace,
        request: &Collect,
        now: Time,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let too_old = request.evict_older_than.map(|age| {
            Time(
                now.0
                    .saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)),
            )
        });
        let mut cutoff = Self {
            before: too_old.unwrap_or(Time(0)),
            ties: 0,
        };
        if request.max_entries.is_none() && request.max_size.is_none() {
            return Ok(cutoff);
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        let mut all = store.scan(namespace, &Selection::default(), now)?;
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
                cutoff = Self {
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
    /// The cutoff moves on with them: it then names those that are left.
    pub fn each<S: Entries + ?Sized>(
        &mut self,
        store: &S,
        namespace: &Namespace,
        now: Time,
        each: &mut dyn FnMut(Key, Etag) -> bool,
    ) -> Result<()> {
        let mut all = store.scan(namespace, &Selection::default(), now)?;
        while let Some(listed) = all.next() {
            let listed = match listed {
                Ok(listed) => listed,
                // It was told when the entries were counted, or is told when they are folded.
                Err(err) if err.is_of_one_entry() => continue,
                Err(err) => return Err(err),
            };
            let modified = listed.meta.modified;
            let is_tie = modified == self.before && self.ties > 0;
            if modified < self.before || is_tie {
                self.ties -= u64::from(is_tie);
                if !each(listed.to_key(), listed.meta.etag) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Tells which entries would be evicted, and changes nothing. Returns how many they are.
pub fn tell<S: Entries + ?Sized>(
    store: &S,
    namespace: &Namespace,
    request: &Collect,
    now: Time,
    progress: &mut dyn Progress,
) -> Result<u64> {
    let mut evicted = 0;
    if request.evicts() {
        let mut cutoff = Cutoff::find(store, namespace, request, now, progress)?;
        cutoff.each(store, namespace, now, &mut |key, _| {
            progress.evict(&key);
            evicted += 1;
            true
        })?;
    }
    Ok(evicted)
}

/// Has the entries that are to go removed, so many at once, by `remove`, which leaves those whose etag
/// is another by then and returns how many went. Returns how many went in all.
pub fn each_round<S: Entries + ?Sized>(
    store: &S,
    namespace: &Namespace,
    request: &Collect,
    now: Time,
    progress: &mut dyn Progress,
    at_once: usize,
    mut remove: impl FnMut(&[(Key, Etag)], &mut dyn Progress) -> Result<u64>,
) -> Result<u64> {
    let mut cutoff = Cutoff::find(store, namespace, request, now, progress)?;
    let mut evicted = 0;
    loop {
        let mut keys: Vec<(Key, Etag)> = Vec::new();
        cutoff.each(store, namespace, now, &mut |key, etag| {
            keys.push((key, etag));
            keys.len() < at_once
        })?;
        if keys.is_empty() {
            return Ok(evicted);
        }
        let removed = remove(&keys, progress)?;
        evicted += removed;
        for (key, _) in &keys {
            progress.evict(key);
        }
        // Nothing more comes of going round once more for what others keep changing.
        if keys.len() < at_once || removed == 0 {
            return Ok(evicted);
        }
    }
}
