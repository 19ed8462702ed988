//! Waiting for a change, of the whole file: nothing tells which key it was of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::os;
use crate::store::watch::Changed;
use crate::store::{Namespace, OrCannot as _, Result, Watch, WatchTarget, Watcher};

use super::Sqlite;

impl Watch for Sqlite {
    fn watch(&self, _namespace: &Namespace, _target: WatchTarget<'_>) -> Result<Box<dyn Watcher>> {
        let dir = std::path::absolute(self.directory()).or_cannot("find", self.directory())?;
        let watch = os::Watch::new();
        let mut watcher = FileWatcher {
            watch,
            dir,
            file: self.path.clone(),
            real: None,
            is_woken: true,
            again: None,
        };
        watcher.add();
        Ok(Box::new(watcher))
    }
}

/// A watch on the directory of the file: each transaction writes to the log beside it. It is there for
/// readers only when that is synced, of which nobody is told: so a waiter who was woken looks again a
/// few times.
#[derive(Debug)]
struct FileWatcher {
    watch: os::Watch,
    dir: PathBuf,
    file: PathBuf,
    real: Option<PathBuf>,
    /// Something has happened since somebody asked.
    is_woken: bool,
    /// In how long to look again though nothing happens.
    again: Option<Duration>,
}

/// The first time after which a waiter looks again; each is twice as long as the one before, up to the
/// last: by then any disk has synced.
const FIRST_AGAIN: Duration = Duration::from_millis(1);
const LAST_AGAIN: Duration = Duration::from_secs(2);

impl FileWatcher {
    /// Watches the directory of the file, and the one where the file is that a link leads to.
    fn add(&mut self) {
        _ = self.watch.add(&self.dir);
        self.real = std::fs::canonicalize(&self.file).ok();
        if let Some(dir) = self.real.as_deref().and_then(Path::parent) {
            _ = self.watch.add(dir);
        }
    }
}

impl Watcher for FileWatcher {
    fn wait(&mut self, until: Option<Instant>) -> Result<()> {
        let again = self.again.map(|again| Instant::now() + again);
        let bound = [again, until].into_iter().flatten().min();
        let mut is_woken = !self.watch.sees(&self.dir);
        let files = [Some(&self.file), self.real.as_ref()];
        let names = files.map(|file| file.and_then(|file| file.file_name()).map(OsStr::as_bytes));
        let waited = self.watch.wait(bound, &mut |happened| {
            let name = happened.name;
            let is_its = |file: &&[u8]| name.is_empty() || name.starts_with(file);
            is_woken |= names.iter().flatten().any(is_its);
        });
        waited.or_cannot("watch", &self.dir)?;
        // Nothing happens in a directory whose file system is detached (umount2(2), MNT_DETACH) while somebody has a
        // file of it open: this process has.
        is_woken |= !self.file.exists();
        let is_quiet = again.is_some_and(|again| again <= Instant::now());
        self.is_woken |= is_woken || is_quiet;
        self.again = match self.again {
            Some(last) if is_quiet => Some(last * 2).filter(|next| *next <= LAST_AGAIN),
            None if !is_woken => None,
            _ => Some(FIRST_AGAIN),
        };
        // It may have been made meanwhile.
        self.add();
        Ok(())
    }

    fn changed(&mut self) -> Result<Changed> {
        Ok(match std::mem::take(&mut self.is_woken) {
            true => Changed::All,
            false => Changed::At(Vec::new()),
        })
    }
}
