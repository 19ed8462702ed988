//! The entries of a store: the one facet that an engine must have, and on which the defaults of the others
//! stand.

use std::time::Duration;

use crate::store::{
    Clock, Condition, Entry, Etag, Expiry, Key, Listing, Meta, Namespace, Put, Result, Selection,
    StoreError, Time, modify,
};

/// Where an entry is: a namespace, and the key in it.
pub type Place<'a> = (&'a Namespace, &'a Key);

/// A turn that ends when this is dropped.
pub type Turn = Box<dyn std::any::Any>;

/// Namespaces of entries.
///
/// Each call is one atomic step for whoever else uses the store. An expired entry is absent in
/// every call, from the moment that it expires. "No such key" is an answer and never an error.
pub trait Entries: Send + Sync {
    /// Finds a key. The whole of a small value is verified before this returns; a larger one is
    /// verified while it is read, and its last read fails if it is damaged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where the key's entry is not what was written,
    /// [`StoreError::OtherKey`] where another key's entry is in its place.
    fn get(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>>;

    /// Finds a key whose small value is in memory, without a wait for any disk, lock or peer: for who serves
    /// others on the same thread. `None` says nothing about the key; [`Entries::get`] tells.
    fn get_cached(&self, namespace: &Namespace, key: &Key, now: Time) -> Option<Entry> {
        _ = (namespace, key, now);
        None
    }

    /// Stores a value, whole or not at all. Returns its new etag, or `None` when the condition
    /// does not hold and nothing was changed.
    ///
    /// # Errors
    ///
    /// Whatever went wrong, the key holds what it held before; but where the last sync fails, the
    /// new value may be readable already and its survival of a power cut is not promised.
    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>>;

    /// Removes a key. Returns false when there was none or the condition does not hold.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherKey`] where another key's entry is in its place; a damaged entry can be
    /// removed. Whatever went wrong, the key holds what it held before; but where the last sync fails
    /// it may be gone already, and come back with a power cut.
    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool>;

    /// Lists the entries that `selection` names, in the byte order of their keys or the reverse.
    ///
    /// It is no snapshot: an entry that is written or removed meanwhile may be listed or not. A
    /// damaged entry is an `Err` in the listing, which then goes on.
    ///
    /// # Errors
    ///
    /// Where the store as a whole cannot be read.
    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>>;

    /// Names all namespaces, in byte order.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    fn namespaces(&self) -> Result<Vec<Namespace>>;

    /// Looks for entries of a namespace that [`Entries::namespaces`] cannot name, where an engine can lose
    /// its name alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] if there are such entries.
    fn check_namespaces(&self) -> Result<()> {
        Ok(())
    }

    /// Removes a namespace with all its entries. Returns false when there is none.
    ///
    /// # Errors
    ///
    /// Where it is in use for longer than the store's busy timeout, or cannot be removed.
    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool>;

    /// Finds what is known of a key without reading its value.
    ///
    /// # Errors
    ///
    /// As [`Entries::get`], but damage to the value itself may go unseen.
    fn stat(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Meta>> {
        Ok(self.get(namespace, key, now)?.map(|entry| entry.meta))
    }

    /// Removes a key and returns what it held, in one step: of several callers at once, one gets
    /// the entry. The whole value is verified before anything is removed.
    ///
    /// The caller gets the value or it is still there, never neither. If the entry is gone and the
    /// last sync fails, so that it may come back with a power cut, the value ends in that error.
    ///
    /// # Errors
    ///
    /// As [`Entries::get`]; then nothing is removed.
    fn take(&self, namespace: &Namespace, key: &Key, clock: &dyn Clock) -> Result<Option<Entry>> {
        let mut conflicts = modify::Conflicts::default();
        while let Some(entry) = self.get(namespace, key, clock.now())? {
            if let Some(taken) = modify::take(self, (namespace, key), entry, clock)? {
                return Ok(Some(taken));
            }
            conflicts.queue(self, namespace, key)?;
        }
        Ok(None)
    }

    /// Gives a key a new expiry and keeps its value and its time of modification. Returns false
    /// when there is no such key.
    ///
    /// # Errors
    ///
    /// As [`Entries::get`] and [`Entries::put`].
    fn expire(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        Ok(modify::put_again(self, namespace, key, clock, expiry, None)?.is_some())
    }

    /// Adds `by` to the decimal number that a key holds, and returns the sum. A key that is absent
    /// counts as 0, and only then does `ttl` count; otherwise the expiry stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unfit`] if the value is no number or the sum does not fit 64 bits; then
    /// nothing is changed.
    fn incr(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        clock: &dyn Clock,
    ) -> Result<i64> {
        self.prepare()?;
        let mut conflicts = modify::Conflicts::default();
        loop {
            let unfit = |why| StoreError::unfit("increment", key, why);
            let found = self.get(namespace, key, clock.now())?;
            let condition = modify::unchanged(found.as_ref());
            let (number, expiry) = match found {
                Some(entry) => (modify::read_number(entry).map_err(unfit)??, Expiry::Keep),
                None => (0, ttl.map_or(Expiry::Never, Expiry::After)),
            };
            let sum = number
                .checked_add(by)
                .ok_or_else(|| unfit("the sum does not fit 64 bits"))?;
            let text = sum.to_string();
            let mut value = text.as_bytes();
            let put = Put {
                expiry,
                ..Put::new(&mut value, condition)
            };
            if self.put(namespace, key, put, clock)?.is_some() {
                return Ok(sum);
            }
            conflicts.queue(self, namespace, key)?;
        }
    }

    /// Adds bytes to the end of a value; a key that is absent gets them as its value. The expiry
    /// stays. Returns the etags that the key had and has, if they are known.
    ///
    /// # Errors
    ///
    /// As [`Entries::get`] and [`Entries::put`].
    fn append(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
        clock: &dyn Clock,
    ) -> Result<Option<(Option<Etag>, Etag)>> {
        modify::append(self, namespace, key, || addition, clock, true)
    }

    /// Stores once more what a key holds, under another; its expiry and its time of modification come along.
    /// Returns false where there is nothing to copy, or where the place is to be new and is not. A key may
    /// be copied to itself, which changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Entries::get`] and [`Entries::put`].
    fn copy(
        &self,
        from: Place<'_>,
        to: Place<'_>,
        is_new: bool,
        clock: &dyn Clock,
    ) -> Result<bool> {
        modify::copy(self, from, to, is_new, clock)
    }

    /// Moves what a key holds to another, as [`Entries::copy`] does: of several callers at once, one moves
    /// it. Whoever is killed half-way leaves the old entry, or both.
    ///
    /// # Errors
    ///
    /// As [`Entries::copy`] and [`Entries::remove`]; then too the old entry is left, or both are.
    fn rename(
        &self,
        from: Place<'_>,
        to: Place<'_>,
        is_new: bool,
        clock: &dyn Clock,
    ) -> Result<bool> {
        modify::rename(self, from, to, is_new, clock)
    }

    /// Queues up behind others who change the same key in several steps, for a while at most. It
    /// saves them from getting in each other's way and promises nothing: a caller goes on in any
    /// case, and whether its change takes place is decided by the change's condition.
    fn turn(&self, _namespace: &Namespace, _key: &Key) -> Option<Turn> {
        None
    }

    /// Returns for how long to go on with a change that others keep getting in the way of.
    fn busy_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Makes a store of a file that is there and has nothing in it, which reads refuse, as it may have been
    /// one. A change that begins with a read calls it first, and does then what a put does there.
    ///
    /// # Errors
    ///
    /// As [`Entries::put`].
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// Tells whether there is a store at its place at all; with nothing stored yet there may be none.
    /// Whoever keeps using one asks, so that a store that was taken away is not taken for an empty one.
    ///
    /// A server is asked nothing: one that is gone fails in every other call.
    ///
    /// # Errors
    ///
    /// Where its place cannot be looked at.
    fn exists(&self) -> Result<bool> {
        Ok(true)
    }
}
