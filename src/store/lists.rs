//! Lists: namespaces whose keys are numbers.
//!
//! The elements of a list are the entries of the namespace of its name, under keys of
//! [`KEY_LEN`] decimal digits; their order is the order of the keys. Other keys of that namespace
//! are no elements and are passed over.
//!
//! An element that is worked on has its lock held, which is the named lock of its key. Nobody takes it
//! meanwhile; `tests/models/jobs.py` has the protocols.

use std::time::{Duration, Instant};

use crate::store::modify::{self, Conflicts};
use crate::store::{
    Clock, Condition, Entries, Entry, Expiry, Held, Key, LockRequest, Locks, Namespace, Put,
    Result, Selection, Source, StoreError, Watch, WatchTarget, entry,
};

/// Digits of an element's key.
pub const KEY_LEN: usize = 20;

/// Where all elements are worked on, it is looked this often whether somebody has given one back.
const LOOK: Duration = Duration::from_millis(200);

/// So many keys are listed to find an element at an end; where none of them is wanted, more, and more again.
const FIRST_LOOK: u64 = 8;

/// An element that somebody works on.
pub struct Claim {
    /// Its key.
    pub key: Key,
    /// What it is.
    pub entry: Entry,
    /// Its lock: as long as it is held, nobody else gets the element.
    pub held: Held,
}

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the oldest element is.
    First,
    /// Where elements are added.
    Last,
}

/// Tells whether a namespace can be a list: it is not another's already.
pub fn can_be(namespace: &Namespace) -> bool {
    !["default", "memo"].contains(&namespace.as_str())
}

/// Tells whether a key is one of an element.
pub fn is_element(key: &[u8]) -> bool {
    number_of(key).is_some()
}

/// Returns the number that an element's key stands for. The largest of all is no element's, so that
/// there is one behind each.
pub fn number_of(key: &[u8]) -> Option<u64> {
    let is_number = key.len() == KEY_LEN && key.iter().all(u8::is_ascii_digit);
    if is_number {
        let number = std::str::from_utf8(key).ok()?.parse().ok();
        number.filter(|number| *number != u64::MAX)
    } else {
        None
    }
}

/// Returns the key of the element with that number.
pub fn key_of(number: u64) -> Key {
    Key::new(format!("{number:020}").into_bytes()).expect("digits are a key")
}

/// Returns the key of a new element with that number.
///
/// # Errors
///
/// If the numbers of the list are used up.
pub fn next_key(list: &Namespace, number: u64) -> Result<Key> {
    match number {
        u64::MAX => Err(StoreError::unfit(
            "push to",
            list,
            "its numbers are used up: the key of its last element is the largest there can be; take \
             that one away with `pop --last` or `remove`",
        )),
        _ => Ok(key_of(number)),
    }
}

/// What a store can do with a list; by default in several steps on its entries.
pub trait Lists: Entries + Locks + Watch {
    /// Adds an element to the end of a list: an entry of the list's namespace, under the next of
    /// the keys that [`is_element`] knows.
    ///
    /// # Errors
    ///
    /// As [`Entries::put`].
    fn push(&self, list: &Namespace, value: &mut dyn Source, clock: &dyn Clock) -> Result<()> {
        // Held in memory: it may have to be put more than once.
        let value = entry::read_to_end(value)?;
        let mut conflicts = Conflicts::default();
        loop {
            let last = element(self, list, End::Last, clock)?;
            let last = last.and_then(|last| number_of(last.as_bytes()));
            let key = next_key(list, last.unwrap_or_default() + 1)?;
            let mut value = &value[..];
            let put = Put::new(&mut value, Condition::Absent);
            if self.put(list, &key, put, clock)?.is_some() {
                return Ok(());
            }
            conflicts.pause(self.busy_timeout(), &key)?;
        }
    }

