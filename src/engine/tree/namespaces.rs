//! Listing and removing whole namespaces.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::store::{Namespace, OrCannot as _, Result, StoreError};

use super::Tree;
use super::dir::cannot;
use super::disk;
use super::layout::{GC_LOCK, LIST_LOCK, SHARDS, random, shard_name};
use super::lock::{Kind, Lock, Patience};
use super::namespace_dir::{NamespaceDir, names_in};
use super::tries::Tries;

/// Names that a killed process left in a store are litter when they are older than this.
const LITTER_AGE: Duration = Duration::from_secs(60);
/// Who makes a namespace looks for litter at so many names, so that this costs the same however many
/// namespaces there are. Collections of garbage look at all names.
pub(super) const LOOKED_AT: usize = 256;

/// What ext4 and others make at the root of a disk, for root alone.
const LOST_AND_FOUND: &str = "lost+found";

impl Tree {
    /// Names the namespaces; see [`crate::store::Entries::namespaces`].
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        if self.open_store()?.is_none() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).or_cannot("read", &self.root)? {
            let entry = entry.or_cannot("read", &self.root)?;
            // A link to a namespace is none, which whoever uses it is told: it is not passed over.
            if entry.file_type().is_ok_and(|kind| !kind.is_file())
                && let Ok(name) = Namespace::try_from(entry.file_name())
                && self.is_namespace(&name)?
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Tells whether a directory is a namespace. One that has lost its `format` is a damaged one:
    /// whoever uses all namespaces must be told, and not pass it over, and so it is of one that this user
    /// may not look into, but for what file systems make themselves.
    fn is_namespace(&self, name: &Namespace) -> Result<bool> {
        let path = self.root.join(name.as_str());
        let is_ours = name.as_str() != LOST_AND_FOUND;
        let has = |name: &str| match path.join(name).symlink_metadata() {
            Ok(_) => Ok(true),
            Err(err) => match err.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
                io::ErrorKind::PermissionDenied => Ok(is_ours),
                _ => Err(err).or_cannot("look at", &path.join(name)),
            },
        };
        Ok(has("format")? || (has("objects")? && has("locks")? && has("tmp")?))
    }

    /// Removes a namespace; see [`crate::store::Entries::remove_namespace`].
    ///
    /// All its locks are held while it gets another name: whoever waits for one finds then that it
    /// is no longer at its path.
    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let patience = self.patience();
        let mut tries = Tries::default();
        // One that somebody else had, and was waited for.
        let mut last = None;
        loop {
            let Some(space) = self.open_namespace(namespace)? else {
                return Ok(false);
            };
            let locks = match lock_all(&space, patience, last.take())? {
                Locked::All(locks) => locks,
                Locked::NotAll(lock) => {
                    last = lock;
                    tries.again(|| space.path())?;
                    continue;
                }
            };
            let gone = format!(".gone-{:016x}", random());
            match disk::rename(space.store(), namespace.as_str(), space.store(), &gone) {
                // A directory of a lower layer (overlayfs) stays where it is.
                Err(err) if err.kind() == io::ErrorKind::CrossesDevices => {
                    remove_in_place(&space).map_err(|err| cannot(err, "remove", &space.path()))?;
                    disk::sync(space.store()).map_err(|err| cannot(err, "sync", &self.root))?;
                    return Ok(true);
                }
                done => done.map_err(|err| cannot(err, "remove", &space.path()))?,
            }
            disk::sync(space.store()).map_err(|err| cannot(err, "sync", &self.root))?;
            drop(locks);
            let gone = self.root.join(gone);
            remove_gone(&gone)?;
            return Ok(true);
        }
    }
}

/// What came of locking all of a namespace.
enum Locked {
    All(Vec<Lock>),
    /// Somebody had this one, and none of the others is held any more; or a file of one is no longer at its path.
    NotAll(Option<(String, Lock)>),
}

