//! The moment at which a bulk change takes effect: what loose entries it supersedes is judged, and
//! MANIFEST is committed, while nobody else can change them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;

use crate::store::{
    Clock, Expiry, Incoming, Key, Namespace, OrCannot as _, Result, StoreError, Time,
};

use super::super::Tree;
use super::super::codec::Header;
use super::super::dir::{Dir, cannot, gone, is_there};
use super::super::disk;
use super::super::draft::{Draft, Times};
use super::super::expiry;
use super::super::layout::{HashedKey, NAME_LEN, SHARDS, digits_of, shard_name};
use super::super::lock::{Kind, Lock};
use super::super::loose::read_header;
use super::super::maintenance::Maintenance;
use super::super::namespace_dir::{NamespaceDir, names_in};
use super::super::pack::Named;
use super::super::shard::make_shard_dir;

/// Up to so many keys are looked for one by one; beyond that, the directories are read.
pub(super) const FEW: usize = 16 * 1024;

/// Which shards are touched, and as long as they are few, which names.
#[derive(Debug)]
pub(in super::super) enum Touched {
    Few(Vec<[u8; 20]>),
    Shards(Box<[bool; SHARDS as usize]>),
}

impl Default for Touched {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Touched {
    /// Every name in every shard.
    pub(in super::super) fn all() -> Self {
        Self::Shards(Box::new([true; SHARDS as usize]))
    }

    /// Adds the SHA-1 of a key.
    pub(in super::super) fn add(&mut self, sha1: [u8; 20]) {
        match self {
            Self::Few(few) if few.len() < FEW => few.push(sha1),
            Self::Few(few) => {
                let mut shards = Box::new([false; SHARDS as usize]);
                for sha1 in few.iter().chain([&sha1]) {
                    shards[usize::from(sha1[0])] = true;
                }
                *self = Self::Shards(shards);
            }
            Self::Shards(shards) => shards[usize::from(sha1[0])] = true,
        }
    }

