//! The memory engine: a store that lives as long as its process, for `batch`, `serve` and tests.
//!
//! It is the engine to read first: it has what every engine must have, [`Entries`] and [`Locks`], and
//! does all else by the defaults of the facets. What a new engine has to do better than that is seen by
//! comparing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::engine::Settings;
use crate::engine::location::{Given, Locator};
use crate::os;
use crate::store::{
    Bulk, Clock, Condition, Entries, Entry, Etag, Guard, Held, Holder, Key, Listed, Listing, Lists,
    LockRequest, Locks, Meta, Namespace, OrCannot as _, Put, Result, Scan, Selection, Store, Time,
    Upkeep, Value, Watch, entry,
};

/// So many entries of a listing are copied at once; others can write between two times.
const AT_ONCE: usize = 1_000;

/// The store of this process.
#[derive(Debug)]
pub struct Memory {
    settings: Settings,
}

type Contents = BTreeMap<Key, (Meta, Arc<[u8]>)>;

static NAMESPACES: Mutex<BTreeMap<Namespace, Contents>> = Mutex::new(BTreeMap::new());

/// `memory:`, the only location of such a store.
struct Anywhere;

pub(super) fn location(given: &Given) -> Result<Arc<dyn Locator>, &'static str> {
    match given.rest.is_empty() {
        true => Ok(Arc::new(Anywhere)),
        false => Err("`memory:` takes nothing behind it"),
    }
}

impl fmt::Display for Anywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

impl Locator for Anywhere {
    fn open(&self, settings: Settings) -> Box<dyn Store> {
        Box::new(Memory { settings })
    }
}

fn open(meta: Meta, value: &[u8]) -> Entry {
    let value = Value::whole(value.to_vec());
    Entry { meta, value }
}

impl Entries for Memory {
    fn get(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>> {
        let namespaces = NAMESPACES.lock();
        let found = namespaces
            .get(namespace)
            .and_then(|contents| contents.get(key));
        let live = found.filter(|(meta, _)| meta.is_live(now));
        Ok(live.map(|(meta, value)| open(*meta, value)))
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        let value: Arc<[u8]> = entry::read_to_end(put.value)?.into();
        let etag = Etag(os::random().or_cannot("get random bits for", "an etag".as_ref())?);
        let mut namespaces = NAMESPACES.lock();
        let now = clock.now();
        let found = namespaces
            .get(namespace)
            .and_then(|contents| contents.get(key));
        let found = found.filter(|(meta, _)| meta.is_live(now));
        let is_there = found.is_some();
        if !put
            .condition
            .holds(found.map(|(meta, value)| (meta.etag, &value[..])))
        {
            return Ok(None);
        }
        let meta = Meta {
            etag,
            modified: put.modified.unwrap_or(now),
            expires: put
                .expiry
                .resolve(now, found.and_then(|(meta, _)| meta.expires)),
            size: value.len() as u64,
        };
        let contents = namespaces.entry(namespace.clone()).or_default();
        contents.insert(key.clone(), (meta, value));
        if let Some(was_there) = put.was_there {
            *was_there = is_there;
        }
        Ok(Some(etag))
    }

    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let mut namespaces = NAMESPACES.lock();
        let Some(contents) = namespaces.get_mut(namespace) else {
            return Ok(false);
        };
        let found = contents
            .get(key)
            .filter(|(meta, _)| meta.is_live(clock.now()));
        let goes = found.is_some_and(|(meta, value)| condition.holds(Some((meta.etag, value))));
        if goes {
            contents.remove(key);
        }
        Ok(goes)
    }

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        Ok(Box::new(MemoryScan {
            namespace: namespace.clone(),
            left: selection.limit.unwrap_or(u64::MAX),
            selection: selection.clone(),
            now,
            page: Vec::new().into_iter(),
            key: None,
        }))
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        Ok(NAMESPACES.lock().keys().cloned().collect())
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        Ok(NAMESPACES.lock().remove(namespace).is_some())
    }

    fn busy_timeout(&self) -> Duration {
        self.settings.busy_timeout
    }
}

/// A listing, page by page.
struct MemoryScan {
    namespace: Namespace,
    selection: Selection,
    now: Time,
    left: u64,
    page: std::vec::IntoIter<(Key, Meta, Arc<[u8]>)>,
    /// The key that is being lent, behind which the next page begins.
    key: Option<Key>,
}

impl MemoryScan {
    fn read_page(&mut self) {
        let namespaces = NAMESPACES.lock();
        let Some(contents) = namespaces.get(&self.namespace) else {
            return;
        };
        let behind = self.key.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let bounds = match self.selection.reverse {
            false => (behind, Bound::Unbounded),
            true => (Bound::Unbounded, behind),
        };
        let range = contents.range::<Key, _>(bounds);
        let copy = |(key, (meta, value)): (&Key, &(Meta, Arc<[u8]>))| {
            let is_wanted = self.selection.matches(key.as_bytes()) && meta.is_live(self.now);
            is_wanted.then(|| (key.clone(), *meta, Arc::clone(value)))
        };
        let page: Vec<_> = match self.selection.reverse {
            false => range.filter_map(copy).take(AT_ONCE).collect(),
            true => range.rev().filter_map(copy).take(AT_ONCE).collect(),
        };
        self.page = page.into_iter();
    }
}

impl Scan for MemoryScan {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        self.left = self.left.checked_sub(1)?;
        if self.page.len() == 0 {
            self.read_page();
        }
        let (key, meta, value) = self.page.next()?;
        let value = self.selection.values.then(|| open(meta, &value).value);
        let key = self.key.insert(key).as_bytes();
        Some(Ok(Listed { key, meta, value }))
    }
}

/// Who holds which lock, each by a number.
static HOLDERS: Mutex<BTreeMap<(Namespace, Key), BTreeMap<u64, Holder>>> =
    Mutex::new(BTreeMap::new());
static FREED: Condvar = Condvar::new();

/// A lock that is held until this is dropped.
struct MemoryGuard {
    name: (Namespace, Key),
    id: u64,
}

impl Guard for MemoryGuard {}

impl Drop for MemoryGuard {
    fn drop(&mut self) {
        let mut all = HOLDERS.lock();
        if let Some(holders) = all.get_mut(&self.name) {
            holders.remove(&self.id);
            if holders.is_empty() {
                all.remove(&self.name);
            }
        }
        FREED.notify_all();
    }
}

impl Locks for Memory {
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        let until = request
            .patience
            .and_then(|patience| Instant::now().checked_add(patience));
        let id = os::random().or_cannot("get random bits for", "a lock".as_ref())?;
        let name = (namespace.clone(), name.clone());
        let mut all = HOLDERS.lock();
        while let Some(holders) = all.get(&name)
            && !(request.is_shared && holders.values().all(|holder| holder.is_shared))
        {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let pause = left.unwrap_or(Duration::from_secs(1));
            FREED.wait_for(&mut all, pause);
        }
        let holder = Holder {
            pid: std::process::id(),
            host: os::host_name(),
            since: clock.now(),
            is_shared: request.is_shared,
        };
        all.entry(name.clone()).or_default().insert(id, holder);
        Ok(Some(Box::new(MemoryGuard { name, id })))
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let all = HOLDERS.lock();
        let holders = all.get(&(namespace.clone(), name.clone()));
        Ok(holders.and_then(|holders| holders.values().max_by_key(|holder| holder.since).cloned()))
    }
}

impl Lists for Memory {}

impl Watch for Memory {}

impl Bulk for Memory {}

impl Upkeep for Memory {}
