//! Listing and removing whole namespaces.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::store::{Namespace, OrCannot as _, Result};

use super::Tree;
use super::create::random;
use super::disk;
use super::layout::{SHARDS, shard_name};
use super::list::LIST_LOCK;
use super::lock::{GC_LOCK, Kind, Lock};
use super::space::{Space, cannot};
use super::tries::Tries;

/// Names that a killed process left in a store are litter when they are older than this.
const LITTER_AGE: Duration = Duration::from_secs(60);

impl Tree {
    /// Names the namespaces; see [`crate::store::Store::namespaces`].
    pub(super) fn list_namespaces(&self) -> Result<Vec<Namespace>> {
        if self.open_store()?.is_none() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).or_cannot("read", &self.root)? {
            let entry = entry.or_cannot("read", &self.root)?;
            // What else lies in the directory is not ours: lost+found, or a link, say.
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
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
    /// whoever uses all namespaces must be told, and not pass it over. One that this user may not
    /// look into is somebody else's: lost+found, say.
    fn is_namespace(&self, name: &Namespace) -> Result<bool> {
        let path = self.root.join(name.as_str());
        let has = |name: &str| match path.join(name).symlink_metadata() {
            Ok(_) => Ok(true),
            Err(err) => match err.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied => Ok(false),
                _ => Err(err).or_cannot("look at", &path.join(name)),
            },
        };
        Ok(has("format")? || (has("objects")? && has("locks")? && has("tmp")?))
    }

    /// Removes a namespace; see [`crate::store::Store::remove_namespace`].
    ///
    /// All its locks are held while it gets another name: whoever waits for one finds then that it
    /// is no longer at its path.
    pub(super) fn drop_namespace(&self, namespace: &Namespace) -> Result<bool> {
        let patience = self.patience();
        let mut tries = Tries::default();
        'again: loop {
            let Some(space) = self.open_space(namespace)? else {
                return Ok(false);
            };
            let mut locks = Vec::with_capacity(usize::from(SHARDS) + 2);
            for below in locks_of(&space) {
                match Lock::acquire(&space, &below, Kind::Exclusive, patience)? {
                    Some(lock) => locks.push(lock),
                    None => {
                        tries.again(|| space.path_of(&below))?;
                        continue 'again;
                    }
                }
            }
            let gone = format!(".gone-{:016x}", random());
            disk::rename(space.store(), namespace.as_str(), space.store(), &gone)
                .map_err(|err| cannot(err, "remove", &space.path()))?;
            disk::sync(space.store()).map_err(|err| cannot(err, "sync", &self.root))?;
            drop(locks);
            let gone = self.root.join(gone);
            remove_gone(&gone)?;
            return Ok(true);
        }
    }
}

/// Names all locks of a namespace in the order in which they are taken: gc, the list, the shards
/// ascending, and those that programs have taken by name, who would otherwise lose them unnoticed.
fn locks_of(space: &Space) -> Vec<String> {
    let mut below = vec![GC_LOCK.to_owned(), LIST_LOCK.to_owned()];
    below.extend((0..SHARDS).map(|shard| ["locks/", &shard_name(shard)].concat()));
    let named = fs::read_dir(space.path_of("named"))
        .into_iter()
        .flatten()
        .flatten();
    let named = named.filter_map(|entry| entry.file_name().into_string().ok());
    below.extend(named.map(|name| ["named/", &name].concat()));
    below
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
/// former is told by the file system, against a directory that was made just now.
pub(super) fn sweep_litter(store: &Path, just_made: &str) {
    let modified = |path: &Path| {
        path.symlink_metadata()
            .and_then(|meta| meta.modified())
            .ok()
    };
    let now = modified(&store.join(just_made));
    for entry in fs::read_dir(store).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            continue;
        };
        let age = || now?.duration_since(modified(&entry.path())?).ok();
        let is_litter = name.starts_with(".gone-")
            || (name.starts_with(".new-") && age().is_some_and(|age| age > LITTER_AGE));
        if is_litter {
            // Another process may be at the same work.
            _ = disk::remove_tree(&store.join(name));
        }
    }
}
