//! `fsck`: looks at all that a namespace is made of, and repairs what can be repaired without a guess.
//!
//! 1. [`dirs`] looks at `format` and at the directories: what is missing, and what is not ours.
//! 2. [`packs`] looks at MANIFEST and at every byte of every pack, and saves the records of damaged
//!    ones.
//! 3. [`entries`] looks at every loose entry, its value too.
//! 4. [`aside`] looks at what is never trusted alone: hints, spare files, locks; and [`list`] at the range of a list.
//!
//! A check takes no lock, and others go on: what is found wrong is looked at again, and what has
//! changed or gone meanwhile is judged anew. A repair holds the maintenance lock, and judges an entry
//! once more under the lock of its shard.
//!
//! Nothing is deleted: what is damaged is moved to `lost/`; see [`lost`]. What hides an older value
//! leaves a tombstone there, and what was in a pack leaves a mark, so that no value that was replaced
//! or removed comes back, and no key whose value is lost answers that it never was.

mod aside;
mod dirs;
mod entries;
mod list;
mod lost;
mod modes;
mod nodes;
mod packs;

use std::path::PathBuf;

use crate::store::check::{Repair, Severity};
use crate::store::{Check, Clock, Finding, Namespace, Result, StoreError};

use super::Tree;
use super::dir::gone;
use super::layout::GC_LOCK;
use super::lock::{Kind, Lock};
use super::maintenance::{Maintenance, sync_packs};
use super::namespace_dir::NamespaceDir;
use super::tries::Tries;

use self::modes::Suspects;

/// One check of one namespace.
struct Work<'a> {
    tree: &'a Tree,
    namespace: &'a Namespace,
    space: NamespaceDir,
    request: &'a Check,
    clock: &'a dyn Clock,
    tell: &'a mut dyn FnMut(Finding),
    /// Held by a repair.
    maintenance: Option<Maintenance>,
    /// What kept something from being looked at, the first of all that did.
    trouble: Option<StoreError>,
    suspects: Suspects,
}

impl Tree {
    /// Checks a namespace; see [`crate::store::Upkeep::check`].
    pub(super) fn check_namespace(
        &self,
        namespace: &Namespace,
        request: &Check,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        let Some(space) = self.open_unchecked(namespace)? else {
            return Ok(());
        };
        let root = self.open_unchecked(namespace)?;
        let stood = space.stand();
        let is_removed = || {
            let root = root.as_ref();
            root.is_some_and(|root| root.is_removed(stood.as_ref()))
        };
        let mut tell = |finding: Finding| {
            if !is_removed() {
                tell(finding);
            }
        };
        let suspects = Suspects::of(&space)?;
        let mut work = Work {
            tree: self,
            namespace,
            space,
            request,
            clock,
            tell: &mut tell,
            maintenance: None,
            trouble: None,
            suspects,
        };
        let done = work.run();
        match done.and(work.trouble.map_or(Ok(()), Err)) {
            Err(_) if is_removed() => Ok(()),
            done => done,
        }
    }
}

impl Work<'_> {
    fn run(&mut self) -> Result<()> {
        if !self.is_there()? {
            return Ok(());
        }
        if self.mends() {
            self.lock()?;
        }
        self.check_format()?;
        // What cannot be looked at keeps nothing else from being looked at.
        let stages: [fn(&mut Self) -> Result<()>; 5] = [
            Work::check_dirs,
            Work::check_packs,
            Work::check_entries,
            Work::check_aside,
            Work::check_list,
        ];
        for stage in stages {
            let done = stage(self);
            _ = self.unless_failed(done);
        }
        self.tell_suspects();
        Ok(())
    }

    /// Takes the maintenance lock.
    fn lock(&mut self) -> Result<()> {
        self.repair_locks()?;
        let patience = self.tree.patience();
        let mut tries = Tries::default();
        loop {
            let space = self.tree.open_unchecked(self.namespace)?;
            let space = space.ok_or_else(|| gone("open", &self.tree.root))?;
            if let Some(lock) = Lock::acquire(&space, GC_LOCK, Kind::Exclusive, patience)? {
                match sync_packs(&space, &lock) {
                    // What is not what it should be is told later.
                    Ok(()) | Err(StoreError::Damaged { .. }) => {}
                    Err(err) => return Err(err),
                }
                self.maintenance = Some(Maintenance::of(space, lock));
                return Ok(());
            }
            tries.again(|| space.path_of(GC_LOCK))?;
        }
    }

    /// Tells whether something is to be changed.
    fn mends(&self) -> bool {
        self.request.repair && !self.request.dry_run
    }

    /// Says what would be done, where that is all that is asked for.
    fn would(&self, what: &str) -> Option<Repair> {
        let is_asked = self.request.repair && self.request.dry_run;
        is_asked.then(|| Repair {
            what: format!("would be {what}"),
            settles: false,
        })
    }

    fn found(&mut self, severity: Severity, path: PathBuf, what: impl Into<String>) {
        self.found_with(severity, path, what, None, None);
    }

    fn damage(&mut self, path: PathBuf, what: impl Into<String>, repair: Option<Repair>) {
        self.found_with(Severity::Damage, path, what, None, repair);
    }

    fn found_with(
        &mut self,
        severity: Severity,
        path: PathBuf,
        what: impl Into<String>,
        key: Option<Vec<u8>>,
        repair: Option<Repair>,
    ) {
        (self.tell)(Finding {
            severity,
            path,
            what: what.into(),
            key,
            repair,
        });
    }

    /// Goes on without what could not be looked at.
    fn note_trouble(&mut self, err: StoreError) {
        if self.trouble.is_none() {
            self.trouble = Some(err);
        }
    }

    /// Passes on what was done, and tells what was found instead: damage is a finding, and anything
    /// else keeps something from being looked at.
    fn unless_failed<T>(&mut self, done: Result<T>) -> Option<T> {
        match done {
            Ok(done) => return Some(done),
            Err(StoreError::Damaged { path, source }) => {
                self.found(Severity::Damage, path, source.to_string());
            }
            Err(StoreError::Newer { path, what }) => self.found(Severity::Warning, path, what),
            Err(err) => self.note_trouble(err),
        }
        None
    }
}
