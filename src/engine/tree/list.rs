//! `push` and `pop`: a list is a namespace whose keys are numbers.
//!
//! A hashed tree has no order to find the oldest key by, so a file says where the list begins and
//! where it goes on; see [`ends`](super::ends).
//!
//! Whoever adds an element widens the range first, and whoever takes one narrows it afterwards, all
//! under `locks/list`: so the range is never too small, whenever a process is killed.

use std::ops::Range;

use crate::store::list::{key_of, number_of};
use crate::store::{
    Clock, End, Entry, Expiry, Namespace, Result, Selection, Source, StoreError, Time,
};

use super::Tree;
use super::draft::Times;
use super::ends::{Ends, read_ends, write_ends};
use super::layout::Place;
use super::lock::{Kind, Lock};
use super::loose;
use super::put::{Looks, Verdict};
use super::remove::Outcome;
use super::space::Space;
use super::tries::Tries;

/// The lock of a list's ends; after gc's and before the shards'.
pub(super) const LIST_LOCK: &str = "locks/list";
/// More numbers than this are not looked up one after another: elements that were put by their keys
/// can be further apart than anybody could walk.
const LONGEST_WALK: u32 = 256;

/// A list whose ends are locked.
#[derive(Debug)]
struct List {
    space: Space,
    _lock: Lock,
    ends: Ends,
    /// What the file says.
    noted: Option<Ends>,
}

impl Tree {
    /// Adds an element; see [`crate::store::Store::push`].
    pub(super) fn push_element(
        &self,
        namespace: &Namespace,
        value: &mut dyn Source,
        clock: &dyn Clock,
    ) -> Result<()> {
        let space = self.open_or_create_space(namespace)?;
        // The number is a guess, so that nothing is written or synced under the lock if it holds.
        let guess = read_ends(&space).map_or(1, |ends| ends.next);
        let times = Times {
            expiry: Expiry::Never,
            kept: None,
            modified: None,
        };
        let mut written_for = guess;
        let key = key_of(guess);
        let place = Place::of(&key);
        let mut draft = self.write_draft(namespace, &place, value, times, clock)?;
        if self.syncs() {
            draft.sync()?;
        }
        let mut list = self
            .lock_list(namespace, true)?
            .expect("it is made where there is none");
        loop {
            let number = list.ends.next;
            let key = key_of(number);
            let place = Place::of(&key);
            if number != written_for {
                draft.set_place(&place)?;
                if self.syncs() {
                    draft.sync()?;
                }
                written_for = number;
            }
            let next = number.checked_add(1).ok_or_else(|| StoreError::Unfit {
                action: "push to",
                key: namespace.to_string(),
                why: "its numbers are used up",
            })?;
            list.set(Ends { next, ..list.ends })?;
            let judge = |present: Result<Option<_>>| match present {
                Ok(None) => Ok(Verdict::Publish),
                // Whatever is in the way, dead or damaged, stays where it is.
                Ok(Some(_)) => Ok(Verdict::Refuse),
                Err(StoreError::Io {
                    action,
                    path,
                    source,
                }) => Err(StoreError::Io {
                    action,
                    path,
                    source,
                }),
                Err(_) => Ok(Verdict::Refuse),
            };
            let (verdict, dir) =
                self.publish(namespace, &place, &mut draft, Looks::Loose, judge, clock)?;
            if matches!(verdict, Verdict::Publish) {
                drop(list);
                return self.sync_shard(dir);
            }
        }
    }

