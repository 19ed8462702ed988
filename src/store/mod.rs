//! What a store is, whatever the engine: keys, values, conditions, and the verbs on them.
//!
//! Nothing here does I/O or knows an engine. A command is written against [`Store`] and works on
//! each engine that implements it.
//!
//! Read the files in this order: [`key`], [`namespace`], [`time`], [`entry`], [`put`], [`scan`],
//! [`glob`], [`location`], [`error`]; the trait that they serve is below.

pub mod entry;
pub mod error;
pub mod glob;
pub mod key;
pub mod location;
pub mod namespace;
pub mod put;
pub mod scan;
pub mod time;

pub use self::entry::{Entry, Etag, Meta, Source, Value};
pub use self::error::{OrCannot, Result, StoreError};
pub use self::glob::Glob;
pub use self::key::Key;
pub use self::location::Location;
pub use self::namespace::Namespace;
pub use self::put::{Condition, Expiry, Put};
pub use self::scan::{Listed, Listing, Selection};
pub use self::time::{Clock, Deadline, Time};

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
    /// removed.
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
        // The etag makes it one step: who finds the key changed meanwhile starts again.
        while let Some(mut entry) = self.get(namespace, key, clock.now())? {
            let put = Put {
                value: &mut entry.value,
                expiry,
                modified: Some(entry.meta.modified),
                condition: Condition::Etag(entry.meta.etag),
            };
            if self.put(namespace, key, put, clock)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

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

    /// Removes a namespace with all its entries. Returns false when there is none.
    ///
    /// # Errors
    ///
    /// Where it is in use for longer than the store's busy timeout, or cannot be removed.
    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool>;
}
