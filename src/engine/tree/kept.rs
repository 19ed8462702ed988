//! The namespaces that stay open between the looks of one process, as `kv batch`, `kv serve` and
//! `kv mount` take very many: their directories, and their packs with the hash pages that were read.
//!
//! One look proves that such a directory is still the one at its path, and that nothing in it was
//! replaced since its format was read: what is open keeps its number, and a directory tells when it
//! was changed. A file that is found in it counts. Without one, what the packs hold counts if MANIFEST
//! is still the one that named them: it was so when the file was looked for, and at that time the key
//! had no file. All else is looked for anew.
//!
//! A put writes its draft there unproved, and takes the lock of the shard if it is free; the one look comes when
//! the lock is held, and where it finds another namespace the put begins again with that one. Its
//! permissions are those that the store had when the namespace was opened: who gives both others (chmod -R)
//! changes the namespace's time.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, Stat};
use rustix::process::{Resource, getrlimit};

use crate::os;
use crate::store::{Entry, Namespace, Result, Time, Value};

use super::Tree;
use super::find::{Present, loose_name};
use super::layout::HashedKey;
use super::lock::{self, Kind, Lock};
use super::loose::{self, WHOLE_LEN};
use super::namespace_dir::{Drafts, NamespaceDir, joined};
use super::pack::Packs;

/// So many namespaces are kept at most, and so many packs of each.
const MANY: usize = 16;
/// Who may open fewer files keeps none: they are needed for the work.
const ENOUGH_FILES: u64 = 1024;
/// What was changed this long ago has another time than what is changed now, on any file system.
const SETTLED: Duration = Duration::from_secs(2);
/// The same on one of this machine that tells parts of a second: they are of the kernel's clock. It is for
/// who looks often; a command of a few looks does the same whether its store was made just now or not.
const SETTLED_NEAR: Duration = Duration::from_millis(100);
const OFTEN: usize = 64;

/// The namespaces of a process.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// How often somebody has looked. Whoever looks only once has no use for any.
    looks: AtomicUsize,
    spaces: Mutex<HashMap<Namespace, Arc<KeptSpace>>>,
}

/// A namespace that is kept.
#[derive(Debug)]
pub(super) struct KeptSpace {
    mark: Mark,
    dir: OwnedFd,
    pub(super) space: NamespaceDir,
    packs: Mutex<Option<Arc<Packs>>>,
    /// What is in memory of it can be read without a wait.
    is_near: bool,
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
            file: os::identity(stat),
            changed: os::changed(stat),
        }
    }

    /// Tells whether what changes from now on leaves another mark; `is_fine` where times are told finely.
    fn is_settled(&self, now: Time, is_fine: bool) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let long_ago = match is_fine && nanos != 0 {
            true => SETTLED_NEAR,
            false => SETTLED,
        };
        i128::from(now.0) - changed >= long_ago.as_nanos().cast_signed()
    }
}

impl KeptSpace {
    /// Finds an entry that has a file of its own and is in memory.
    fn find_cached(&self, hashed: &HashedKey<'_>) -> Option<Present> {
        let name = loose_name(hashed);
        let path = self.space.path_of(&name);
        loose::open_cached(self.dir.as_fd(), &name, path, hashed, WHOLE_LEN).map(Present::Loose)
    }

