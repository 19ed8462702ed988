//! Following a namespace: what it holds, compared with what was seen of it last.
//!
//! It is states that are told, and no events: what changed several times between two looks is told once, with
//! its last etag. The watch stands before the first look, and what happened is read before each: so whatever
//! happens during a look leads to another. A listing shows what there is; whoever is missing in it is looked up
//! before it is told to be gone. `tests/models/watch.py` has these rules, and what each is for.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::store::watch::{Changed, Told};
use crate::store::{
    Deadline, Etag, Key, Meta, Namespace, Result, Selection, Store, StoreError, Time, WatchTarget,
    Watcher,
};

/// Whoever waits for an expiry looks at the clock again after this time: it may have been set, or the machine
/// have slept.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// A key whose entry is another than it was.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// The key.
    pub key: &'a Key,
    /// What it held when it was seen last.
    pub before: Option<Etag>,
    /// What it holds.
    pub meta: Option<Meta>,
}

/// Is given a key that has changed, or what of one cannot be read, and returns what the key is taken to hold.
pub type Tell<'t, E> = dyn FnMut(Result<Change<'_>>) -> Result<Option<Meta>, E> + 't;

/// What was seen of an entry.
#[derive(Clone, Copy, Debug)]
struct Seen {
    etag: Etag,
    expires: Option<Deadline>,
    /// The look at all entries that has seen it last.
    look: bool,
}

/// Somebody who follows a namespace. For each key it keeps some hundred bytes and the key.
pub struct Follower<'a> {
    store: &'a dyn Store,
    namespace: &'a Namespace,
    selection: &'a Selection,
    watcher: Box<dyn Watcher>,
    /// By the place of each key, with the key behind it.
    seen: BTreeMap<Box<[u8]>, Seen>,
    look: bool,
    has_looked: bool,
    /// No entry that was seen expires before.
    next_expiry: Option<Deadline>,
}

impl<'a> Follower<'a> {
    /// Begins to watch; the first look sees all there is.
    ///
    /// # Errors
    ///
    /// Where the system cannot watch.
    pub fn new(
        store: &'a dyn Store,
        namespace: &'a Namespace,
        selection: &'a Selection,
    ) -> Result<Self> {
        Ok(Self {
            store,
            namespace,
            selection,
            watcher: store.watch(namespace, WatchTarget::All(selection))?,
            seen: BTreeMap::new(),
            look: false,
            has_looked: false,
            next_expiry: None,
        })
    }

    /// Waits until something may have changed, or an entry expires, or until `until`; may return early.
    ///
    /// # Errors
    ///
    /// Where the system fails to wait.
    pub fn wait(&mut self, now: Time, until: Option<Instant>) -> Result<()> {
        let expiry = self.next_expiry.map(|expiry| {
            let left = expiry.left(now).min(LOOK_AT_CLOCK);
            Instant::now() + left
        });
        self.watcher.wait(until.into_iter().chain(expiry).min())
    }

    /// Looks at what may have changed.
    ///
    /// # Errors
    ///
    /// Those of the store as a whole, and of `tell`.
    pub fn look<E: From<StoreError>>(
        &mut self,
        now: Time,
        tell: &mut Tell<'_, E>,
    ) -> Result<(), E> {
        match self.watcher.changed()? {
            Changed::All => self.look_at_all(now, tell)?,
            Changed::At(_) if !self.has_looked => self.look_at_all(now, tell)?,
            Changed::At(places) => {
                let mut is_unknown = false;
                for (place, key) in places {
                    let keys = key.map_or_else(|| self.keys_at(&place), |key| vec![key]);
                    is_unknown |= keys.is_empty();
                    self.look_at(keys, now, tell)?;
                }
                if is_unknown && self.watcher.may_uncover() {
                    self.look_at_all(now, tell)?;
                }
            }
            Changed::Told(told) => {
                self.take_in(told, now, tell)?;
                // Who tells of expiries has a clock of its own, which may be another than this one.
                self.next_expiry = None;
            }
        }
        self.has_looked = true;
        if self.next_expiry.is_some_and(|expiry| expiry.is_over(now)) {
            let is_over = |seen: &Seen| seen.expires.is_some_and(|expiry| expiry.is_over(now));
            let due = self.keys(|seen| is_over(seen));
            self.look_at(due, now, tell)?;
            self.next_expiry = self.seen.values().filter_map(|seen| seen.expires).min();
        }
        Ok(())
    }

