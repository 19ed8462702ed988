//! Waiting for a change of one key, or of a list.
//!
//! A name in a shard's directory changes with every change of its keys, so that directory is
//! watched; as long as it does not exist, the nearest one above it that does.

use std::path::PathBuf;
use std::time::Instant;

use crate::os;
use crate::store::{Namespace, OrCannot as _, Result, WatchTarget, Watcher};

use super::Tree;
use super::layout::Place;

/// A watch on the directories that lead to what is waited for.
#[derive(Debug)]
struct TreeWatcher {
    watch: os::Watch,
    /// From the directory that changes, upwards.
    dirs: Vec<PathBuf>,
}

impl Tree {
    /// Begins to watch; see [`crate::store::Store::watch`].
    pub(super) fn begin_watch(
        &self,
        namespace: &Namespace,
        target: WatchTarget<'_>,
    ) -> Result<Box<dyn Watcher>> {
        let root = std::path::absolute(&self.root).or_cannot("find", &self.root)?;
        let space = root.join(namespace.as_str());
        let dir = match target {
            WatchTarget::Key(key) => space.join("objects").join(Place::of(key).shard()),
            // The file that tells where a list begins and ends is written with every push.
            WatchTarget::List => space,
        };
        let dirs = dir.ancestors().map(PathBuf::from).collect();
        let watch = os::Watch::new().or_cannot("watch", &root)?;
        let watcher = TreeWatcher { watch, dirs };
        watcher.add_dirs()?;
        Ok(Box::new(watcher))
    }
}

impl TreeWatcher {
    /// Watches the nearest directory that exists, and the one above it, in which it would be
    /// replaced. To be called again when something happened: a nearer one may have come.
    fn add_dirs(&self) -> Result<()> {
        let nearest = self.dirs.iter().position(|dir| dir.is_dir()).unwrap_or(0);
        for dir in self.dirs.iter().skip(nearest).take(2) {
            self.watch.add(dir).or_cannot("watch", dir)?;
        }
        Ok(())
    }
}

impl Watcher for TreeWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        self.watch.wait(until).or_cannot("watch", &self.dirs[0])?;
        self.add_dirs()
    }
}
