//! `lost/`: where a repair moves what is damaged.
//!
//! A name there is what the file was, and 16 random digits. kv never looks into it.

use std::os::fd::AsFd as _;
use std::path::Path;

use crate::store::check::Repair;
use crate::store::{Result, StoreError};

use super::super::create::random;
use super::super::disk;
use super::super::draft::Draft;
use super::super::space::{Dir, cannot, make_dir};
use super::Work;

pub(super) const LOST: &str = "lost";

impl Work<'_> {
    /// Moves something out of the way, durably, and says where it is; only says so where nothing is
    /// to be changed.
    pub(super) fn move_away(&self, dir: &Dir, name: &str, stem: &str) -> Result<Option<Repair>> {
        if !self.mends() {
            return Ok(self.would("moved to lost/"));
        }
        let lost = self.open_lost()?;
        let to = new_name(stem);
        disk::rename(dir.fd.as_fd(), name, lost.fd.as_fd(), &to)
            .map_err(|err| cannot(err, "move", &dir.path.join(name)))?;
        sync(&lost)?;
        sync(dir)?;
        Ok(Some(moved(&to, "")))
    }

    /// Moves a damaged entry out of the way and leaves a tombstone, which is synced, in its place: in
    /// one step, as anybody who looks in between would see what a pack holds of the key.
    pub(super) fn replace(
        &self,
        dir: &Dir,
        name: &str,
        stem: &str,
        mut tombstone: Draft,
    ) -> Result<Repair> {
        let lost = self.open_lost()?;
        let to = new_name(stem);
        if !tombstone.publish(&self.space, &lost, &to)? {
            let gone = std::io::ErrorKind::NotFound.into();
            return Err(cannot(gone, "write", &lost.path.join(&to)));
        }
        let failed = |err| cannot(err, "move", &dir.path.join(name));
        if disk::exchange(lost.fd.as_fd(), &to, dir.fd.as_fd(), name).is_err() {
            // Not every file system can do that. In two steps it is done by them all.
            let other = new_name(stem);
            disk::rename(dir.fd.as_fd(), name, lost.fd.as_fd(), &other).map_err(failed)?;
            disk::rename(lost.fd.as_fd(), &to, dir.fd.as_fd(), name).map_err(failed)?;
            sync(&lost)?;
            sync(dir)?;
            return Ok(moved(&other, ", and the key is removed"));
        }
        sync(&lost)?;
        sync(dir)?;
        Ok(moved(&to, ", and the key is removed"))
    }

    fn open_lost(&self) -> Result<Dir> {
        if let Some(dir) = self.space.dir_if_any(LOST)? {
            return Ok(dir);
        }
        let space = self.space.dir("")?;
        make_dir(space.fd.as_fd(), LOST, self.space.dir_mode()?)
            .map_err(|err| cannot(err, "make the directory", &space.path.join(LOST)))?;
        sync(&space)?;
        self.space.dir(LOST)
    }
}

pub(super) fn sync(dir: &Dir) -> Result<(), StoreError> {
    disk::sync(&dir.fd).map_err(|err| cannot(err, "sync", &dir.path))
}

fn new_name(stem: &str) -> String {
    format!("{stem}-{:016x}", random())
}

fn moved(name: &str, more: &str) -> Repair {
    let path = Path::new(LOST).join(name);
    Repair {
        what: format!("moved to {}{more}", path.display()),
        settles: true,
    }
}
