//! Named locks, for `kv lock` and `kv memo`.
//!
//! The lock is a flock on `named/<SHA-1 of the name>`, which ends with the process that holds it. See
//! [`holder`]. There are no tokens in these files, so that one which was removed is missed by nobody.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use crate::engine::holder;
use crate::os;
use crate::store::{
    Clock, Guard, Held, Holder, Key, LockRequest, Locks, Namespace, OrCannot as _, Result, Time,
};

use super::Tree;
use super::dir::if_any;
use super::disk;
use super::layout::HashedKey;
use super::lock::{self, Kind, Lock, Patience};
use super::namespace_dir::{NamespaceDir, names_in};
use super::tries::Tries;

/// The lock ends with the process, so that nothing has to be kept.
impl Guard for Lock {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

impl Locks for Tree {
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        let hashed = &HashedKey::of(name);
        let below = ["named/", hashed.hash()].concat();
        let begun = Instant::now();
        let mut tries = Tries::default();
        loop {
            let mut space = self.open_or_create(namespace)?;
            if !space.is_there(&below)? {
                space = self.make_lock(namespace, hashed, &below)?;
            }
            let opened = space.open(&below, lock::FLAGS).map(File::from);
            if let Some(file) = if_any(opened, &|| space.path_of(&below))? {
                if !holder::take(&file, request, begun).or_cannot("lock", &space.path_of(&below))? {
                    return Ok(None);
                }
                if space.is_at_path(&below, &file)? {
                    // A lock that cannot say who holds it is still held. The OFD lock comes
                    // last: who has one has said who it is.
                    _ = write_holder(&file, request.is_shared, clock.now());
                    _ = os::ofd_lock(&file, request.is_shared);
                    return Ok(Some(Box::new(Lock { file })));
                }
            }
            tries.again(|| space.path_of(&below))?;
        }
    }

    fn clear(&self, namespace: &Namespace, name: &Key, _held: Held) {
        // Whoever has opened it meanwhile finds that it is not at its path.
        if let Ok(Some(space)) = self.open_namespace(namespace) {
            let below = ["named/", HashedKey::of(name).hash()].concat();
            _ = disk::unlink(space.store(), &space.relative(&below));
        }
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        match self.open_namespace(namespace)? {
            Some(space) => holder_in(&space, &HashedKey::of(name)),
            None => Ok(None),
        }
    }
}

/// Tells who holds the lock of that name in a namespace that is open.
pub(super) fn holder_in(space: &NamespaceDir, name: &HashedKey<'_>) -> Result<Option<Holder>> {
    let below = ["named/", name.hash()].concat();
    match space.open_if_any(&below)? {
        Some(file) => holder::find(&file, &space.path_of(&below)),
        None => Ok(None),
    }
}

impl Tree {
    /// Makes the file of a named lock, under the lock of a shard: whoever removes the namespace has
    /// all of these before it looks which named locks there are to be taken.
    fn make_lock(
        &self,
        namespace: &Namespace,
        name: &HashedKey<'_>,
        below: &str,
    ) -> Result<NamespaceDir> {
        let shard = self.lock_new_shard(namespace, name.shard(), self.patience())?;
        let space = shard.space;
        lock::make(&space, below)?;
        Ok(space)
    }
}

/// Removes the files of the locks that nobody holds, and that this user may remove. Whoever does so has
/// the maintenance lock.
pub(super) fn sweep(space: &NamespaceDir) -> Result<()> {
    for name in names_in(space, "named")? {
        let below = ["named/", &name].concat();
        if holder::is_lock(&name)
            && let Ok(Some(_held)) = Lock::acquire(space, &below, Kind::Exclusive, Patience::none())
        {
            _ = disk::unlink(space.store(), &space.relative(&below));
        }
    }
    Ok(())
}

fn write_holder(file: &File, is_shared: bool, now: Time) -> io::Result<()> {
    let text = holder::text(is_shared, now);
    disk::write_at(file, text.as_bytes(), 0)?;
    disk::truncate(file, text.len() as u64)
}
