//! `info`: what is known of a namespace as a whole.

use std::os::unix::fs::MetadataExt as _;

use walkdir::WalkDir;

use crate::store::{
    Check, Clock, Collect, Collected, Finding, Info, Namespace, Progress, Result, Selection,
    StoreError, Time, Upkeep,
};

use super::Tree;
use super::gc;
use super::namespace_dir::{NamespaceDir, names_in};
use super::pack::Packs;
use super::scan::Spot;
use super::walk::State;

/// A collection of garbage pays from so many loose entries on: they take 4 MiB and more.
const MANY_LOOSE: u64 = 1_000;

impl Upkeep for Tree {
    fn collect(
        &self,
        namespace: &Namespace,
        request: &Collect,
        clock: &dyn Clock,
        progress: &mut dyn Progress,
    ) -> Result<Collected> {
        self.collect_garbage(namespace, request, clock, progress)
    }

    fn check(
        &self,
        namespace: &Namespace,
        request: &Check,
        clock: &dyn Clock,
        tell: &mut dyn FnMut(Finding),
    ) -> Result<()> {
        self.check_namespace(namespace, request, clock, tell)
    }

    fn info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        let space = self.open_unchecked(namespace)?;
        let stood = space.as_ref().and_then(NamespaceDir::stand);
        let told = self.tell_info(namespace, now);
        match space {
            Some(space) if space.is_removed(stood.as_ref()) => Ok(None),
            _ => told,
        }
    }
}

impl Tree {
    /// Tells what is known; see [`crate::store::Upkeep::info`].
    pub(super) fn tell_info(&self, namespace: &Namespace, now: Time) -> Result<Option<Info>> {
        let Some(space) = self.open_namespace(namespace)? else {
            return Ok(None);
        };
        let Some(mut walk) = self.walk(namespace, &Selection::default(), now)? else {
            return Ok(None);
        };
        let mut info = Info {
            format: 1,
            temporary: names_in(&space, "tmp")?.len() as u64,
            collected: gc::last(&space),
            damaged: walk.loose.damaged.len() as u64,
            ..Info::default()
        };
        for found in walk.loose.found() {
            info.loose += 1;
            info.tombstones += u64::from(found.state == State::Tombstone);
            info.expired += u64::from(found.state == State::Expired);
        }
        let mut folds = info.tombstones + info.expired;
        while let Some(found) = walk.advance() {
            let spot = match found {
                Err(err) => {
                    info.damaged += damage(err)?;
                    continue;
                }
                Ok(spot) => spot,
            };
            let meta = *walk.meta(spot);
            folds += u64::from(matches!(spot, Spot::Loose(_)) && gc::folds(&meta, now, false));
            info.count(walk.key(spot).len(), &meta, now);
        }
        info.expired += walk.expired_packed;
        match Packs::read(&space) {
            Ok(Some(packs)) => {
                for named in packs.named() {
                    info.packs += 1;
                    info.packed += named.geometry.records;
                    info.tombstones += named.geometry.tombstones;
                }
                info.collection_pays = gc::is_due(packs.named(), now);
            }
            Ok(None) => {}
            Err(err) => info.damaged += damage(err)?,
        }
        info.collection_pays |= folds >= MANY_LOOSE;
        (info.disk_bytes, info.inodes) = disk_usage(&space);
        Ok(Some(info))
    }
}

/// Counts what is damaged; what cannot be read may be as sound as it was.
fn damage(err: StoreError) -> Result<u64> {
    match err.is_of_one_entry() {
        true => Ok(1),
        false => Err(err),
    }
}

/// Adds up the blocks and the inodes of a namespace, as du(1) does.
fn disk_usage(space: &NamespaceDir) -> (Option<u64>, Option<u64>) {
    let (mut bytes, mut inodes) = (0, 0);
    for entry in WalkDir::new(space.path()).into_iter().flatten() {
        if let Ok(meta) = entry.metadata() {
            // stat(2) counts blocks of 512 bytes, whatever those of the file system are.
            bytes += meta.blocks() * 512;
            inodes += 1;
        }
    }
    (Some(bytes), Some(inodes))
}