    /// Finds what keys hold, as [`Tree::find_present`] does for each; an outer `None` says that this is not
    /// known here.
    ///
    /// All files are looked for before the packs are, and one look at MANIFEST comes after that.
    pub(super) fn find_all(
        &self,
        keys: &[HashedKey<'_>],
        with_value: u64,
        found: &mut [Option<Option<Present>>],
    ) {
        // Packs that are opened after a file was looked for say nothing of it: without this each of many keys would
        // be looked for anew.
        if keys.len() > 1 && self.packs.lock().is_none() {
            _ = self.keep_packs();
        }
        for (hashed, found) in keys.iter().zip(&mut *found) {
            let name = loose_name(hashed);
            let path = self.space.path_of(&name);
            // Of an error whoever looks anew says what is wrong.
            let loose = loose::open(self.dir.as_fd(), &name, path, hashed, with_value);
            *found = loose.ok().map(|loose| loose.map(Present::Loose));
        }
        if !found.iter().any(|found| matches!(found, Some(None))) {
            return;
        }
        let is_answered = self.find_packed(keys, found);
        if !matches!(is_answered, Ok(true)) {
            let is_loose = |found: &_| matches!(found, Some(Some(Present::Loose(_))));
            for found in found.iter_mut().filter(|found| !is_loose(found)) {
                *found = None;
            }
        }
    }

    /// Finds in packs what was found to have no file; false if that says nothing.
    fn find_packed(
        &self,
        keys: &[HashedKey<'_>],
        found: &mut [Option<Option<Present>>],
    ) -> Result<bool> {
        let kept = self.packs.lock().clone();
        let Some(packs) = kept else {
            return self.keep_packs();
        };
        for (hashed, found) in keys.iter().zip(found) {
            if let Some(None) = found {
                let packed = packs.find(&self.space, hashed).ok();
                *found = packed.and_then(|packed| Some(packed.ok()?.map(Present::Packed)));
            }
        }
        let is_current = packs.is_current(&self.space);
        if !matches!(is_current, Ok(true)) {
            *self.packs.lock() = None;
        }
        is_current
    }

    /// Opens the packs for the next look. Tells whether there are none: then there were none before, and a key
    /// without a file had nothing.
    fn keep_packs(&self) -> Result<bool> {
        let mut kept = self.packs.lock();
        let Some(packs) = Packs::read(&self.space)? else {
            return Ok(true);
        };
        let many = packs.named().len();
        if many <= MANY {
            for number in 0..many {
                match packs.open(&self.space, number)? {
                    Ok(pack) => pack.keep_pages(),
                    Err(_) => return Ok(false),
                }
            }
            *kept = Some(Arc::new(packs));
        }
        Ok(false)
    }
}

impl Tree {
    /// Finds a live entry that is in memory, without a wait.
    pub(super) fn find_cached(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        now: Time,
    ) -> Option<Entry> {
        let kept = self.kept.spaces.lock().get(namespace).map(Arc::clone)?;
        // What is open has its name in memory, and so have those that lead to it.
        let is_kept = kept.is_near && self.mark(namespace).as_ref() == Some(&kept.mark);
        let found = is_kept.then(|| kept.find_cached(hashed))??;
        let entry = found.is_live(now).then(|| found.into_entry().ok())??;
        matches!(entry.value, Value::Whole { .. }).then_some(entry)
    }

    /// Returns a namespace that is kept, if it is still the one at its path.
    pub(super) fn still_kept(&self, namespace: &Namespace) -> Option<Arc<KeptSpace>> {
        let kept = self.kept.spaces.lock().get(namespace).map(Arc::clone)?;
        if self.mark(namespace).as_ref() == Some(&kept.mark) {
            return Some(kept);
        }
        self.forget_kept(namespace);
        None
    }

    /// Returns a namespace that is kept for whoever changes it. That it is still the one at its path is to be
    /// proved before it counts: [`Tree::lock_kept`] does. What cannot be kept is opened anew, and that says
    /// why.
    pub(super) fn kept_unproved(&self, namespace: &Namespace, now: Time) -> Option<NamespaceDir> {
        let found = || self.kept.spaces.lock().get(namespace).map(Arc::clone);
        let kept = found().or_else(|| self.kept_space(namespace, 1, now).ok()?)?;
        Some(kept.space.clone())
    }

    /// Has a namespace opened anew the next time.
    pub(super) fn forget_kept(&self, namespace: &Namespace) {
        self.kept.spaces.lock().remove(namespace);
    }

    /// Takes a lock of a namespace that is kept, if it is free, and the namespace still the one at its path.
    ///
    /// The look comes when the lock is held: nobody removes the namespace after that, and who has replaced
    /// something in it before has changed its time.
    pub(super) fn lock_kept(
        &self,
        namespace: &Namespace,
        below: &str,
    ) -> Option<(NamespaceDir, Lock)> {
        let kept = self.kept.spaces.lock().get(namespace).map(Arc::clone)?;
        let file = os::open_beneath(kept.dir.as_fd(), below, lock::FLAGS, Mode::empty());
        let file = File::from(file.ok()?);
        let is_locked = lock::try_lock(&file, Kind::Exclusive).is_ok_and(|is_free| is_free);
        let is_kept = is_locked && self.mark(namespace).as_ref() == Some(&kept.mark);
        is_kept.then(|| (kept.space.clone(), Lock { file }))
    }

    fn mark(&self, namespace: &Namespace) -> Option<Mark> {
        let path = joined(&self.root, &[namespace.as_str()]);
        let there = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW);
        there.ok().as_ref().map(Mark::of)
    }

    /// Keeps a namespace of a format that is known for the next look, and returns it to who looks for `many`
    /// keys.
    pub(super) fn kept_space(
        &self,
        namespace: &Namespace,
        many: usize,
        now: Time,
    ) -> Result<Option<Arc<KeptSpace>>> {
        let looks = self.kept.looks.fetch_add(many, Relaxed) + many;
        if looks <= 1 {
            return Ok(None);
        }
        let looks_often = looks > OFTEN;
        let kept = self.still_kept(namespace);
        if kept.is_some() {
            return Ok(kept);
        }
        let Some(mark) = self.mark(namespace) else {
            return Ok(None);
        };
        let may_open = getrlimit(Resource::Nofile).current;
        if !mark.is_settled(now, looks_often) || may_open.is_some_and(|n| n < ENOUGH_FILES) {
            return Ok(None);
        }
        let Some(mut space) = self.open_namespace(namespace)? else {
            return Ok(None);
        };
        let is_it =
            |dir: &OwnedFd| rustix::fs::fstat(dir).is_ok_and(|stat| Mark::of(&stat) == mark);
        let Some(dir) = space.stand().filter(is_it) else {
            return Ok(None);
        };
        let is_near = os::is_near(dir.as_fd());
        if !mark.is_settled(now, looks_often && is_near) {
            return Ok(None);
        }
        // Who only reads has no need of it, and who writes is told what is wrong.
        let tmp = space.dir_if_any("tmp").ok().flatten();
        let drafts = tmp.and_then(|dir| Drafts::of(&space, dir).ok());
        space.drafts = drafts.map(Arc::new);
        let kept = Arc::new(KeptSpace {
            mark,
            is_near,
            dir,
            space,
            packs: Mutex::default(),
        });
        let mut spaces = self.kept.spaces.lock();
        if spaces.len() >= MANY {
            spaces.clear();
        }
        spaces.insert(namespace.clone(), Arc::clone(&kept));
        Ok(Some(kept))
    }
}
