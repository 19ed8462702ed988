//! Waiting for a change: a request that is answered when there is one.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{
    Entries, Etag, Key, Namespace, Result, StoreError, Time, Watch, WatchTarget, Watcher,
    watch::poll,
};
use crate::wire::http::request::{self, OnKey, Until};

use super::Http;
use super::ask::Ask;
use super::client::Client;
use super::follow::watch_all;

/// The pause after a request that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of what is watched.
struct HttpWatcher {
    store: Http,
    namespace: Namespace,
    key: Key,
    /// What the key held when it was looked at last.
    etag: Option<Etag>,
    /// Since when the service does not answer.
    failing: Cell<Option<Instant>>,
}

impl Watch for Http {
    fn watch(&self, namespace: &Namespace, target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        let key = match target {
            WatchTarget::Key(key) => key,
            WatchTarget::All(selection) => return watch_all(&self.client, namespace, selection),
            // An element is waited for by the request that takes it: only who serves this store once more
            // watches a list.
            WatchTarget::List => return Ok(poll()),
        };
        let meta = self.stat(namespace, key, Time(0))?;
        Ok(Box::new(HttpWatcher {
            store: Http {
                client: Arc::clone(&self.client),
            },
            namespace: namespace.clone(),
            key: key.clone(),
            etag: meta.map(|meta| meta.etag),
            failing: Cell::default(),
        }))
    }
}

impl HttpWatcher {
    fn client(&self) -> &Client {
        &self.store.client
    }

    /// Waits for a change, for at most that long. `None` where there was none.
    fn ask(&self, wait: Duration) -> Result<Option<()>> {
        let until = self.etag.map_or(Until::There, Until::Changed);
        let wait = OnKey::Wait(request::Wait { wait, until });
        let ask = Ask::on_key(&self.namespace, &self.key, wait);
        let changed = self.client().ask(&ask)?;
        self.failing.set(None);
        Ok(changed.map(drop))
    }

    /// A service that was started anew answers again; one that does not for too long is told.
    fn pause_after(&self, err: StoreError) -> Result<()> {
        let since = self.failing.get().unwrap_or_else(Instant::now);
        self.failing.set(Some(since));
        if since.elapsed() > self.client().settings().busy_timeout {
            return Err(err);
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}

impl Watcher for HttpWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        loop {
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(());
            }
            match self.client().wait(until, |wait| self.ask(wait)) {
                Ok(Some(())) => break,
                Ok(None) => return Ok(()),
                Err(err) => self.pause_after(err)?,
            }
        }
        // Whoever is woken looks at it; the next wait is for what comes after this look.
        let meta = self.store.stat(&self.namespace, &self.key, Time(0))?;
        let etag = meta.map(|meta| meta.etag);
        if etag == self.etag {
            // There was a change, it said, and there is none: it is not asked again at once.
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE)));
        }
        self.etag = etag;
        Ok(())
    }
}
