//! Waiting for a change, of the whole file: nothing tells which key it was of.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::os;
use crate::store::{Namespace, OrCannot as _, Result, Watch, WatchTarget, Watcher};

use super::Sqlite;

impl Watch for Sqlite {
    fn watch(&self, _namespace: &Namespace, _target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        let dir = std::path::absolute(self.directory()).or_cannot("find", self.directory())?;
        let watch = os::Watch::new();
        _ = watch.add(&dir);
        Ok(Box::new(FileWatcher {
            watch,
            dir,
            again: None,
        }))
    }
}

/// A watch on the directory of the file: each transaction writes to the log beside it. It is there for
/// readers only when that is synced, of which nobody is told: so a waiter who was woken looks again a
/// few times.
#[derive(Debug)]
struct FileWatcher {
    watch: os::Watch,
    dir: PathBuf,
    /// In how long to look again though nothing happens.
    again: Option<Duration>,
}

/// The first time after which a waiter looks again; each is twice as long as the one before, up to the
/// last: by then any disk has synced.
const FIRST_AGAIN: Duration = Duration::from_millis(1);
const LAST_AGAIN: Duration = Duration::from_secs(2);

impl Watcher for FileWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        let again = self.again.map(|again| Instant::now() + again);
        let bound = [again, until].into_iter().flatten().min();
        self.watch.wait(bound).or_cannot("watch", &self.dir)?;
        let is_quiet = again.is_some_and(|again| again <= Instant::now());
        self.again = match self.again {
            Some(last) if is_quiet => Some(last * 2).filter(|next| *next <= LAST_AGAIN),
            _ => Some(FIRST_AGAIN),
        };
        // It may have been made meanwhile.
        self.watch.add(&self.dir);
        Ok(())
    }
}