/// Takes all locks of a namespace: gc's, which may be held for long, those that programs have taken by name, its
/// own, and what was named meanwhile, as a file of one is made only by whoever has the lock of a shard.
///
/// Who has one by name may be about to write, so nothing else is held while it is waited for. The one that was
/// waited for `last` is kept.
fn lock_all(
    space: &NamespaceDir,
    patience: Patience,
    last: Option<(String, Lock)>,
) -> Result<Locked> {
    let mut locks = BTreeMap::new();
    if let Some((below, lock)) = last
        && space.is_at_path(&below, &lock.file)?
    {
        locks.insert(below, lock);
    }
    let gc = |_: &NamespaceDir| Ok(vec![GC_LOCK.to_owned()]);
    for names in [gc, named_locks, own_locks, named_locks] {
        for below in names(space)? {
            if locks.contains_key(&below) {
                continue;
            }
            let take = |patience| Lock::acquire(space, &below, Kind::Exclusive, patience);
            let taken = match below.starts_with(NAMED) {
                true => match take(Patience::none()) {
                    Err(StoreError::Busy { .. }) => {
                        locks.clear();
                        return Ok(Locked::NotAll(take(patience)?.map(|lock| (below, lock))));
                    }
                    taken => taken?,
                },
                false => take(patience)?,
            };
            match taken {
                Some(lock) => _ = locks.insert(below, lock),
                None => return Ok(Locked::NotAll(None)),
            }
        }
    }
    Ok(Locked::All(locks.into_values().collect()))
}

/// Names the locks of a namespace in the order in which they are taken: gc, the list, the shards
/// ascending.
fn own_locks(_: &NamespaceDir) -> Result<Vec<String>> {
    let mut below = vec![GC_LOCK.to_owned(), LIST_LOCK.to_owned()];
    below.extend((0..SHARDS).map(|shard| ["locks/", &shard_name(shard)].concat()));
    Ok(below)
}

/// Where the locks are that programs take by name.
const NAMED: &str = "named/";

/// Names the locks that programs have taken by name, who would otherwise lose them unnoticed.
fn named_locks(space: &NamespaceDir) -> Result<Vec<String>> {
    let names = names_in(space, "named")?;
    Ok(names.iter().map(|name| [NAMED, name].concat()).collect())
}

/// Deletes a namespace that cannot lose its name, all of whose locks are held. Until nothing else is
/// left it is one, so that a removal that was killed can be begun again.
fn remove_in_place(space: &NamespaceDir) -> io::Result<()> {
    let path = space.path();
    // Who reads a MANIFEST finds the packs that it names.
    match disk::unlink(space.store(), &space.relative("packs/MANIFEST")) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let last = ["format", "locks", "objects", "tmp"];
    let mut dirs = vec![path.clone()];
    dirs.extend(["objects", "tmp"].map(|name| path.join(name)));
    for subdir in dirs {
        for entry in fs::read_dir(subdir).into_iter().flatten() {
            let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            let is_last = last.iter().any(|name| entry == path.join(name));
            match (is_last, kind.is_dir()) {
                (true, _) => {}
                (false, true) => disk::remove_tree(&entry)?,
                (false, false) => {
                    let below = entry.strip_prefix(space.store_path()).unwrap_or(&entry);
                    disk::unlink(space.store(), &below.to_string_lossy())?;
                }
            }
        }
    }
    disk::unlink(space.store(), &space.relative("format"))?;
    disk::remove_tree(&path)
}

/// Deletes a namespace that has lost its name.
fn remove_gone(path: &Path) -> Result<()> {
    let mut tries = Tries::default();
    loop {
        match disk::remove_tree(path) {
            // Another process sweeps here too, or a writer that had opened `tmp/` puts a draft there:
            // one each, as it looks up the name anew for the next.
            Err(err)
                if matches!(
                    err.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
                ) =>
            {
                if path.symlink_metadata().is_err() {
                    return Ok(());
                }
                tries.again(|| path.to_owned())?;
            }
            done => return done.map_err(|err| cannot(err, "remove", path)),
        }
    }
}

/// Deletes what killed processes left in a store: namespaces on their way in or out. The age of the
/// former is told by the file system, against something that was written just now. Looks at no more than
/// `most` names, and returns how many were deleted.
pub(super) fn sweep_litter(store: &Path, just_written: &Path, most: usize) -> u64 {
    let modified = |path: &Path| {
        path.symlink_metadata()
            .and_then(|meta| meta.modified())
            .ok()
    };
    let now = modified(just_written);
    let mut swept = 0;
    let entries = fs::read_dir(store).into_iter().flatten();
    for entry in entries.take(most).flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        let age = || now?.duration_since(modified(&entry.path())?).ok();
        let is_litter = name.starts_with(".gone-")
            || (name.starts_with(".new-") && age().is_some_and(|age| age > LITTER_AGE));
        if is_litter {
            // Another process may be at the same work.
            swept += u64::from(disk::remove_tree(&store.join(name)).is_ok());
        }
    }
    swept
}
