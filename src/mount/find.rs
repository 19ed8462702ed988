//! What a name stands for, and what the kernel is told of it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{Errno, FileAttr, FileType, INodeNo};

use crate::store::{Key, Meta, Namespace, Time, error};

use super::buffer::Snapshot;
use super::dir_index::Freshness;
use super::inode::{Handle, Inode};
use super::names;
use super::nodes::{FullKey, Node};
use super::{Answer, App};

/// For how long the kernel believes what it was told of a directory, and of what was listed.
pub(super) const BELIEVED: Duration = Duration::from_secs(1);

/// What is told of a file or directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub(super) size: u64,
    pub(super) modified: Time,
    pub(super) is_dir: bool,
    /// Whether it is open and has no name any more.
    pub(super) is_gone: bool,
}

impl App {
    /// Finds what a name in a directory stands for.
    pub(super) fn find(&self, parent: &Node, name: &OsStr) -> Answer<(Node, Attributes)> {
        must_fit(name)?;
        let (namespace, prefix) = match parent {
            Node::Root => {
                let namespace = namespace_of(name).ok_or(Errno::ENOENT)?;
                if !self.has_namespace(&namespace)? {
                    return Err(Errno::ENOENT);
                }
                return Ok(self.dir(namespace, Vec::new()));
            }
            Node::Dir(namespace, prefix) => (namespace, prefix),
            Node::File(..) => return Err(Errno::ENOTDIR),
        };
        let meaning = names::read(prefix, name.as_bytes());
        let key = meaning.key.and_then(|key| Key::new(key).ok());
        let file = key.map(|key| (namespace.clone(), key));
        let found = match &file {
            Some(file) => self.file_attributes(file)?,
            None => None,
        };
        if let Some(prefix) = meaning.prefix {
            // A key that is there is most likely a file and nothing else.
            let freshness = match found {
                Some(_) => Freshness::Cheap,
                None => Freshness::Recent,
            };
            if self.is_shown_dir(namespace, &prefix, freshness)? {
                return Ok(self.dir(namespace.clone(), prefix));
            }
        }
        let found = file.map(Node::File).zip(found);
        found.ok_or(Errno::ENOENT)
    }

    /// Returns what a file is now, whatever is held of it.
    pub(super) fn told_now(
        &self,
        number: u64,
        node: Option<&Node>,
        open: &[Arc<Handle>],
    ) -> Answer<Attributes> {
        if let Some(Node::File(file)) = node
            && let Some(told) = self.file_attributes(file)?
        {
            return Ok(told);
        }
        self.open_attributes(number, open)
    }

    /// Returns what is told of a file that is gone and still open.
    fn open_attributes(&self, number: u64, open: &[Arc<Handle>]) -> Answer<Attributes> {
        // The kernel looks once more for the name, which is another file's by now, or nothing's.
        let inode = self.files.lock().numbered(number).ok_or(Errno::ESTALE)?;
        if let Some(file) = inode.name()
            && let Some(attributes) = self.file_attributes(&file)?
        {
            return Ok(attributes);
        }
        let held = open.iter().find_map(|handle| handle.held());
        let told = held.or(inode.snapshot().draft).or(*inode.last.lock());
        let (size, modified) = told.unwrap_or((0, self.now()));
        Ok(Attributes {
            is_gone: true,
            ..Attributes::file(size, modified)
        })
    }

    /// Returns what is told of a file; `None` where there is none.
    pub(super) fn file_attributes(&self, file: &FullKey) -> Answer<Option<Attributes>> {
        let inode = self.files.lock().named(file);
        if let Some(inode) = &inode {
            self.settle_emptied(inode);
        }
        let shown = || inode.as_ref().map(|inode| inode.snapshot());
        self.told_of(file, || shown().unwrap_or_default())
    }

