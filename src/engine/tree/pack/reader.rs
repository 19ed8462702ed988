//! Reads a pack.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Meta, OrCannot as _, Result};

use super::super::codec::Damage;
use super::super::hash::sha1_of;
use super::super::layout::HashedKey;
use super::super::namespace_dir::NamespaceDir;
use super::codec::{self, Frame, Record};
use super::geometry::{FOOTER_LEN, Geometry};
use super::index::Index;
use super::manifest::Named;
use super::page::{self, Candidate, PAGE_LEN, Page};

/// A pack, opened.
#[derive(Debug)]
pub(crate) struct Pack {
    file: File,
    path: PathBuf,
    geometry: Geometry,
    index: OnceLock<Index>,
    /// The hash pages that are kept, by their numbers.
    pages: OnceLock<Box<[KeptPage]>>,
    /// Where records begin, once one was found to be damaged.
    starts: OnceLock<Box<[u64]>>,
}

type KeptPage = OnceLock<Box<[u8; PAGE_LEN]>>;

/// Hash pages that one process keeps at most of all its packs: 64 MiB.
const MOST_PAGES: usize = 16 * 1024;
static PAGES: AtomicUsize = AtomicUsize::new(0);

impl Drop for Pack {
    fn drop(&mut self) {
        let kept = self
            .pages
            .get()
            .into_iter()
            .flatten()
            .filter(|page| page.get().is_some());
        PAGES.fetch_sub(kept.count(), Relaxed);
    }
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
    pub(crate) fn open(space: &NamespaceDir, dir: &str, named: &Named) -> Result<Option<Self>> {
        match Self::open_any_size(space, dir, named)? {
            Some((pack, size)) if size != named.geometry.size => Err(pack.damaged(Damage::Size)),
            opened => Ok(opened.map(|(pack, _)| pack)),
        }
    }

