//! Finds the loose entries of a namespace and puts their keys in order.
//!
//! A hashed tree has no order, so every header is read and the keys are sorted in memory: the bytes
//! of the keys lie in one block, and 48 bytes beside it hold what is known of each.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use parking_lot::Mutex;
use walkdir::{DirEntry, WalkDir};

use crate::os;
use crate::store::{Meta, Result, Selection, StoreError, Time};

use super::codec::Damage;
use super::dir::Dir;
use super::layout::NAME_LEN;
use super::loose;
use super::namespace_dir::NamespaceDir;

/// From so many entries on, several threads read them.
const MANY: usize = 1024;
/// Room is made for so many entries at most before they are found.
const MOST_ROOM: usize = 1 << 20;
/// Each more takes some 150 KiB.
const THREADS: usize = 2;

/// What is known of one entry found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) meta: Meta,
    /// Where its key begins in the block of all keys.
    at: u64,
    len: u16,
    pub(super) state: State,
}

/// What an entry is to a reader. A dead one hides what packs hold of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Expired,
    Tombstone,
}

/// The entries found so far, in no order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    keys: Vec<u8>,
    found: Vec<Found>,
    /// What could not be listed.
    pub(super) damaged: Vec<StoreError>,
    /// The SHA-1 of the keys of what could not be listed, in hexadecimal.
    pub(super) damaged_keys: HashSet<String>,
}

impl Entries {
    /// Returns the entries found, in the order of their keys if they were sorted.
    pub(super) fn found(&self) -> &[Found] {
        &self.found
    }

    /// Returns the key of an entry found.
    pub(super) fn key(&self, found: &Found) -> &[u8] {
        key_of(&self.keys, found)
    }

    /// Puts the entries in the order of their keys, or in the reverse.
    pub(super) fn sort(&mut self, reverse: bool) {
        let keys = &self.keys;
        self.found
            .sort_unstable_by(|a, b| key_of(keys, a).cmp(key_of(keys, b)));
        if reverse {
            self.found.reverse();
        }
    }

    /// Finds the entries that were asked for, dead ones too. Of many, several threads read the headers.
    pub(super) fn collect(
        &mut self,
        space: &NamespaceDir,
        selection: &Selection,
        now: Time,
    ) -> Result<()> {
        let Some(objects) = space.dir_if_any("objects")? else {
            return Ok(());
        };
        let shards = self.shards(&objects)?;
        let taken = AtomicUsize::new(0);
        let next = || shards.get(taken.fetch_add(1, Relaxed));
        while self.found.len() < MANY {
            let Some(shard) = next() else {
                return Ok(());
            };
            self.read_shard(space, shard, selection, now)?;
        }
        self.make_room(shards.len(), taken.load(Relaxed));
        let all = Mutex::new(self);
        let read_rest = || {
            while let Some(shard) = next() {
                // A shard at a time, so that hardly anything is in memory twice.
                let mut found = Self::default();
                found.read_shard(space, shard, selection, now)?;
                all.lock().append(found);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let spawn = |_| {
                let spawn = || thread::Builder::new().spawn_scoped(scope, read_rest);
                os::without_signals(spawn).ok()
            };
            // Where there are no threads to be had, this one reads it all.
            let others: Vec<_> = (1..THREADS).filter_map(spawn).collect();
            let done = read_rest();
            others.into_iter().fold(done, |done, other| {
                done.and(other.join().expect("no thread panics"))
            })
        })
    }

    /// Makes room for what the other shards hold, if that is as much in each as in those that were read, and an
    /// eighth more: a table that grows by the double is in memory twice at that moment. Room that is not filled takes
    /// no memory. None is made for more than a million entries, or 64 MiB of keys, or where there is none to be had;
    /// the tables grow then as they are filled.
    fn make_room(&mut self, shards: usize, read: usize) {
        let rest = |len: usize, most: usize| {
            let rest = len / read * (shards - read) / 8 * 9;
            if rest <= most { rest } else { 0 }
        };
        _ = self.found.try_reserve(rest(self.found.len(), MOST_ROOM));
        _ = self.keys.try_reserve(rest(self.keys.len(), 64 * MOST_ROOM));
    }

