//! What a store is, whatever the engine: keys, values, conditions, and the verbs on them.
//!
//! Nothing here does I/O or knows an engine. A command is written against [`Store`] and works on
//! each engine that implements it.
//!
//! Read the files in this order: [`key`], [`namespace`], [`time`], [`units`], [`entry`], [`put`], [`scan`],
//! [`glob`], [`bulk`], [`upkeep`], [`evict`], [`check`], [`location`], [`error`], [`modify`]; the trait that they serve is
//! below.

pub mod bulk;
pub mod check;
pub mod entry;
pub mod error;
pub mod evict;
pub mod glob;
pub mod key;
pub mod list;
pub mod location;
pub mod modify;
pub mod named;
pub mod namespace;
pub mod put;
pub mod scan;
pub mod time;
pub mod units;
pub mod upkeep;

use std::time::{Duration, Instant};

pub use self::bulk::{Feed, Imported, Incoming, Merge, Stopped};
pub use self::check::{Check, Finding};
pub use self::entry::{Entry, Etag, Meta, Source, Value};
pub use self::error::{Fault, OrCannot, Result, StoreError};
pub use self::glob::Glob;
pub use self::key::Key;
pub use self::list::End;
pub use self::location::{HttpLocation, HttpServer, Location, RedisLocation};
pub use self::named::{Guard, Held, Holder, LockRequest, OnLoss};
pub use self::namespace::Namespace;
pub use self::put::{Condition, Expiry, Put};
pub use self::scan::{Listed, Listing, Scan, Selection};
pub use self::time::{Clock, Deadline, Time};
pub use self::upkeep::{Collect, Collected, Info, Progress};

/// What to watch.
#[derive(Clone, Copy, Debug)]
pub enum WatchTarget<'a> {
    /// The entry of this key.
    Key(&'a Key),
    /// The elements of the list that the namespace is.
    List,
}

/// A watch on a part of a store.
pub trait Watcher {
    /// Waits until something may have changed, or until `until`; may return early.
    ///
    /// # Errors
    ///
    /// Where the system fails to wait.
    fn wait(&mut self, until: Option<Instant>) -> Result<()>;
}

/// A turn that ends when this is dropped.
pub type Turn = Box<dyn std::any::Any>;

/// A place that holds namespaces of entries.
///
/// Each call is one atomic step for whoever else uses the store. An expired entry is absent in
/// every call, from the moment that it expires. "No such key" is an answer and never an error.
pub trait Store: Send + Sync {
    /// Finds a key. The whole of a small value is verified before this returns; a larger one is
    /// verified while it is read, and its last read fails if it is damaged.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where the key's entry is not what was written,
    /// [`StoreError::OtherKey`] where another key's entry is in its place.
    fn get(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>>;

    /// Finds what is known of a key without reading its value.
    ///
    /// # Errors
    ///
    /// As [`Store::get`], but damage to the value itself may go unseen.
    fn stat(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Meta>>;

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

    /// Removes a key and returns what it held, in one step: of several callers at once, one gets
    /// the entry. The whole value is verified before anything is removed.
    ///
    /// The caller gets the value or it is still there, never neither. If the entry is gone and the
    /// last sync fails, so that it may come back with a power cut, the value ends in that error.
    ///
    /// # Errors
    ///
    /// As [`Store::get`]; then nothing is removed.
    fn take(&self, namespace: &Namespace, key: &Key, clock: &dyn Clock) -> Result<Option<Entry>>;

    /// Gives a key a new expiry and keeps its value and its time of modification. Returns false
    /// when there is no such key.
    ///
    /// # Errors
    ///
    /// As [`Store::get`] and [`Store::put`].
    fn expire(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        modify::expire(self, namespace, key, expiry, clock)
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
        modify::incr(self, namespace, key, by, ttl, clock)
    }

    /// Adds bytes to the end of a value; a key that is absent gets them as its value. The expiry
    /// stays.
    ///
    /// # Errors
    ///
    /// As [`Store::get`] and [`Store::put`].
    fn append(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
        clock: &dyn Clock,
    ) -> Result<()> {
        modify::append(self, namespace, key, addition, clock)
    }

    /// Adds an element to the end of a list: an entry of the list's namespace, under the next of
    /// the keys that [`list::is_element`] knows.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    fn push(&self, list: &Namespace, value: &mut dyn Source, clock: &dyn Clock) -> Result<()>;

    /// Takes an element from one end of a list: of several callers at once, each gets another.
    ///
    /// # Errors
    ///
    /// As [`Store::take`].
    fn pop(&self, list: &Namespace, end: End, clock: &dyn Clock) -> Result<Option<Entry>>;

    /// Takes an element as [`Store::pop`] does, and waits that long for one where there is none.
    ///
    /// # Errors
    ///
    /// As [`Store::pop`] and [`Store::watch`].
    fn pop_within(
        &self,
        list: &Namespace,
        end: End,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        list::pop_within(self, list, end, patience, clock)
    }

    /// Takes the lock of that name. Returns `None` if others held it for too long. It has nothing
    /// to do with the entry of the same name.
    ///
    /// # Errors
    ///
    /// Where the engine has no such locks, or the store cannot be written.
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>>;

    /// Tells who holds the lock of that name; `None` if nobody does.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>>;

    /// Begins to watch a key, or all of a list. Whoever looks after this call, finds nothing, and
    /// waits, is woken by what happens after the look.
    ///
    /// # Errors
    ///
    /// Where the system cannot watch.
    fn watch(&self, namespace: &Namespace, target: WatchTarget<'_>) -> Result<Box<dyn Watcher>>;

    /// Queues up behind others who change the same key in several steps, for a while at most. It
    /// saves them from getting in each other's way and promises nothing: a caller goes on in any
    /// case, and whether its change takes place is decided by the change's condition.
    fn turn(&self, _namespace: &Namespace, _key: &Key) -> Option<Turn> {
        None
    }

    /// Returns for how long to go on with a change that others keep getting in the way of.
    fn busy_timeout(&self) -> Duration;

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

    /// Stores many entries. With `Ok(None)` the feed stopped, and nothing was stored.
    ///
    /// Each entry is stored whole or not at all; of all of them, some may be stored and others not
    /// if this fails or is killed. Doing it once more is safe.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>>;

    /// Removes many keys, and returns how many there were. What cannot be removed is told to
    /// `failed`, and the others are removed all the same.
    ///
    /// # Errors
    ///
    /// Where the store as a whole cannot be changed.
    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        bulk::remove_all(self, namespace, keys, clock, failed)
    }

    /// Collects garbage: sweeps what has expired, evicts what was asked for, and packs the rest.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read or changed. What was done until then stays done.
    fn collect(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected>;

    /// Checks that a namespace is what was written, and repairs it if that is asked for. What is
    /// found is told, one thing at a time, and is no error. It holds of a store in use too.
    ///
    /// # Errors
    ///
    /// Where not all of it could be looked at, or a repair failed. What was told is true all the
    /// same.
    fn check(
        &self,
        namespace: &Namespace,
        request: &Check,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()>;

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

    /// Tells what is known of a namespace; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    fn info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>>;

    /// Names all namespaces, in byte order.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    fn namespaces(&self) -> Result<Vec<Namespace>>;

    /// Removes a namespace with all its entries. Returns false when there is none.
    ///
    /// # Errors
    ///
    /// Where it is in use for longer than the store's busy timeout, or cannot be removed.
    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool>;
}