    /// Takes an element from one end of a list, past those that are worked on: of several callers at once,
    /// each gets another.
    ///
    /// # Errors
    ///
    /// As [`Entries::take`].
    fn pop(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Entry>> {
        let mut conflicts = Conflicts::default();
        loop {
            let mut seen = None;
            let found = find(self, list, end, clock, &mut |key| {
                // Whoever locks it after this look gives it another etag.
                seen = self.get(list, key, clock.now())?;
                Ok(seen.is_some() && self.lock_holder(list, key)?.is_none())
            })?;
            let Some((key, entry)) = found.zip(seen) else {
                return Ok(None);
            };
            if let Some(taken) = modify::take(self, (list, &key), entry, clock)? {
                return Ok(Some(taken));
            }
            conflicts.pause(self.busy_timeout(), &key)?;
        }
    }

    /// Locks an element at one end of a list, past those that are worked on, and leaves it there.
    ///
    /// # Errors
    ///
    /// As [`Entries::put`] and [`Locks::lock`].
    fn claim(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Claim>> {
        let mut claimed = None;
        find(self, list, end, clock, &mut |key| {
            claimed = claim_element(self, list, key, clock)?;
            Ok(claimed.is_some())
        })?;
        Ok(claimed)
    }

    /// Locks an element as [`Lists::claim`] does, and waits that long for one where there is none.
    ///
    /// # Errors
    ///
    /// As [`Lists::claim`] and [`Watch::watch`].
    fn claim_within(
        &self,
        list: &Namespace,
        end: End,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Claim>> {
        let mut claim = || self.claim(list, end, clock);
        within(self, (list, end), patience, clock, &mut claim)
    }

    /// Takes an element as [`Lists::pop`] does, and waits that long for one where there is none.
    ///
    /// # Errors
    ///
    /// As [`Lists::pop`] and [`Watch::watch`].
    fn pop_within(
        &self,
        list: &Namespace,
        end: End,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        let mut pop = || self.pop(list, end, clock);
        within(self, (list, end), patience, clock, &mut pop)
    }
}

/// Looks for an element until there is one, for that long at most.
fn within<S: Lists + ?Sized, T>(
    store: &S,
    (list, end): (&Namespace, End),
    patience: Duration,
    clock: &dyn Clock,
    look: &mut dyn FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    // A time too long to count is no limit.
    let until = Instant::now().checked_add(patience);
    let mut watcher = store.watch(list, WatchTarget::List)?;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        let now = Instant::now();
        if until.is_some_and(|until| until <= now) {
            return Ok(None);
        }
        // Nobody tells that the lock of an element is free.
        let again = element(store, list, end, clock)?.map(|_| now + LOOK);
        let until = [until, again].into_iter().flatten().min();
        watcher.wait(until)?;
    }
}

/// Locks an element, if nobody else has and it is there still.
fn claim_element<S: Lists + ?Sized>(
    store: &S,
    list: &Namespace,
    key: &Key,
    clock: &dyn Clock,
) -> Result<Option<Claim>> {
    let Some(held) = store.lock(list, key, LockRequest::AT_ONCE, clock)? else {
        return Ok(None);
    };
    // By its new etag it is not taken any more by whoever saw it before it was locked; and the etag is of
    // this claim, should the lock be lost.
    let put = modify::put_again(store, list, key, clock, Expiry::Keep, None)?;
    let Some((_, etag)) = put else {
        return Ok(None);
    };
    let entry = store.get(list, key, clock.now())?;
    let entry = entry.filter(|entry| entry.meta.etag == etag);
    Ok(entry.map(|entry| Claim {
        key: key.clone(),
        entry,
        held,
    }))
}

/// Finds the key of the element at one end.
///
/// # Errors
///
/// As [`Entries::scan`].
pub fn element<S: Entries + ?Sized>(
    store: &S,
    list: &Namespace,
    end: End,
    clock: &dyn Clock,
) -> Result<Option<Key>> {
    find(store, list, end, clock, &mut |_| Ok(true))
}

/// Goes through the elements from one end until one is wanted, and returns its key.
fn find<S: Entries + ?Sized>(
    store: &S,
    list: &Namespace,
    end: End,
    clock: &dyn Clock,
    is_wanted: &mut dyn FnMut(&Key) -> Result<bool>,
) -> Result<Option<Key>> {
    // What begins with a digit.
    let mut selection = Selection {
        from: Some(b"0".to_vec()),
        to: Some(b":".to_vec()),
        reverse: end == End::Last,
        ..Selection::default()
    };
    let mut limit = FIRST_LOOK;
    loop {
        selection.limit = Some(limit);
        let (mut count, mut last) = (0, Vec::new());
        let mut listing = store.scan(list, &selection, clock.now())?;
        while let Some(listed) = listing.next() {
            let listed = listed?;
            count += 1;
            last.clear();
            last.extend_from_slice(listed.key);
            if !is_element(listed.key) {
                continue;
            }
            let key = listed.to_key();
            if is_wanted(&key)? {
                return Ok(Some(key));
            }
        }
        if count < limit {
            return Ok(None);
        }
        match end {
            End::Last => selection.to = Some(last),
            End::First => {
                // No key is between this one and that.
                last.push(0);
                selection.from = Some(last);
            }
        }
        limit = limit.saturating_mul(8);
    }
}
