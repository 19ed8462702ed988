//! `push`, `pop` and what claims an element: a list is a namespace whose keys are numbers.
//!
//! A hashed tree has no order to find the oldest key by, so all elements are in a [`range`]
//! that is known to be wide enough, and looked for in it: "empty" and "the next number" are what the
//! directory says. Whoever adds an element, and whoever takes one, holds `locks/list`.

use std::ops::Range;

use crate::store::lists::{key_of, next_key, number_of};
use crate::store::{
    Claim, Clock, End, Entry, Expiry, Lists, LockRequest, Locks as _, Namespace, Result, Selection,
    Source, StoreError, Time,
};

use super::Tree;
use super::draft::Times;
use super::find::find_in;
use super::layout::HashedKey;
use super::loose;
use super::named::holder_in;
use super::publish::{Looks, Verdict};
use super::range::{self, BLOCK, List, Pushed, WIDEST};
use super::remove::Outcome;
use super::seek::seek;

/// More numbers than this are not looked up one after another: elements that were put by their keys
/// can be further apart than anybody could walk.
const LONGEST_WALK: u64 = 256;

impl Lists for Tree {
    fn push(&self, namespace: &Namespace, value: &mut dyn Source, clock: &dyn Clock) -> Result<()> {
        let space = self.open_or_create(namespace)?;
        // The number is a guess, so that nothing is written or synced under the lock if it holds.
        let guess = range::guess(&space);
        let times = Times {
            expiry: Expiry::Never,
            kept: None,
            modified: None,
        };
        let mut written_for = guess;
        let key = key_of(guess);
        let hashed = HashedKey::of(&key);
        let mut draft = self.write_draft(namespace, Some(space), &hashed, value, times, clock)?;
        if self.syncs() {
            draft.sync()?;
        }
        let mut list = self
            .lock_list(namespace, true)?
            .expect("it is made where there is none");
        let mut number = self.next_number(namespace, &mut list)?;
        loop {
            let key = next_key(namespace, number)?;
            let hashed = HashedKey::of(&key);
            if number != written_for {
                draft.set_key(&hashed)?;
                if self.syncs() {
                    draft.sync()?;
                }
                written_for = number;
            }
            list.cover(number, self.row().clamp(BLOCK, WIDEST))?;
            list.ring(number + 1)?;
            let judge = |present: Result<Option<_>>| match present {
                Ok(None) => Ok(Verdict::Publish),
                // Whatever is in the way, dead or damaged, stays where it is.
                Ok(Some(_)) => Ok(Verdict::Refuse),
                Err(err @ StoreError::Io { .. }) => Err(err),
                Err(_) => Ok(Verdict::Refuse),
            };
            let (verdict, dir) =
                self.publish(namespace, &hashed, &mut draft, Looks::Loose, judge, clock)?;
            if matches!(verdict, Verdict::Publish) {
                list.keep(namespace, &self.pushed, number + 1);
                drop(list);
                return self.sync_shard(dir);
            }
            number += 1;
        }
    }

