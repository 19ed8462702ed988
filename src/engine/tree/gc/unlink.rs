//! Unlinking what was folded.
//!
//! What was read is compared under the lock of its shard before it is unlinked: the whole of its first
//! line, as an etag alone may be kept by whoever rewrites an entry.

use std::os::fd::AsFd as _;
use std::thread;

use parking_lot::Mutex;

use crate::store::Result;

use super::super::Tree;
use super::super::dir::cannot;
use super::super::disk;
use super::super::layout::{digits_of, shard_name};
use super::super::lock::{Kind, Lock};
use super::super::loose;
use super::super::namespace_dir::NamespaceDir;
use super::candidate::{Candidate, FoldAs};

/// So many are unlinked by several threads: a file system that keeps a journal lets each wait for it
/// now and then, and they wait together.
const MANY: usize = 4_096;
const THREADS: usize = 8;

/// What was unlinked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unlinked {
    /// Live entries.
    pub(super) folded: u64,
    /// Expired entries.
    pub(super) expired: u64,
}

/// Unlinks entries that are still what was read. They are in the order of their SHA-1.
pub(super) fn all(tree: &Tree, space: &NamespaceDir, folded: &[Candidate]) -> Result<Unlinked> {
    let helpers = if folded.len() < MANY { 0 } else { THREADS - 1 };
    let shards = Mutex::new(folded.chunk_by(|a, b| a.sha1[0] == b.sha1[0]));
    let next = || shards.lock().next();
    let work = || -> Result<Unlinked> {
        let mut done = Unlinked::default();
        while let Some(shard) = next() {
            done.add(unlink_shard(tree, space, shard)?);
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        // Where there are no threads to be had, this one does it all.
        let others: Vec<_> = (0..helpers).filter_map(spawn).collect();
        let mut done = work();
        for other in others {
            match (&mut done, other.join().expect("no thread panics")) {
                (Ok(done), Ok(more)) => done.add(more),
                (Ok(_), Err(err)) => done = Err(err),
                (Err(_), _) => {}
            }
        }
        done
    })
}

impl Unlinked {
    fn add(&mut self, more: Self) {
        self.folded += more.folded;
        self.expired += more.expired;
    }
}

/// Unlinks entries of one shard.
fn unlink_shard(tree: &Tree, space: &NamespaceDir, folded: &[Candidate]) -> Result<Unlinked> {
    let mut done = Unlinked::default();
    let parent = shard_name(u16::from(folded[0].sha1[0]));
    let below = ["locks/", &parent].concat();
    let lock = Lock::acquire(space, &below, Kind::Exclusive, tree.patience())?;
    let dir = space.dir(&["objects/", &parent].concat())?;
    for candidate in folded {
        let digits = digits_of(&candidate.sha1);
        let name = str::from_utf8(&digits[2..]).expect("digits are UTF-8");
        let Ok(file) = dir.open(name) else {
            continue;
        };
        let path = || dir.path.join(name);
        let Ok((header, _)) = loose::read_header(&file, (&parent, name), &path) else {
            continue;
        };
        if header == candidate.header {
            disk::unlink(dir.fd.as_fd(), name).map_err(|err| cannot(err, "remove", &path()))?;
            match candidate.fold_as {
                FoldAs::Entry => done.folded += 1,
                _ if !header.tombstone => done.expired += 1,
                _ => {}
            }
        }
    }
    drop(lock);
    Ok(done)
}
