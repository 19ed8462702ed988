//! Making and removing, and what is told of files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use fuser::Errno;

use crate::store::{Condition, Expiry, Key, Namespace, Time, modify};

use super::buffer::Kind;
use super::find::Attributes;
use super::inode::{Inode, Mode};
use super::litter::{is_litter, is_probe};
use super::nodes::{FullKey, Node};
use super::{Answer, App, follow, told, write};

/// So often a file is cut that others replace, before it is told to be stale.
const CUTS: usize = 50;

/// What is to become of a file or directory; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetAttr {
    pub(super) size: Option<u64>,
    pub(super) modified: Option<Time>,
    pub(super) mode: Option<u32>,
}

impl App {
    /// Makes a file and opens it. Returns its number, what is told of it, and the handle.
    pub(super) fn create(
        &self,
        parent: u64,
        name: &OsStr,
        permissions: u32,
        mode: Mode,
        exclusive: bool,
    ) -> Answer<(u64, Attributes, u64)> {
        self.allow_changes()?;
        let parent = self.nodes.lock().node(parent).ok_or(Errno::ENOENT)?;
        let file = self.new_file(&parent, name)?;
        let node = Node::File(file.clone());
        let made = self.in_turn(&file, |inode| {
            // Somebody may have made it since the kernel looked.
            if self.file_attributes(&file)?.is_some() {
                return Ok(None);
            }
            let kind = match name.as_bytes() {
                name if is_litter(name) => Kind::Litter,
                name if exclusive && is_probe(name) => Kind::Probe,
                _ => Kind::Key,
            };
            // What others have removed may be open here, and is another file.
            let old = self.nodes.lock().find(&node);
            if let Some(old) = old.filter(|old| self.files.lock().numbered(*old).is_some()) {
                self.nodes.lock().detach(old, &node);
            }
            let number = self.nodes.lock().tell(&node);
            let handle = self.create_file(number, inode, kind, mode, exclusive);
            let Ok(Some(handle)) = handle else {
                self.nodes.lock().forget(number, 1);
                return handle.map(|_| None);
            };
            self.set_executable(&file, permissions);
            Ok(Some((number, handle)))
        })?;
        let (number, handle) = match made {
            Some(made) => made,
            None if exclusive => return Err(Errno::EEXIST),
            None => {
                let number = self.nodes.lock().tell(&node);
                let opened = self.open_found(number, mode);
                (
                    number,
                    opened.inspect_err(|_| self.nodes.lock().forget(number, 1))?,
                )
            }
        };
        let attributes = told::attributes(self, number, Some(handle), 0).inspect_err(|_| {
            // Nobody would close what was never told.
            _ = self.close_file(handle);
            self.nodes.lock().forget(number, 1);
        })?;
        Ok((number, attributes, handle))
    }

