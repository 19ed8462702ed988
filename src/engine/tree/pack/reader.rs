//! Reads a pack.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::OFlags;
use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Meta, OrCannot as _, Result};

use super::super::codec::Damage;
use super::super::layout::{Place, sha1_of};
use super::super::space::{Space, unusable};
use super::codec::{self, Frame, Record};
use super::geometry::{FOOTER_LEN, Geometry};
use super::index::Index;
use super::manifest::{Named, damaged};
use super::page::{self, Candidate, PAGE_LEN};

/// A pack, opened.
#[derive(Debug)]
pub(crate) struct Pack {
    file: File,
    path: PathBuf,
    geometry: Geometry,
    index: OnceLock<Index>,
}

/// A record that was found, and its bytes.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) meta: Meta,
    pub(crate) tombstone: bool,
    pub(crate) bytes: Vec<u8>,
    /// Where the value begins.
    pub(crate) value_at: usize,
}

impl Pack {
    /// Opens a pack in a directory, which is `packs` or will be; `None` if there is no such file.
    pub(crate) fn open(space: &Space, dir: &str, named: &Named) -> Result<Option<Self>> {
        let below = [dir, "/", &named.name].concat();
        let path = space.path_of(&below);
        let file = match space.open(&below, OFlags::RDONLY | OFlags::NONBLOCK) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => File::from(opened.map_err(|err| unusable(err, "open", &path))?),
        };
        let stat = file.metadata().or_cannot("look at", &path)?;
        if !stat.is_file() {
            return Err(damaged(path, Damage::NotAFile));
        }
        if stat.len() != named.geometry.size {
            return Err(damaged(path, Damage::Size));
        }
        let index = OnceLock::new();
        Ok(Some(Self {
            file,
            path,
            geometry: named.geometry,
            index,
        }))
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Finds the record of a key, whatever it says.
    pub(crate) fn find(&self, place: &Place<'_>) -> Result<Option<Packed>> {
        let mut found = None;
        for candidate in self.candidates(place.sha1())? {
            let bytes = self.read_candidate(candidate)?;
            let record = self.decode_whole(&bytes)?;
            if record.key == place.key.as_bytes() {
                let (meta, tombstone) = (record.meta, record.tombstone);
                let value_at = bytes.len() - record.value.len();
                found = Some(Packed {
                    meta,
                    tombstone,
                    bytes,
                    value_at,
                });
                break;
            }
        }
        Ok(found)
    }

    /// Tells whether there is a record of a key with this SHA-1, and hands it to `each`.
    pub(crate) fn find_sha1(
        &self,
        sha1: &[u8; 20],
        mut each: impl FnMut(&Record<'_>),
    ) -> Result<bool> {
        for candidate in self.candidates(sha1)? {
            let bytes = self.read_candidate(candidate)?;
            let record = self.decode_whole(&bytes)?;
            if sha1_of(record.key) == *sha1 {
                each(&record);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn candidates(&self, sha1: &[u8; 20]) -> Result<Vec<Candidate>> {
        let (number, below) = page::place_of(page::hash_of(sha1), self.geometry.pages);
        let mut bytes = [0; PAGE_LEN];
        self.read(
            &mut bytes,
            self.geometry.pages_at + number * PAGE_LEN as u64,
        )?;
        let found =
            page::find(&bytes, self.geometry.id, number, below).map_err(|err| self.damaged(err))?;
        Ok(found.collect())
    }

    fn read_candidate(&self, candidate: Candidate) -> Result<Vec<u8>> {
        if candidate.lost {
            return Err(self.damaged(Damage::Lost));
        }
        let mut bytes = vec![0; candidate.len];
        self.read(&mut bytes, candidate.offset)?;
        Ok(bytes)
    }

    fn decode_whole<'a>(&self, bytes: &'a [u8]) -> Result<Record<'a>> {
        match codec::decode(bytes, self.frame()) {
            Ok((record, len)) if len == bytes.len() => Ok(record),
            Ok(_) => Err(self.damaged(Damage::Field)),
            Err(damage) => Err(self.damaged(damage)),
        }
    }

    /// Reads the key index, once.
    pub(crate) fn index(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let Geometry {
            index_at,
            index_len,
            index_sum,
            ..
        } = self.geometry;
        let len = usize::try_from(index_len).map_err(|_| self.damaged(Damage::Field))?;
        let mut bytes = vec![0; len];
        self.read(&mut bytes, index_at)?;
        if xxh3_64(&bytes) != index_sum {
            return Err(self.damaged(Damage::PageSum));
        }
        let index = Index::new(bytes, &self.geometry).map_err(|err| self.damaged(err))?;
        Ok(self.index.get_or_init(|| index))
    }

    /// Reads the records of a block.
    pub(crate) fn block(&self, block: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let (begin, end) = self.index()?.range(block);
        let len = end
            .checked_sub(begin)
            .and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| self.damaged(Damage::Field))?;
        // Blocks are of nearly the same length: little is filled with zeros for nothing.
        bytes.resize(len, 0);
        self.read(bytes, begin)
    }

    /// Returns what the records have in common.
    pub(crate) fn frame(&self) -> Frame {
        let Geometry { id, base, .. } = self.geometry;
        Frame { id, base }
    }

    /// Says that the pack is damaged.
    pub(crate) fn damaged(&self, damage: Damage) -> crate::store::StoreError {
        damaged(self.path.clone(), damage)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        match self.file.read_exact_at(bytes, offset) {
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(Damage::Truncated))
            }
            done => done.or_cannot("read", &self.path),
        }
    }

    /// Checks that the last bytes say the same as MANIFEST.
    pub(crate) fn check_footer(&self) -> Result<()> {
        let mut bytes = [0; FOOTER_LEN];
        self.read(&mut bytes, self.geometry.size - FOOTER_LEN as u64)?;
        match Geometry::from_footer(&bytes) {
            Ok(geometry) if geometry == self.geometry => Ok(()),
            Ok(_) => Err(self.damaged(Damage::Field)),
            Err(damage) => Err(self.damaged(damage)),
        }
    }
}
