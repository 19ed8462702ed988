//! A store behind `kv serve`: each call is a request, or a few.
//!
//! Whatever the store promises the service keeps: it is atomic, durable and expires there, by its
//! clock. Over the network there is one thing more that can happen: a change is sent, and no answer
//! comes. Then nobody knows whether it was made, and the error says that it may have been; only what
//! changes nothing is asked again. What the service refuses because it is busy was not done, and is
//! asked again for as long as the busy timeout lasts.
//!
//! Keys stand in paths, every byte written as `%XX` that could mean anything to whoever is between. A key
//! that might be changed on the way all the same, such as `a/../b`, is sent in a body; see [`odd`].
//!
//! Read the files in this order: [`socket`], [`tls`], [`deadline`], [`incoming`], [`faults`], [`ask`], [`client`], [`address`], [`body`], [`entries`], [`odd`],
//! [`scan`], [`bulk`], [`watch`], [`named`], [`upkeep`].

mod address;
mod ask;
mod body;
mod bulk;
mod client;
mod deadline;
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
    Clock, Condition, Entries, Entry, Etag, Expiry, HttpLocation, Key, Listing, Meta, Namespace,
    Put, Result, Selection, Time,
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

impl Entries for Http {
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

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        _now: Time,
    ) -> Result<Listing<'a>> {
        self.list_entries(namespace, selection)
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.list_namespaces()
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        self.drop_namespace(namespace)
    }

    fn busy_timeout(&self) -> Duration {
        self.client.settings().busy_timeout
    }
}
