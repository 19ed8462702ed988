//! `import`: a bulk put.

use std::fs::File;
use std::io;

use crate::engine::runs::{Run, Scratch, Sorter};
use crate::store::{
    Clock, Etag, Feed, Imported, Incoming, Merge, Meta, Namespace, Result, Stopped, StoreError,
    Time, bulk, lists,
};

use super::super::Tree;
use super::super::codec::Header;
use super::super::dir::cannot;
use super::super::find::has_file;
use super::super::hash::sha1_of;
use super::super::layout::random;
use super::super::maintenance::Maintenance;
use super::super::namespace_dir::NamespaceDir;
use super::super::pack::{self, LONGEST_VALUE, Named, PackWriter, Record};
use super::super::temp::Temp;
use super::super::tries::Tries;
use super::before::{Before, PackedBefore};
use super::commit::{Commit, Drafts, Loose, Touched};

/// Bytes held in memory before they are sorted and written.
const RUN_LEN: usize = 64 * 1024 * 1024;

/// What is imported, in order.
type Entries = pack::Merge<Run<Temp>>;

impl Scratch for Temp {
    fn file(&self) -> &File {
        &self.file
    }

    fn cannot(&self, action: &'static str, err: io::Error) -> StoreError {
        cannot(err, action, &self.path())
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.write(bytes)
    }
}

impl Tree {
    /// Stores many entries; see [`crate::store::Bulk::import`].
    pub(in super::super) fn import_entries(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        let mut sorter = Sorter::new(RUN_LEN.min(feed.memory()), || {
            let mut tries = Tries::default();
            loop {
                let space = self.open_or_create(namespace)?;
                if let Some(temp) = Temp::create(&space)? {
                    return Ok(temp);
                }
                tries.again(|| space.path_of("tmp"))?;
            }
        });
        loop {
            match feed.next() {
                Ok(Some(entry)) => sorter.push(&entry)?,
                Ok(None) => break,
                Err(Stopped) => return Ok(None),
            }
        }
        let (count, first, waits) = (sorter.count, sorter.first, feed.waits());
        let mut entries = sorter.finish()?;
        if count > bulk::MANY as u64 || merge == Merge::Replace {
            let maintenance = self.lock_for_many(namespace, true, waits)?;
            let maintenance = maintenance.expect("it is made where there is none");
            return self
                .import_sorted(namespace, maintenance, &mut entries, first, merge, clock)
                .map(Some);
        }
        let mut done = Imported::default();
        while let Some(run) = entries.advance()? {
            let entry = entries.source_mut(run).entry()?;
            if bulk::import_one(self, namespace, &entry, merge, clock)? {
                done.stored += 1;
            } else {
                done.left += 1;
            }
        }
        Ok(Some(done))
    }

    fn import_sorted(
        &self,
        namespace: &Namespace,
        mut maintenance: Maintenance,
        entries: &mut Entries,
        first: Option<Time>,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Imported> {
        let packs = maintenance.packs()?;
        let now = clock.now();
        let mut plan = Plan {
            merge,
            now,
            before: match merge {
                Merge::Overwrite | Merge::Replace => None,
                Merge::IfAbsent | Merge::Newer => {
                    Some(PackedBefore::open(&maintenance.space, packs.as_ref())?)
                }
            },
            touched: Touched::default(),
            drafts: Drafts::new(&maintenance.space)?,
            has_elements: false,
            done: Imported::default(),
        };
        let base = first.map_or(now, |first| first.min(now));
        let packed = plan.write(&maintenance, entries, base, clock)?;
        let new = match packed {
            Some((temp, geometry)) => Some(maintenance.add_pack(temp, geometry)?),
            None => None,
        };
        let older = match (&packs, merge) {
            (None, _) | (_, Merge::Replace) => &[],
            (Some(packs), _) => packs.named(),
        };
        let changes = new.is_some() || merge == Merge::Replace;
        let named: Vec<Named> = new.iter().chain(older).cloned().collect();
        let named = changes.then_some(&named[..]);
        let done = plan.mark_durable(self, namespace, &mut maintenance, new.as_ref(), named)?;
        if merge == Merge::Replace
            && let Some(packs) = &packs
        {
            // What was replaced is of no use to anybody who comes now.
            maintenance.delete_packs(packs.named());
        }
        Ok(done)
    }
}

/// An import on its way.
struct Plan {
    merge: Merge,
    now: Time,
    before: Option<PackedBefore>,
    touched: Touched,
    drafts: Drafts,
    /// Some of the keys are those of a list's elements.
    has_elements: bool,
    done: Imported,
}

impl Plan {
    /// Writes the entries that are to be stored; `None` if there are none that a pack can hold.
    fn write(
        &mut self,
        maintenance: &Maintenance,
        entries: &mut Entries,
        base: Time,
        clock: &dyn Clock,
    ) -> Result<Option<(Temp, pack::Geometry)>> {
        let mut writer: Option<PackWriter<'_>> = None;
        let mut etags = Etags(random());
        while let Some(run) = entries.advance()? {
            let entry = entries.source_mut(run).entry()?;
            let modified = entry.modified.unwrap_or(self.now);
            if self.keeps_packed(&maintenance.space, &entry, modified)? {
                self.done.left += 1;
                continue;
            }
            self.done.stored += 1;
            self.has_elements |= lists::is_element(entry.key);
            if entry.value.len() as u64 > LONGEST_VALUE {
                let sha1 = self
                    .drafts
                    .add(&maintenance.space, &entry, modified, clock)?;
                self.touched.add(sha1);
                continue;
            }
            let writer = PackWriter::begun(&mut writer, &maintenance.space, base)?;
            let meta = Meta {
                etag: etags.next(),
                modified,
                expires: entry.expires,
                size: entry.value.len() as u64,
            };
            let record = Record {
                key: entry.key,
                value: entry.value,
                meta,
                tombstone: false,
            };
            self.touched.add(writer.add(&record)?);
        }
        writer.map(PackWriter::finish).transpose()
    }