    /// Returns what is told of a file where this is changed of it.
    pub(super) fn told_of(
        &self,
        file: &FullKey,
        shown: impl Fn() -> Snapshot,
    ) -> Answer<Option<Attributes>> {
        loop {
            let open = shown();
            if let Some((size, modified)) = open.draft {
                return Ok(Some(Attributes::file(size, modified)));
            }
            let told = match self.look(&file.0, &file.1) {
                // It can be removed and written anew, which takes that it is found.
                Err(err) if err.is_damage() => {
                    (self.config.tell)(None, &err);
                    Some(Attributes::file(0, Time(0)))
                }
                found => self.answer_of(&file.1, found)?.as_ref().map(Attributes::of),
            };
            let Some((more, modified)) = open.tail else {
                return Ok(told);
            };
            // What is being stored may be there already.
            let size = match open.onto {
                None if open.is_as(&shown()) => told.map(|told| told.size),
                None => continue,
                onto => onto,
            };
            return Ok(size.map(|size| Attributes::file(size + more, modified)));
        }
    }

    /// Returns what the store knows of a key.
    pub(super) fn stat(&self, namespace: &Namespace, key: &Key) -> Answer<Option<Meta>> {
        self.answer_of(key, self.look(namespace, key))
    }

    /// As [`App::stat`]; what went wrong is told to nobody yet.
    pub(super) fn look(&self, namespace: &Namespace, key: &Key) -> error::Result<Option<Meta>> {
        self.found(self.config.store.stat(namespace, key, self.now()))
    }

    fn stored_namespaces(&self) -> Answer<Vec<Namespace>> {
        self.answer(self.store().and_then(|store| store.namespaces()))
    }

    fn dir(&self, namespace: Namespace, prefix: Vec<u8>) -> (Node, Attributes) {
        let dir = Node::Dir(namespace, prefix);
        let attributes = self.dir_attributes(&dir);
        (dir, attributes)
    }

    /// Returns what is told of a directory.
    pub(super) fn dir_attributes(&self, dir: &Node) -> Attributes {
        let modified = self.memory.lock().time_of(dir).unwrap_or(self.began);
        Attributes {
            is_dir: true,
            ..Attributes::file(0, modified)
        }
    }

    /// Tells whether there are sound files below a directory, or it is kept without any. Of a damaged
    /// entry nobody may know the key: if each name that nothing is found for were an error for it, no
    /// file could be made any more.
    fn is_shown_dir(
        &self,
        namespace: &Namespace,
        prefix: &[u8],
        freshness: Freshness,
    ) -> Answer<bool> {
        if self
            .memory
            .lock()
            .dirs_below(namespace, prefix)
            .next()
            .is_some()
        {
            return Ok(true);
        }
        match self.files_below(namespace, prefix, freshness) {
            Err(err) if err.is_damage() => {
                (self.config.tell)(None, &err);
                Ok(false)
            }
            found => self.answer(found),
        }
    }

    /// Tells whether there are files below a directory.
    pub(super) fn has_files(&self, namespace: &Namespace, prefix: &[u8]) -> Answer<bool> {
        self.answer(self.files_below(namespace, prefix, Freshness::Recent))
    }

    fn files_below(
        &self,
        namespace: &Namespace,
        prefix: &[u8],
        freshness: Freshness,
    ) -> error::Result<bool> {
        let is_shown = |(_, inode): (_, &Arc<Inode>)| inode.snapshot().draft.is_some();
        if self.files.lock().below(namespace, prefix).any(is_shown) {
            return Ok(true);
        }
        let dir_index = self.dir_index(namespace);
        dir_index.has_below(self, namespace, prefix, freshness)
    }

    /// Tells whether a namespace is shown.
    fn has_namespace(&self, namespace: &Namespace) -> Answer<bool> {
        if self
            .memory
            .lock()
            .namespaces()
            .any(|known| known == namespace)
        {
            return Ok(true);
        }
        if !self.stored_namespaces()?.contains(namespace) {
            return Ok(false);
        }
        if !self.memory.lock().is_hidden(namespace) {
            return Ok(true);
        }
        let has_files = self.has_files(namespace, b"")?;
        if has_files {
            self.memory.lock().unhide(namespace);
        }
        Ok(has_files)
    }

