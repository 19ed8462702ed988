//! Removes many keys by one pack of tombstones, or by writing anew what is left.

use std::cell::LazyCell;
use std::collections::HashMap;

use crate::store::{Clock, Etag, Key, Meta, Namespace, Result, StoreError, Time, bulk, lists};

use super::super::Tree;
use super::super::hash::sha1_of;
use super::super::layout::random;
use super::super::maintenance::Maintenance;
use super::super::pack::{Geometry, PackWriter, Packs, Record};
use super::super::repack::Repack;
use super::super::temp::Temp;
use super::before::{Before, PackedBefore};
use super::commit::{Commit, Drafts, FEW, Loose, Touched};
use super::import::Etags;

/// A key that is to be removed.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Removal<'a> {
    pub(in super::super) key: &'a [u8],
    /// It is removed only if it still holds the entry of this etag.
    pub(in super::super) etag: Option<Etag>,
}

/// What is known of a key that is to be removed.
struct Fate<'a> {
    removal: Removal<'a>,
    /// A record of it, expired or not, would come to light without its loose entry.
    is_packed: bool,
    /// It is there, and goes.
    goes: bool,
}

impl Tree {
    /// Removes many keys; see [`crate::store::Bulk::remove_all`].
    pub(in super::super) fn remove_keys(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        if keys.len() <= bulk::MANY {
            return bulk::remove_all(self, namespace, keys, clock, failed);
        }
        let Some(mut maintenance) = self.lock_for_many(namespace, false, true)? else {
            return Ok(0);
        };
        let mut removals: Vec<_> = keys
            .iter()
            .map(|key| Removal {
                key: key.as_bytes(),
                etag: None,
            })
            .collect();
        removals.sort_unstable_by_key(|removal| removal.key);
        removals.dedup_by_key(|removal| removal.key);
        self.remove_sorted(namespace, &mut maintenance, &removals, clock.now(), failed)
    }

    /// Removes keys, which come in order and once each, and returns how many there were.
    pub(in super::super) fn remove_sorted(
        &self,
        namespace: &Namespace,
        maintenance: &mut Maintenance,
        removals: &[Removal<'_>],
        now: Time,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        let packs = maintenance.packs()?;
        let (mut fates, misses_some) = judge_packed(maintenance, packs.as_ref(), removals, now)?;
        let packed = fates.iter().filter(|fate| fate.is_packed).count() as u64;
        let mut named = packs
            .as_ref()
            .map(|packs| packs.named().to_vec())
            .unwrap_or_default();
        let mut is_rewritten = false;
        let records: u64 = named.iter().map(|named| named.geometry.records).sum();
        if packed > 0 {
            let packs = packs.as_ref().expect("there are records");
            // What takes less: to write what goes, or what stays. The former grows the disk, but what
            // cannot be read is not written anew, nor are marks of what was lost.
            let rest = match packed {
                _ if misses_some || packed < records / 2 => None,
                // Of each key there is one record at least: where as many go, none is left.
                _ if packed == records => Some(None),
                _ => match write_rest(maintenance, packs, &fates, now) {
                    Err(StoreError::Damaged { .. }) => None,
                    written => Some(written?),
                },
            };
            is_rewritten = rest.is_some();
            let written = match rest {
                Some(written) => {
                    named.clear();
                    written
                }
                None => write_tombstones(maintenance, &fates, now)?,
            };
            if let Some((temp, geometry)) = written {
                named.insert(0, maintenance.add_pack(temp, geometry)?);
            }
        }
        let touched = match removals.len() {
            ..=FEW => removals
                .iter()
                .fold(Touched::default(), |mut touched, removal| {
                    touched.add(sha1_of(removal.key));
                    touched
                }),
            // Of so many, there is one in every shard.
            _ => Touched::all(),
        };
        let has_elements = removals
            .iter()
            .any(|removal| lists::is_element(removal.key));
        // Made for the first loose entry only: there may be none.
        let places = LazyCell::new(|| -> HashMap<[u8; 20], usize> {
            let hashes = removals.iter().map(|removal| sha1_of(removal.key));
            hashes.zip(0..).collect()
        });
        let mut judge = |loose: Loose<'_>| -> Result<bool> {
            let Some(&number) = places.get(loose.sha1) else {
                return Ok(false);
            };
            judge_loose(&mut fates[number], loose, now, failed)
        };
        let drafts = Drafts::new(&maintenance.space)?;
        let changes = (packed > 0).then_some(&named[..]);
        Commit {
            tree: self,
            namespace,
            touched,
            has_elements,
        }
        .carry_out(maintenance, changes, &mut judge, &drafts)?;
        // What was replaced is of no use to anybody who comes now.
        if let Some(packs) = &packs
            && is_rewritten
        {
            maintenance.delete_packs(packs.named());
        }
        Ok(fates.iter().filter(|fate| fate.goes).count() as u64)
    }
}

