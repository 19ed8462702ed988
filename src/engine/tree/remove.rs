//! `remove` and `take`: unlink an entry under the shard's lock.

use std::os::fd::AsFd as _;

use crate::store::modify::Conflicts;
use crate::store::{Clock, Condition, Entry, Etag, Namespace, Result, StoreError, Time};

use super::Tree;
use super::codec::Header;
use super::disk;
use super::layout::Place;
use super::loose;
use super::space::{Dir, unusable};

/// What a removal finds, under the lock.
pub(super) enum Outcome {
    /// Once this directory is synced, for good.
    Removed(Dir),
    No,
    /// The key is not what it was when its value was looked at.
    Changed,
}

impl Tree {
    /// Removes an entry; see [`crate::store::Store::remove`].
    pub(super) fn remove_entry(
        &self,
        namespace: &Namespace,
        place: &Place<'_>,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let mut conflicts = Conflicts::default();
        loop {
            let now = clock.now();
            let seen = match condition {
                Condition::Value(wanted) => {
                    match self.find_with_value(namespace, place, wanted, now)? {
                        Some(meta) => Some(meta.etag),
                        None => return Ok(false),
                    }
                }
                Condition::Etag(etag) => Some(*etag),
                _ => None,
            };
            // What is not there needs no lock, and no lock file is made for it.
            if matches!(self.find_header(namespace, place), Ok(None)) {
                return Ok(false);
            }
            match self.unlink(namespace, place, seen, clock)? {
                Outcome::Removed(dir) => {
                    self.sync_shard(Some(dir))?;
                    return Ok(true);
                }
                Outcome::No => return Ok(false),
                Outcome::Changed if matches!(condition, Condition::Value(_)) => {}
                Outcome::Changed => return Ok(false),
            }
            conflicts.pause(self.settings.busy_timeout, place.key)?;
        }
    }

    /// Takes an entry; see [`crate::store::Store::take`].
    pub(super) fn take_entry(
        &self,
        namespace: &Namespace,
        place: &Place<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let mut conflicts = Conflicts::default();
        loop {
            let Some(loose) = self.open_loose(namespace, place, loose::WHOLE_LEN)? else {
                return Ok(None);
            };
            if !loose.header.is_live(clock.now()) {
                return Ok(None);
            }
            // The file stays open, and so readable, when its name is gone.
            let entry = loose.into_verified_entry()?;
            match self.unlink(namespace, place, Some(entry.meta.etag), clock)? {
                Outcome::Removed(dir) => {
                    self.sync_shard(Some(dir))?;
                    return Ok(Some(entry));
                }
                Outcome::No => return Ok(None),
                Outcome::Changed => conflicts.pause(self.settings.busy_timeout, place.key)?,
            }
        }
    }

    /// Unlinks a live entry, if it is still the one that was `seen`.
    pub(super) fn unlink(
        &self,
        namespace: &Namespace,
        place: &Place<'_>,
        seen: Option<Etag>,
        clock: &dyn Clock,
    ) -> Result<Outcome> {
        let Some(shard) = self.lock_shard(namespace, place.shard())? else {
            return Ok(Outcome::No);
        };
        let Some(dir) = shard.dir()? else {
            return Ok(Outcome::No);
        };
        let path = dir.path.join(place.name());
        let present = loose::open(dir.fd.as_fd(), place.name(), path.clone(), place, 0);
        match judge(present.map(|l| l.map(|l| l.header)), seen, clock.now())? {
            Judgement::Remove => {
                disk::unlink(dir.fd.as_fd(), place.name())
                    .map_err(|err| unusable(err, "remove", &path))?;
                Ok(Outcome::Removed(dir))
            }
            Judgement::No => Ok(Outcome::No),
            Judgement::Changed => Ok(Outcome::Changed),
        }
    }
}

enum Judgement {
    Remove,
    No,
    Changed,
}

fn judge(present: Result<Option<Header>>, seen: Option<Etag>, now: Time) -> Result<Judgement> {
    let header = match present {
        // Nobody can say what a damaged entry held, but it can go.
        Err(StoreError::Damaged { .. }) if seen.is_none() => return Ok(Judgement::Remove),
        present => present?,
    };
    Ok(match header {
        Some(header) if header.is_live(now) => match seen {
            Some(etag) if etag != header.meta.etag => Judgement::Changed,
            _ => Judgement::Remove,
        },
        _ => Judgement::No,
    })
}
