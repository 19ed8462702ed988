//! What a key holds: its loose entry, or else its newest packed record.
//!
//! No lock is taken. An entry may move from a file of its own into a pack between two looks, so the
//! file is looked for first, then MANIFEST is read, and an answer that comes from packs, "nothing"
//! too, holds only if afterwards the file is still missing and MANIFEST is still the same.

use std::slice;

use crate::store::{Entry, Key, Meta, Namespace, Result, Time, Value};

use super::Tree;
use super::layout::{HashedKey, digits_of};
use super::loose::{self, Loose, WHOLE_LEN};
use super::namespace_dir::NamespaceDir;
use super::pack::{Changed, Packed, Packs};
use super::tries::Tries;

/// What a key holds, dead or alive.
#[derive(Debug)]
pub(super) enum Present {
    Loose(Loose),
    Packed(Packed),
}

impl Present {
    pub(super) fn meta(&self) -> Meta {
        match self {
            Self::Loose(loose) => loose.header.meta,
            Self::Packed(packed) => packed.meta,
        }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        match self {
            Self::Loose(loose) => loose.header.tombstone,
            Self::Packed(packed) => packed.tombstone,
        }
    }

    /// Tells whether the entry is there for a reader at `now`.
    pub(super) fn is_live(&self, now: Time) -> bool {
        !self.is_tombstone() && self.meta().is_live(now)
    }

    /// Returns the entry. A small value, which was read along, is verified.
    pub(super) fn into_entry(self) -> Result<Entry> {
        match self {
            Self::Loose(loose) => loose.into_entry(),
            Self::Packed(packed) => Ok(packed.into_entry()),
        }
    }

    /// As [`Present::into_entry`], with a large value verified too. It is then read a second time.
    pub(super) fn into_verified_entry(self) -> Result<Entry> {
        match self {
            Self::Loose(loose) => loose.into_verified_entry(),
            Self::Packed(packed) => Ok(packed.into_entry()),
        }
    }
}

impl Packed {
    fn into_entry(self) -> Entry {
        let value = Value::Whole {
            bytes: self.bytes,
            next: self.value_at,
        };
        Entry {
            meta: self.meta,
            value,
        }
    }
}

impl Tree {
    /// Finds a live entry, with a look into a namespace that is kept open first, and reads along a value of at
    /// most `with_value` bytes.
    pub(super) fn find_live(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        with_value: u64,
        now: Time,
    ) -> Result<Option<Present>> {
        let mut found = [None];
        let keys = slice::from_ref(hashed);
        self.find_kept(namespace, keys, with_value, now, &mut found)?;
        let [found] = found;
        self.or_find_present(found, namespace, hashed, with_value, now)
    }

    /// Finds live entries as [`Entries::get`](crate::store::Entries::get) does, with one look at what is kept open
    /// for all of them.
    pub(super) fn find_all(
        &self,
        namespace: &Namespace,
        keys: &[&Key],
        now: Time,
    ) -> Vec<Result<Option<Entry>>> {
        let hashed: Vec<_> = keys.iter().map(|key| HashedKey::of(key)).collect();
        let mut kept: Vec<_> = keys.iter().map(|_| None).collect();
        // Whoever looks anew says what is wrong.
        _ = self.find_kept(namespace, &hashed, WHOLE_LEN, now, &mut kept);
        let each = hashed.iter().zip(kept).map(|(hashed, kept)| {
            let found = self.or_find_present(kept, namespace, hashed, WHOLE_LEN, now)?;
            found.map(Present::into_entry).transpose()
        });
        each.collect()
    }

