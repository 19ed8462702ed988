//! `remove` and `take`: unlink an entry under the shard's lock.

use std::os::fd::AsFd as _;

use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Condition, Entries as _, Entry, Etag, Namespace, Result, StoreError, Time,
};

use super::Tree;
use super::dir::{Dir, unusable};
use super::disk;
use super::draft::Draft;
use super::find::{Present, find_packed};
use super::layout::HashedKey;
use super::lock;
use super::loose;
use super::put::has_value;
use super::tries::Tries;

/// What a removal finds, under the lock.
pub(super) enum Outcome {
    /// Once this directory is synced, for good.
    Removed(Dir),
    No,
    /// The key is not what it was when its value was looked at.
    Changed,
}

impl Tree {
    /// Removes an entry; see [`crate::store::Entries::remove`].
    pub(super) fn remove_entry(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let mut conflicts = Conflicts::default();
        loop {
            let now = clock.now();
            let seen = match condition {
                Condition::Value(wanted) => match self.get(namespace, hashed.key, now)? {
                    Some(entry) => {
                        let etag = entry.meta.etag;
                        if !has_value(entry, wanted)? {
                            return Ok(false);
                        }
                        Some(etag)
                    }
                    None => return Ok(false),
                },
                Condition::Etag(etag) => Some(*etag),
                _ => None,
            };
            // What is not there needs no lock, and no lock file is made for it.
            if matches!(self.find_present(namespace, hashed, 0), Ok(None)) {
                return Ok(false);
            }
            match self.unlink(namespace, hashed, seen, clock)? {
                Outcome::Removed(dir) => {
                    self.sync_shard(Some(dir))?;
                    return Ok(true);
                }
                Outcome::No => return Ok(false),
                Outcome::Changed if matches!(condition, Condition::Value(_)) => {}
                Outcome::Changed => return Ok(false),
            }
            conflicts.pause(self.settings.busy_timeout, hashed.key)?;
        }
    }

    /// Takes an entry; see [`crate::store::Entries::take`].
    pub(super) fn take_entry(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let mut conflicts = Conflicts::default();
        loop {
            let found = self.find_present(namespace, hashed, loose::WHOLE_LEN)?;
            let Some(present) = found.filter(|present| present.is_live(clock.now())) else {
                return Ok(None);
            };
            // The file stays open, and so readable, when its name is gone.
            let entry = present.into_verified_entry()?;
            match self.unlink(namespace, hashed, Some(entry.meta.etag), clock)? {
                Outcome::Removed(dir) => return Ok(Some(self.sync_taken(dir, entry))),
                Outcome::No => return Ok(None),
                Outcome::Changed => conflicts.pause(self.settings.busy_timeout, hashed.key)?,
            }
        }
    }

    /// Waits until an entry that was taken is gone for good. If that fails its caller gets it all the
    /// same, as nobody else would, and the error behind it.
    pub(super) fn sync_taken(&self, dir: Dir, entry: Entry) -> Entry {
        match self.sync_shard(Some(dir)) {
            Ok(()) => entry,
            Err(err) => entry.ending_in(err),
        }
    }

    /// Removes a live entry, if it is still the one that was `seen`.
    ///
    /// Its file is unlinked where no pack can bring an older value back. Otherwise a tombstone takes
    /// its place: where a pack holds anything but a tombstone of the key, expired or not, as a clock
    /// may step back, and where gc is at work, which may be folding this very entry, or died when what it
    /// says of the packs was not durable.
    pub(super) fn unlink(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        seen: Option<Etag>,
        clock: &dyn Clock,
    ) -> Result<Outcome> {
        let mut tombstone: Option<Draft> = None;
        let mut tries = Tries::default();
        loop {
            let (_turn, patience) = self.turn_at(namespace, hashed.shard());
            let Some(shard) = self.lock_shard_within(namespace, hashed.shard(), patience)? else {
                return Ok(Outcome::No);
            };
            let space = &shard.space;
            let dir = shard.dir()?;
            let loose = dir.as_ref().map(|dir| loose::open_in(dir, hashed));
            let loose = loose.unwrap_or(Ok(None));
            // Before MANIFEST is read: gc commits after it has waited for this lock once.
            let gc_is_at_work = lock::is_in_maintenance(space)?;
            let packed = find_packed(space, hashed);
            let may_come_back = match &packed {
                Ok(packed) => packed.as_ref().is_some_and(|packed| !packed.tombstone),
                // Nobody can say what a damaged pack holds of the key.
                Err(_) => true,
            };
            let present = match loose {
                Ok(None) => packed.map(|packed| packed.map(Present::Packed)),
                loose => loose.map(|loose| loose.map(Present::Loose)),
            };
            if let Some(outcome) = judge(present, seen, clock.now())? {
                return Ok(outcome);
            }
            if !may_come_back && !gc_is_at_work {
                let dir = dir.expect("what no pack holds has a file");
                disk::unlink(dir.fd.as_fd(), hashed.name())
                    .map_err(|err| unusable(err, "remove", &dir.path.join(hashed.name())))?;
                return Ok(Outcome::Removed(dir));
            }
            if let Some(mut ready) = tombstone.take() {
                let dir = shard.make_dir(self.syncs())?;
                if ready.publish(&dir, hashed.name())? {
                    return Ok(Outcome::Removed(dir));
                }
            }
            // Nothing is written under the lock.
            drop(shard);
            let Some(space) = self.open_namespace(namespace)? else {
                return Ok(Outcome::No);
            };
            tombstone = Draft::tombstone(&space, hashed, clock)?;
            if let Some(draft) = &tombstone {
                // Whatever --sync says: gc would make the loss of what it hides last.
                draft.sync()?;
            }
            tries.again(|| space.path_of("tmp"))?;
        }
    }
}

/// Returns why an entry is not to be removed; `None` if it is.
fn judge(
    present: Result<Option<Present>>,
    seen: Option<Etag>,
    now: Time,
) -> Result<Option<Outcome>> {
    let present = match present {
        // Nobody can say what a damaged entry held, but it can go.
        Err(StoreError::Damaged { .. }) if seen.is_none() => return Ok(None),
        present => present?.filter(|present| present.is_live(now)),
    };
    let Some(present) = present else {
        return Ok(Some(Outcome::No));
    };
    let is_another = seen.is_some_and(|etag| etag != present.meta().etag);
    Ok(is_another.then_some(Outcome::Changed))
}
