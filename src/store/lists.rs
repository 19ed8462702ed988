//! Lists: namespaces whose keys are numbers.
//!
//! The elements of a list are the entries of the namespace of its name, under keys of
//! [`KEY_LEN`] decimal digits; their order is the order of the keys. Other keys of that namespace
//! are no elements and are passed over.

use std::time::{Duration, Instant};

use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Condition, Entries, Entry, Key, Namespace, Put, Result, Selection, Source, StoreError,
    Watch, WatchTarget, entry,
};

/// Digits of an element's key.
pub const KEY_LEN: usize = 20;

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
pub trait Lists: Entries + Watch {
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

    /// Takes an element from one end of a list: of several callers at once, each gets another.
    ///
    /// # Errors
    ///
    /// As [`Entries::take`].
    fn pop(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Entry>> {
        let mut conflicts = Conflicts::default();
        while let Some(key) = element(self, list, end, clock)? {
            if let Some(entry) = self.take(list, &key, clock)? {
                return Ok(Some(entry));
            }
            conflicts.pause(self.busy_timeout(), &key)?;
        }
        Ok(None)
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
        // A time too long to count is no limit.
        let until = Instant::now().checked_add(patience);
        let mut watcher = self.watch(list, WatchTarget::List)?;
        loop {
            if let Some(entry) = self.pop(list, end, clock)? {
                return Ok(Some(entry));
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(None);
            }
            watcher.wait(until)?;
        }
    }
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
    let selection = Selection {
        reverse: end == End::Last,
        ..Selection::default()
    };
    let mut listing = store.scan(list, &selection, clock.now())?;
    while let Some(listed) = listing.next() {
        let listed = listed?;
        if is_element(listed.key) {
            return Ok(Some(listed.to_key()));
        }
    }
    Ok(None)
}
