//! A store behind `kv serve`: each call is a request, or a few.
//!
//! Whatever the store promises the service keeps: it is atomic, durable and expires there, by its
//! clock. Over the network there is one thing more that can happen: a change is sent, and no answer
//! comes. Then nobody knows whether it was made, and the error says that there was no answer; only what
//! changes nothing is asked again. What the service refuses because it is busy was not done, and is
//! asked again for as long as the busy timeout lasts.
//!
//! Keys stand in paths, every byte written as `%XX` that could mean anything to whoever is between. A key
//! that might be changed on the way all the same, such as `a/../b`, is sent in a body; see [`odd`].
//!
//! Read the files in this order: [`socket`], [`tls`], [`incoming`], [`faults`], [`ask`], [`client`], [`address`], [`body`], [`entries`], [`odd`],
//! [`scan`], [`bulk`], [`watch`], [`named`], [`upkeep`].

mod address;
mod ask;
mod body;
mod bulk;
mod client;
mod entries;
mod faults;
mod incoming;
mod named;
mod odd;
mod scan;
mod socket;
mod tls;
mod upkeep;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Settings;
use crate::store::{
    Check, Clock, Collect, Collected, Condition, End, Entry, Etag, Expiry, Feed, Finding, Held,
    Holder, HttpLocation, Imported, Info, Key, Listing, LockRequest, Merge, Meta, Namespace,
    Progress, Put, Result, Selection, Source, Store, StoreError, Time, WatchTarget, Watcher,
};

use self::client::Client;

/// A store that a service keeps.
#[derive(Debug)]
pub struct Http {
    client: Arc<Client>,
}

impl Http {
    /// Names a service. What a write survives is the service's to decide, so that of `settings` only
    /// the busy timeout counts.
    pub fn new(place: HttpLocation, settings: Settings) -> Self {
        let client = Arc::new(Client::new(place, settings));
        Self { client }
    }
}

impl Store for Http {
    fn get(&self, namespace: &Namespace, key: &Key, _now: Time) -> Result<Option<Entry>> {
        self.find(namespace, key)
    }

    fn stat(&self, namespace: &Namespace, key: &Key, _now: Time) -> Result<Option<Meta>> {
        self.find_meta(namespace, key)
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        _clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        self.put_entry(namespace, key, put)
    }

    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        _clock: &dyn Clock,
    ) -> Result<bool> {
        self.remove_entry(namespace, key, condition)
    }

    fn take(&self, namespace: &Namespace, key: &Key, _clock: &dyn Clock) -> Result<Option<Entry>> {
        self.take_entry(namespace, key)
    }

    fn expire(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        self.expire_entry(namespace, key, expiry, clock)
    }

    fn incr(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        _clock: &dyn Clock,
    ) -> Result<i64> {
        self.add(namespace, key, by, ttl)
    }

    fn append(
        &self,
        namespace: &Namespace,
        key: &Key,
        addition: &[u8],
        clock: &dyn Clock,
    ) -> Result<()> {
        self.append_bytes(namespace, key, addition, clock)
    }

    fn push(&self, list: &Namespace, value: &mut dyn Source, _clock: &dyn Clock) -> Result<()> {
        self.push_element(list, value)
    }

    fn pop(&self, list: &Namespace, end: End, _clock: &dyn Clock) -> Result<Option<Entry>> {
        self.pop_element(list, end)
    }

    fn pop_within(
        &self,
        list: &Namespace,
        end: End,
        patience: Duration,
        _clock: &dyn Clock,
    ) -> Result<Option<Entry>> {
        self.pop_element_within(list, end, patience)
    }

    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        _clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        self.take_lock(namespace, name, request)
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        self.find_holder(namespace, name)
    }

    fn watch(&self, namespace: &Namespace, target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        self.begin_watch(namespace, target)
    }

    fn busy_timeout(&self) -> Duration {
        self.client.settings().busy_timeout
    }

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        _now: Time,
    ) -> Result<Listing<'a>> {
        self.list_entries(namespace, selection)
    }

    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        _clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        self.import_entries(namespace, feed, merge)
    }

    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        _clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        self.remove_keys(namespace, keys, failed)
    }

    fn collect(
        &self,
        _namespace: &Namespace,
        _request: &Collect,
        _clock: &dyn Clock,
        _progress: &mut dyn Progress,
    ) -> Result<Collected> {
        Err(self.not_from_here("collect garbage in"))
    }

    fn check(
        &self,
        _namespace: &Namespace,
        _request: &Check,
        _clock: &dyn Clock,
        _tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        Err(self.not_from_here("check"))
    }

    fn info(&self, namespace: &Namespace, _now: Time) -> Result<Option<Info>> {
        self.tell_info(namespace)
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.list_namespaces()
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        self.drop_namespace(namespace)
    }
}