    /// Finds what keys hold in a namespace that is kept open, as far as that is known there.
    fn find_kept(
        &self,
        namespace: &Namespace,
        keys: &[HashedKey<'_>],
        with_value: u64,
        now: Time,
        found: &mut [Option<Option<Present>>],
    ) -> Result<()> {
        if let Some(kept) = self.kept_space(namespace, keys.len(), now)? {
            kept.find_all(keys, with_value, found);
        }
        Ok(())
    }

    /// Returns what was found of a key, if it lives, and looks for it if it is not known.
    fn or_find_present(
        &self,
        found: Option<Option<Present>>,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        with_value: u64,
        now: Time,
    ) -> Result<Option<Present>> {
        let found = match found {
            Some(found) => found,
            None => self.find_present(namespace, hashed, with_value)?,
        };
        Ok(found.filter(|present| present.is_live(now)))
    }

    /// Finds what a key holds, dead or alive, and reads along a value of at most `with_value` bytes.
    pub(super) fn find_present(
        &self,
        namespace: &Namespace,
        hashed: &HashedKey<'_>,
        with_value: u64,
    ) -> Result<Option<Present>> {
        let mut tries = Tries::default();
        loop {
            let Some(space) = self.open_namespace(namespace)? else {
                return Ok(None);
            };
            if let Ok(found) = find_once(&space, hashed, with_value)? {
                return Ok(found);
            }
            tries.again(|| space.path_of("packs"))?;
        }
    }
}

/// Returns the path of a key's own file below its namespace.
pub(super) fn loose_name(hashed: &HashedKey<'_>) -> String {
    ["objects/", hashed.shard(), "/", hashed.name()].concat()
}

/// As [`Tree::find_present`], in a namespace that is open already, unless something moves during the look.
pub(super) fn find_once(
    space: &NamespaceDir,
    hashed: &HashedKey<'_>,
    with_value: u64,
) -> Result<Result<Option<Present>, Changed>> {
    let name = loose_name(hashed);
    let below = space.relative(&name);
    let path = space.store_path().join(&below);
    if let Some(loose) = loose::open(space.store(), &below, path, hashed, with_value)? {
        return Ok(Ok(Some(Present::Loose(loose))));
    }
    // Where there are no packs now there were none before, and the key had nothing.
    let Some(packs) = Packs::read(space)? else {
        return Ok(Ok(None));
    };
    let found = packs.find(space, hashed);
    if !packs.is_current(space)? || space.is_there(&name)? {
        return Ok(Err(Changed));
    }
    Ok(found?.map(|packed| packed.map(Present::Packed)))
}

/// As [`Tree::find_present`], in a namespace that cannot be removed meanwhile.
pub(super) fn find_in(
    space: &NamespaceDir,
    hashed: &HashedKey<'_>,
    with_value: u64,
) -> Result<Option<Present>> {
    let mut tries = Tries::default();
    loop {
        if let Ok(found) = find_once(space, hashed, with_value)? {
            return Ok(found);
        }
        tries.again(|| space.path_of("packs"))?;
    }
}

/// Finds the newest packed record of a key, for a caller that holds the lock of its shard: nothing
/// but a merge of packs can happen meanwhile.
pub(super) fn find_packed(space: &NamespaceDir, hashed: &HashedKey<'_>) -> Result<Option<Packed>> {
    KeptPacks::default().find(space, hashed)
}

/// The packs as they were read last, for a caller that looks for many keys: they are opened once, and
/// at each key one look at MANIFEST proves that they are still those.
#[derive(Debug, Default)]
pub(super) struct KeptPacks(Option<Packs>);

impl KeptPacks {
    /// As [`find_packed`].
    pub(super) fn find(
        &mut self,
        space: &NamespaceDir,
        hashed: &HashedKey<'_>,
    ) -> Result<Option<Packed>> {
        let mut tries = Tries::default();
        loop {
            let packs = match self.0.take() {
                Some(packs) if packs.is_current(space)? => packs,
                _ => match Packs::read(space)? {
                    Some(packs) => packs,
                    None => return Ok(None),
                },
            };
            match packs.find(space, hashed) {
                Ok(Ok(found)) => {
                    self.0 = Some(packs);
                    return Ok(found);
                }
                Ok(Err(_)) => {}
                // What was read of packs that are replaced by now says nothing.
                Err(err) if packs.is_current(space)? => {
                    self.0 = Some(packs);
                    return Err(err);
                }
                Err(_) => {}
            }
            tries.again(|| space.path_of("packs"))?;
        }
    }
}

/// Tells whether the key with this SHA-1 has a file of its own.
pub(super) fn has_file(space: &NamespaceDir, sha1: &[u8; 20]) -> Result<bool> {
    let digits = digits_of(sha1);
    let (shard, name) = str::from_utf8(&digits)
        .expect("digits are UTF-8")
        .split_at(2);
    space.is_there(&["objects/", shard, "/", name].concat())
}
