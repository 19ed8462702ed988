//! Packs: many entries in one file, written once.
//!
//! ```text
//! magic, base    `kvpack1\n`, and the time before which no record was modified (8 bytes)
//! records        in the order of their keys, one directly behind the other; see [`codec`]
//! key index      for listings: which keys each block of records begins with; see [`index`]
//! zeros          to a multiple of 4,096
//! hash pages     for look-ups: where the record of a key is; see [`page`]
//! footer         where all this is; see [`geometry`]
//! ```
//!
//! [`manifest`] names the packs, the newest first, and says the same as their footers, so that a
//! look-up takes two reads: one hash page, one record. Of several records of a key the newest counts,
//! and a loose entry hides them all. Numbers are little-endian.
//!
//! Read the files in this order: [`codec`], [`page`], [`index`], [`geometry`], [`manifest`],
//! [`writer`], [`reader`], [`block`], [`cursor`], [`survey`].

mod block;
pub(super) mod codec;
pub(super) mod cursor;
#[cfg(any(test, fuzzing))]
#[path = "../../../../tests/fuzz/readers/pack.rs"]
pub(super) mod fuzz;
mod geometry;
mod index;
pub(super) mod manifest;
mod page;
mod reader;
mod survey;
pub(super) mod writer;

use std::io;
use std::sync::{Arc, OnceLock};

use crate::store::{Result, StoreError};

use super::codec::Damage;
use super::dir::cannot;
use super::layout::{HashedKey, PACKS};
use super::namespace_dir::NamespaceDir;

pub(super) use self::codec::{LONGEST_VALUE, Record};
pub(super) use self::cursor::{Bounds, Cursor};
pub(super) use self::geometry::Geometry;
pub(super) use self::manifest::{Manifest, Named};
pub(super) use self::reader::{Pack, Packed};
pub(super) use self::survey::{Flaw, Survey};
pub(super) use self::writer::PackWriter;
pub(super) use crate::engine::merge::{Merge, Sorted};

/// The packs that a MANIFEST names.
#[derive(Debug)]
pub(super) struct Packs {
    manifest: Manifest,
    opened: Vec<OnceLock<Arc<Pack>>>,
}

/// MANIFEST is another by now, or an entry has got a file of its own: whoever looks begins again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed;

impl Packs {
    /// Reads which packs a namespace has; `None` if it never had any. Opens none of them yet.
    pub(super) fn read(space: &NamespaceDir) -> Result<Option<Self>> {
        let manifest = Manifest::read(space)?;
        Ok(manifest.map(|manifest| {
            let opened = manifest.packs.iter().map(|_| OnceLock::new()).collect();
            Self { manifest, opened }
        }))
    }

    /// Returns what MANIFEST says, the newest first.
    pub(super) fn named(&self) -> &[Named] {
        &self.manifest.packs
    }

    /// Tells whether this is still what MANIFEST says.
    pub(super) fn is_current(&self, space: &NamespaceDir) -> Result<bool> {
        self.manifest.is_current(space)
    }

    /// Opens a pack, by its place in MANIFEST.
    pub(super) fn open(
        &self,
        space: &NamespaceDir,
        number: usize,
    ) -> Result<Result<Arc<Pack>, Changed>> {
        if let Some(pack) = self.opened[number].get() {
            return Ok(Ok(Arc::clone(pack)));
        }
        let named = &self.manifest.packs[number];
        match Pack::open(space, PACKS, named)? {
            Some(pack) => Ok(Ok(Arc::clone(
                self.opened[number].get_or_init(|| Arc::new(pack)),
            ))),
            None if !self.is_current(space)? => Ok(Err(Changed)),
            None => {
                let path = space.path_of(&["packs/", &named.name].concat());
                Err(Damage::Missing.at(path))
            }
        }
    }

    /// As [`Packs::open`], for who holds the maintenance lock: only what does not heed that can have
    /// changed MANIFEST.
    pub(super) fn open_kept(&self, space: &NamespaceDir, number: usize) -> Result<Arc<Pack>> {
        self.open(space, number)?.map_err(|Changed| {
            let what = io::Error::other("something that heeds no lock has replaced it");
            cannot(what, "go on with", &space.path_of(manifest::MANIFEST))
        })
    }

    /// Finds the newest record of a key, whatever it says.
    pub(super) fn find(
        &self,
        space: &NamespaceDir,
        hashed: &HashedKey<'_>,
    ) -> Result<Result<Option<Packed>, Changed>> {
        for number in 0..self.opened.len() {
            let pack = match self.open(space, number)? {
                Ok(pack) => pack,
                Err(changed) => return Ok(Err(changed)),
            };
            let found = pack.find(hashed)?;
            if found.is_some() {
                return Ok(Ok(found));
            }
        }
        Ok(Ok(None))
    }
}

/// Tells whether this says that a record was damaged before, and that no more is wrong.
pub(super) fn is_lost(err: &StoreError) -> bool {
    match err {
        StoreError::Damaged { source, .. } => source.downcast_ref() == Some(&Damage::Lost),
        _ => false,
    }
}
