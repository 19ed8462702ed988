//! What is in a directory.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, Mutex};

use fuser::{Errno, FileType, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};

use crate::store::{Key, Namespace};

use super::body::Full;
use super::find::{Attributes, BELIEVED};
use super::names::{self, Step};
use super::nodes::Place;
use super::shape::Care;
use super::{Answer, App, hold};

/// So many keys of one directory are passed over one by one before the rest of it is leapt over.
const LEAP: u32 = 256;

/// Open directories.
#[derive(Debug, Default)]
pub(super) struct Listings {
    open: HashMap<u64, Arc<Mutex<Vec<Listed>>>>,
    last: u64,
}

/// A name in a directory.
#[derive(Debug)]
struct Listed {
    name: Vec<u8>,
    place: Place,
    /// What is known of it already.
    attributes: Option<Attributes>,
}

/// The names of a directory, as they are found.
#[derive(Default)]
struct Found {
    dirs: BTreeMap<Vec<u8>, Vec<u8>>,
    files: BTreeMap<Vec<u8>, (Key, Option<Attributes>)>,
    /// Keys that were passed over in a row.
    passed: u32,
}

impl Found {
    /// Adds the name that leads to a key. Returns from where on the keys are worth a look again.
    fn add(&mut self, at: usize, key: &[u8], attributes: Option<Attributes>) -> Option<Vec<u8>> {
        let Step { name, end, is_last } = names::step(key, at)?;
        if is_last {
            if let Ok(key) = Key::new(key.to_vec()) {
                self.files.insert(name, (key, attributes));
            }
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
        let mut listings = hold(&self.listings);
        listings.last += 1;
        let handle = listings.last;
        listings.open.insert(handle, Arc::default());
        handle
    }

    /// Closes a directory.
    pub(super) fn close_dir(&self, handle: u64) {
        hold(&self.listings).open.remove(&handle);
    }

    fn listing(&self, handle: u64) -> Answer<Arc<Mutex<Vec<Listed>>>> {
        let listings = hold(&self.listings);
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
        let mut listed = hold(&listing);
        self.fill(number, offset, &mut listed)?;
        for (next, Listed { name, place, .. }) in rest(&listed, offset) {
            let number = self.nodes().find(place).unwrap_or_else(|| place.number());
            let kind = match place.is_dir() {
                true => FileType::Directory,
                false => FileType::RegularFile,
            };
            if reply.add(INodeNo(number), next, kind, OsStr::from_bytes(name)) {
                break;
            }
        }
        Ok(())
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
        let mut listed = hold(&listing);
        self.fill(number, offset, &mut listed)?;
        for (next, listed) in rest(&listed, offset) {
            let attributes = match (&listed.place, listed.attributes) {
                (_, Some(attributes)) => attributes,
                (Place::File(namespace, key), None) => {
                    let file = (namespace.clone(), key.clone());
                    match self.file_attributes(&file)? {
                        Some(attributes) => attributes,
                        None => continue,
                    }
                }
                (dir, None) => self.dir_attributes(dir),
            };
            let name = OsStr::from_bytes(&listed.name);
            let number = self.nodes().tell(&listed.place);
            let told = self.told(number, &attributes);
            if reply.add(INodeNo(number), next, name, &BELIEVED, &told, Generation(0)) {
                // It did not fit, and will be told next time.
                self.nodes().forget(number, 1);
                break;
            }
        }
        Ok(())
    }

    /// Looks into the directory when it is read from its beginning.
    fn fill(&self, number: u64, offset: u64, listed: &mut Vec<Listed>) -> Answer<()> {
        if offset > 0 {
            return Ok(());
        }
        let place = self.nodes().place(number).ok_or(Errno::ENOENT)?;
        let (mut found, namespace) = match &place {
            Place::Root => {
                let all = self.namespaces()?.into_iter().map(|namespace| Listed {
                    name: namespace.as_str().as_bytes().to_vec(),
                    place: Place::Dir(namespace, Vec::new()),
                    attributes: None,
                });
                *listed = all.collect();
                return Ok(());
            }
            Place::Dir(namespace, prefix) => (self.names_in(namespace, prefix)?, namespace),
            Place::File(..) => return Err(Errno::ENOTDIR),
        };
        if let Place::Dir(_, prefix) = &place
            && let Some(key) = names::read(prefix, names::VALUE).key
            && let Ok(key) = Key::new(key)
        {
            let file: Full = (namespace.clone(), key);
            if let Some(attributes) = self.file_attributes(&file)? {
                let value = (file.1, Some(attributes));
                found.files.insert(names::VALUE.to_vec(), value);
            }
        }
        // A key that is a directory too is shown in it.
        let dirs = found.dirs;
        if !dirs.is_empty() {
            found.files.retain(|name, _| !dirs.contains_key(name));
        }
        let dirs = dirs.into_iter().map(|(name, prefix)| Listed {
            name,
            place: Place::Dir(namespace.clone(), prefix),
            attributes: None,
        });
        let files = found
            .files
            .into_iter()
            .map(|(name, (key, attributes))| Listed {
                name,
                place: Place::File(namespace.clone(), key),
                attributes,
            });
        *listed = dirs.chain(files).collect();
        Ok(())
    }

    fn names_in(&self, namespace: &Namespace, prefix: &[u8]) -> Answer<Found> {
        let at = prefix.len();
        let mut found = Found::default();
        let shape = self.shape(namespace);
        let walked = shape.walk(
            self,
            namespace,
            prefix,
            Care::True,
            None,
            &mut |key, meta| Ok(found.add(at, key, meta.map(|meta| Attributes::of(&meta)))),
        );
        self.answer(walked)?;
        for dir in self.memory().dirs_below(namespace, prefix) {
            if dir.len() > at {
                // It is as if a key stood below it.
                found.add(at, &[dir, b"x"].concat(), None);
            }
        }
        let files = self.files();
        for (key, body) in files.below(namespace, prefix) {
            let seen = body.seen();
            if seen.whole.is_some() || seen.tail > 0 {
                found.add(at, key, None);
            }
        }
        drop(files);
        let memory = self.memory();
        for (key, attributes) in found.files.values_mut() {
            if let Some(attributes) = attributes {
                attributes.executable = memory.is_executable(namespace, key);
            }
        }
        Ok(found)
    }
}

/// Returns what is listed from an offset on, each with the offset behind it.
fn rest(listed: &[Listed], offset: u64) -> impl Iterator<Item = (u64, &Listed)> {
    let skip = usize::try_from(offset).unwrap_or(usize::MAX);
    (1..).zip(listed).skip(skip)
}
