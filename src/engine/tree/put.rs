//! `put`: publishes a draft under the shard's lock.

use std::cell::Cell;

use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Condition, Deadline, Entry, Etag, Expiry, Namespace, Put, Result, Source, StoreError,
    Time,
};

use super::Tree;
use super::draft::{Draft, Times};
use super::find::{Present, find_in};
use super::layout::HashedKey;
use super::loose;
use super::namespace_dir::NamespaceDir;
use super::publish::{Looks, Verdict};

/// What a look at the key found before its lock was taken.
#[derive(Clone, Copy, Debug)]
struct Seen {
    etag: Option<Etag>,
    expires: Option<Deadline>,
}

impl Tree {
    /// Stores an entry; see [`crate::store::Entries::put`].
    pub(super) fn put_entry(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        let Put {
            value,
            expiry,
            modified,
            condition,
            mut was_there,
        } = put;
        let asks = was_there.is_some();
        let mut draft: Option<Draft> = None;
        let mut conflicts = Conflicts::default();
        loop {
            let mut seen = None;
            let mut space = self.kept_unproved(namespace, clock.now());
            if condition != Condition::Always || expiry == Expiry::Keep {
                space = self.open_namespace(namespace)?;
                seen = Some(look(space.as_ref(), hashed, &condition, clock.now())?);
                // The answer "no" needs no draft and no lock.
                if !condition_allows(&condition, seen) {
                    return Ok(None);
                }
            }
            let kept = seen.and_then(|seen| seen.expires);
            let mut ready = match draft.take() {
                None => {
                    let times = Times {
                        expiry,
                        kept,
                        modified,
                    };
                    self.write_draft(namespace, space, hashed, value, times, clock)?
                }
                Some(mut draft) => {
                    if expiry == Expiry::Keep {
                        draft.set_expiry(hashed, kept)?;
                    }
                    draft
                }
            };
            if self.syncs() {
                ready.sync()?;
            }
            let is_there = Cell::new(false);
            let judge = |present: Result<Option<Present>>| {
                if asks {
                    is_there.set(match &present {
                        Ok(None) => false,
                        Ok(Some(present)) => present.is_live(clock.now()),
                        Err(_) => true,
                    });
                }
                judge(&condition, expiry, seen, present, clock.now())
            };
            // An element that is written by its key is a part of its list, wherever it comes.
            let list = self.note_element(namespace, hashed)?;
            // What a pack holds is nothing to a put that takes place in any case, unless somebody asks.
            let looks = if seen.is_some() || asks {
                Looks::Everywhere
            } else {
                Looks::Owner
            };
            let published = self.publish(namespace, hashed, &mut ready, looks, judge, clock);
            drop(list);
            let (verdict, dir) = published?;
            match verdict {
                Verdict::Publish => {
                    self.sync_shard(dir)?;
                    if let Some(was_there) = &mut was_there {
                        **was_there = is_there.get();
                    }
                    let meta = ready.meta();
                    if meta.expires.is_some() {
                        self.sweep_some(namespace, clock.now());
                    }
                    return Ok(Some(meta.etag));
                }
                Verdict::Refuse => return Ok(None),
                Verdict::LookAgain => draft = Some(ready),
            }
            conflicts.pause(self.settings.busy_timeout, hashed.key)?;
        }
    }
}

/// Judges a put from what the key holds now, under the shard's lock.
fn judge(
    condition: &Condition,
    expiry: Expiry,
    seen: Option<Seen>,
    present: Result<Option<Present>>,
    now: Time,
) -> Result<Verdict> {
    let present = match present {
        // A damaged entry is no reason to refuse its replacement, unless it has a say in it.
        Err(StoreError::Damaged { .. }) if seen.is_none() => return Ok(Verdict::Publish),
        present => present?
            .filter(|present| present.is_live(now))
            .map(|present| present.meta()),
    };
    let Some(seen) = seen else {
        return Ok(Verdict::Publish);
    };
    let now_there = Seen {
        etag: present.map(|meta| meta.etag),
        expires: present.and_then(|meta| meta.expires),
    };
    Ok(match condition {
        Condition::Value(_) if now_there.etag != seen.etag => Verdict::LookAgain,
        Condition::Value(_) => Verdict::Publish,
        _ if !condition_allows(condition, Some(now_there)) => Verdict::Refuse,
        _ if expiry == Expiry::Keep && now_there.expires != seen.expires => Verdict::LookAgain,
        _ => Verdict::Publish,
    })
}

/// Tells whether a condition holds of what was seen. A value was compared when it was looked at.
fn condition_allows(condition: &Condition, seen: Option<Seen>) -> bool {
    let etag = seen.and_then(|seen| seen.etag);
    match condition {
        Condition::Always => true,
        Condition::Absent => etag.is_none(),
        Condition::Exists | Condition::Value(_) => etag.is_some(),
        Condition::Etag(wanted) => etag == Some(*wanted),
    }
}

/// Looks at what a key holds, and at its value if the condition is about that.
fn look(
    space: Option<&NamespaceDir>,
    hashed: &HashedKey<'_>,
    condition: &Condition,
    now: Time,
) -> Result<Seen> {
    let with_value = match condition {
        Condition::Value(_) => loose::WHOLE_LEN,
        _ => 0,
    };
    let found = space.map(|space| find_in(space, hashed, with_value));
    let found = found.transpose()?.flatten();
    let mut meta = None;
    if let Some(present) = found.filter(|present| present.is_live(now)) {
        meta = Some(present.meta());
        if let Condition::Value(wanted) = condition
            && !has_value(present.into_entry()?, wanted)?
        {
            meta = None;
        }
    }
    Ok(Seen {
        etag: meta.map(|meta| meta.etag),
        expires: meta.and_then(|meta| meta.expires),
    })
}

/// Tells whether an entry has exactly this value.
pub(super) fn has_value(mut entry: Entry, wanted: &[u8]) -> Result<bool> {
    if entry.meta.size != wanted.len() as u64 {
        return Ok(false);
    }
    let mut part = vec![0; wanted.len().clamp(1, 64 * 1024)];
    let mut rest = wanted;
    loop {
        match entry.value.read(&mut part)? {
            0 => return Ok(rest.is_empty()),
            n => match rest.strip_prefix(&part[..n]) {
                Some(behind) => rest = behind,
                None => return Ok(false),
            },
        }
    }
}
