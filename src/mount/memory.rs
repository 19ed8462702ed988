//! What only this mount knows of, until it ends: empty directories, permissions to execute, and what could not be stored.

use std::collections::{BTreeSet, HashMap, HashSet};

use fuser::Errno;

use crate::store::{Namespace, Time};

use super::names;
use super::nodes::{FullKey, Node};

/// Of so many files it is remembered that they could not be stored.
const FAILED: usize = 1_000;

/// What is in no store.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Directories that are there whether they hold anything or not.
    dirs: BTreeSet<(Namespace, Vec<u8>)>,
    /// Empty namespaces that were removed; their stores may list them for longer.
    hidden: HashSet<Namespace>,
    /// Files that can be executed.
    executable: HashSet<FullKey>,
    /// Why what was written to files could not be stored when they were closed.
    failed: HashMap<FullKey, Errno>,
    /// Times that directories were given.
    times: HashMap<Node, Time>,
}

impl Memory {
    /// Keeps a directory, and so all above it, even if it is empty.
    pub(super) fn keep_dir(&mut self, namespace: &Namespace, prefix: &[u8]) {
        self.hidden.remove(namespace);
        self.dirs.insert((namespace.clone(), prefix.to_vec()));
    }

    /// Lets go of a directory.
    pub(super) fn drop_dir(&mut self, namespace: &Namespace, prefix: &[u8]) {
        self.dirs.remove(&(namespace.clone(), prefix.to_vec()));
        if prefix.is_empty() {
            self.hidden.insert(namespace.clone());
        }
    }

    /// Tells whether a namespace was removed while it was empty.
    pub(super) fn is_hidden(&self, namespace: &Namespace) -> bool {
        self.hidden.contains(namespace)
    }

    /// Shows a namespace that has come to hold something.
    pub(super) fn unhide(&mut self, namespace: &Namespace) {
        self.hidden.remove(namespace);
    }

    /// Returns the directories whose prefixes begin so.
    pub(super) fn dirs_below<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> {
        let from = (namespace.clone(), prefix.to_vec());
        self.dirs
            .range(from..)
            .take_while(move |(of, dir)| of == namespace && dir.starts_with(prefix))
            .filter(move |(_, dir)| names::leads(prefix, &[dir, names::INSIDE].concat()))
            .map(|(_, dir)| &dir[..])
    }

    /// Returns the namespaces that have a directory here.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.dirs.iter().map(|(namespace, _)| namespace)
    }

    /// Moves what is below one directory to below another.
    pub(super) fn move_dirs(&mut self, from: (&Namespace, &[u8]), to: (&Namespace, &[u8])) {
        let below = self.dirs_below(from.0, from.1);
        let below: Vec<_> = below.map(<[u8]>::to_vec).collect();
        for dir in below {
            self.dirs.remove(&(from.0.clone(), dir.clone()));
            let moved = [to.1, &dir[from.1.len()..]].concat();
            self.dirs.insert((to.0.clone(), moved));
        }
        self.keep_dir(to.0, to.1);
    }

    /// Notes whether a file can be executed.
    pub(super) fn set_executable(&mut self, file: &FullKey, is: bool) {
        match is {
            true => self.executable.insert(file.clone()),
            false => self.executable.remove(file),
        };
    }

    /// Tells whether a file can be executed.
    pub(super) fn is_executable(&self, file: &FullKey) -> bool {
        self.executable.contains(file)
    }

    /// Notes why what was written to a file could not be stored when it was closed.
    pub(super) fn note_failed(&mut self, file: FullKey, why: Errno) {
        if self.failed.len() >= FAILED
            && let Some(any) = self.failed.keys().next().cloned()
        {
            self.failed.remove(&any);
        }
        self.failed.insert(file, why);
    }

    /// Returns that, once.
    pub(super) fn take_failed(&mut self, file: &FullKey) -> Option<Errno> {
        self.failed.remove(file)
    }

    /// Returns that of one of the files below a directory, once.
    pub(super) fn take_failed_below(
        &mut self,
        namespace: &Namespace,
        prefix: &[u8],
    ) -> Option<Errno> {
        let is_below =
            |(of, key): &FullKey| of == namespace && names::leads(prefix, key.as_bytes());
        let mut below = self.failed.extract_if(|file, _| is_below(file));
        let first = below.next();
        below.for_each(drop);
        first.map(|(_, why)| why)
    }

    /// Notes that a file was stored.
    pub(super) fn note_stored(&mut self, file: &FullKey) {
        self.unhide(&file.0);
        self.failed.remove(file);
    }

    /// Lets go of what is known of a file, which is another from now on, or none.
    pub(super) fn forget(&mut self, file: &FullKey) {
        self.executable.remove(file);
        self.failed.remove(file);
    }

    /// Notes the time that a directory was given.
    pub(super) fn set_time(&mut self, dir: Node, time: Time) {
        self.times.insert(dir, time);
    }

    /// Returns the time that a directory was given.
    pub(super) fn time_of(&self, dir: &Node) -> Option<Time> {
        self.times.get(dir).copied()
    }
}
