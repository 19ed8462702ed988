//! `lost/`: where a repair moves what is damaged.
//!
//! A name there is what the file was, and 16 random digits. kv never looks into it.

use std::os::fd::AsFd as _;
use std::path::Path;

use crate::store::Result;
use crate::store::check::Repair;

use super::super::dir::{Dir, cannot, gone};
use super::super::disk;
use super::super::draft::Draft;
use super::super::layout::random;
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
        lost.sync()?;
        dir.sync()?;
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
        if !tombstone.publish(&lost, &to)? {
            return Err(gone("write", &lost.path.join(&to)));
        }
        let to = match disk::exchange(lost.fd.as_fd(), &to, dir.fd.as_fd(), name) {
            Ok(()) => to,
            // Not every file system can do that.
            Err(_) => replace_by_rename((dir, name), (&lost, &to), new_name(stem))?,
        };
        lost.sync()?;
        dir.sync()?;
        Ok(moved(&to, ", and the key is removed"))
    }

    fn open_lost(&self) -> Result<Dir> {
        if let Some(dir) = self.space.dir_if_any(LOST)? {
            return Ok(dir);
        }
        let space = self.space.dir("")?;
        space.make_dir(LOST, self.space.dir_mode()?)?;
        space.sync()?;
        self.space.dir(LOST)
    }
}

/// Gives what is damaged a further name in lost/, and the tombstone that lies there its place. Returns
/// the further name.
fn replace_by_rename(
    (dir, name): (&Dir, &str),
    (lost, tombstone): (&Dir, &str),
    aside: String,
) -> Result<String> {
    let failed = |err| cannot(err, "move", &dir.path.join(name));
    match disk::link(dir.fd.as_fd(), name, lost.fd.as_fd(), &aside) {
        // The rename takes the old name away, and that may last before the new one does.
        Ok(()) => lost.sync()?,
        // A directory has one name only, and so has each file where there are no hard links. Then
        // there is a moment in which neither of the two is there.
        Err(_) => {
            disk::rename(dir.fd.as_fd(), name, lost.fd.as_fd(), &aside).map_err(failed)?;
        }
    }
    disk::rename(lost.fd.as_fd(), tombstone, dir.fd.as_fd(), name).map_err(failed)?;
    Ok(aside)
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
