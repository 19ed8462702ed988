//! Changes that depend on what a key holds: read, compute, and put if nothing has changed since.
//!
//! The defaults of [`Entries`] are made of this, for every engine that has no such verb of its own. The
//! etag makes each one atomic: who finds the key changed by another starts again from what it holds then.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{
    Clock, Condition, Entries, Entry, Etag, Expiry, Key, Namespace, Place, Put, Result, Source,
    StoreError, Time, Turn, Value,
};

/// A pause between two tries is shorter than this.
const LONGEST_PAUSE_MICROS: u64 = 2_000;

/// Reads the number that an entry holds. A newline at its end is passed over, as `echo` adds one.
pub(super) fn read_number(entry: Entry) -> Result<Result<i64>, &'static str> {
    const NO_NUMBER: &str = "its value is no decimal number of 64 bits";
    // The longest number has 20 bytes; a longer value need not be read.
    if entry.meta.size > 32 {
        return Err(NO_NUMBER);
    }
    let bytes = match entry.value.into_vec() {
        Ok(bytes) => bytes,
        Err(err) => return Ok(Err(err)),
    };
    let digits = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = std::str::from_utf8(digits).map_err(|_| NO_NUMBER)?;
    let is_plain = !text.starts_with('+');
    text.parse()
        .ok()
        .filter(|_| is_plain)
        .map(Ok)
        .ok_or(NO_NUMBER)
}

/// Adds what a source gives, each time anew, to the end of a value; see [`Entries::append`]. Returns `None`
/// where there is no such key, and it is not to be made; else the etags that the key had and has.
pub fn append<S: Entries + ?Sized, A: Source>(
    store: &S,
    namespace: &Namespace,
    key: &Key,
    addition: impl Fn() -> A,
    clock: &dyn Clock,
    makes: bool,
) -> Result<Option<(Option<Etag>, Etag)>> {
    store.prepare()?;
    let mut conflicts = Conflicts::default();
    loop {
        let found = store.get(namespace, key, clock.now())?;
        if found.is_none() && !makes {
            return Ok(None);
        }
        let was = found.as_ref().map(|entry| entry.meta.etag);
        let condition = unchanged(found.as_ref());
        let expiry = if found.is_some() {
            Expiry::Keep
        } else {
            Expiry::Never
        };
        let mut value = Joined {
            first: found.map(|entry| entry.value),
            second: addition(),
        };
        let put = Put {
            expiry,
            ..Put::new(&mut value, condition)
        };
        if let Some(is) = store.put(namespace, key, put, clock)? {
            return Ok(Some((was, is)));
        }
        conflicts.queue(store, namespace, key)?;
    }
}

/// Puts the value that a key holds once more, with another expiry or time of modification. Returns
/// the etags of the entry before and after; `None` when there is no such key.
pub fn put_again<S: Entries + ?Sized>(
    store: &S,
    namespace: &Namespace,
    key: &Key,
    clock: &dyn Clock,
    expiry: Expiry,
    modified: Option<Time>,
) -> Result<Option<(Etag, Etag)>> {
    let mut conflicts = Conflicts::default();
    while let Some(mut entry) = store.get(namespace, key, clock.now())? {
        let put = Put {
            expiry,
            modified: modified.or(Some(entry.meta.modified)),
            ..Put::new(&mut entry.value, Condition::Etag(entry.meta.etag))
        };
        if let Some(etag) = store.put(namespace, key, put, clock)? {
            return Ok(Some((entry.meta.etag, etag)));
        }
        conflicts.queue(store, namespace, key)?;
    }
    Ok(None)
}

/// Removes an entry that was found, unless it has changed since; see [`Entries::take`].
pub fn take<S: Entries + ?Sized>(
    store: &S,
    (namespace, key): Place<'_>,
    Entry { meta, value }: Entry,
    clock: &dyn Clock,
) -> Result<Option<Entry>> {
    // Held in memory: it is there for the caller whatever becomes of the entry.
    let value = Value::whole(value.into_vec()?);
    let entry = Entry { meta, value };
    match store.remove(namespace, key, &Condition::Etag(meta.etag), clock) {
        Ok(true) => Ok(Some(entry)),
        Ok(false) => Ok(None),
        Err(err) => entry.taken_though(err).map(Some),
    }
}

/// Stores an entry once more, under another key; see [`Entries::copy`].
pub fn copy<S: Entries + ?Sized>(
    store: &S,
    from: Place<'_>,
    to: Place<'_>,
    is_new: bool,
    clock: &dyn Clock,
) -> Result<bool> {
    let condition = match is_new {
        true => Condition::Absent,
        false => Condition::Always,
    };
    match store.get(from.0, from.1, clock.now())? {
        None => Ok(false),
        Some(_) if from == to => Ok(!is_new),
        Some(entry) => Ok(put_at(store, to, entry, condition, clock)?.is_some()),
    }
}

