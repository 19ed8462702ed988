//! What becomes of an element that is worked on: how often that was tried, and where it goes in the end.

use std::time::Duration;

use crate::store::modify::read_number;
use crate::store::{Clock, Condition, Key, Lists, Meta, Namespace, Result, StoreError, Time};

/// The number of attempts is forgotten so long after the first: of an element that goes in another way
/// nobody else removes it.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Names the namespace where it is counted, under the key of each element of a list, how often that was
/// tried: beside the list, whose keys are its elements. `None` where that is too long a name.
pub fn attempts_of(list: &Namespace) -> Option<Namespace> {
    format!("{list}.attempts").parse().ok()
}

/// Names the list of those that failed too often; `None` where that is too long a name, or what they are
/// counted in has too long a one.
pub fn failed_list(list: &Namespace) -> Option<Namespace> {
    attempts_of(list)?;
    format!("{list}.failed").parse().ok()
}

/// Tells how often it was tried to work on an element, as far as that was counted.
///
/// # Errors
///
/// As [`crate::store::Entries::get`]; [`StoreError::Unfit`] if what is there is no number.
pub fn attempts<S: Lists + ?Sized>(
    store: &S,
    list: &Namespace,
    element: &Key,
    now: Time,
) -> Result<u64> {
    let Some(counts) = attempts_of(list) else {
        return Ok(0);
    };
    let Some(entry) = store.get(&counts, element, now)? else {
        return Ok(0);
    };
    let number = read_number(entry).map_err(|why| StoreError::unfit("count", element, why))??;
    Ok(number.try_into().unwrap_or(0))
}

/// Counts an attempt, or takes one back. Of a list whose name is too long for that none is counted.
///
/// # Errors
///
/// As [`crate::store::Entries::incr`].
pub fn count<S: Lists + ?Sized>(
    store: &S,
    list: &Namespace,
    element: &Key,
    by: i64,
    clock: &dyn Clock,
) -> Result<()> {
    let Some(counts) = attempts_of(list) else {
        return Ok(());
    };
    store
        .incr(&counts, element, by, Some(REMEMBERED), clock)
        .map(drop)
}

/// Removes an element that is done. Returns false if it is another's now: it is there, and not what was
/// claimed.
///
/// # Errors
///
/// As [`crate::store::Entries::remove`].
pub fn finish<S: Lists + ?Sized>(
    store: &S,
    list: &Namespace,
    element: &Key,
    meta: &Meta,
    clock: &dyn Clock,
) -> Result<bool> {
    let claimed = Condition::Etag(meta.etag);
    if !store.remove(list, element, &claimed, clock)?
        && store.stat(list, element, clock.now())?.is_some()
    {
        return Ok(false);
    }
    if let Some(counts) = attempts_of(list) {
        store.remove(&counts, element, &Condition::Always, clock)?;
    }
    Ok(true)
}

/// Moves an element that is claimed to the list of those that failed too often, under its own key. Whoever
/// is killed half-way leaves it in both, and then the next one finds there what is here.
///
/// # Errors
///
/// As [`crate::store::Entries::rename`] and [`Lists::push`].
pub fn give_up<S: Lists + ?Sized>(
    store: &S,
    list: &Namespace,
    failed: &Namespace,
    element: &Key,
    meta: &Meta,
    clock: &dyn Clock,
) -> Result<()> {
    if !store.rename((list, element), (failed, element), true, clock)? {
        let there = store.stat(failed, element, clock.now())?;
        let is_same = |there: Meta| (there.modified, there.size) == (meta.modified, meta.size);
        if !there.is_some_and(is_same)
            && let Some(mut entry) = store.get(list, element, clock.now())?
        {
            store.push(failed, &mut entry.value, clock)?;
        }
    }
    finish(store, list, element, meta, clock).map(drop)
}
