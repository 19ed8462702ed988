//! A store in memory and a clock that is set, for tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::store::{
    Check, Clock, Collect, Collected, Condition, Deadline, End, Entry, Etag, Expiry, Feed, Finding,
    Held, Holder, Imported, Info, Key, Listed, Listing, LockRequest, Merge, Meta, Namespace,
    Progress, Put, Result, Scan, Selection, Source, Store, StoreError, Time, Value, WatchTarget,
    Watcher, entry,
};

use super::hold;

/// Each copy is the same store.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Inner>);

type Stored = (Meta, Vec<u8>);

#[derive(Default)]
struct Inner {
    entries: Mutex<BTreeMap<Vec<u8>, Stored>>,
    etags: AtomicU64,
    now: AtomicU64,
}

impl Fake {
    pub(super) fn pass(&self, time: Duration) {
        self.0
            .now
            .fetch_add(u64::try_from(time.as_nanos()).unwrap(), SeqCst);
    }

    /// Returns what a key holds and when it expires.
    pub(super) fn look(&self, key: &Key) -> Option<(Vec<u8>, Option<Deadline>)> {
        let (meta, value) = self.live(key, self.now())?;
        Some((value, meta.expires))
    }

    fn live(&self, key: &Key, now: Time) -> Option<(Meta, Vec<u8>)> {
        let entries = hold(&self.0.entries);
        let found = entries.get(key.as_bytes()).cloned();
        found.filter(|(meta, _)| meta.expires.is_none_or(|end| !end.is_over(now)))
    }

    fn holds(condition: &Condition, found: Option<&(Meta, Vec<u8>)>) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => found.is_none(),
            Condition::Exists => found.is_some(),
            Condition::Value(value) => found.is_some_and(|(_, is)| is == value),
            Condition::Etag(etag) => found.is_some_and(|(meta, _)| meta.etag == *etag),
        }
    }
}

fn unused<T>() -> Result<T> {
    Err(StoreError::Io {
        action: "do",
        path: "a test".into(),
        source: io::ErrorKind::Unsupported.into(),
    })
}

impl Clock for Fake {
    fn now(&self) -> Time {
        Time(1_000_000_000_000_000_000 + self.0.now.load(SeqCst))
    }
}

struct Nothing;

impl Scan for Nothing {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        None
    }
}

impl Store for Fake {
    fn get(&self, _: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>> {
        Ok(self.live(key, now).map(|(meta, bytes)| Entry {
            meta,
            value: Value::Whole { bytes, next: 0 },
        }))
    }

    fn stat(&self, _: &Namespace, key: &Key, now: Time) -> Result<Option<Meta>> {
        Ok(self.live(key, now).map(|(meta, _)| meta))
    }

    fn put(
        &self,
        _: &Namespace,
        key: &Key,
        put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        let value = entry::read_to_end(put.value)?;
        let now = clock.now();
        let found = self.live(key, now);
        if !Self::holds(&put.condition, found.as_ref()) {
            return Ok(None);
        }
        let etag = Etag(self.0.etags.fetch_add(1, SeqCst) + 1);
        let meta = Meta {
            etag,
            modified: put.modified.unwrap_or(now),
            expires: match put.expiry {
                Expiry::Never => None,
                Expiry::After(ttl) => Some(Deadline::after(now, ttl)),
                Expiry::At(deadline) => Some(deadline),
                Expiry::Keep => found.and_then(|(meta, _)| meta.expires),
            },
            size: value.len() as u64,
        };
        hold(&self.0.entries).insert(key.as_bytes().to_vec(), (meta, value));
        Ok(Some(etag))
    }

    fn remove(
        &self,
        _: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let found = self.live(key, clock.now());
        let is = found.is_some() && Self::holds(condition, found.as_ref());
        if is {
            hold(&self.0.entries).remove(key.as_bytes());
        }
        Ok(is)
    }

    fn take(&self, _: &Namespace, _: &Key, _: &dyn Clock) -> Result<Option<Entry>> {
        unused()
    }

    fn push(&self, _: &Namespace, _: &mut dyn Source, _: &dyn Clock) -> Result<()> {
        unused()
    }

    fn pop(&self, _: &Namespace, _: End, _: &dyn Clock) -> Result<Option<Entry>> {
        unused()
    }

    fn lock(&self, _: &Namespace, _: &Key, _: LockRequest, _: &dyn Clock) -> Result<Option<Held>> {
        unused()
    }

    fn lock_holder(&self, _: &Namespace, _: &Key) -> Result<Option<Holder>> {
        unused()
    }

    fn watch(&self, _: &Namespace, _: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        unused()
    }

    fn busy_timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn scan<'a>(&'a self, _: &Namespace, _: &Selection, _: Time) -> Result<Listing<'a>> {
        Ok(Box::new(Nothing))
    }

    fn import(
        &self,
        _: &Namespace,
        _: &mut dyn Feed,
        _: Merge,
        _: &dyn Clock,
    ) -> Result<Option<Imported>> {
        unused()
    }

    fn collect(
        &self,
        _: &Namespace,
        _: &Collect,
        _: &dyn Clock,
        _: &mut dyn Progress,
    ) -> Result<Collected> {
        unused()
    }

    fn check(
        &self,
        _: &Namespace,
        _: &Check,
        _: &dyn Clock,
        _: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        unused()
    }

    fn info(&self, _: &Namespace, _: Time) -> Result<Option<Info>> {
        unused()
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        Ok(Vec::new())
    }

    fn remove_namespace(&self, _: &Namespace) -> Result<bool> {
        unused()
    }
}
