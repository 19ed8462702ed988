//! The directories of namespaces that stay open between the looks of one process, as `kv serve` and
//! `kv mount` take very many.
//!
//! One look proves that such a directory is still the one at its path, and that nothing in it was
//! replaced since its format was read: what is open keeps its number, and a directory tells when it
//! was changed. Only what is found in it counts; what is not is looked for anew.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Stat};

use crate::store::{Namespace, Result, Time};

use super::Tree;

/// So many are kept at most.
const MANY: usize = 16;
/// What was changed this long ago has another time than what is changed now, on any file system.
const SETTLED: u64 = 2;

/// The directories of a process.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Whoever looks only once has no use for any.
    has_looked: AtomicBool,
    dirs: Mutex<HashMap<Namespace, (Mark, Arc<OwnedFd>)>>,
}

/// Which directory it is, and as of when.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    file: (u64, u64),
    changed: (i64, u64),
}

impl Mark {
    fn of(stat: &Stat) -> Self {
        Self {
            file: (stat.st_dev, stat.st_ino),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl Tree {
    /// Returns the directory of a namespace of a format that is known, if it is kept.
    pub(super) fn kept_dir(
        &self,
        namespace: &Namespace,
        now: Time,
    ) -> Result<Option<Arc<OwnedFd>>> {
        if !self.kept.has_looked.swap(true, Relaxed) {
            return Ok(None);
        }
        let path = self.root.join(namespace.as_str());
        let Ok(there) = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) else {
            return Ok(None);
        };
        let mark = Mark::of(&there);
        let dirs = || {
            self.kept
                .dirs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some((known, dir)) = dirs().get(namespace)
            && *known == mark
        {
            return Ok(Some(Arc::clone(dir)));
        }
        dirs().remove(namespace);
        let age = (now.0 / 1_000_000_000).checked_sub(mark.changed.0.cast_unsigned());
        if age.is_none_or(|age| age < SETTLED) {
            return Ok(None);
        }
        let Some(space) = self.open_space(namespace)? else {
            return Ok(None);
        };
        let Some(dir) = space.stand().map(Arc::new) else {
            return Ok(None);
        };
        if rustix::fs::fstat(&dir).is_ok_and(|stat| Mark::of(&stat) == mark) {
            let mut dirs = dirs();
            if dirs.len() >= MANY {
                dirs.clear();
            }
            dirs.insert(namespace.clone(), (mark, Arc::clone(&dir)));
            return Ok(Some(dir));
        }
        Ok(None)
    }
}