    /// Finds the names of the shards.
    fn shards(&mut self, objects: &Dir) -> Result<Vec<String>> {
        let mut shards = Vec::new();
        for entry in names_in(&objects.path) {
            let Some(entry) = entry? else { continue };
            if entry.file_type().is_dir() {
                shards.extend(entry.file_name().to_str().map(str::to_owned));
            } else if is_shard(entry.file_name()) {
                // What cannot be looked into may hold any number of keys.
                self.damaged.push(Damage::NotAFile.at(entry.into_path()));
            }
        }
        Ok(shards)
    }

    /// Reads the entries of one shard.
    fn read_shard(
        &mut self,
        space: &NamespaceDir,
        shard: &str,
        selection: &Selection,
        now: Time,
    ) -> Result<()> {
        // A shard's directory is never removed, but a namespace can be.
        let Some(dir) = space.dir_if_any(&["objects/", shard].concat())? else {
            return Ok(());
        };
        for entry in names_in(&dir.path) {
            let Some(entry) = entry? else { continue };
            let name = entry.file_name().to_str();
            let Some(name) = name.filter(|name| name.len() == NAME_LEN) else {
                continue;
            };
            match self.read(&dir, shard, name, selection, now) {
                Err(err) if err.is_of_one_entry() => {
                    self.damaged.push(err);
                    self.damaged_keys.insert([shard, name].concat());
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Adds what another has found.
    fn append(&mut self, other: Self) {
        let behind = self.keys.len() as u64;
        self.keys.extend_from_slice(&other.keys);
        let moved = |found: Found| Found {
            at: found.at + behind,
            ..found
        };
        self.found.extend(other.found.into_iter().map(moved));
        self.damaged.extend(other.damaged);
        self.damaged_keys.extend(other.damaged_keys);
    }

    /// Reads one entry, and keeps it if it was asked for.
    fn read(
        &mut self,
        dir: &Dir,
        shard: &str,
        name: &str,
        selection: &Selection,
        now: Time,
    ) -> Result<()> {
        let path = || dir.path.join(name);
        let Some(file) = dir.open_if_any(name)? else {
            return Ok(());
        };
        let (header, key) = loose::read_header(&file, (shard, name), &path)?;
        if selection.matches(&key) {
            let at = self.keys.len() as u64;
            let len = u16::try_from(key.len()).expect("a key has at most 65,535 bytes");
            self.keys.extend_from_slice(&key);
            self.found.push(Found {
                meta: header.meta,
                at,
                len,
                state: match (header.tombstone, header.is_live(now)) {
                    (true, _) => State::Tombstone,
                    (false, true) => State::Live,
                    (false, false) => State::Expired,
                },
            });
        }
        Ok(())
    }
}

fn key_of<'a>(keys: &'a [u8], found: &Found) -> &'a [u8] {
    let at = usize::try_from(found.at).expect("it is an offset in memory");
    &keys[at..at + usize::from(found.len)]
}

fn is_shard(name: &OsStr) -> bool {
    name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit)
}

/// Goes through what is in a directory; `None` is what went away meanwhile.
fn names_in(dir: &Path) -> impl Iterator<Item = Result<Option<DirEntry>>> {
    let walk = WalkDir::new(dir).min_depth(1).max_depth(1);
    let walk = walk.follow_root_links(false).into_iter();
    walk.map(|entry| match entry {
        Err(err) if is_gone(&err) => Ok(None),
        Err(err) => Err(cannot_walk(err, dir)),
        Ok(entry) => Ok(Some(entry)),
    })
}

/// Says what could not be read. The error of a walk would name its path a second time.
fn cannot_walk(err: walkdir::Error, dir: &Path) -> StoreError {
    let path = err.path().unwrap_or(dir).to_owned();
    let source = match err.into_io_error() {
        Some(source) => source,
        // No link is followed.
        None => io::Error::other("it goes in a circle"),
    };
    StoreError::io("read", path, source)
}

fn is_gone(err: &walkdir::Error) -> bool {
    err.io_error()
        .is_some_and(|err| err.kind() == io::ErrorKind::NotFound)
}
