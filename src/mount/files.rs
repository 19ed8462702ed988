//! Which files are open, and whose turn it is to change them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use fuser::Errno;

use crate::store::Namespace;

use super::inode::{Handle, Inode};
use super::names;
use super::nodes::FullKey;
use super::{Answer, App};

fn name_of(file: &FullKey) -> (Namespace, Vec<u8>) {
    (file.0.clone(), file.1.as_bytes().to_vec())
}

/// The files that are open, or only in memory.
#[derive(Default)]
pub(super) struct Files {
    named: BTreeMap<(Namespace, Vec<u8>), Arc<Inode>>,
    /// Those that are open, by the kernel's number, and how often: it may know no name of them.
    numbers: HashMap<u64, (Arc<Inode>, usize)>,
    handles: HashMap<u64, Arc<Handle>>,
    last: u64,
}

impl Files {
    pub(super) fn named(&self, file: &FullKey) -> Option<Arc<Inode>> {
        self.named.get(&name_of(file)).cloned()
    }

    /// Gives a file another name. What had it before has none any more.
    pub(super) fn rename(&mut self, inode: &Arc<Inode>, to: &FullKey) {
        if let Some(from) = inode.name() {
            self.named.remove(&name_of(&from));
        }
        *inode.name.lock() = Some(to.clone());
        if let Some(old) = self.named.insert(name_of(to), Arc::clone(inode))
            && !Arc::ptr_eq(&old, inode)
        {
            *old.name.lock() = None;
        }
    }

    /// Takes the name of a file away.
    pub(super) fn detach(&mut self, inode: &Inode) {
        if let Some(file) = inode.name.lock().take() {
            self.named.remove(&name_of(&file));
        }
    }

    /// Returns what is open under a number.
    pub(super) fn numbered(&self, number: u64) -> Option<Arc<Inode>> {
        self.numbers
            .get(&number)
            .map(|(inode, _)| Arc::clone(inode))
    }

    /// Returns what is open.
    pub(super) fn open(&self) -> Vec<Arc<Inode>> {
        let mut all: Vec<_> = self
            .numbers
            .values()
            .map(|(inode, _)| Arc::clone(inode))
            .collect();
        all.sort_unstable_by_key(Arc::as_ptr);
        all.dedup_by_key(|inode| Arc::as_ptr(inode));
        all
    }

    pub(super) fn handle(&self, handle: u64) -> Answer<Arc<Handle>> {
        self.handles.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    /// Returns the files that are shown below a directory.
    pub(super) fn below<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a Arc<Inode>)> {
        self.named
            .range((namespace.clone(), prefix.to_vec())..)
            .take_while(move |((of, key), _)| of == namespace && key.starts_with(prefix))
            .filter(move |((_, key), _)| names::leads(prefix, key))
            .map(|((_, key), inode)| (&key[..], inode))
    }

    pub(super) fn add_handle(&mut self, handle: Handle) -> u64 {
        self.last += 1;
        let open = self.numbers.entry(handle.number);
        open.or_insert_with(|| (Arc::clone(&handle.inode), 0)).1 += 1;
        let handle = Arc::new(handle);
        handle
            .inode
            .handles
            .lock()
            .insert(self.last, Arc::clone(&handle));
        self.handles.insert(self.last, handle);
        self.last
    }

    pub(super) fn drop_handle(&mut self, id: u64) -> Answer<Arc<Handle>> {
        let handle = self.handles.remove(&id).ok_or(Errno::EBADF)?;
        handle.inode.handles.lock().remove(&id);
        if let Some((_, count)) = self.numbers.get_mut(&handle.number) {
            *count -= 1;
            if *count == 0 {
                self.numbers.remove(&handle.number);
            }
        }
        Ok(handle)
    }

    /// Forgets a file that nobody uses and that is in the store as well. To be called by who has
    /// the only [`Arc`] of it beside this table's.
    fn leave(&mut self, inode: &Arc<Inode>) {
        const IDLE: usize = 2;
        if Arc::strong_count(inode) == IDLE
            && inode.buffer().is_none()
            && let Some(file) = inode.name()
        {
            self.named.remove(&name_of(&file));
        }
    }
}

impl App {
    /// Does something with a file while nobody else opens, stores, renames or removes it.
    pub(super) fn in_turn<T>(
        &self,
        file: &FullKey,
        act: impl FnOnce(&Arc<Inode>) -> Answer<T>,
    ) -> Answer<T> {
        loop {
            let inode = {
                let mut files = self.files.lock();
                let named = files.named.entry(name_of(file));
                let inode = named.or_insert_with(|| Arc::new(Inode::of(file)));
                Arc::clone(inode)
            };
            let turn = inode.turn.lock();
            if inode.name().as_ref() != Some(file) {
                // It was renamed or removed while its turn was waited for.
                continue;
            }
            let done = act(&inode);
            drop(turn);
            self.files.lock().leave(&inode);
            return done;
        }
    }

    /// As [`App::in_turn`], with two files that are not the same.
    pub(super) fn in_turns<T>(
        &self,
        one: &FullKey,
        two: &FullKey,
        act: impl FnOnce(&Arc<Inode>, &Arc<Inode>) -> Answer<T>,
    ) -> Answer<T> {
        // One at a time has two turns, and so nobody who waits for a turn has one that others wait
        // for: a file may get another name while it is waited for, so that no order of names would do.
        let _renames = self.renames.lock();
        self.in_turn(one, |one| self.in_turn(two, |two| act(one, two)))
    }

    /// Lets go of a file that was used without a turn by name.
    pub(super) fn leave(&self, inode: &Arc<Inode>) {
        self.files.lock().leave(inode);
    }
}