    /// Returns the namespaces that are shown.
    pub(super) fn namespaces(&self) -> Answer<Vec<Namespace>> {
        let mut all = self.stored_namespaces()?;
        all.extend(self.memory.lock().namespaces().cloned());
        all.sort();
        all.dedup();
        let mut shown = Vec::new();
        for namespace in all {
            if !self.memory.lock().is_hidden(&namespace) || self.has_namespace(&namespace)? {
                shown.push(namespace);
            }
        }
        Ok(shown)
    }

    /// Returns the key of a place that is a file.
    pub(super) fn file_of(&self, node: &Node) -> Answer<FullKey> {
        match node {
            Node::File(file) => Ok(file.clone()),
            _ => Err(Errno::EISDIR),
        }
    }

    /// Returns the key of a file of that name, to be made.
    pub(super) fn new_file(&self, parent: &Node, name: &OsStr) -> Answer<FullKey> {
        must_fit(name)?;
        match parent {
            Node::Root => Err(Errno::EPERM),
            Node::File(..) => Err(Errno::ENOTDIR),
            Node::Dir(namespace, prefix) => {
                let key = names::read(prefix, name.as_bytes())
                    .key
                    .ok_or(Errno::EINVAL)?;
                let key = Key::new(key).map_err(|_| Errno::ENAMETOOLONG)?;
                Ok((namespace.clone(), key))
            }
        }
    }

    /// Returns the place of a directory of that name, to be made.
    pub(super) fn new_dir(&self, parent: &Node, name: &OsStr) -> Answer<(Namespace, Vec<u8>)> {
        must_fit(name)?;
        match parent {
            Node::Root => Ok((namespace_of(name).ok_or(Errno::EPERM)?, Vec::new())),
            Node::File(..) => Err(Errno::ENOTDIR),
            Node::Dir(namespace, prefix) => {
                let prefix = names::read(prefix, name.as_bytes()).prefix;
                Ok((namespace.clone(), prefix.ok_or(Errno::EINVAL)?))
            }
        }
    }

    fn is_executable(&self, number: u64) -> bool {
        let node = self.nodes.lock().node(number);
        matches!(node, Some(Node::File(file)) if self.memory.lock().is_executable(&file))
    }

    /// Returns what the kernel is told.
    pub(super) fn file_attr(&self, number: u64, attributes: &Attributes) -> FileAttr {
        let shared = if self.config.allow_other {
            0o666
        } else {
            0o600
        };
        let changeable = if self.config.read_only { 0o444 } else { 0o666 };
        let read = shared & 0o444;
        let executable = match attributes.is_dir || self.is_executable(number) {
            true => read >> 2,
            false => 0,
        };
        let time = SystemTime::from(attributes.modified);
        FileAttr {
            ino: INodeNo(number),
            size: attributes.size,
            blocks: attributes.size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind: match attributes.is_dir {
                true => FileType::Directory,
                false => FileType::RegularFile,
            },
            perm: (shared & changeable) | executable,
            nlink: u32::from(!attributes.is_gone),
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: 128 * 1024,
            flags: 0,
        }
    }
}

impl Attributes {
    pub(super) fn file(size: u64, modified: Time) -> Self {
        Self {
            size,
            modified,
            is_dir: false,
            is_gone: false,
        }
    }

    /// Returns what is told of an entry.
    pub(super) fn of(meta: &Meta) -> Self {
        Self::file(meta.size, meta.modified)
    }
}

fn namespace_of(name: &OsStr) -> Option<Namespace> {
    Namespace::try_from(OsString::from(name)).ok()
}

/// Refuses names that are longer than any that is shown.
fn must_fit(name: &OsStr) -> Answer<()> {
    match name.len() > names::MAX_NAME {
        true => Err(Errno::ENAMETOOLONG),
        false => Ok(()),
    }
}
