//! `push` and `pop`: a list is a namespace whose keys are numbers.
//!
//! A hashed tree has no order to find the oldest key by, so the file `ends` says where the list
//! begins and where it goes on:
//!
//! ```text
//! kvlist1 <boot id, 36> <inode, 20 digits> <first, 20> <next, 20> <XXH3-64 of all this, 16 hex>\n
//! ```
//!
//! No element has a number below `first` or from `next` on; numbers in between may be missing.
//! Whoever adds an element widens the range first, and whoever takes one narrows it afterwards, all
//! under `locks/list`: so the range is never too small, whenever a process is killed. It is never
//! synced: what a power cut makes of it is not believed, as the boot is another then, nor is a copy of
//! it, as its inode is another. The elements themselves are counted then, once.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Mode, OFlags};
use xxhash_rust::xxh3::xxh3_64;

use crate::os;
use crate::store::list::{key_of, number_of};
use crate::store::{
    Clock, End, Entry, Expiry, Namespace, Result, Selection, Source, StoreError, Time,
};

use super::Tree;
use super::create::random;
use super::disk;
use super::draft::Times;
use super::layout::Place;
use super::lock::{Kind, Lock};
use super::loose;
use super::put::{Looks, Verdict};
use super::remove::Outcome;
use super::space::{Space, cannot, unusable};

/// The lock of a list's ends; after gc's and before the shards'.
pub(super) const LIST_LOCK: &str = "locks/list";
const ENDS: &str = "ends";
/// More numbers than this are not looked up one after another: elements that were put by their keys
/// can be further apart than anybody could walk.
const LONGEST_WALK: u32 = 256;
/// Bytes of `ends`.
const ENDS_LEN: usize = 8 + 37 + 21 + 21 + 21 + 16 + 1;
/// Bytes of `ends` that its sum covers.
const SUMMED_LEN: usize = ENDS_LEN - 18;

/// A list whose ends are locked.
#[derive(Debug)]
struct List {
    space: Space,
    _lock: Lock,
    ends: Ends,
    /// What the file says.
    noted: Option<Ends>,
}

/// The range of numbers in which all elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    first: u64,
    next: u64,
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

    /// Locks a list, and has its elements counted anew by whoever changes it next. To be held while
    /// many of them come and go.
    pub(super) fn forget_ends(&self, namespace: &Namespace) -> Result<Option<Lock>> {
        let Some((space, lock)) = self.lock_ends(namespace, false)? else {
            return Ok(None);
        };
        match disk::unlink(space.store(), &space.relative(ENDS)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(|err| cannot(err, "remove", &space.path_of(ENDS)))?,
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

    fn lock_ends(&self, namespace: &Namespace, makes: bool) -> Result<Option<(Space, Lock)>> {
        let patience = self.patience();
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
        let mut numbers = tree
            .list_entries(list, &selection, Time(0))?
            .filter_map(|listed| {
                // What cannot be read is no element that could be taken.
                number_of(listed.ok()?.key.as_bytes())
            });
        Ok(numbers.next())
    };
    let ends = end(false)?.zip(end(true)?);
    Ok(ends.map(|(first, last)| Ends {
        first,
        next: last + 1,
    }))
}

fn encode(ends: Ends, boot: &str, inode: u64) -> String {
    let Ends { first, next } = ends;
    let text = format!("kvlist1 {boot:36} {inode:020} {first:020} {next:020}");
    let sum = xxh3_64(text.as_bytes());
    format!("{text} {sum:016x}\n")
}

/// Reads the ends that were noted in this boot of the machine.
fn read_ends(space: &Space) -> Option<Ends> {
    let boot = os::boot_id()?;
    let file = space.open(ENDS, OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
    let file = File::from(file);
    let inode = file.metadata().ok()?.ino();
    let mut bytes = Vec::new();
    loose::read_up_to(&file, &mut bytes, ENDS_LEN).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut numbers = text
        .get(66..SUMMED_LEN)?
        .split(' ')
        .map(|digits| digits.parse().ok());
    let ends = Ends {
        first: numbers.next()??,
        next: numbers.next()??,
    };
    // What is written for these numbers in this boot is the one form that is believed.
    (text == encode(ends, &boot, inode)).then_some(ends)
}

fn write_ends(space: &Space, ends: Ends) -> Result<()> {
    // Without a way to tell one boot from the next, the elements are counted each time.
    let Some(boot) = os::boot_id() else {
        return Ok(());
    };
    let path = || space.path_of(ENDS);
    let write = |file: &File| {
        let inode = file.metadata()?.ino();
        disk::write_at(file, encode(ends, &boot, inode).as_bytes(), 0)
    };
    match space.open(ENDS, OFlags::WRONLY | OFlags::NONBLOCK) {
        Ok(file) => write(&file.into()).map_err(|err| cannot(err, "write", &path())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            let mode = space.file_mode()?;
            make_whole(space, mode, write).map_err(|err| cannot(err, "create", &path()))
        }
        Err(err) => Err(unusable(err, "open", &path())),
    }
}

/// Makes the file with its mode and all that is in it from the moment on at which it has its name:
/// other users of the store could not open it if its maker were killed in between.
fn make_whole(
    space: &Space,
    mode: Mode,
    write: impl Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let tmp = space.open("tmp", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let aside = format!("{:016x}", random());
    let file = disk::create(tmp.as_fd(), &aside)?;
    let made = disk::set_mode(&file, mode)
        .and_then(|()| write(&file))
        .and_then(|()| disk::rename(tmp.as_fd(), &aside, space.store(), &space.relative(ENDS)));
    if made.is_err() {
        // What cannot be removed is litter that a sweep collects, as it does drafts.
        _ = disk::unlink(tmp.as_fd(), &aside);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_length_that_is_read() {
        let boot = "3c2f1d5e-8a44-4c43-9c55-0a5f0c8b7a11";
        for ends in [
            Ends { first: 1, next: 1 },
            Ends {
                first: 0,
                next: u64::MAX,
            },
        ] {
            let text = encode(ends, boot, u64::MAX);
            assert_eq!(text.len(), ENDS_LEN);
            assert_eq!(text.as_bytes()[SUMMED_LEN], b' ');
        }
    }
}