/// Moves an entry to another key; see [`Entries::rename`]. It is in its new place before it leaves the old
/// one. Who finds then that another was faster takes it out again, and brings back what was there before.
pub fn rename<S: Entries + ?Sized>(
    store: &S,
    from: Place<'_>,
    to: Place<'_>,
    is_new: bool,
    clock: &dyn Clock,
) -> Result<bool> {
    let mut conflicts = Conflicts::default();
    // The etag of what was put in the new place, and what it held before.
    let mut put: Option<(Etag, Option<Entry>)> = None;
    loop {
        let Some(entry) = store.get(from.0, from.1, clock.now())? else {
            match put {
                None => {}
                Some((etag, Some(before))) => {
                    put_at(store, to, before, Condition::Etag(etag), clock)?;
                }
                Some((etag, None)) => {
                    store.remove(to.0, to.1, &Condition::Etag(etag), clock)?;
                }
            }
            return Ok(false);
        };
        if from == to {
            return Ok(!is_new);
        }
        let (condition, before) = match put.take() {
            Some((etag, before)) => (Condition::Etag(etag), before),
            None => match store.get(to.0, to.1, clock.now()) {
                // It is replaced, as by a put.
                Err(err) if err.is_damage() && !is_new => (Condition::Always, None),
                before => {
                    let before = before?;
                    if is_new && before.is_some() {
                        return Ok(false);
                    }
                    (unchanged(before.as_ref()), before)
                }
            },
        };
        let unchanged = Condition::Etag(entry.meta.etag);
        if let Some(etag) = put_at(store, to, entry, condition, clock)? {
            if store.remove(from.0, from.1, &unchanged, clock)? {
                return Ok(true);
            }
            put = Some((etag, before));
        }
        conflicts.queue(store, from.0, from.1)?;
    }
}

fn put_at<S: Entries + ?Sized>(
    store: &S,
    (namespace, key): Place<'_>,
    mut entry: Entry,
    condition: Condition,
    clock: &dyn Clock,
) -> Result<Option<Etag>> {
    let put = Put {
        expiry: entry.meta.expires.map_or(Expiry::Never, Expiry::At),
        modified: Some(entry.meta.modified),
        ..Put::new(&mut entry.value, condition)
    };
    store.put(namespace, key, put, clock)
}

/// Returns the condition that a key still holds what was found.
pub fn unchanged(found: Option<&Entry>) -> Condition {
    found.map_or(Condition::Absent, |entry| Condition::Etag(entry.meta.etag))
}

/// One source behind another.
struct Joined<S, A> {
    first: Option<S>,
    second: A,
}

impl<S: Source, A: Source> Source for Joined<S, A> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        if let Some(first) = &mut self.first {
            match first.read(buf)? {
                0 if !buf.is_empty() => self.first = None,
                n => return Ok(n),
            }
        }
        self.second.read(buf)
    }
}

/// Counts for how long others keep changing a key between a look at it and the change.
#[derive(Debug, Default)]
pub struct Conflicts {
    since: Option<Instant>,
    /// The place in the queue of those who change the key, once it was waited for.
    turn: Option<Turn>,
}

impl Conflicts {
    /// Waits a random moment before the next try.
    ///
    /// # Errors
    ///
    /// [`StoreError::Contended`] when `limit` has passed since the first conflict.
    pub fn pause(&mut self, limit: Duration, key: &Key) -> Result<()> {
        self.count(limit, key)?;
        // Each `RandomState` has keys of its own, and no other randomness is needed here.
        let random = RandomState::new().build_hasher().finish();
        thread::sleep(Duration::from_micros(random % LONGEST_PAUSE_MICROS));
        Ok(())
    }

    /// Waits for a turn, or a random moment where the engine has no turns.
    pub(super) fn queue<S: Entries + ?Sized>(
        &mut self,
        store: &S,
        namespace: &Namespace,
        key: &Key,
    ) -> Result<()> {
        if self.turn.is_some() {
            return self.count(store.busy_timeout(), key);
        }
        self.turn = store.turn(namespace, key);
        match self.turn {
            Some(_) => self.count(store.busy_timeout(), key),
            None => self.pause(store.busy_timeout(), key),
        }
    }

    /// Notes a conflict, for a caller that waits in another way.
    fn count(&mut self, limit: Duration, key: &Key) -> Result<()> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited > limit {
            return Err(StoreError::Contended {
                key: key.to_string(),
                waited,
            });
        }
        Ok(())
    }
}