    /// Tells whether the key's packed entry is to stay. One that a file hides has no say: that file
    /// is judged later, and cannot go before, as whoever removes a packed key leaves a tombstone.
    fn keeps_packed(
        &mut self,
        space: &NamespaceDir,
        entry: &Incoming<'_>,
        modified: Time,
    ) -> Result<bool> {
        let Some(before) = &mut self.before else {
            return Ok(false);
        };
        let record = match before.find(entry.key)? {
            Before::Nothing => return Ok(false),
            Before::Record(record) => record,
            // What it said nobody knows, and it is not absent.
            Before::Lost => return Ok(true),
        };
        let is_live = record.is_live(self.now);
        let stays = self.merge == Merge::IfAbsent || record.meta.modified >= modified;
        Ok(is_live && stays && !has_file(space, &sha1_of(entry.key))?)
    }

    /// Commits what was written.
    fn mark_durable(
        self,
        tree: &Tree,
        namespace: &Namespace,
        maintenance: &mut Maintenance,
        new: Option<&Named>,
        named: Option<&[Named]>,
    ) -> Result<Imported> {
        let Self {
            merge,
            now,
            mut touched,
            drafts,
            mut has_elements,
            mut done,
            ..
        } = self;
        let pack = new.map(|new| maintenance.open_pack(new)).transpose()?;
        if merge == Merge::Replace {
            touched = Touched::all();
            has_elements = true;
        }
        let mut judge = |loose: Loose<'_>| -> Result<bool> {
            if merge == Merge::Replace {
                return Ok(true);
            }
            // What is imported under this hash, if it is: its key, and when it was written.
            let mut found: Option<(Vec<u8>, Time)> = None;
            if let Some(pack) = &pack {
                found = pack.find_sha1(loose.sha1, |record| {
                    (record.key.to_vec(), record.meta.modified)
                })?;
            }
            let Some((key, modified)) = found.or_else(|| drafts.find(loose.sha1)) else {
                return Ok(false);
            };
            let header = match loose.header {
                Ok((_, ref other)) if *other != key => return loose.collides(),
                Ok((header, _)) => Some(header),
                Err(StoreError::Damaged { .. }) => None,
                Err(err) => return Err(err),
            };
            let keeps = match (merge, header) {
                (Merge::Overwrite | Merge::Replace, _) => false,
                // What it says nobody knows, and it is not absent.
                (_, None) => true,
                (Merge::IfAbsent, Some(header)) => header.is_live(now),
                (Merge::Newer, Some(header)) => is_newer(&header, modified, now),
            };
            if keeps {
                done.stored -= 1;
                done.left += 1;
            }
            Ok(!keeps)
        };
        let commit = Commit {
            tree,
            namespace,
            touched,
            has_elements,
        };
        commit.carry_out(maintenance, named, &mut judge, &drafts)?;
        Ok(done)
    }
}

fn is_newer(header: &Header, modified: Time, now: Time) -> bool {
    header.is_live(now) && header.meta.modified >= modified
}

/// Etags from one random number: SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014), which repeats none before it has given out all. Asking the system
/// for each would take longer than all else.
pub(super) struct Etags(pub(super) u64);

impl Etags {
    pub(super) fn next(&mut self) -> Etag {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Etag(z ^ (z >> 31))
    }
}
