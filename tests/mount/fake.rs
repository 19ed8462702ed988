//! A store in memory and a clock that is set, for tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::{
    Bulk, Clock, Condition, Deadline, Entries, Entry, Etag, Held, Holder, Key, Listed, Listing,
    Lists, LockRequest, Locks, Meta, Namespace, Put, Result, Scan, Selection, StoreError, Time,
    Upkeep, Value, Watch, entry,
};

/// A value of so many bytes is read part by part.
const LARGE: usize = 4096;

/// Each copy is the same store.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Inner>);

type Stored = (Meta, Vec<u8>);

#[derive(Default)]
struct Inner {
    entries: Mutex<BTreeMap<Vec<u8>, Stored>>,
    etags: AtomicU64,
    now: AtomicU64,
    /// Waited for twice by who has put something, before that is told.
    pause: Mutex<Option<Arc<Barrier>>>,
}

impl Fake {
    pub(super) fn pass(&self, time: Duration) {
        self.0
            .now
            .fetch_add(u64::try_from(time.as_nanos()).unwrap(), SeqCst);
    }

    pub(super) fn pause(&self) -> Arc<Barrier> {
        let pause = Arc::new(Barrier::new(2));
        *self.0.pause.lock() = Some(Arc::clone(&pause));
        pause
    }

    /// Returns what a key holds and when it expires.
    pub(super) fn look(&self, key: &Key) -> Option<(Vec<u8>, Option<Deadline>)> {
        let (meta, value) = self.live(key, self.now())?;
        Some((value, meta.expires))
    }

    fn live(&self, key: &Key, now: Time) -> Option<(Meta, Vec<u8>)> {
        let entries = self.0.entries.lock();
        let found = entries.get(key.as_bytes()).cloned();
        found.filter(|(meta, _)| meta.is_live(now))
    }
}

fn holds(condition: &Condition, found: Option<&Stored>) -> bool {
    condition.holds(found.map(|(meta, value)| (meta.etag, &value[..])))
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

impl Entries for Fake {
    fn get(&self, _: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>> {
        Ok(self.live(key, now).map(|(meta, bytes)| Entry {
            meta,
            value: match bytes.len() < LARGE {
                true => Value::whole(bytes),
                false => Value::Stream(Box::new(Value::whole(bytes))),
            },
        }))
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
        if !holds(&put.condition, found.as_ref()) {
            return Ok(None);
        }
        let etag = Etag(self.0.etags.fetch_add(1, SeqCst) + 1);
        let meta = Meta {
            etag,
            modified: put.modified.unwrap_or(now),
            expires: put
                .expiry
                .resolve(now, found.and_then(|(meta, _)| meta.expires)),
            size: value.len() as u64,
        };
        self.0
            .entries
            .lock()
            .insert(key.as_bytes().to_vec(), (meta, value));
        let pause = self.0.pause.lock().take();
        if let Some(pause) = pause {
            pause.wait();
            pause.wait();
        }
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
        let is = found.is_some() && holds(condition, found.as_ref());
        if is {
            self.0.entries.lock().remove(key.as_bytes());
        }
        Ok(is)
    }

    fn scan<'a>(&'a self, _: &Namespace, _: &Selection, _: Time) -> Result<Listing<'a>> {
        Ok(Box::new(Nothing))
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        Ok(Vec::new())
    }

    fn remove_namespace(&self, _: &Namespace) -> Result<bool> {
        unused()
    }
}

impl Lists for Fake {}

impl Watch for Fake {}

impl Bulk for Fake {}

impl Upkeep for Fake {}

impl Locks for Fake {
    fn lock(&self, _: &Namespace, _: &Key, _: LockRequest, _: &dyn Clock) -> Result<Option<Held>> {
        unused()
    }

    fn lock_holder(&self, _: &Namespace, _: &Key) -> Result<Option<Holder>> {
        unused()
    }
}
