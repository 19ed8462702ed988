//! What is in a directory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::time::Duration;

use fuser::{Errno, FileType, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use parking_lot::Mutex;

use crate::store::{Key, Namespace};

use super::dir_index::Freshness;
use super::find::{Attributes, BELIEVED};
use super::names::{self, Step};
use super::nodes::{FullKey, Node};
use super::{Answer, App, told};

/// So many keys of one directory are passed over one by one before the rest of it is leapt over.
const LEAP: u32 = 256;

/// Open directories.
#[derive(Debug, Default)]
pub(super) struct Listings {
    open: HashMap<u64, Arc<Mutex<Listing>>>,
    last: u64,
}

/// What a directory holds: first directories, then files. There may be a million of these. What could
/// not be listed is an error behind all that could: whoever deletes what is not listed must know.
#[derive(Debug, Default)]
struct Listing {
    /// Names and what they stand for, in the order of the names.
    dirs: Vec<(Vec<u8>, Node)>,
    /// The value of the key that the directory is named after.
    value: Option<(Node, Attributes)>,
    files: Keys,
    /// What is told at the end.
    failed: Option<Errno>,
}

/// The files of a directory: their keys, one behind the other.
#[derive(Debug, Default)]
struct Keys {
    namespace: Namespace,
    /// So many bytes of each key name the directory.
    at: usize,
    bytes: Vec<u8>,
    /// Where each key ends, and what is known of it already.
    ends: Vec<(usize, Option<Attributes>)>,
}

/// A name in a directory.
struct Listed {
    name: Vec<u8>,
    node: Node,
    attributes: Option<Attributes>,
}

impl Keys {
    fn push(&mut self, key: &[u8], attributes: Option<Attributes>) {
        self.bytes.extend_from_slice(key);
        self.ends.push((self.bytes.len(), attributes));
    }

    fn get(&self, number: usize) -> Option<Listed> {
        let start = number.checked_sub(1).map_or(0, |last| self.ends[last].0);
        let (end, attributes) = self.ends[number];
        let key = &self.bytes[start..end];
        let name = names::step(key, self.at)?.name;
        let key = Key::new(key.to_vec()).ok()?;
        Some(Listed {
            name,
            node: Node::File((self.namespace.clone(), key)),
            attributes,
        })
    }
}

impl Listing {
    /// Returns what is listed from an offset on, each with the offset behind it.
    fn from(&self, offset: u64) -> impl Iterator<Item = (u64, Listed)> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = self.dirs.len() + usize::from(self.value.is_some()) + self.files.ends.len();
        (begin..end).filter_map(|number| Some((number as u64 + 1, self.get(number)?)))
    }

    /// Returns what has a number; `None` for a key that is a directory too: it is shown in that.
    fn get(&self, number: usize) -> Option<Listed> {
        if let Some((name, node)) = self.dirs.get(number) {
            return Some(Listed {
                name: name.clone(),
                node: node.clone(),
                attributes: None,
            });
        }
        let number = number - self.dirs.len();
        match &self.value {
            Some((node, attributes)) if number == 0 => Some(Listed {
                name: names::VALUE.to_vec(),
                node: node.clone(),
                attributes: Some(*attributes),
            }),
            value => {
                let file = self.files.get(number - usize::from(value.is_some()));
                file.filter(|file| !self.has_dir(file))
            }
        }
    }

    fn has_dir(&self, file: &Listed) -> bool {
        let found = self.dirs.binary_search_by(|(name, _)| name.cmp(&file.name));
        found.is_ok()
    }
}

/// The names of a directory, as they are found.
#[derive(Default)]
struct Found {
    dirs: BTreeMap<Vec<u8>, Vec<u8>>,
    files: Keys,
    /// Keys that were passed over in a row.
    passed: u32,
}

impl Found {
    /// Adds the name that leads to a key. Returns from where on the keys are worth a look again.
    fn add(&mut self, key: &[u8], attributes: Option<Attributes>) -> Option<Vec<u8>> {
        let Step { name, end, is_last } = names::step(key, self.files.at)?;
        if is_last {
            self.files.push(key, attributes);
            return None;
        }
        let prefix = &key[..end];
        if !self.dirs.contains_key(&name) {
            self.passed = 0;
            self.dirs.insert(name, prefix.to_vec());
            return None;
        }
        self.passed += 1;
        if self.passed < LEAP {
            return None;
        }
        self.passed = 0;
        let mut behind = prefix.to_vec();
        // No key is behind them where all bytes are the highest.
        while let Some(last) = behind.pop() {
            if last < u8::MAX {
                behind.push(last + 1);
                return Some(behind);
            }
        }
        None
    }
}

impl App {
    /// Opens a directory.
    pub(super) fn open_dir(&self) -> u64 {
        let mut listings = self.listings.lock();
        listings.last += 1;
        let handle = listings.last;
        listings.open.insert(handle, Arc::default());
        handle
    }

    /// Closes a directory.
    pub(super) fn close_dir(&self, handle: u64) {
        self.listings.lock().open.remove(&handle);
    }