    fn shards(&self) -> Vec<u16> {
        let mut all: Vec<u16> = match self {
            Self::Few(few) => few.iter().map(|sha1| u16::from(sha1[0])).collect(),
            Self::Shards(shards) => (0..SHARDS).filter(|&n| shards[usize::from(n)]).collect(),
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns the names in a shard that may be there.
    fn names(&self, space: &NamespaceDir, shard: u16) -> Result<Vec<[u8; 20]>> {
        Ok(match self {
            Self::Few(few) => few
                .iter()
                .filter(|sha1| u16::from(sha1[0]) == shard)
                .copied()
                .collect(),
            Self::Shards(_) => {
                let parent = shard_name(shard);
                let below = ["objects/", &parent].concat();
                // A name that is passed over would hide what is stored now.
                let names = names_in(space, &below)?;
                names
                    .iter()
                    .filter_map(|name| sha1_of_name(&parent, name))
                    .collect()
            }
        })
    }
}

/// Unlinks the entries of one shard, which is locked.
fn unlink_all(space: &NamespaceDir, sha1s: &[[u8; 20]]) -> Result<()> {
    let dir = space.dir(&["objects/", &shard_name(u16::from(sha1s[0][0]))].concat())?;
    for sha1 in sha1s {
        let digits = digits_of(sha1);
        let name = str::from_utf8(&digits[2..]).expect("digits are UTF-8");
        dir.remove(name)?;
    }
    Ok(())
}

/// Reads the SHA-1 off the name of a shard and that of a file in it.
pub(in super::super) fn sha1_of_name(shard: &str, name: &str) -> Option<[u8; 20]> {
    let mut sha1 = [0; 20];
    let digits = [shard, name].concat();
    let is_name = name.len() == NAME_LEN && !digits.bytes().any(|b| b.is_ascii_uppercase());
    (is_name && hex::decode_to_slice(digits, &mut sha1).is_ok()).then_some(sha1)
}

/// A loose entry to be judged.
pub(in super::super) struct Loose<'a> {
    pub(in super::super) sha1: &'a [u8; 20],
    /// What it says, and its key.
    pub(in super::super) header: Result<(Header, Vec<u8>)>,
    path: std::path::PathBuf,
}

impl Loose<'_> {
    /// Refuses to go on, as this is the entry of another key.
    pub(in super::super) fn collides<T>(&self) -> Result<T> {
        Err(StoreError::OtherKey {
            path: self.path.clone(),
        })
    }
}

/// Tells whether a loose entry is to be unlinked, under the lock of its shard.
pub(in super::super) type Judge<'a> = &'a mut dyn FnMut(Loose<'_>) -> Result<bool>;

/// A bulk change whose pack is written.
pub(in super::super) struct Commit<'a> {
    pub(in super::super) tree: &'a Tree,
    pub(in super::super) namespace: &'a Namespace,
    pub(in super::super) touched: Touched,
    /// Elements of a list come or go.
    pub(in super::super) has_elements: bool,
}

impl Commit<'_> {
    /// Lets MANIFEST name these packs, unlinks what `judge` says, and gives drafts their names.
    /// Without packs MANIFEST stays as it is.
    pub(in super::super) fn carry_out(
        &self,
        maintenance: &mut Maintenance,
        named: Option<&[Named]>,
        judge: Judge<'_>,
        drafts: &Drafts,
    ) -> Result<()> {
        let manifest = named
            .map(|named| maintenance.write_manifest(named))
            .transpose()?;
        let list = match self.has_elements {
            true => self.tree.forget_range(self.namespace)?,
            false => None,
        };
        let shards = self.touched.shards();
        let patience = self.tree.patience();
        let mut locks = Vec::with_capacity(shards.len());
        for &shard in &shards {
            let below = ["locks/", &shard_name(shard)].concat();
            let lock = Lock::acquire(&maintenance.space, &below, Kind::Exclusive, patience)?;
            let gone = || gone("lock", &maintenance.space.path_of(&below));
            locks.push(lock.ok_or_else(gone)?);
        }

        let mut superseded = Vec::new();
        for &shard in &shards {
            self.judge_shard(&maintenance.space, shard, judge, &mut superseded)?;
        }
        // Before MANIFEST is another: what it replaces may be all that a draft's key has.
        for (&shard, lock) in shards.iter().zip(&locks) {
            self.publish_drafts(&maintenance.space, (shard, &lock.file), drafts, &superseded)?;
        }
        if let Some(manifest) = manifest {
            maintenance.commit(manifest)?;
        }
        superseded.retain(|sha1| drafts.find(sha1).is_none());
        for sha1s in superseded.chunk_by(|a, b| a[0] == b[0]) {
            unlink_all(&maintenance.space, sha1s)?;
        }
        drop(locks);
        drop(list);
        // All that are touched: what somebody unlinked there before, and did not sync, must not come
        // back and hide what is acknowledged now.
        for shard in shards {
            let below = ["objects/", &shard_name(shard)].concat();
            if let Some(dir) = maintenance.space.dir_if_any(&below)? {
                dir.sync()?;
            }
        }
        Ok(())
    }

    fn publish_drafts(
        &self,
        space: &NamespaceDir,
        (shard, lock): (u16, &File),
        drafts: &Drafts,
        superseded: &[[u8; 20]],
    ) -> Result<()> {
        if drafts.of_shard(shard).next().is_none() {
            return Ok(());
        }
        let dir = make_shard_dir(space, lock, &shard_name(shard), true)?;
        for (sha1, draft) in drafts.of_shard(shard) {
            drafts.publish(sha1, draft, &dir, superseded)?;
        }
        dir.sync()
    }