    fn pop(&self, namespace: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Entry>> {
        let popped = self.visit_elements(namespace, end, &mut |list, hashed, left| {
            // Who claims one holds the lock of the list, too.
            if holder_in(&list.space, hashed)?.is_some() {
                return Ok(Visit::Held);
            }
            let found = find_in(&list.space, hashed, loose::WHOLE_LEN)?;
            let Some(present) = found.filter(|present| present.is_live(clock.now())) else {
                return Ok(Visit::Gone);
            };
            let entry = present.into_verified_entry()?;
            if let Some(left) = left {
                give_up(list, left, end)?;
            }
            Ok(
                match self.unlink(namespace, hashed, Some(entry.meta.etag), clock)? {
                    Outcome::Removed(dir) => Visit::Done((dir, entry)),
                    Outcome::No => Visit::Gone,
                    // Somebody has put another value under this number: that is the element now.
                    Outcome::Changed => Visit::Again,
                },
            )
        })?;
        Ok(popped.map(|(dir, entry)| self.sync_taken(dir, entry)))
    }

    fn claim(&self, namespace: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Claim>> {
        self.visit_elements(namespace, end, &mut |list, hashed, left| {
            let key = hashed.key;
            let Some(held) = self.lock(namespace, key, LockRequest::AT_ONCE, clock)? else {
                return Ok(Visit::Held);
            };
            // Whoever had the lock before may have removed it.
            let found = find_in(&list.space, hashed, loose::WHOLE_LEN)?;
            let Some(present) = found.filter(|present| present.is_live(clock.now())) else {
                self.clear(namespace, key, held);
                return Ok(Visit::Gone);
            };
            let entry = present.into_entry()?;
            if let Some(left) = left {
                give_up(list, left, end)?;
            }
            Ok(Visit::Done(Claim {
                key: key.clone(),
                entry,
                held,
            }))
        })
    }
}

/// What has become of an element that was visited.
enum Visit<T> {
    Done(T),
    /// It is worked on, and stays where it is.
    Held,
    /// There is no such thing any more, or it is dead.
    Gone,
    Again,
}

/// Visits an element, given the numbers from it on if there are none before it.
type Visitor<'v, T> =
    &'v mut dyn FnMut(&mut List, &HashedKey<'_>, Option<&Range<u64>>) -> Result<Visit<T>>;

impl Tree {
    /// Visits the elements of a list from one end, under its lock, until that is done with one.
    fn visit_elements<T>(
        &self,
        namespace: &Namespace,
        end: End,
        visit: Visitor<'_, T>,
    ) -> Result<Option<T>> {
        let Some(mut list) = self.lock_list(namespace, false)? else {
            return Ok(None);
        };
        let range = self.range_of(namespace, &mut list)?;
        let (mut left, mut missing, mut is_held) = (range.clone(), 0, false);
        while !left.is_empty() {
            let near = near(&left, end);
            let Some(number) = seek(&list.space, &near, end)? else {
                missing += near.end - near.start;
                left = behind(&left, end, near.end - near.start);
                if missing >= LONGEST_WALK {
                    missing = 0;
                    left = match count(self, namespace, left.clone())? {
                        Some(found) => found,
                        None => left.end..left.end,
                    };
                }
                continue;
            };
            missing = 0;
            let passed = match end {
                End::First => number - left.start + 1,
                End::Last => left.end - number,
            };
            let key = key_of(number);
            let with_it = behind(&left, end, passed - 1);
            let before = (!is_held).then_some(&with_it);
            match visit(&mut list, &HashedKey::of(&key), before)? {
                Visit::Done(done) => return Ok(Some(done)),
                Visit::Again => continue,
                Visit::Held => is_held = true,
                Visit::Gone => {}
            }
            left = behind(&left, end, passed);
        }
        if !is_held {
            let last = range.end.saturating_sub(BLOCK).max(range.start);
            let rest = match end {
                End::First => last..range.end,
                End::Last => range.start..range.start,
            };
            give_up(&mut list, &rest, end)?;
        }
        Ok(None)
    }

    /// Locks the list that a key belongs to by its form, and widens its range to the key. To be
    /// held until the key's entry is in its place.
    pub(super) fn note_element(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
    ) -> Result<Option<List>> {
        let Some(number) = number_of(hashed.key.as_bytes()) else {
            return Ok(None);
        };
        let Some(mut list) = self.lock_list(namespace, true)? else {
            return Ok(None);
        };
        // Where there is no range, the elements are counted by whoever pushes or pops first.
        list.cover(number, BLOCK)?;
        let next = list.guess().unwrap_or(1).max(number + 1);
        list.ring(next)?;
        Ok(Some(list))
    }

    /// Returns the range of a list, and makes one where there is none to be believed.
    fn range_of(&self, namespace: &Namespace, list: &mut List) -> Result<Range<u64>> {
        if let Some(range) = &list.range {
            return Ok(range.clone());
        }
        let found = count(self, namespace, 0..u64::MAX)?.unwrap_or(1..1);
        let range = found.start..found.end.saturating_add(BLOCK);
        list.make(range.clone())?;
        Ok(range)
    }

