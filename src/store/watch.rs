//! Waiting for a change.

use std::thread;
use std::time::{Duration, Instant};

use crate::store::{Key, Namespace, Result};

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

/// How a change is waited for; by default by looking again and again.
pub trait Watch {
    /// Begins to watch a key, or all of a list. Whoever looks after this call, finds nothing, and
    /// waits, is woken by what happens after the look.
    ///
    /// # Errors
    ///
    /// Where the system cannot watch.
    fn watch(&self, _namespace: &Namespace, _target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        Ok(poll())
    }
}

/// The first pause between two looks; each is twice as long as the one before, up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns what only looks again and again.
pub fn poll() -> Box<dyn Watcher> {
    Box::new(Poll(SHORTEST_PAUSE))
}

/// Waits for nothing but the time.
struct Poll(Duration);

impl Watcher for Poll {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        thread::sleep(left.map_or(self.0, |left| left.min(self.0)));
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
