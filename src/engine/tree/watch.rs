//! Waiting for a change of one key, or of a list.
//!
//! A name in a shard's directory changes with every change of one of its keys, and one in `packs/`
//! when many change at once, so these directories are watched; as long as one does not exist, the
//! nearest one above it that does.

use std::path::PathBuf;
use std::time::Instant;

use crate::os;
use crate::store::{Namespace, OrCannot as _, Result, Watch, WatchTarget, Watcher};

use super::Tree;
use super::follow::SpaceWatcher;
use super::layout::HashedKey;

/// A watch on the directories that lead to what is waited for.
#[derive(Debug)]
struct TreeWatcher {
    watch: os::Watch,
    /// Each from a directory that changes, upwards.
    paths: Vec<Vec<PathBuf>>,
}

impl Watch for Tree {
    fn watch(&self, namespace: &Namespace, target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        let root = std::path::absolute(&self.root).or_cannot("find", &self.root)?;
        let space = root.join(namespace.as_str());
        let dirs = match target {
            WatchTarget::Key(key) => vec![
                space.join("objects").join(HashedKey::of(key).shard()),
                space.join("packs"),
            ],
            // In the file of the list's lock is written with every push, and when many elements come.
            WatchTarget::List => vec![space.join("locks")],
            WatchTarget::All(_) => return Ok(Box::new(SpaceWatcher::new(self, namespace)?)),
        };
        let upwards = |dir: PathBuf| dir.ancestors().map(PathBuf::from).collect();
        let paths = dirs.into_iter().map(upwards).collect();
        let watch = os::Watch::new();
        let watcher = TreeWatcher { watch, paths };
        watcher.add_dirs();
        Ok(Box::new(watcher))
    }
}

impl TreeWatcher {
    /// Watches the nearest directory on each path that exists, and the one above it, in which it
    /// would be replaced. To be called again when something happened: a nearer one may have come.
    fn add_dirs(&self) {
        for dirs in &self.paths {
            let nearest = || dirs.iter().position(|dir| dir.is_dir()).unwrap_or(0);
            loop {
                let watched = nearest();
                for dir in dirs.iter().skip(watched).take(2) {
                    _ = self.watch.add(dir);
                }
                // One that came before its parent was watched would never be told of.
                if nearest() >= watched {
                    break;
                }
            }
        }
    }
}

impl Watcher for TreeWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        self.watch
            .wait(until, &mut |_| {})
            .or_cannot("watch", &self.paths[0][0])?;
        self.add_dirs();
        Ok(())
    }
}
