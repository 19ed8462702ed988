//! Named locks, for `kv lock` and `kv memo`.
//!
//! The lock is a flock on `named/<SHA-1 of the name>`, which is never removed, and which ends with
//! the process that holds it. What it tells people stands in [`holder`].

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::OFlags;

use crate::engine::holder;
use crate::os;
use crate::store::{
    Clock, Guard, Held, Holder, Key, LockRequest, Locks, Namespace, Result, StoreError, Time,
};

use super::Tree;
use super::disk;
use super::layout::Place;
use super::lock::{self, Lock};
use super::space::{Space, unusable};
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
        let place = &Place::of(name);
        let below = ["named/", place.hash()].concat();
        let (kind, patience) = holder::asked_for(request);
        let mut tries = Tries::default();
        loop {
            let mut space = self.open_or_create_space(namespace)?;
            if !space.is_there(&below)? {
                space = self.make_lock(namespace, place, &below)?;
            }
            let lock = match Lock::acquire_made(&space, &below, kind, patience) {
                Err(StoreError::Busy { .. }) => return Ok(None),
                done => done?,
            };
            if let Some(lock) = lock {
                // A lock that cannot say who holds it is still held. The mark comes last: who is
                // marked has said who it is.
                _ = write_holder(&lock.file, request.is_shared, clock.now());
                _ = os::mark(&lock.file, request.is_shared);
                return Ok(Some(Box::new(lock)));
            }
            tries.again(|| space.path_of(&below))?;
        }
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let place = &Place::of(name);
        let Some(space) = self.open_space(namespace)? else {
            return Ok(None);
        };
        let below = ["named/", place.hash()].concat();
        let path = space.path_of(&below);
        let file = match space.open(&below, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => File::from(file),
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(unusable(err, "open", &path)),
        };
        holder::find(&file, &path)
    }
}

impl Tree {
    /// Makes the file of a named lock, under the lock of a shard: whoever removes the namespace has
    /// all of these before it looks which named locks there are to be taken.
    fn make_lock(&self, namespace: &Namespace, name: &Place<'_>, below: &str) -> Result<Space> {
        let shard = self.lock_new_shard(namespace, name.shard())?;
        let space = shard.space;
        lock::make(&space, below)?;
        Ok(space)
    }
}

fn write_holder(file: &File, is_shared: bool, now: Time) -> io::Result<()> {
    let text = holder::text(is_shared, now);
    disk::write_at(file, text.as_bytes(), 0)?;
    disk::truncate(file, text.len() as u64)
}