    fn look_at_all<E: From<StoreError>>(
        &mut self,
        now: Time,
        tell: &mut Tell<'_, E>,
    ) -> Result<(), E> {
        self.look = !self.look;
        let mut listing = self.store.scan(self.namespace, self.selection, now)?;
        while let Some(listed) = listing.next() {
            match listed {
                Ok(listed) => self.compare(&listed.to_key(), Some(listed.meta), tell)?,
                Err(err) if err.is_of_one_entry() => _ = tell(Err(err))?,
                Err(err) => return Err(err.into()),
            }
        }
        self.look_at_missed(now, tell)
    }

    /// Takes in what was told.
    fn take_in<E: From<StoreError>>(
        &mut self,
        told: Told,
        now: Time,
        tell: &mut Tell<'_, E>,
    ) -> Result<(), E> {
        self.look ^= told.is_all;
        for (key, meta) in &told.keys {
            self.compare(key, *meta, tell)?;
        }
        for damage in told.damage {
            _ = tell(Err(damage))?;
        }
        if told.is_all {
            self.look_at_missed(now, tell)?;
        }
        Ok(())
    }

    /// Looks up what was not seen by the last look at all.
    fn look_at_missed<E: From<StoreError>>(
        &mut self,
        now: Time,
        tell: &mut Tell<'_, E>,
    ) -> Result<(), E> {
        let look = self.look;
        let missed = self.keys(|seen| seen.look != look);
        self.look_at(missed, now, tell)
    }

    /// Looks up single keys.
    fn look_at<E: From<StoreError>>(
        &mut self,
        keys: Vec<Key>,
        now: Time,
        tell: &mut Tell<'_, E>,
    ) -> Result<(), E> {
        for key in keys {
            if !self.selection.matches(key.as_bytes()) {
                continue;
            }
            match self.store.stat(self.namespace, &key, now) {
                Ok(found) => self.compare(&key, found, tell)?,
                // What it holds is not known: it is neither told to be gone nor to be new.
                Err(err) if err.is_of_one_entry() => _ = tell(Err(err))?,
                Err(err) => return Err(err.into()),
            }
        }
        Ok(())
    }

    fn compare<E: From<StoreError>>(
        &mut self,
        key: &Key,
        meta: Option<Meta>,
        tell: &mut Tell<'_, E>,
    ) -> Result<(), E> {
        let place = self.place(key);
        let seen = self.seen.get_mut(&place);
        let before = seen.as_ref().map(|seen| seen.etag);
        if before == meta.map(|meta| meta.etag) {
            if let Some(seen) = seen {
                seen.look = self.look;
            }
            return Ok(());
        }
        if meta.is_none() {
            self.watcher.is_there()?;
        }
        let meta = tell(Ok(Change { key, before, meta }))?;
        self.note(key, meta.map(|meta| (meta.etag, meta.expires)));
        Ok(())
    }

    /// Takes a key to hold this from now on.
    pub fn note(&mut self, key: &Key, held: Option<(Etag, Option<Deadline>)>) {
        let place = self.place(key);
        let Some((etag, expires)) = held else {
            self.seen.remove(&place);
            return;
        };
        self.next_expiry = self.next_expiry.into_iter().chain(expires).min();
        let look = self.look;
        let seen = Seen {
            etag,
            expires,
            look,
        };
        self.seen.insert(place, seen);
    }

    fn place(&self, key: &Key) -> Box<[u8]> {
        let mut place = self.watcher.place(key.as_bytes());
        place.extend_from_slice(key.as_bytes());
        place.into()
    }

    fn keys(&self, which: impl Fn(&Seen) -> bool) -> Vec<Key> {
        let found = self.seen.iter().filter(|(_, seen)| which(seen));
        let len = self.watcher.place(b"").len();
        found.map(|(place, _)| key_of(&place[len..])).collect()
    }

    fn keys_at(&self, place: &[u8]) -> Vec<Key> {
        let from = (Bound::Included(place), Bound::Unbounded);
        let found = self.seen.range::<[u8], _>(from);
        let here = found.take_while(|(other, _)| other.starts_with(place));
        here.map(|(other, _)| key_of(&other[place.len()..]))
            .collect()
    }
}

fn key_of(bytes: &[u8]) -> Key {
    Key::new(bytes.to_vec()).expect("it was a key when it was seen")
}
