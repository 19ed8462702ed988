//! Folding: loose entries are written to a pack, and unlinked once MANIFEST names it.
//!
//! How they are unlinked stands in [`unlink`].

use std::fs::File;
use std::io;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Key, Meta, Result, Time};

use super::super::bulk::sha1_of_name;
use super::super::codec::{Damage, Header};
use super::super::dir::{Dir, cannot};
use super::super::find::KeptPacks;
use super::super::layout::{HashedKey, SHARDS, shard_name};
use super::super::loose;
use super::super::namespace_dir::names_in;
use super::super::pack::{LONGEST_VALUE, PackWriter, Record, is_lost};
use super::candidate::{Candidate, FoldAs, OVERHEAD};
use super::{Collection, round_len, unlink};

/// What expires sooner is not worth the move.
const SHORT_TTL: Duration = Duration::from_secs(60 * 60);
/// What was written since then may be written again soon, and rests in its own file: a counter that
/// counts each minute would be packed by every gc, and stay in the packs until they are merged.
const REST: Duration = Duration::from_secs(60 * 60);
impl Collection<'_> {
    /// Folds all loose entries that are small, have rested and do not expire soon, in rounds; with
    /// `at_once` what has not rested too.
    pub(super) fn fold(&mut self, at_once: bool) -> Result<()> {
        let mut round = Vec::new();
        let mut len = 0;
        let mut packs = KeptPacks::default();
        for shard in 0..SHARDS {
            self.progress.step(u64::from(shard), u64::from(SHARDS));
            let parent = shard_name(shard);
            let below = ["objects/", &parent].concat();
            let Some(dir) = self.maintenance.space.dir_if_any(&below)? else {
                continue;
            };
            let mut most = round_len(&self.maintenance.space);
            for name in names_in(&self.maintenance.space, &below)? {
                let Some(sha1) = sha1_of_name(&parent, &name) else {
                    continue;
                };
                match self.read(&dir, (&parent, &name), sha1, at_once, &mut packs) {
                    Ok(None) => {}
                    Ok(Some(candidate)) => {
                        len += candidate.key.len() + candidate.value.len() + OVERHEAD;
                        round.push(candidate);
                        if len >= most {
                            self.fold_round(&mut round)?;
                            (len, most) = (0, round_len(&self.maintenance.space));
                        }
                    }
                    Err(err) if err.is_of_one_entry() => self.progress.damage(err),
                    Err(err) => return Err(err),
                }
            }
        }
        self.fold_round(&mut round)
    }

    /// Reads a loose entry; `None` if it is to stay where it is.
    fn read(
        &self,
        dir: &Dir,
        (shard, name): (&str, &str),
        sha1: [u8; 20],
        at_once: bool,
        packs: &mut KeptPacks,
    ) -> Result<Option<Candidate>> {
        let path = || dir.path.join(name);
        let Some(file) = dir.open_if_any(name)? else {
            return Ok(None);
        };
        let (header, key) = loose::read_header(&file, (shard, name), &path)?;
        let now = self.clock.now();
        if header.is_live(now) {
            if !folds(&header.meta, now, at_once) {
                return Ok(None);
            }
            let value = read_value(&file, &header, &key).map_err(|err| match err {
                Ok(damage) => damage.at(path()),
                Err(err) => cannot(err, "read", &path()),
            })?;
            return Ok(Some(Candidate {
                key,
                value,
                sha1,
                header,
                fold_as: FoldAs::Entry,
            }));
        }
        let key = Key::new(key).expect("a header has a sound key");
        let fold_as = match packs.find(&self.maintenance.space, &HashedKey::of(&key)) {
            Ok(Some(packed)) if !packed.tombstone => FoldAs::Tombstone,
            Ok(_) => FoldAs::Nothing,
            // The mark of what was lost is to stay hidden too.
            Err(err) if is_lost(&err) => FoldAs::Tombstone,
            Err(err) => return Err(err),
        };
        let key = key.as_bytes().to_vec();
        Ok(Some(Candidate {
            key,
            value: Vec::new(),
            sha1,
            header,
            fold_as,
        }))
    }

    /// Writes a pack of what was read, commits it, and unlinks what did not change meanwhile.
    fn fold_round(&mut self, round: &mut Vec<Candidate>) -> Result<()> {
        round.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let written = || {
            round
                .iter()
                .filter(|candidate| candidate.fold_as != FoldAs::Nothing)
        };
        if let Some(base) = written()
            .map(|candidate| candidate.header.meta.modified)
            .min()
        {
            let mut writer = PackWriter::create(&self.maintenance.space, base)?;
            for candidate in written() {
                let tombstone = candidate.fold_as == FoldAs::Tombstone;
                let mut meta = candidate.header.meta;
                if tombstone {
                    (meta.expires, meta.size) = (None, 0);
                }
                let (key, value) = (&candidate.key, &candidate.value);
                writer.add(&Record {
                    key,
                    value,
                    meta,
                    tombstone,
                })?;
            }
            let (temp, geometry) = writer.finish()?;
            let packs = self.maintenance.packs()?;
            let mut named = vec![self.maintenance.add_pack(temp, geometry)?];
            named.extend(packs.iter().flat_map(|packs| packs.named()).cloned());
            let manifest = self.maintenance.write_manifest(&named)?;
            self.maintenance.commit(manifest)?;
        }
        round.sort_unstable_by_key(|candidate| candidate.sha1);
        let unlinked = unlink::all(self.tree, &self.maintenance.space, round)?;
        self.done.folded += unlinked.folded;
        self.done.expired += unlinked.expired;
        round.clear();
        Ok(())
    }
}

/// Tells whether a live loose entry is to be folded: it is small, was written long enough ago unless
/// that is not asked, and does not expire soon.
pub(in super::super) fn folds(meta: &Meta, now: Time, at_once: bool) -> bool {
    // By a clock that was wrong it may be from the future, and rests no longer for that.
    let rested = Duration::from_nanos(now.0.abs_diff(meta.modified.0));
    let is_soon = meta
        .expires
        .is_some_and(|deadline| deadline.left(now) < SHORT_TTL);
    !is_soon && meta.size <= LONGEST_VALUE && (at_once || rested >= REST)
}

/// Reads a value and verifies it; the inner error is what is wrong with it.
fn read_value(
    file: &File,
    header: &Header,
    key: &[u8],
) -> Result<Vec<u8>, Result<Damage, io::Error>> {
    let line = super::super::percent::encode(key).len();
    let head = super::super::codec::LINE_LEN + line + 1;
    let size = usize::try_from(header.meta.size).expect("a small value");
    // One byte more than there are shows that the file ends there: where it does not come, or, if fewer came than
    // there are, where none comes.
    let most = head + size + 1;
    let mut bytes = Vec::with_capacity(most);
    loose::read_part(file, &mut bytes).map_err(Err)?;
    if bytes.len() != head + size {
        loose::read_up_to(file, &mut bytes, most).map_err(Err)?;
    }
    if bytes.len() != head + size {
        return Err(Ok(Damage::Size));
    }
    bytes.drain(..head);
    match xxh3_64(&bytes) == header.value_sum {
        true => Ok(bytes),
        false => Err(Ok(Damage::ValueSum)),
    }
}