    fn judge_shard(
        &self,
        space: &NamespaceDir,
        shard: u16,
        judge: Judge<'_>,
        superseded: &mut Vec<[u8; 20]>,
    ) -> Result<()> {
        let parent = shard_name(shard);
        let Some(dir) = space.dir_if_any(&["objects/", &parent].concat())? else {
            return Ok(());
        };
        let start = superseded.len();
        for sha1 in self.touched.names(space, shard)? {
            let digits = digits_of(&sha1);
            let name = str::from_utf8(&digits[2..]).expect("digits are UTF-8");
            let path = || dir.path.join(name);
            let Some(opened) = dir.open_if_any(name).transpose() else {
                continue;
            };
            let header = opened.and_then(|file| read_header(&file, (&parent, name), &path));
            let loose = Loose {
                sha1: &sha1,
                header,
                path: path(),
            };
            if judge(loose)? {
                superseded.push(sha1);
            }
        }
        superseded[start..].sort_unstable();
        Ok(())
    }
}

/// Entries too large for a pack: synced, and without a name. They are not open, as there may be more
/// of them than a process can have open files; under the maintenance lock nobody sweeps them.
#[derive(Debug)]
pub(in super::super) struct Drafts {
    tmp: Dir,
    /// By the SHA-1 of their keys.
    all: BTreeMap<[u8; 20], Parked>,
}

#[derive(Debug)]
struct Parked {
    key: Vec<u8>,
    modified: Time,
    /// The name in `tmp/`.
    name: String,
}

impl Drafts {
    pub(in super::super) fn new(space: &NamespaceDir) -> Result<Self> {
        Ok(Self {
            tmp: space.kept_subdir("tmp")?,
            all: BTreeMap::new(),
        })
    }

    /// Drafts an entry, and returns the SHA-1 of its key.
    pub(super) fn add(
        &mut self,
        space: &NamespaceDir,
        entry: &Incoming<'_>,
        modified: Time,
        clock: &dyn Clock,
    ) -> Result<[u8; 20]> {
        let key = Key::new(entry.key.to_vec()).expect("a feed yields keys");
        let hashed = HashedKey::of(&key);
        let times = Times {
            expiry: entry.expires.map_or(Expiry::Never, Expiry::At),
            kept: None,
            modified: Some(modified),
        };
        let draft = Draft::write(space, &hashed, &mut { entry.value }, times, clock)?;
        let draft = draft.ok_or_else(|| gone("write to", &self.tmp.path))?;
        draft.sync()?;
        if let Some(deadline) = entry.expires {
            expiry::hint(space, &hashed, deadline, clock.now());
        }
        let parked = Parked {
            key: entry.key.to_vec(),
            modified,
            name: draft.park(),
        };
        self.all.insert(*hashed.sha1(), parked);
        Ok(*hashed.sha1())
    }

    /// Finds the draft of the key with this SHA-1: its key, and when it was written.
    pub(super) fn find(&self, sha1: &[u8; 20]) -> Option<(Vec<u8>, Time)> {
        let draft = self.all.get(sha1)?;
        Some((draft.key.clone(), draft.modified))
    }

    fn of_shard(&self, shard: u16) -> impl Iterator<Item = (&[u8; 20], &Parked)> {
        self.all
            .iter()
            .filter(move |(sha1, _)| u16::from(sha1[0]) == shard)
    }

    /// Gives a draft its name, unless what has it is to stay.
    fn publish(
        &self,
        sha1: &[u8; 20],
        draft: &Parked,
        dir: &Dir,
        superseded: &[[u8; 20]],
    ) -> Result<()> {
        let digits = digits_of(sha1);
        let name = str::from_utf8(&digits[2..]).expect("digits are UTF-8");
        let is_superseded = superseded.binary_search(sha1).is_ok();
        if !is_superseded && is_there(dir.fd.as_fd(), name).or_cannot("look at", &dir.path)? {
            return Ok(());
        }
        disk::rename(self.tmp.fd.as_fd(), &draft.name, dir.fd.as_fd(), name)
            .map_err(|err| cannot(err, "write", &dir.path.join(name)))
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        for draft in self.all.values() {
            // One that has a name of its own is not here any more.
            _ = disk::unlink(self.tmp.fd.as_fd(), &draft.name);
        }
    }
}
