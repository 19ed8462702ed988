//! Changes that depend on what a key holds: read, compute, and put if nothing has changed since.
//!
//! The defaults of [`Entries`] are made of this, for every engine that has no such verb of its own. The
//! etag makes each one atomic: who finds the key changed by another starts again from what it holds then.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{
    Clock, Condition, Entries, Entry, Etag, Expiry, Key, Namespace, Put, Result, Source,
    StoreError, Time, Turn,
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

/// Adds bytes to the end of a value; see [`Entries::append`]. Returns false where there is no such key,
/// and it is not to be made.
pub fn append<S: Entries + ?Sized>(
    store: &S,
    namespace: &Namespace,
    key: &Key,
    addition: &[u8],
    clock: &dyn Clock,
    makes: bool,
) -> Result<bool> {
    store.prepare()?;
    let mut conflicts = Conflicts::default();
    loop {
        let found = store.get(namespace, key, clock.now())?;
        if found.is_none() && !makes {
            return Ok(false);
        }
        let condition = unchanged(found.as_ref());
        let expiry = if found.is_some() {
            Expiry::Keep
        } else {
            Expiry::Never
        };
        let mut value = Joined {
            first: found.map(|entry| entry.value),
            second: addition,
        };
        let put = Put {
            expiry,
            ..Put::new(&mut value, condition)
        };
        if store.put(namespace, key, put, clock)?.is_some() {
            return Ok(true);
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

/// Returns the condition that a key still holds what was found.
pub fn unchanged(found: Option<&Entry>) -> Condition {
    found.map_or(Condition::Absent, |entry| Condition::Etag(entry.meta.etag))
}

/// One source behind another.
struct Joined<'a, S> {
    first: Option<S>,
    second: &'a [u8],
}

impl<S: Source> Source for Joined<'_, S> {
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