    /// Finds the number of the next element: there is none from it on.
    fn next_number(&self, namespace: &Namespace, list: &mut List) -> Result<u64> {
        let mut range = self.range_of(namespace, list)?;
        if let Some(next) = list.goes_on(&self.pushed) {
            return Ok(next);
        }
        if range.end == u64::MAX {
            // Somebody put an element by one of the largest keys: whether it is still there says a count.
            list.forget()?;
            range = self.range_of(namespace, list)?;
        }
        // Numbers that were used are not used again, as long as somebody knows.
        let guess = list
            .guess()
            .filter(|&guess| guess <= range.end && guess < u64::MAX)
            .unwrap_or(0);
        // From the guess on there are more than usual where many are pushed, or who did it was killed.
        let from = guess
            .min(range.end.saturating_sub(BLOCK))
            .max(range.end.saturating_sub(WIDEST + BLOCK))
            .max(range.start);
        let next = match seek(&list.space, &(from..range.end), End::Last) {
            Ok(Some(last)) => last + 1,
            Ok(None) => from,
            // Nobody can say what is in a damaged pack; but it is in the range.
            Err(StoreError::Damaged { .. }) => range.end,
            Err(err) => return Err(err),
        };
        Ok(next.max(guess))
    }

    /// Returns how many elements this process has pushed in a row.
    fn row(&self) -> u64 {
        self.pushed.lock().as_ref().map_or(0, |pushed| pushed.row)
    }

    /// Takes back what the range was made wider for many elements that do not come any more. Should
    /// this process die before, whoever pushes next looks through it.
    fn trim(&self) -> Result<()> {
        let many = |pushed: &&Pushed| pushed.row > BLOCK;
        let list = self
            .pushed
            .lock()
            .as_ref()
            .filter(many)
            .map(|pushed| pushed.list.clone());
        let Some(list) = list else {
            return Ok(());
        };
        if let Some(mut list) = self.lock_list(&list, false)?
            && let Some(next) = list.goes_on(&self.pushed)
        {
            list.trim(next.saturating_add(BLOCK))?;
        }
        Ok(())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Nothing depends on it.
        _ = self.trim();
    }
}

/// Returns the numbers at one end that are looked for at once.
fn near(range: &Range<u64>, end: End) -> Range<u64> {
    match end {
        End::First => range.start..range.end.min(range.start.saturating_add(BLOCK)),
        End::Last => range.start.max(range.end.saturating_sub(BLOCK))..range.end,
    }
}

/// Returns the numbers without so many at one end.
fn behind(range: &Range<u64>, end: End, many: u64) -> Range<u64> {
    match end {
        End::First => range.start + many..range.end,
        End::Last => range.start..range.end - many,
    }
}

/// Narrows the range of a list to the numbers that are left, if enough are missing. At the end of a
/// list a block is kept for what comes.
fn give_up(list: &mut List, left: &Range<u64>, end: End) -> Result<()> {
    let Some(range) = &list.range else {
        return Ok(());
    };
    let missing = match end {
        End::First => range.start..left.start,
        End::Last => left.end.saturating_add(BLOCK).min(range.end)..range.end,
    };
    match missing.end.saturating_sub(missing.start) >= BLOCK {
        true => list.narrow(missing),
        false => Ok(()),
    }
}

/// Finds between which numbers the elements with these numbers are, expired ones too; `None` if there
/// are none.
fn count(tree: &Tree, list: &Namespace, within: Range<u64>) -> Result<Option<Range<u64>>> {
    let find = |reverse| -> Result<Option<u64>> {
        let selection = Selection {
            from: Some(key_of(within.start).as_bytes().to_vec()),
            to: Some(key_of(within.end).as_bytes().to_vec()),
            reverse,
            ..Selection::default()
        };
        // Nothing has expired in 1970.
        let mut elements = tree.list_entries(list, &selection, Time(0))?;
        while let Some(listed) = elements.next() {
            // What cannot be read is no element that could be taken.
            if let Some(number) = listed.ok().and_then(|listed| number_of(listed.key)) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    };
    let ends = find(false)?.zip(find(true)?);
    Ok(ends.map(|(first, last)| first..last + 1))
}
