//! A namespace as the library reads and changes it, without a process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use kv::engine::Sync;
use kv::store::{
    Clock, Collect, Condition, End, Entry, Expiry, Key, Meta, Namespace, Progress, Put, Selection,
    Store, StoreError, Time,
};

use crate::library::{Now, open};

/// What a namespace holds.
pub type Values = BTreeMap<String, Vec<u8>>;

/// A clock that stands still.
#[derive(Debug)]
pub struct Then(pub SystemTime);

impl Clock for Then {
    fn now(&self) -> Time {
        Time::from_system(self.0)
    }
}

/// Keeps what a collection of garbage complains of.
#[derive(Debug, Default)]
struct Complaints(Vec<String>);

impl Progress for Complaints {
    fn step(&mut self, _: u64, _: u64) {}

    fn evict(&mut self, _: &Key) {}

    fn damage(&mut self, err: StoreError) {
        self.0.push(format!("{err:?}"));
    }
}

/// A namespace of a store, without a process of its own.
pub struct Opened {
    pub store: Box<dyn Store>,
    pub namespace: Namespace,
    /// Of what it holds something may be damaged, and that is to be read as such.
    pub is_damaged: bool,
}

impl Opened {
    pub fn at(path: &Path, namespace: &str) -> Self {
        Self {
            store: open(path, Sync::Full, 5),
            namespace: namespace.parse().unwrap(),
            is_damaged: false,
        }
    }

    /// Reads all values: by listing them, and each by its key.
    pub fn values(&self, keys: &BTreeSet<String>) -> Result<Values, String> {
        if self.is_damaged {
            return self.look(keys);
        }
        let selection = Selection {
            values: true,
            ..Selection::default()
        };
        let mut listed = Values::new();
        let now = Now.now();
        let mut all = self.store.scan(&self.namespace, &selection, now);
        let all = all.as_mut().map_err(|err| format!("ls: {err:?}"))?;
        while let Some(next) = all.next() {
            let next = next.map_err(|err| format!("ls: {err:?}"))?;
            let key = String::from_utf8(next.key.to_vec()).unwrap();
            let value = next.value.unwrap().into_vec();
            let value = value.map_err(|err| format!("ls: {key}: {err:?}"))?;
            listed.insert(key, with_expiry(value, next.meta));
        }
        for name in keys {
            let key = Key::new(name.as_bytes().to_vec()).unwrap();
            let got = self.store.get(&self.namespace, &key, now);
            let read = |entry: Entry| Ok(with_expiry(entry.value.into_vec()?, entry.meta));
            let got = got.and_then(|entry| entry.map(read).transpose());
            let got = got.map_err(|err| format!("get {name}: {err:?}"))?;
            if listed.get(name) != got.as_ref() {
                return Err(format!("get and ls disagree on {name}"));
            }
        }
        Ok(listed)
    }

    /// Stores a value, as of a time.
    pub fn put_at(
        &self,
        key: &str,
        value: &[u8],
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<(), String> {
        let name = Key::new(key.as_bytes().to_vec()).unwrap();
        let mut value = value;
        let put = Put {
            expiry,
            ..Put::new(&mut value, Condition::Always)
        };
        let etag = self.store.put(&self.namespace, &name, put, clock);
        etag.map_err(|err| format!("put {key}: {err:?}"))?;
        Ok(())
    }

    pub fn put(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.put_at(key, value, Expiry::Never, &Now)
    }

    pub fn remove(&self, key: &str) -> Result<(), String> {
        let name = Key::new(key.as_bytes().to_vec()).unwrap();
        let removed = self
            .store
            .remove(&self.namespace, &name, &Condition::Always, &Now);
        match removed.map_err(|err| format!("remove {key}: {err:?}"))? {
            true => Ok(()),
            false => Err(format!("remove {key}: it is not there")),
        }
    }

    /// Collects garbage.
    pub fn gc(&self) -> Result<(), String> {
        let mut complaints = Complaints::default();
        let request = Collect {
            at_once: true,
            ..Collect::default()
        };
        let done = self
            .store
            .collect(&self.namespace, &request, &Now, &mut complaints);
        let done = done.map_err(|err| format!("gc: {err:?}"))?;
        match (done.is_busy, complaints.0.first()) {
            (false, None) => Ok(()),
            wrong => Err(format!("gc: {wrong:?}")),
        }
    }

    /// Adds an element to the list, then takes all.
    pub fn drain(&self) -> Result<Vec<Vec<u8>>, String> {
        let pushed = self.store.push(&self.namespace, &mut &b"last"[..], &Now);
        pushed.map_err(|err| format!("push: {err:?}"))?;
        self.take_all()
    }

    pub fn take_all(&self) -> Result<Vec<Vec<u8>>, String> {
        let mut all = Vec::new();
        loop {
            let popped = self.store.pop(&self.namespace, End::First, &Now);
            let Some(entry) = popped.map_err(|err| format!("pop: {err:?}"))? else {
                return Ok(all);
            };
            all.push(
                entry
                    .value
                    .into_vec()
                    .map_err(|err| format!("pop: {err:?}"))?,
            );
        }
    }
}

/// Says behind a value if it expires.
pub fn with_expiry(mut value: Vec<u8>, meta: Meta) -> Vec<u8> {
    if meta.expires.is_some() {
        value.extend_from_slice(b" (expires)");
    }
    value
}