    /// Takes an element; see [`crate::store::Store::pop`].
    pub(super) fn pop_element(
        &self,
        namespace: &Namespace,
        end: End,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let Some(mut list) = self.lock_list(namespace, false)? else {
            return Ok(None);
        };
        let mut missing = 0;
        while list.ends.first < list.ends.next {
            let Ends { first, next } = list.ends;
            let (number, rest) = match end {
                End::First => (
                    first,
                    Ends {
                        first: first + 1,
                        next,
                    },
                ),
                End::Last => (
                    next - 1,
                    Ends {
                        first,
                        next: next - 1,
                    },
                ),
            };
            let key = key_of(number);
            let place = Place::of(&key);
            let Some(present) = self.find_present(namespace, &place, loose::WHOLE_LEN)? else {
                missing += 1;
                list.ends = if missing > LONGEST_WALK {
                    missing = 0;
                    count(self, namespace, rest.first..rest.next)?.unwrap_or(Ends {
                        first: rest.first,
                        next: rest.first,
                    })
                } else {
                    rest
                };
                continue;
            };
            missing = 0;
            if !present.is_live(clock.now()) {
                list.ends = rest;
                continue;
            }
            let entry = present.into_verified_entry()?;
            match self.unlink(namespace, &place, Some(entry.meta.etag), clock)? {
                Outcome::Removed(dir) => {
                    list.set(rest)?;
                    drop(list);
                    self.sync_shard(Some(dir))?;
                    return Ok(Some(entry));
                }
                Outcome::No => list.ends = rest,
                // Somebody has put another value under this number: that is the element now.
                Outcome::Changed => {}
            }
        }
        list.set(list.ends)?;
        Ok(None)
    }

    /// Locks the list that a key belongs to by its form, and widens its range to the key. To be
    /// held until the key's entry is in its place.
    pub(super) fn note_element(
        &self,
        namespace: &Namespace,
        place: &Place<'_>,
    ) -> Result<Option<Lock>> {
        let Some(number) = number_of(place.key.as_bytes()) else {
            return Ok(None);
        };
        let Some((space, lock)) = self.lock_ends(namespace, true)? else {
            return Ok(None);
        };
        // Where nobody has pushed yet, the elements are counted by who does so first.
        if let Some(Ends { first, next }) = read_ends(&space) {
            let next = next.max(number + 1);
            write_ends(
                &space,
                Ends {
                    first: first.min(number),
                    next,
                },
            )?;
        }
        Ok(Some(lock))
    }

    /// Locks a list and finds out where it begins and goes on; `None` if there is no namespace of
    /// its name and none is to be made.
    fn lock_list(&self, namespace: &Namespace, makes: bool) -> Result<Option<List>> {
        let Some((space, lock)) = self.lock_ends(namespace, makes)? else {
            return Ok(None);
        };
        let noted = read_ends(&space);
        let ends = match noted {
            Some(ends) => ends,
            None => count(self, namespace, 0..u64::MAX)?.unwrap_or(Ends { first: 1, next: 1 }),
        };
        Ok(Some(List {
            space,
            _lock: lock,
            ends,
            noted,
        }))
    }

    /// Locks a list; `None` if there is no namespace of its name and none is to be made.
    pub(super) fn lock_ends(
        &self,
        namespace: &Namespace,
        makes: bool,
    ) -> Result<Option<(Space, Lock)>> {
        let patience = self.patience();
        let mut tries = Tries::default();
        loop {
            let space = match makes {
                true => self.open_or_create_space(namespace)?,
                false => match self.open_space(namespace)? {
                    Some(space) => space,
                    None => return Ok(None),
                },
            };
            if let Some(lock) = Lock::acquire(&space, LIST_LOCK, Kind::Exclusive, patience)? {
                return Ok(Some((space, lock)));
            }
            tries.again(|| space.path_of(LIST_LOCK))?;
        }
    }
}

impl List {
    /// Notes other ends; says nothing twice, as those who wait for an element are woken by it.
    fn set(&mut self, ends: Ends) -> Result<()> {
        self.ends = ends;
        if self.noted != Some(ends) {
            write_ends(&self.space, ends)?;
            self.noted = Some(ends);
        }
        Ok(())
    }
}

/// Finds the ends of a list from its elements of these numbers, expired ones too; `None` if there
/// are none.
fn count(tree: &Tree, list: &Namespace, within: Range<u64>) -> Result<Option<Ends>> {
    let end = |reverse| -> Result<Option<u64>> {
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
    let ends = end(false)?.zip(end(true)?);
    Ok(ends.map(|(first, last)| Ends {
        first,
        next: last + 1,
    }))
}
