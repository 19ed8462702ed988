//! Renaming, as `kv rename` does it: where the store has no such step, the value is put under its new key, and then
//! the old key is removed. Whoever is killed in between leaves both.

use std::ffi::OsStr;
use std::sync::Arc;

use fuser::Errno;

use crate::store::error::Result;
use crate::store::{Etag, Key, Meta, Namespace, Selection};

use super::buffer::Kind;
use super::dir_index::each_key;
use super::inode::Inode;
use super::litter::is_litter;
use super::names;
use super::nodes::{FullKey, Node};
use super::{Answer, App, follow};

impl App {
    /// Renames a file or directory. With `keep` nothing may be in the new place.
    pub(super) fn rename(
        &self,
        (parent, name): (u64, &OsStr),
        (new_parent, new_name): (u64, &OsStr),
        keep: bool,
    ) -> Answer<()> {
        self.allow_changes()?;
        let parent = self.nodes.lock().node(parent).ok_or(Errno::ENOENT)?;
        let new_parent = self.nodes.lock().node(new_parent).ok_or(Errno::ENOENT)?;
        let (from, _) = self.find(&parent, name)?;
        let there = match self.find(&new_parent, new_name) {
            Ok((there, _)) => Some(there),
            Err(err) if err == Errno::ENOENT => None,
            Err(err) => return Err(err),
        };
        if keep && there.is_some() {
            return Err(Errno::EEXIST);
        }
        match (&from, &there) {
            (Node::File(..), Some(dir)) if dir.is_dir() => return Err(Errno::EISDIR),
            (Node::File(from), _) => {
                // `cmd > new && mv new old` is not to lose the old where the new could not be stored, which a shell
                // does not see.
                let failed = self.memory.lock().take_failed(from);
                failed.map_or(Ok(()), Err)?;
                let to = self.new_file(&new_parent, new_name)?;
                self.rename_file(from, &to, keep)?;
            }
            (_, Some(Node::File(..))) => return Err(Errno::ENOTDIR),
            (Node::Dir(namespace, prefix), _) => {
                let (new_namespace, new_prefix) = self.new_dir(&new_parent, new_name)?;
                if there.is_some() {
                    self.must_be_empty(&new_namespace, &new_prefix)?;
                }
                let failed = self.memory.lock().take_failed_below(namespace, prefix);
                failed.map_or(Ok(()), Err)?;
                self.rename_dir((namespace, prefix), (&new_namespace, &new_prefix))?;
            }
            (Node::Root, _) => return Err(Errno::EBUSY),
        }
        self.keep_parent(&parent);
        Ok(())
    }

    fn rename_file(&self, from: &FullKey, to: &FullKey, keep: bool) -> Answer<()> {
        if from == to {
            return Ok(());
        }
        self.in_turns(from, to, |inode, there| {
            if keep && self.file_attributes(to)?.is_some() {
                return Err(Errno::EEXIST);
            }
            if let Some(buffer) = inode.buffer() {
                let mut state = buffer.state();
                if state.kind != Kind::Key {
                    if !is_litter(last_part(to)) {
                        // It is somebody's data now, and is stored under its new name.
                        state.kind = Kind::Key;
                        state.is_changed = true;
                        state.pin = self.pin(there)?.unwrap_or_default();
                        state.is_whole = true;
                    }
                    self.give_way(there, to)?;
                    self.move_name(inode, from, to);
                    self.store_buffer(inode, &buffer, &mut state)?;
                    drop(state);
                    follow::retire(self, inode, &buffer);
                    return Ok(());
                }
                if state.pin.etag.is_none() {
                    self.store_buffer(inode, &buffer, &mut state)?;
                }
            }
            self.give_way(there, to)?;
            let moved = self.answer(self.move_key(from, to, keep))?;
            let Some(moved) = moved else {
                let is_there = keep && self.file_attributes(to)?.is_some();
                return Err(if is_there {
                    Errno::EEXIST
                } else {
                    Errno::ENOENT
                });
            };
            self.move_name(inode, from, to);
            // What is being written goes on from the entry in its new place.
            if let Some((was, is)) = moved {
                follow::move_pins(self, (inode, None), was, is, None);
            }
            Ok(())
        })
    }

    /// Keeps what is about to be replaced for those who have it open.
    fn give_way(&self, there: &Arc<Inode>, to: &FullKey) -> Answer<()> {
        if !there.handles().is_empty()
            && let Some(old) = self.file_attributes(to)?
        {
            follow::keep_for_users(self, there, to, (old.size, old.modified));
        }
        Ok(())
    }

    /// Notes that a file has another name.
    fn move_name(&self, inode: &Arc<Inode>, from: &FullKey, to: &FullKey) {
        let node = |file: &FullKey| Node::File(file.clone());
        self.nodes.lock().rename(&node(from), &node(to));
        self.files.lock().rename(inode, to);
        let mut memory = self.memory.lock();
        let is = memory.is_executable(from);
        memory.forget(from);
        memory.forget(to);
        memory.set_executable(to, is);
    }