/// Judges what packs hold of keys, and tells whether anything of that cannot be read.
fn judge_packed<'a>(
    maintenance: &Maintenance,
    packs: Option<&Packs>,
    removals: &[Removal<'a>],
    now: Time,
) -> Result<(Vec<Fate<'a>>, bool)> {
    let mut before = PackedBefore::open(&maintenance.space, packs)?;
    let mut fates = Vec::with_capacity(removals.len());
    for &removal in removals {
        let record = match before.find(removal.key)? {
            Before::Nothing => None,
            Before::Record(record) => Some(record),
            // Nobody can say what it held, but it can go, unless it had to be a certain one.
            Before::Lost => {
                fates.push(Fate {
                    removal,
                    is_packed: true,
                    goes: removal.etag.is_none(),
                });
                continue;
            }
        };
        let is_wanted =
            |record: &Record<'_>| removal.etag.is_none_or(|etag| etag == record.meta.etag);
        fates.push(Fate {
            removal,
            is_packed: record.is_some_and(|record| !record.tombstone),
            goes: record.is_some_and(|record| record.is_live(now) && is_wanted(&record)),
        });
    }
    Ok((fates, before.misses_some()))
}

/// Tells whether the loose entry of a key, which hides what packs hold of it, is to be unlinked.
fn judge_loose(
    fate: &mut Fate<'_>,
    loose: Loose<'_>,
    now: Time,
    failed: &mut dyn FnMut(StoreError),
) -> Result<bool> {
    let header = match loose.header {
        Ok((_, ref key)) if *key != fate.removal.key => return loose.collides(),
        Ok((header, _)) => header,
        Err(err) if !matches!(err, StoreError::Damaged { .. }) => {
            fate.goes = false;
            failed(err);
            return Ok(false);
        }
        // Nobody can say what it held, but it can go, unless it had to be a certain one.
        Err(_) => {
            fate.goes = fate.removal.etag.is_none();
            return Ok(fate.goes);
        }
    };
    let is_wanted = fate
        .removal
        .etag
        .is_none_or(|etag| etag == header.meta.etag);
    fate.goes = is_wanted && header.is_live(now);
    // One that is dead hides nothing any more.
    Ok(is_wanted)
}

fn write_tombstones(
    maintenance: &Maintenance,
    fates: &[Fate<'_>],
    now: Time,
) -> Result<Option<(Temp, Geometry)>> {
    let mut etags = Etags(random());
    let mut writer = PackWriter::create(&maintenance.space, now)?;
    for fate in fates.iter().filter(|fate| fate.is_packed) {
        let meta = Meta {
            etag: etags.next(),
            modified: now,
            expires: None,
            size: 0,
        };
        let record = Record {
            key: fate.removal.key,
            value: b"",
            meta,
            tombstone: true,
        };
        writer.add(&record)?;
    }
    writer.finish().map(Some)
}

/// Writes all packs anew without the keys that go.
fn write_rest(
    maintenance: &Maintenance,
    packs: &Packs,
    fates: &[Fate<'_>],
    now: Time,
) -> Result<Option<(Temp, Geometry)>> {
    let mut rest = fates;
    let mut leaves_out = |record: &Record<'_>| {
        while let [first, behind @ ..] = rest
            && first.removal.key < record.key
        {
            rest = behind;
        }
        Ok(rest
            .first()
            .is_some_and(|first| first.removal.key == record.key))
    };
    let range = 0..packs.named().len();
    Repack { packs, range, now }.write(&maintenance.space, &mut leaves_out)
}