    /// Makes a directory, which is kept as long as the store is mounted.
    pub(super) fn make_dir(&self, parent: u64, name: &OsStr) -> Answer<(u64, Attributes)> {
        self.allow_changes()?;
        let parent = self.nodes.lock().node(parent).ok_or(Errno::ENOENT)?;
        let (namespace, prefix) = self.new_dir(&parent, name)?;
        match self.find(&parent, name) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(err) if err == Errno::ENOENT => {}
            Err(err) => return Err(err),
        }
        self.memory.lock().keep_dir(&namespace, &prefix);
        let dir = Node::Dir(namespace, prefix);
        let number = self.nodes.lock().tell(&dir);
        let attributes = self.dir_attributes(&dir);
        Ok((number, attributes))
    }

    /// Removes a directory that holds no files.
    pub(super) fn remove_dir(&self, parent: u64, name: &OsStr) -> Answer<()> {
        self.allow_changes()?;
        let parent = self.nodes.lock().node(parent).ok_or(Errno::ENOENT)?;
        let (dir, _) = self.find(&parent, name)?;
        let Node::Dir(namespace, prefix) = &dir else {
            return Err(Errno::ENOTDIR);
        };
        self.must_be_empty(namespace, prefix)?;
        self.memory.lock().drop_dir(namespace, prefix);
        self.keep_parent(&parent);
        self.nodes.lock().remove(&dir);
        Ok(())
    }

    /// Tells whether a directory may be removed.
    pub(super) fn must_be_empty(&self, namespace: &Namespace, prefix: &[u8]) -> Answer<()> {
        let has_dirs = {
            let memory = self.memory.lock();
            let mut below = memory.dirs_below(namespace, prefix);
            below.any(|dir| dir.len() > prefix.len())
        };
        let value = prefix.strip_suffix(b"/").unwrap_or_default().to_vec();
        let has_value = match Key::new(value) {
            Ok(key) => self.file_attributes(&(namespace.clone(), key))?.is_some(),
            Err(_) => false,
        };
        if has_dirs || has_value || self.has_files(namespace, prefix)? {
            return Err(Errno::ENOTEMPTY);
        }
        Ok(())
    }

    /// Keeps the directory of something that goes, as other file systems would.
    pub(super) fn keep_parent(&self, dir: &Node) {
        if let Node::Dir(namespace, prefix) = dir {
            self.memory.lock().keep_dir(namespace, prefix);
        }
    }

    /// Removes a file.
    pub(super) fn unlink(&self, parent: u64, name: &OsStr) -> Answer<()> {
        self.allow_changes()?;
        let parent = self.nodes.lock().node(parent).ok_or(Errno::ENOENT)?;
        let (node, attributes) = self.find(&parent, name)?;
        let file = self.file_of(&node)?;
        self.in_turn(&file, |inode| {
            follow::keep_for_users(self, inode, &file, (attributes.size, attributes.modified));
            let is_pending = inode.buffer().is_some_and(|is| is.state().is_pending());
            if !self.remove_key(&file)? && !is_pending {
                return Err(Errno::ENOENT);
            }
            self.nodes.lock().remove(&node);
            self.files.lock().detach(inode);
            Ok(())
        })?;
        self.memory.lock().forget(&file);
        self.keep_parent(&parent);
        Ok(())
    }

    /// Removes a key from the store. Returns false where there was none.
    pub(super) fn remove_key(&self, (namespace, key): &FullKey) -> Answer<bool> {
        let removed = self
            .store()
            .and_then(|store| store.remove(namespace, key, &Condition::Always, self.clock()));
        let removed = self.answer_of(key, removed)?;
        self.dir_index(namespace).note(key.as_bytes(), false);
        Ok(removed)
    }

    /// Changes what is told of a file or directory, as a thread asks for. What is not there any more the kernel looks
    /// for again, once. Where that is not there either it is done with it, as with any file that is open and has no
    /// name; but nothing is cut so, as what was to be cut is another file by then.
    pub(super) fn change_attributes(
        &self,
        (number, handle): (u64, Option<u64>),
        changes: SetAttr,
        thread: u32,
    ) -> Answer<Attributes> {
        let is_cut = changes.size.is_some();
        let done = self.set_attributes(number, handle, changes);
        if is_cut {
            return done;
        }
        let gone = |is_open| match is_open {
            true => told::attributes(self, number, handle, thread),
            false => Ok(Attributes {
                is_gone: true,
                ..Attributes::file(0, self.now())
            }),
        };
        told::by_name(self, thread, || handle.is_some(), done, gone)
    }

    fn set_attributes(
        &self,
        number: u64,
        handle: Option<u64>,
        changes: SetAttr,
    ) -> Answer<Attributes> {
        self.allow_changes()?;
        let node = self.nodes.lock().node(number);
        if let Some(dir) = node.as_ref().filter(|node| node.is_dir()) {
            if changes.size.is_some() {
                return Err(Errno::EISDIR);
            }
            if let Some(time) = changes.modified {
                self.memory.lock().set_time(dir.clone(), time);
            }
            return Ok(self.dir_attributes(dir));
        }
        if let Some(size) = changes.size {
            self.resize(number, handle, size)?;
        }
        if let Some(Node::File(file)) = node {
            if let Some(mode) = changes.mode {
                self.set_executable(&file, mode);
            }
            if let Some(time) = changes.modified {
                self.set_modified(&file, time)?;
            }
        }
        told::attributes(self, number, handle, 0)
    }

    fn set_executable(&self, file: &FullKey, mode: u32) {
        self.memory.lock().set_executable(file, mode & 0o111 != 0);
    }

    pub(super) fn resize(&self, number: u64, handle: Option<u64>, size: u64) -> Answer<()> {
        if let Some(handle) = handle {
            let handle = self.files.lock().handle(handle)?;
            if handle.writes {
                return write::resize_file(self, &handle, size);
            }
        }
        let mode = Mode {
            writes: true,
            truncates: size == 0,
            ..Mode::default()
        };
        let mut done = Err(Errno::ESTALE);
        // Others may replace it meanwhile: nobody has it open by this to go on with what it was.
        for _ in 0..CUTS {
            let opened = self.open_found(number, mode)?;
            let handle = self.files.lock().handle(opened)?;
            let resized = write::resize_file(self, &handle, size);
            drop(handle);
            let stored = resized.and_then(|()| self.sync_file(opened));
            done = stored.and(self.close_file(opened));
            if done != Err(Errno::ESTALE) {
                break;
            }
        }
        done
    }

    fn set_modified(&self, file: &FullKey, time: Time) -> Answer<()> {
        self.in_turn(file, |inode| {
            if let Some(buffer) = inode.buffer() {
                let mut state = buffer.state();
                // What is added has no time of its own.
                if !state.tail.is_empty() {
                    self.store_buffer(inode, &buffer, &mut state)?;
                }
                if state.is_pending() {
                    state.modified = Some(time);
                    buffer.show(&state, time);
                    return Ok(());
                }
            }
            self.put_again(inode, file, Expiry::Keep, Some(time))
        })
    }

    /// Stores what a key holds once more, with another expiry or time of modification. Who has it
    /// open has the new entry open. It is the file's turn.
    pub(super) fn put_again(
        &self,
        inode: &Arc<Inode>,
        (namespace, key): &FullKey,
        expiry: Expiry,
        modified: Option<Time>,
    ) -> Answer<()> {
        let (was, is) = self
            .answer(self.store().and_then(|store| {
                modify::put_again(store, namespace, key, self.clock(), expiry, modified)
            }))?
            .ok_or(Errno::ENOENT)?;
        self.dir_index(namespace).note(key.as_bytes(), true);
        follow::move_pins(self, (inode, None), was, is, modified);
        Ok(())
    }

    /// Refuses what changes anything where that is not wanted.
    pub(super) fn allow_changes(&self) -> Answer<()> {
        if self.config.read_only {
            return Err(Errno::EROFS);
        }
        Ok(())
    }
}