    /// Moves what one key holds to another. Returns `None` where there is none, or something is in its new place
    /// and to be kept; else the etags that it had and has, where they are known.
    fn move_key(
        &self,
        from: &FullKey,
        to: &FullKey,
        keep: bool,
    ) -> Result<Option<Option<(Etag, Etag)>>> {
        let (store, clock) = (self.store()?, self.clock());
        let look = |file: &FullKey| store.stat(&file.0, &file.1, self.now());
        let was = look(from)?;
        let moved = store.rename((&from.0, &from.1), (&to.0, &to.1), keep, clock);
        // Where that failed both may be there.
        let is = look(to).ok().flatten();
        if is.is_some() {
            self.dir_index(&to.0).note(to.1.as_bytes(), true);
            self.memory.lock().unhide(&to.0);
        }
        if !moved? {
            return Ok(None);
        }
        self.dir_index(&from.0).note(from.1.as_bytes(), false);
        // Others may have changed the one before or the other since.
        let same = was.zip(is).filter(|(was, is)| {
            let told = |meta: &Meta| (meta.size, meta.modified);
            told(was) == told(is)
        });
        Ok(Some(same.map(|(was, is)| (was.etag, is.etag))))
    }

    /// Reads what a key holds to its end, so that damage is known before anything is moved.
    fn judge(&self, (namespace, key): &FullKey) -> Result<()> {
        if let Some(mut entry) = self.store()?.get(namespace, key, self.now())? {
            _ = entry.value.for_each(|_| Ok(()))?;
        }
        Ok(())
    }

    /// Renames every key below a directory, one after another, if all of them can be moved.
    fn rename_dir(&self, from: (&Namespace, &[u8]), to: (&Namespace, &[u8])) -> Answer<()> {
        if from.0 == to.0 && to.1.starts_with(from.1) {
            return match from.1 == to.1 {
                true => Ok(()),
                false => Err(Errno::EINVAL),
            };
        }
        let mut keys = Vec::new();
        let selection = Selection {
            prefix: from.1.to_vec(),
            ..Selection::default()
        };
        let listed = each_key(self, from.0, &selection, &mut |listed| {
            if names::leads(from.1, listed.key) {
                keys.push(listed.key.to_vec());
            }
            true
        });
        self.answer(listed)?;
        let open = self.files.lock();
        keys.extend(open.below(from.0, from.1).map(|(key, _)| key.to_vec()));
        drop(open);
        // The value of the key that the directory is named after is shown in it.
        if let Some(Ok(value)) = from.1.strip_suffix(b"/").map(|key| Key::new(key.to_vec()))
            && self
                .file_attributes(&(from.0.clone(), value.clone()))?
                .is_some()
        {
            keys.push(value.as_bytes().to_vec());
        }
        keys.sort_unstable();
        keys.dedup();
        let mut moves = Vec::with_capacity(keys.len());
        for key in keys {
            let moved = match key.get(from.1.len()..) {
                Some(rest) => Some([to.1, rest].concat()).filter(|key| names::leads(to.1, key)),
                None => to.1.strip_suffix(b"/").map(<[u8]>::to_vec),
            };
            // Not in every directory there is a place for the value of a key of its name, or for
            // what is not too long for one name.
            let moved = moved.filter(|key| !key.is_empty()).ok_or(Errno::EINVAL)?;
            let (Ok(old), Ok(new)) = (Key::new(key), Key::new(moved)) else {
                return Err(Errno::ENAMETOOLONG);
            };
            let files = ((from.0.clone(), old), (to.0.clone(), new));
            self.answer(self.judge(&files.0))?;
            moves.push(files);
        }
        let is_kept = self
            .memory
            .lock()
            .dirs_below(from.0, from.1)
            .next()
            .is_some();
        let mut is_gone = !from.1.is_empty() && !is_kept;
        for (old, new) in moves {
            match self.rename_file(&old, &new, false) {
                // Others have moved or removed it since.
                Err(err) if err == Errno::ENOENT => {}
                done => {
                    done?;
                    is_gone = false;
                }
            }
        }
        // As where another mount has renamed the directory.
        if is_gone {
            return Err(Errno::ENOENT);
        }
        self.memory.lock().move_dirs(from, to);
        let dirs = self.nodes.lock().below(from.0, from.1);
        for dir in dirs {
            if let Node::Dir(_, prefix) = &dir
                && names::leads(from.1, &[prefix, names::INSIDE].concat())
            {
                let prefix = [to.1, &prefix[from.1.len()..]].concat();
                let moved = Node::Dir(to.0.clone(), prefix);
                self.nodes.lock().rename(&dir, &moved);
            }
        }
        if from.1.is_empty() {
            self.memory.lock().drop_dir(from.0, from.1);
        }
        Ok(())
    }
}

/// Returns what stands behind the last slash of a key.
fn last_part((_, key): &FullKey) -> &[u8] {
    let mut parts = key.as_bytes().rsplit(|byte| *byte == b'/');
    parts.next().unwrap_or_default()
}
