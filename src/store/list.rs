//! Lists: namespaces whose keys are numbers.
//!
//! The elements of a list are the entries of the namespace of its name, under keys of
//! [`KEY_LEN`] decimal digits; their order is the order of the keys. Other keys of that namespace
//! are no elements and are passed over.

use std::time::{Duration, Instant};

use crate::store::{Clock, Entry, Key, Namespace, Result, Store, StoreError, WatchTarget};

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
        u64::MAX => Err(StoreError::Unfit {
            action: "push to",
            key: list.to_string(),
            why: "its numbers are used up",
        }),
        _ => Ok(key_of(number)),
    }
}

/// Takes an element, and waits for one where there is none, for an engine that can be watched; see
/// [`Store::pop_within`].
///
/// # Errors
///
/// As [`Store::pop`] and [`Store::watch`].
pub fn pop_within<S: Store + ?Sized>(
    store: &S,
    list: &Namespace,
    end: End,
    patience: Duration,
    clock: &dyn Clock,
) -> Result<Option<Entry>> {
    // A time too long to count is no limit.
    let until = Instant::now().checked_add(patience);
    let mut watcher = store.watch(list, WatchTarget::List)?;
    loop {
        if let Some(entry) = store.pop(list, end, clock)? {
            return Ok(Some(entry));
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(None);
        }
        watcher.wait(until)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbers_in_the_order_of_their_bytes() {
        assert_eq!(key_of(7).as_bytes(), b"00000000000000000007");
        assert!(key_of(9) < key_of(10) && key_of(u64::MAX - 1) < key_of(u64::MAX));
        let largest = u64::MAX - 1;
        assert_eq!(number_of(key_of(largest).as_bytes()), Some(largest));
        for other in [
            "7",
            "0000000000000000000x",
            "18446744073709551615",
            "99999999999999999999",
            "000000000000000000007",
        ] {
            assert!(!is_element(other.as_bytes()), "{other}");
        }
    }
}