    /// As [`Pack::open`], and says what size the file has, which may be wrong.
    pub(crate) fn open_any_size(
        space: &NamespaceDir,
        dir: &str,
        named: &Named,
    ) -> Result<Option<(Self, u64)>> {
        let below = [dir, "/", &named.name].concat();
        let path = space.path_of(&below);
        let Some(file) = space.open_if_any(&below)? else {
            return Ok(None);
        };
        let stat = file.metadata().or_cannot("look at", &path)?;
        if !stat.is_file() {
            return Err(Damage::NotAFile.at(path));
        }
        let index = OnceLock::new();
        let pack = Self {
            file,
            path,
            geometry: named.geometry,
            index,
            pages: OnceLock::new(),
            starts: OnceLock::new(),
        };
        Ok(Some((pack, stat.len())))
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Finds the record of a key, whatever it says.
    ///
    /// # Errors
    ///
    /// Damage, and where the record was lost to it before.
    pub(crate) fn find(&self, hashed: &HashedKey<'_>) -> Result<Option<Packed>> {
        let found = self.search(hashed.sha1(), |record| {
            let is_it = record.key == hashed.key.as_bytes();
            is_it.then_some((record.meta, record.tombstone, record.value.len()))
        })?;
        Ok(found.map(|((meta, tombstone, len), bytes)| Packed {
            meta,
            tombstone,
            value_at: bytes.len() - len,
            bytes,
        }))
    }

    /// Finds the record of a key with this SHA-1, and returns what `read` makes of it.
    pub(crate) fn find_sha1<T>(
        &self,
        sha1: &[u8; 20],
        read: impl Fn(&Record<'_>) -> T,
    ) -> Result<Option<T>> {
        let is_it = |record: &Record<'_>| sha1_of(record.key) == *sha1;
        let found = self.search(sha1, |record| is_it(record).then(|| read(record)))?;
        Ok(found.map(|(read, _)| read))
    }

    /// Shows the records whose keys may have this SHA-1 to `take`, until it makes something of one.
    /// Returns that, and the bytes of the record.
    fn search<T>(
        &self,
        sha1: &[u8; 20],
        take: impl Fn(&Record<'_>) -> Option<T>,
    ) -> Result<Option<(T, Vec<u8>)>> {
        let (number, below) = page::place_of(page::hash_of(sha1), self.geometry.pages);
        let read;
        let page = match self.kept_page(number)? {
            Some(bytes) => Page::again(bytes),
            None => {
                read = self.page(number)?;
                Page::read(&read, self.geometry.id, number).map_err(|err| self.damaged(err))?
            }
        };
        // The record may have been lost, if it is none of those that follow.
        let mut is_lost = page.is_incomplete;
        for candidate in page.find(below) {
            if candidate.lost {
                is_lost = true;
                continue;
            }
            let bytes = self.read_candidate(candidate)?;
            let taken = take(&self.decode_whole(&bytes)?);
            if let Some(taken) = taken {
                return Ok(Some((taken, bytes)));
            }
        }
        match is_lost {
            true => Err(self.damaged(Damage::Lost)),
            false => Ok(None),
        }
    }

    /// Keeps the hash pages that are read from now on, as far as there is room for them.
    pub(crate) fn keep_pages(&self) {
        let pages = usize::try_from(self.geometry.pages).unwrap_or(usize::MAX);
        if pages <= MOST_PAGES {
            let slots = || (0..pages).map(|_| OnceLock::new()).collect();
            self.pages.get_or_init(slots);
        }
    }

    /// Returns the bytes of a hash page that is kept, or is from now on.
    fn kept_page(&self, number: u64) -> Result<Option<&[u8; PAGE_LEN]>> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(slot) = self.pages.get().and_then(|pages| pages.get(at)) else {
            return Ok(None);
        };
        if let Some(page) = slot.get() {
            return Ok(Some(page));
        }
        if PAGES.load(Relaxed) >= MOST_PAGES {
            return Ok(None);
        }
        let page = Box::new(self.page(number)?);
        // What is damaged is read anew each time.
        if Page::read(&page, self.geometry.id, number).is_ok() && slot.set(page).is_ok() {
            PAGES.fetch_add(1, Relaxed);
        }
        Ok(slot.get().map(|page| &**page))
    }

    /// Reads the bytes of a hash page.
    pub(super) fn page(&self, number: u64) -> Result<[u8; PAGE_LEN]> {
        let mut bytes = [0; PAGE_LEN];
        self.read(
            &mut bytes,
            self.geometry.pages_at + number * PAGE_LEN as u64,
        )?;
        Ok(bytes)
    }

    fn read_candidate(&self, candidate: Candidate) -> Result<Vec<u8>> {
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

    /// Reads the records of a block, and returns where it begins.
    pub(crate) fn block(&self, block: usize, bytes: &mut Vec<u8>) -> Result<u64> {
        let (begin, end) = self.index()?.range(block);
        let len = end
            .checked_sub(begin)
            .and_then(|len| usize::try_from(len).ok());
        let len = len.ok_or_else(|| self.damaged(Damage::Field))?;
        // Blocks are of nearly the same length: little is filled with zeros for nothing.
        bytes.resize(len, 0);
        self.read(bytes, begin).map(|()| begin)
    }

    /// Returns where the first record behind an offset begins, as far as hash pages can be read and are
    /// not too many: for who comes upon a record that is damaged, and does not say where it ends.
    pub(super) fn next_start(&self, offset: u64) -> Option<u64> {
        let starts = self.starts.get_or_init(|| self.read_starts());
        let next = starts.partition_point(|&start| start <= offset);
        starts.get(next).copied()
    }

    fn read_starts(&self) -> Box<[u64]> {
        let mut starts = Vec::new();
        let pages = Some(self.geometry.pages).filter(|&pages| pages <= MOST_PAGES as u64);
        for number in 0..pages.unwrap_or_default() {
            let bytes = self.page(number).ok();
            let page = bytes
                .as_ref()
                .and_then(|bytes| Page::read(bytes, self.geometry.id, number).ok());
            for (_, slot) in page.into_iter().flat_map(Page::slots) {
                // Where one ends another begins, whose own page may be one that cannot be read.
                starts.extend([slot.offset, slot.offset + slot.len as u64]);
            }
        }
        starts.sort_unstable();
        starts.dedup();
        starts.into_boxed_slice()
    }

    /// Returns what the records have in common.
    pub(crate) fn frame(&self) -> Frame {
        let Geometry { id, base, .. } = self.geometry;
        Frame { id, base }
    }

    /// Says that the pack is damaged.
    pub(crate) fn damaged(&self, damage: Damage) -> crate::store::StoreError {
        damage.at(self.path.clone())
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        match self.file.read_exact_at(bytes, offset) {
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(Damage::Truncated))
            }
            done => done.or_cannot("read", &self.path),
        }
    }

    /// Returns what the last bytes of a file of that size say, if they say anything.
    pub(super) fn footer(&self, size: u64) -> Result<Option<Geometry>> {
        let mut bytes = [0; FOOTER_LEN];
        let Some(at) = size.checked_sub(FOOTER_LEN as u64) else {
            return Ok(None);
        };
        let read = self.read_some(&mut bytes, at)?;
        Ok(Geometry::from_footer(&bytes)
            .ok()
            .filter(|_| read == FOOTER_LEN))
    }

    /// Reads until there are no more bytes, and says how many there were.
    pub(super) fn read_some(&self, bytes: &mut [u8], offset: u64) -> Result<usize> {
        let mut have = 0;
        while have < bytes.len() {
            match self.file.read_at(&mut bytes[have..], offset + have as u64) {
                Ok(0) => break,
                Ok(n) => have += n,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err).or_cannot("read", &self.path),
            }
        }
        Ok(have)
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
