//! Waiting for a change.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::store::{Key, Meta, Namespace, Result, Selection, StoreError};

/// What to watch.
#[derive(Clone, Copy, Debug)]
pub enum WatchTarget<'a> {
    /// The entry of this key.
    Key(&'a Key),
    /// The elements of the list that the namespace is.
    List,
    /// All its entries, or those of a selection where the engine can tell them apart.
    All(&'a Selection),
}

/// What may have changed of all that is watched.
#[derive(Debug)]
pub enum Changed {
    /// Whatever there is.
    All,
    /// What is in these places, and nothing else: each with the key that is there, where one was found.
    /// A place is what [`Watcher::place`] makes of a key.
    At(Vec<(Vec<u8>, Option<Key>)>),
    /// These keys, and this is what they hold; what expires is told when it has.
    Told(Told),
}

/// What somebody has told who looks himself.
#[derive(Debug, Default)]
pub struct Told {
    /// What each key holds, if anything.
    pub keys: BTreeMap<Key, Option<Meta>>,
    /// What cannot be read.
    pub damage: Vec<StoreError>,
    /// There are no others.
    pub is_all: bool,
}

/// A watch on a part of a store.
pub trait Watcher {
    /// Waits until something may have changed, or until `until`; may return early.
    ///
    /// # Errors
    ///
    /// Where the system fails to wait.
    fn wait(&mut self, until: Option<Instant>) -> Result<()>;

    /// Tells what may have changed since this was asked last, of a watch on [`WatchTarget::All`].
    ///
    /// # Errors
    ///
    /// Where that cannot be found out.
    fn changed(&mut self) -> Result<Changed> {
        Ok(Changed::All)
    }

    /// Fails where the store that was watched is there no more, or another is in its place: its keys are not
    /// gone then. Asked before one is told to be.
    ///
    /// # Errors
    ///
    /// That it is gone.
    fn is_there(&mut self) -> Result<()> {
        Ok(())
    }

    /// Tells whether a place where there is no key, and none was seen, may have hidden one until now.
    fn may_uncover(&self) -> bool {
        false
    }

    /// Returns by what the place of a key is known where it may be told without the key: as many bytes for
    /// each.
    fn place(&self, key: &[u8]) -> Vec<u8> {
        _ = key;
        Vec::new()
    }
}

/// How a change is waited for; by default by looking again and again.
pub trait Watch {
    /// Begins to watch a key, all of a list, or all entries. Whoever looks after this call, finds nothing, and
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
    Box::new(Poll::default())
}

/// Waits for nothing but the time.
#[derive(Debug)]
pub struct Poll(Duration);

impl Default for Poll {
    fn default() -> Self {
        Self(SHORTEST_PAUSE)
    }
}

impl Poll {
    /// Returns for how long to wait before the next look.
    pub fn pause(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

impl Watcher for Poll {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        let pause = self.pause();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        thread::sleep(left.map_or(pause, |left| left.min(pause)));
        Ok(())
    }
}