    fn listing(&self, handle: u64) -> Answer<Arc<Mutex<Listing>>> {
        let listings = self.listings.lock();
        listings.open.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    /// Lists names.
    pub(super) fn read_dir(
        &self,
        number: u64,
        handle: u64,
        offset: u64,
        reply: &mut ReplyDirectory,
    ) -> Answer<()> {
        let listing = self.listing(handle)?;
        let mut listing = listing.lock();
        self.fill(number, offset, &mut listing)?;
        let mut is_end = true;
        for (next, Listed { name, node, .. }) in listing.from(offset) {
            is_end = false;
            let number = self.nodes.lock().find(&node);
            let number = number.unwrap_or_else(|| node.number());
            let kind = match node.is_dir() {
                true => FileType::Directory,
                false => FileType::RegularFile,
            };
            if reply.add(INodeNo(number), next, kind, OsStr::from_bytes(&name)) {
                break;
            }
        }
        listing.failed.filter(|_| is_end).map_or(Ok(()), Err)
    }

    /// Lists names and what they stand for.
    pub(super) fn read_dir_plus(
        &self,
        number: u64,
        handle: u64,
        offset: u64,
        reply: &mut ReplyDirectoryPlus,
    ) -> Answer<()> {
        let listing = self.listing(handle)?;
        let mut listing = listing.lock();
        self.fill(number, offset, &mut listing)?;
        let mut is_end = true;
        let mut failed = None;
        for (next, listed) in listing.from(offset) {
            let Listed {
                name,
                node,
                attributes,
            } = listed;
            let attributes = match (&node, attributes) {
                (_, Some(attributes)) => attributes,
                (Node::File(file), None) => match self.file_attributes(file) {
                    Ok(Some(attributes)) => attributes,
                    Ok(None) => continue,
                    Err(err) => {
                        failed = Some(err);
                        continue;
                    }
                },
                (dir, None) => self.dir_attributes(dir),
            };
            let number = told::tell(self, &node, &attributes)?;
            let told = self.file_attr(number, &attributes);
            let (ino, name) = (INodeNo(number), OsStr::from_bytes(&name));
            is_end = false;
            // Who has it open is told how it grows.
            let believed = match self.files.lock().numbered(number) {
                Some(_) => Duration::ZERO,
                None => BELIEVED,
            };
            if reply.add(ino, next, name, &believed, &told, Generation(0)) {
                // It did not fit, and will be told next time.
                self.nodes.lock().forget(number, 1);
                break;
            }
        }
        listing.failed = listing.failed.or(failed);
        listing.failed.filter(|_| is_end).map_or(Ok(()), Err)
    }

    /// Looks into the directory when it is read from its beginning.
    fn fill(&self, number: u64, offset: u64, listing: &mut Listing) -> Answer<()> {
        if offset > 0 {
            return Ok(());
        }
        let node = self.nodes.lock().node(number).ok_or(Errno::ENOENT)?;
        let (namespace, prefix) = match node {
            Node::Root => {
                let all = self.namespaces()?.into_iter().map(|namespace| {
                    let name = namespace.as_str().as_bytes().to_vec();
                    (name, Node::Dir(namespace, Vec::new()))
                });
                *listing = Listing {
                    dirs: all.collect(),
                    ..Listing::default()
                };
                return Ok(());
            }
            Node::Dir(namespace, prefix) => (namespace, prefix),
            Node::File(..) => return Err(Errno::ENOTDIR),
        };
        let (found, mut failed) = self.names_in(&namespace, &prefix);
        let Found { dirs, files, .. } = found;
        let mut value = None;
        if let Some(key) = names::read(&prefix, names::VALUE).key
            && let Ok(key) = Key::new(key)
        {
            let file: FullKey = (namespace.clone(), key);
            match self.file_attributes(&file) {
                Ok(attributes) => {
                    value = attributes.map(|attributes| (Node::File(file), attributes));
                }
                Err(err) => failed = Some(err),
            }
        }
        let dirs = dirs.into_iter();
        let dirs = dirs.map(|(name, prefix)| (name, Node::Dir(namespace.clone(), prefix)));
        *listing = Listing {
            dirs: dirs.collect(),
            value,
            files,
            failed,
        };
        Ok(())
    }

    /// Returns the names that are found, and why there may be others.
    fn names_in(&self, namespace: &Namespace, prefix: &[u8]) -> (Found, Option<Errno>) {
        // Files that are being written may be in the store or not, and are other than they are there.
        let open = self.open_files(namespace, prefix);
        let mut found = Found::default();
        found.files.namespace = namespace.clone();
        found.files.at = prefix.len();
        let dir_index = self.dir_index(namespace);
        let walked = dir_index.walk(
            self,
            namespace,
            prefix,
            Freshness::Recent,
            None,
            &mut |key, meta| match open.contains(key) {
                true => Ok(None),
                false => Ok(found.add(key, meta.map(|meta| Attributes::of(&meta)))),
            },
        );
        let failed = self.answer(walked).err();
        for key in open {
            found.add(&key, None);
        }
        for dir in self.memory.lock().dirs_below(namespace, prefix) {
            if dir.len() > prefix.len() {
                // It is as if a key stood below it.
                found.add(&[dir, names::INSIDE].concat(), None);
            }
        }
        (found, failed)
    }

    /// Returns the keys below a directory that are shown as they are written, and not as they are
    /// stored.
    fn open_files(&self, namespace: &Namespace, prefix: &[u8]) -> BTreeSet<Vec<u8>> {
        let files = self.files.lock();
        let below = files.below(namespace, prefix).filter(|(_, inode)| {
            let open = inode.snapshot();
            open.draft.or(open.tail).is_some()
        });
        below.map(|(key, _)| key.to_vec()).collect()
    }
}
