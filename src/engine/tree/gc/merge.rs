//! Merging packs: few are to be looked into, and each record is to be written a few times at most.

use std::ops::Range;
use std::time::Duration;

use crate::store::{Result, StoreError, Time};

use super::super::namespace_dir::NamespaceDir;
use super::super::pack::{Geometry, Named};
use super::super::repack::Repack;
use super::Collection;

/// Packs are merged with an older one that is at most so many times as large as all of them.
const RATIO: u64 = 4;
/// No more packs are merged at once, as each is an open file.
const MOST_AT_ONCE: usize = 256;
/// A round of folding takes at most so much memory, and so much space.
const LONGEST_ROUND: usize = 64 * 1024 * 1024;
const SHORTEST_ROUND: usize = 1024 * 1024;
/// Records that have expired are left where they are for so long, as all packs must be written anew
/// to leave them out.
const LONGEST_DEAD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

impl Collection<'_> {
    /// Merges packs as long as that pays.
    pub(super) fn merge(&mut self) -> Result<()> {
        loop {
            let Some(packs) = self.maintenance.packs()? else {
                return Ok(());
            };
            let now = self.clock.now();
            let Some(range) = due(packs.named(), now) else {
                return Ok(());
            };
            let space = &self.maintenance.space;
            let size: u64 = packs.named()[range.clone()]
                .iter()
                .map(|n| n.geometry.size)
                .sum();
            // The old ones go when the new one is there.
            if available(space).is_some_and(|free| free < size + size / 8) {
                return Ok(());
            }
            let repack = Repack {
                packs: &packs,
                range: range.clone(),
                now,
            };
            let written = match repack.write(space, &mut |_| Ok(false)) {
                // What is damaged is told, and stays as it is.
                Err(err @ (StoreError::Damaged { .. } | StoreError::Newer { .. })) => {
                    self.progress.damage(err);
                    return Ok(());
                }
                written => written?,
            };
            let mut named = packs.named().to_vec();
            let merged = match written {
                Some((temp, geometry)) => vec![self.maintenance.add_pack(temp, geometry)?],
                None => vec![],
            };
            self.done.merged += range.len() as u64;
            let replaced = named.splice(range, merged).collect::<Vec<_>>();
            let manifest = self.maintenance.write_manifest(&named)?;
            self.maintenance.commit(manifest)?;
            self.maintenance.delete_packs(&replaced);
        }
    }
}

/// Tells whether packs ought to be merged.
pub(in super::super) fn is_due(packs: &[Named], now: Time) -> bool {
    due(packs, now).is_some()
}

/// Returns which packs to merge: neighbours from the newest on, as what is newest wins. A pack with
/// marks of what was lost stays as it is, as nobody can tell what else the marks are about in a pack
/// of another form; what is newer is merged by itself.
fn due(packs: &[Named], now: Time) -> Option<Range<usize>> {
    let marked = packs.iter().position(|named| named.geometry.lost > 0);
    if let Some(marked) = marked {
        return due_by_size(&packs[..marked.min(MOST_AT_ONCE)]);
    }
    if packs.len() > MOST_AT_ONCE {
        return Some(0..MOST_AT_ONCE);
    }
    let geometry = |number: usize| -> &Geometry { &packs[number].geometry };
    let is_long_dead = |named: &Named| {
        let first = named.geometry.min_expires;
        let dead_since = first.map(|first| now.as_millis().saturating_sub(first.as_millis()));
        dead_since.is_some_and(|millis| u128::from(millis) > LONGEST_DEAD.as_millis())
    };
    if packs.iter().any(is_long_dead) {
        return Some(0..packs.len());
    }
    // A single pack can hold tombstones only where one of the past was written so.
    if packs.len() == 1 && geometry(0).tombstones > 0 {
        return Some(0..1);
    }
    due_by_size(packs)
}

fn due_by_size(packs: &[Named]) -> Option<Range<usize>> {
    let geometry = |number: usize| -> &Geometry { &packs[number].geometry };
    let (mut bytes, mut records, mut end) = (0, 0, 0);
    for number in 0..packs.len() {
        let older = geometry(number);
        let pays = bytes * RATIO >= older.size || records * RATIO >= older.records;
        if number > 0 && pays {
            end = number + 1;
        }
        bytes += older.size;
        records += older.records;
    }
    (end > 0).then_some(0..end)
}

/// Returns how much a round of folding may take: a part of what is free.
pub(in super::super) fn round_len(space: &NamespaceDir) -> usize {
    let free = available(space).map_or(usize::MAX, |free| {
        usize::try_from(free).unwrap_or(usize::MAX)
    });
    (free / 2).clamp(SHORTEST_ROUND, LONGEST_ROUND)
}

/// Returns how many bytes can still be written, as far as that is known.
fn available(space: &NamespaceDir) -> Option<u64> {
    let stat = rustix::fs::fstatvfs(space.store()).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Deadline;

    fn packs(sizes: &[u64]) -> Vec<Named> {
        let named = |&size| {
            Named::new(Geometry {
                size,
                records: size,
                ..Geometry::default()
            })
        };
        sizes.iter().map(named).collect()
    }

    #[test]
    fn packs_are_merged_when_the_newer_ones_have_grown() {
        let table: [(&[u64], Option<Range<usize>>); 8] = [
            (&[], None),
            (&[5], None),
            (&[1, 5], None),
            (&[1, 4], Some(0..2)),
            (&[1, 1, 100], Some(0..2)),
            (&[1, 30, 100], Some(0..3)),
            (&[1, 5, 100], None),
            (&[1; 300], Some(0..256)),
        ];
        for (sizes, want) in table {
            assert_eq!(due(&packs(sizes), Time(0)), want, "{sizes:?}");
        }
    }

    #[test]
    fn a_pack_with_marks_is_never_merged() {
        let mut packs = packs(&[1, 1, 1, 1, 1]);
        packs[2].geometry.lost = 1;
        packs[4].geometry.min_expires = Deadline::from_millis(1);
        assert_eq!(due(&packs, Time(u64::MAX)), Some(0..2));
        packs[1].geometry.lost = 1;
        assert_eq!(due(&packs, Time(u64::MAX)), None);
    }

    #[test]
    fn what_has_been_dead_for_long_goes() {
        let mut packs = packs(&[1, 5]);
        packs[0].geometry.min_expires = Deadline::from_millis(1);
        let week = Time(1_000_000 * (2 + LONGEST_DEAD.as_millis() as u64));
        assert_eq!(due(&packs, Time(0)), None);
        assert_eq!(due(&packs, week), Some(0..2));
    }
}
