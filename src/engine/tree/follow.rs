//! Waiting for changes of all entries of a namespace.
//!
//! The directories that are shards are watched, and `packs/`: a name that changes in a shard is the hash of one
//! key, so that this key alone is looked at. A new MANIFEST may concern any key. It is in place before what
//! it supersedes is unlinked, and the kernel tells both in their order: a file that is gone has been folded only
//! where everything is looked at anyway. Where that was a tombstone, it may have hidden its key in that look: of
//! whom nothing is known when a file goes, everything is looked at once more.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::os::{self, Happened};
use crate::store::watch::{Changed, Poll};
use crate::store::{Key, Namespace, OrCannot as _, Result, Watcher};

use super::Tree;
use super::hash::sha1_of;
use super::layout::NAME_LEN;
use super::loose;

/// From so many names on all is looked at.
const MANY: usize = 4096;

/// What the names in a watched directory mean.
#[derive(Debug)]
enum Role {
    /// This one leads to the namespace, or to what is in it.
    Above(Vec<OsString>),
    Objects,
    Shard(String),
    Packs,
}

/// A watch on a namespace.
#[derive(Debug)]
pub(super) struct SpaceWatcher {
    tree: Tree,
    namespace: Namespace,
    space: PathBuf,
    /// The directory that is the store, once there is one.
    root: Option<(u64, u64)>,
    watch: os::Watch,
    dirs: HashMap<i32, Role>,
    pauses: Poll,
    sees: bool,
    /// What has happened since somebody asked: to these hashes, in hexadecimal, or to anything.
    hashes: BTreeSet<String>,
    is_all: bool,
}

impl SpaceWatcher {
    pub(super) fn new(tree: &Tree, namespace: &Namespace) -> Result<Self> {
        let root = std::path::absolute(&tree.root).or_cannot("find", &tree.root)?;
        let mut watcher = Self {
            space: root.join(namespace.as_str()),
            tree: Tree::new(root, tree.settings),
            root: None,
            namespace: namespace.clone(),
            watch: os::Watch::new(),
            dirs: HashMap::new(),
            pauses: Poll::default(),
            sees: false,
            hashes: BTreeSet::new(),
            is_all: true,
        };
        watcher.begin();
        Ok(watcher)
    }

    /// Watches the directories there are, from above: what comes into one later is told.
    fn begin(&mut self) {
        self.dirs.clear();
        self.root = self.root.or_else(|| self.identity());
        for dir in self.watch.add_above(&self.space) {
            self.dirs.insert(dir, Role::Above(Vec::new()));
        }
        let space = self.space.clone();
        let above: Vec<_> = space.ancestors().collect();
        let nearest = || above.iter().position(|dir| dir.is_dir());
        let mut watched = above.len();
        // A nearer one may have come before the one above it was watched.
        while let Some(now) = nearest().filter(|now| *now < watched) {
            watched = now;
            for at in [now + 1, now] {
                let names = match above
                    .get(at.wrapping_sub(1))
                    .and_then(|dir| dir.file_name())
                {
                    Some(name) if at > 0 => vec![name.to_owned()],
                    _ => vec!["objects".into(), "packs".into()],
                };
                if let Some(dir) = above.get(at) {
                    self.add(dir, Role::Above(names));
                }
            }
        }
        self.add(&space.join("packs"), Role::Packs);
        let objects = space.join("objects");
        self.add(&objects, Role::Objects);
        for shard in names_in(&objects, 2) {
            self.add(&objects.join(&shard), Role::Shard(shard));
        }
        self.sees = self.watch.sees(above[watched.min(above.len() - 1)]);
        self.is_all = true;
    }

    fn identity(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::stat(&self.tree.root).ok();
        stat.map(|stat| os::identity(&stat))
    }

    fn add(&mut self, dir: &Path, role: Role) {
        if let Some(added) = self.watch.add(dir) {
            self.dirs.insert(added, role);
        }
    }

    /// Reads the key of an entry that has a file of its own.
    fn key_of(&self, hash: &str) -> Option<Key> {
        let space = self.tree.open_unchecked(&self.namespace).ok()??;
        let (shard, name) = hash.split_at(2);
        let below = ["objects/", shard, "/", name].concat();
        let file = space.open_if_any(&below).ok()??;
        let path = || space.path_of(&below);
        let (_, key) = loose::read_header(&file, (shard, name), &path).ok()?;
        Key::new(key).ok()
    }
}

impl Watcher for SpaceWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        // Where not all changes are told, it looks again and again.
        let most = (!self.sees).then(|| self.pauses.pause());
        let mut moved = false;
        let mut shards = Vec::new();
        let (dirs, hashes, is_all) = (&self.dirs, &mut self.hashes, &mut self.is_all);
        let mut note = |happened: Happened<'_>| {
            let name = std::str::from_utf8(happened.name).unwrap_or_default();
            match dirs.get(&happened.dir) {
                Some(Role::Shard(shard)) if name.len() == NAME_LEN && !*is_all => {
                    hashes.insert([shard, name].concat());
                }
                Some(Role::Packs) if name == "MANIFEST" => *is_all = true,
                Some(Role::Objects) if name.len() == 2 => shards.push(name.to_owned()),
                Some(Role::Above(names)) => {
                    let leads = |leads: &OsString| leads.as_bytes() == happened.name;
                    moved |= happened.name.is_empty() || names.iter().any(leads);
                }
                Some(Role::Objects | Role::Packs) => moved |= name.is_empty(),
                Some(Role::Shard(_)) => {}
                // Some of what happened was dropped.
                None => moved |= happened.dir < 0,
            }
        };
        let waited = self.watch.wait_for(until, most, &mut note);
        waited.or_cannot("watch", &self.space)?;
        if moved {
            self.begin();
        }
        for shard in shards {
            let dir = self.space.join("objects").join(&shard);
            self.add(&dir, Role::Shard(shard.clone()));
            let here = names_in(&dir, NAME_LEN).into_iter();
            self.hashes
                .extend(here.map(|name| [&*shard, &name].concat()));
        }
        self.is_all |= !self.sees || self.hashes.len() > MANY;
        Ok(())
    }

    fn changed(&mut self) -> Result<Changed> {
        let hashes = std::mem::take(&mut self.hashes);
        if std::mem::take(&mut self.is_all) {
            return Ok(Changed::All);
        }
        let place = |hash: String| {
            let sha1 = hex::decode(&hash).ok()?;
            Some((sha1, self.key_of(&hash)))
        };
        Ok(Changed::At(hashes.into_iter().filter_map(place).collect()))
    }

    fn is_there(&mut self) -> Result<()> {
        // A namespace that is removed leaves the store where it is; a disk that is unmounted does not.
        if self.root.is_some() && self.identity() != self.root {
            let gone = io::Error::new(io::ErrorKind::NotFound, "it is gone from its place");
            return Err(gone).or_cannot("follow", &self.tree.root);
        }
        Ok(())
    }

    fn may_uncover(&self) -> bool {
        // A tombstone hides what a new pack has of its key until it is unlinked, behind the new MANIFEST.
        self.space.join("packs").join("MANIFEST").exists()
    }

    fn place(&self, key: &[u8]) -> Vec<u8> {
        sha1_of(key).to_vec()
    }
}

/// Returns the names of this length in a directory; where it cannot be read, none: whoever looks finds out why.
fn names_in(dir: &Path, len: usize) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.len() == len).collect()
}
