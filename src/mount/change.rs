//! Making and removing, and what is told of files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use fuser::Errno;

use crate::store::{Condition, Key, Namespace, Time, modify};

use super::body::{Change, Full, Kind, Mode};
use super::find::Attributes;
use super::litter::{is_litter, is_probe};
use super::nodes::Place;
use super::shape::Care;
use super::{Answer, App};

/// What is to become of a file or directory; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
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
        let parent = self.nodes().place(parent).ok_or(Errno::ENOENT)?;
        let file = self.new_file(&parent, name)?;
        let place = Place::File(file.0.clone(), file.1.clone());
        if self.file_attributes(&file)?.is_some() {
            // Somebody has made it since the kernel looked.
            if exclusive {
                return Err(Errno::EEXIST);
            }
            let number = self.nodes().tell(&place);
            let opened = self.open_file(number, mode);
            let opened = opened.inspect_err(|_| self.nodes().forget(number, 1))?;
            let attributes = self.attributes(number)?;
            return Ok((number, attributes, opened));
        }
        let kind = match name.as_bytes() {
            name if is_litter(name) => Kind::Litter,
            name if exclusive && is_probe(name) => Kind::Probe,
            _ => Kind::Key,
        };
        self.set_executable(&file, permissions);
        let number = self.nodes().tell(&place);
        let handle = self.create_file(number, &file, kind, mode);
        Ok((number, self.attributes(number)?, handle))
    }

    /// Makes a directory, which is kept as long as the store is mounted.
    pub(super) fn make_dir(&self, parent: u64, name: &OsStr) -> Answer<(u64, Attributes)> {
        self.allow_changes()?;
        let parent = self.nodes().place(parent).ok_or(Errno::ENOENT)?;
        let (namespace, prefix) = self.new_dir(&parent, name)?;
        match self.find(&parent, name) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(err) if err == Errno::ENOENT => {}
            Err(err) => return Err(err),
        }
        self.memory().keep_dir(&namespace, &prefix);
        let dir = Place::Dir(namespace, prefix);
        let number = self.nodes().tell(&dir);
        let attributes = self.dir_attributes(&dir);
        Ok((number, attributes))
    }

    /// Removes a directory that holds no files.
    pub(super) fn remove_dir(&self, parent: u64, name: &OsStr) -> Answer<()> {
        self.allow_changes()?;
        let parent = self.nodes().place(parent).ok_or(Errno::ENOENT)?;
        let (dir, _) = self.find(&parent, name)?;
        let Place::Dir(namespace, prefix) = &dir else {
            return Err(Errno::ENOTDIR);
        };
        self.must_be_empty(namespace, prefix)?;
        self.memory().drop_dir(namespace, prefix);
        self.keep_place(&parent);
        self.nodes().remove(&dir);
        Ok(())
    }

    /// Tells whether a directory may be removed.
    pub(super) fn must_be_empty(&self, namespace: &Namespace, prefix: &[u8]) -> Answer<()> {
        let has_dirs = {
            let memory = self.memory();
            let mut below = memory.dirs_below(namespace, prefix);
            below.any(|dir| dir.len() > prefix.len())
        };
        let value = prefix.strip_suffix(b"/").unwrap_or_default().to_vec();
        let has_value = match Key::new(value) {
            Ok(key) => self.file_attributes(&(namespace.clone(), key))?.is_some(),
            Err(_) => false,
        };
        if has_dirs || has_value || self.has_files(namespace, prefix, Care::True)? {
            return Err(Errno::ENOTEMPTY);
        }
        Ok(())
    }

    /// Keeps the directory of something that goes, as other file systems would.
    pub(super) fn keep_place(&self, dir: &Place) {
        if let Place::Dir(namespace, prefix) = dir {
            self.memory().keep_dir(namespace, prefix);
        }
    }

    /// Removes a file.
    pub(super) fn unlink(&self, parent: u64, name: &OsStr) -> Answer<()> {
        self.allow_changes()?;
        let parent = self.nodes().place(parent).ok_or(Errno::ENOENT)?;
        let (place, attributes) = self.find(&parent, name)?;
        let file = self.file_of(&place)?;
        let body = self.files().named(&file);
        if let Some(body) = &body {
            self.keep_for_users(body, (attributes.size, attributes.modified))?;
        }
        let removed = self.remove_key(&file)?;
        if !removed && body.is_none() {
            return Err(Errno::ENOENT);
        }
        let number = self.nodes().remove(&place);
        if let Some(body) = body {
            let mut files = self.files();
            files.unname(&file);
            files.part(body, number);
        }
        self.memory().set_executable(&file.0, &file.1, false);
        self.keep_place(&parent);
        Ok(())
    }

    /// Removes a key from the store. Returns false where there was none.
    pub(super) fn remove_key(&self, (namespace, key): &Full) -> Answer<bool> {
        let removed = self
            .store()
            .and_then(|store| store.remove(namespace, key, &Condition::Always, self.clock()));
        let removed = self.answer(removed)?;
        self.shape(namespace).note(key.as_bytes(), false);
        Ok(removed)
    }

    /// Changes what is told of a file or directory.
    pub(super) fn set_attributes(
        &self,
        number: u64,
        handle: Option<u64>,
        wish: Wish,
    ) -> Answer<Attributes> {
        self.allow_changes()?;
        let place = self.nodes().place(number);
        if let Some(dir) = place.as_ref().filter(|place| place.is_dir()) {
            if wish.size.is_some() {
                return Err(Errno::EISDIR);
            }
            if let Some(time) = wish.modified {
                self.memory().set_time(dir.clone(), time);
            }
            return Ok(self.dir_attributes(dir));
        }
        if let Some(size) = wish.size {
            self.resize(number, handle, size)?;
        }
        if let Some(Place::File(namespace, key)) = place {
            let file = (namespace, key);
            if let Some(mode) = wish.mode {
                self.set_executable(&file, mode);
            }
            if let Some(time) = wish.modified {
                self.set_modified(&file, time)?;
            }
        }
        self.attributes(number)
    }

    fn set_executable(&self, file: &Full, mode: u32) {
        self.memory()
            .set_executable(&file.0, &file.1, mode & 0o111 != 0);
    }

    fn resize(&self, number: u64, handle: Option<u64>, size: u64) -> Answer<()> {
        if let Some(handle) = handle {
            let handle = self.files().handle(handle)?;
            if handle.writes {
                return self.resize_file(&handle, size);
            }
        }
        let mode = Mode {
            writes: true,
            truncates: size == 0,
            ..Mode::default()
        };
        let opened = self.open_file(number, mode)?;
        let handle = self.files().handle(opened)?;
        let resized = match size {
            0 => Ok(()),
            _ => self.resize_file(&handle, size),
        };
        resized.and(self.close_file(opened))
    }

    fn set_modified(&self, (namespace, key): &Full, time: Time) -> Answer<()> {
        let body = self.files().named(&(namespace.clone(), key.clone()));
        if let Some(body) = body {
            let content = body.content();
            let mut state = content.state();
            let is_stored = state.change == Change::None && state.kind == Kind::Key;
            if !is_stored {
                // It is stored with the whole, and what is appended has no time of its own.
                self.answer(self.load(&body, &mut state))?;
            }
            state.modified = Some(time);
            body.show(&content, &state, time);
            if !is_stored {
                return Ok(());
            }
        }
        let done = self
            .store()
            .and_then(|store| modify::set_modified(store, namespace, key, time, self.clock()));
        match self.answer(done)? {
            true => Ok(()),
            false => Err(Errno::ENOENT),
        }
    }

    /// Refuses what changes anything where that is not wanted.
    pub(super) fn allow_changes(&self) -> Answer<()> {
        if self.config.read_only {
            return Err(Errno::EROFS);
        }
        Ok(())
    }
}
