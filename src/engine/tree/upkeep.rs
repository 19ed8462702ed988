//! The maintenance lock, and what may be done under it: to commit other packs.
//!
//! A pack is synced before it gets its name, and its name before MANIFEST tells of it. `packs/` itself
//! is born by a rename, with a MANIFEST inside: where it lacks one, something was lost.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;

use crate::store::{Namespace, Result};

use super::Tree;
use super::codec::Damage;
use super::create::random;
use super::disk;
use super::lock::{GC_LOCK, Kind, Lock, Patience, SETTLED_LEN, UNSETTLED_LEN, is_unsettled};
use super::pack::manifest::{self, MANIFEST, Manifest};
use super::pack::{Geometry, Named, Pack, Packs};
use super::space::{Dir, Space, cannot, make_dir};
use super::temp::{SPARES, Temp};

/// What `packs/` is called while it is made.
const STAGED: &str = ".packs-";

/// A namespace whose packs nobody else can change.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) space: Space,
    lock: Lock,
    /// `packs/` before it has that name.
    staged: Option<String>,
}

/// A MANIFEST that is synced and has no name yet.
#[derive(Debug)]
#[must_use = "it is to be committed"]
pub(super) struct NewManifest(Option<Temp>);

impl Tree {
    /// Takes the maintenance lock of a namespace; `None` if there is no namespace, unless it is to
    /// be made.
    pub(super) fn lock_upkeep(
        &self,
        namespace: &Namespace,
        makes: bool,
        patience: Patience,
    ) -> Result<Option<Upkeep>> {
        loop {
            let space = match makes {
                true => self.open_or_create_space(namespace)?,
                false => match self.open_space(namespace)? {
                    Some(space) => space,
                    None => return Ok(None),
                },
            };
            if let Some(lock) = Lock::acquire(&space, GC_LOCK, Kind::Exclusive, patience)? {
                sync_packs(&space, &lock)?;
                return Ok(Some(Upkeep {
                    space,
                    lock,
                    staged: None,
                }));
            }
        }
    }
}

impl Upkeep {
    /// Reads which packs there are now; none if there never were any.
    pub(super) fn packs(&self) -> Result<Option<Packs>> {
        Packs::read(&self.space)
    }

    /// Returns the file of the lock, in which the last collection of garbage is noted.
    pub(super) fn lock_file(&self) -> &fs::File {
        &self.lock.file
    }

    /// Gives a pack its name, durably. Nobody sees it before MANIFEST tells of it.
    pub(super) fn add_pack(&mut self, mut temp: Temp, geometry: Geometry) -> Result<Named> {
        let dir = self.packs_dir()?;
        let name = format!("pack-{:016x}", random());
        if !temp.publish(&self.space, &dir, &name)? {
            let gone = io::Error::from(io::ErrorKind::NotFound);
            return Err(cannot(gone, "name", &temp.path()));
        }
        disk::sync(&dir.fd).map_err(|err| cannot(err, "sync", &dir.path))?;
        Ok(Named { name, geometry })
    }

    /// Opens a pack that was added, wherever it is as long as MANIFEST does not tell of it.
    pub(super) fn open_added(&self, named: &Named) -> Result<Pack> {
        let dir = self.staged.as_deref().unwrap_or("packs");
        let path = || self.space.path_of(dir).join(&named.name);
        let pack = Pack::open(&self.space, dir, named)?;
        pack.ok_or_else(|| manifest::damaged(path(), Damage::Missing))
    }

    /// Writes a MANIFEST that names these packs, the newest first.
    pub(super) fn write_manifest(&mut self, packs: &[Named]) -> Result<NewManifest> {
        let dir = self.packs_dir()?;
        let gone = || {
            cannot(
                io::ErrorKind::NotFound.into(),
                "write",
                &dir.path.join("MANIFEST"),
            )
        };
        let mut temp = Temp::create_or_spare(&self.space)?.ok_or_else(gone)?;
        temp.write(manifest::encode(packs).as_bytes())?;
        temp.sync()?;
        if self.staged.is_none() {
            return Ok(NewManifest(Some(temp)));
        }
        if !temp.publish(&self.space, &dir, "MANIFEST")? {
            return Err(gone());
        }
        disk::sync(&dir.fd).map_err(|err| cannot(err, "sync", &dir.path))?;
        Ok(NewManifest(None))
    }

    /// Lets a MANIFEST take effect, durably.
    ///
    /// For a moment it has its name and is not durable. Should this process die then, nobody may unlink
    /// a file because the packs have no older value: the length of the lock's file says so.
    pub(super) fn commit(&mut self, manifest: NewManifest) -> Result<()> {
        disk::truncate(&self.lock.file, UNSETTLED_LEN)
            .map_err(|err| cannot(err, "mark", &self.space.path_of(GC_LOCK)))?;
        self.rename_manifest(manifest)?;
        settle(&self.lock);
        Ok(())
    }

    fn rename_manifest(&mut self, manifest: NewManifest) -> Result<()> {
        let path = self.space.path_of(MANIFEST);
        if let Some(staged) = &self.staged {
            let (from, to) = (self.space.relative(staged), self.space.relative("packs"));
            let store = self.space.store();
            disk::rename(store, &from, store, &to).map_err(|err| cannot(err, "write", &path))?;
            self.staged = None;
            // Before anything is unlinked that is only there from now on.
            return sync_above(&self.space);
        }
        let dir = self.space.dir("packs")?;
        let mut temp = manifest
            .0
            .expect("only packs/ in the making has its MANIFEST already");
        if !temp.publish(&self.space, &dir, "MANIFEST")? {
            return Err(cannot(io::ErrorKind::NotFound.into(), "write", &path));
        }
        disk::sync(&dir.fd).map_err(|err| cannot(err, "sync", &dir.path))
    }

    /// Opens `packs/`, or the directory that will be it.
    fn packs_dir(&mut self) -> Result<Dir> {
        if let Some(staged) = &self.staged {
            return self.space.dir(staged);
        }
        if let Some(dir) = self.space.dir_if_any("packs")? {
            return Ok(dir);
        }
        let name = format!("{STAGED}{:016x}", random());
        let path = self.space.path_of(&name);
        let space = self.space.dir("")?;
        let mode = self.space.dir_mode()?;
        match make_dir(space.fd.as_fd(), &name, mode) {
            // No more files: the directory of the spare ones is as good as a new one.
            Err(err) if err.kind() == io::ErrorKind::StorageFull => {
                let moved = disk::rename(space.fd.as_fd(), "spare", space.fd.as_fd(), &name);
                moved.map_err(|_| cannot(err, "make the directory", &path))?;
            }
            made => made.map_err(|err| cannot(err, "make the directory", &path))?,
        }
        self.staged = Some(name.clone());
        self.space.dir(&name)
    }

    /// Deletes what MANIFEST does not name: packs that were replaced, and what dead processes left.
    /// Such a pack is never taken up: its keys may have been removed since.
    pub(super) fn sweep_packs(&self) -> Result<u64> {
        let mut swept = 0;
        for name in names_in(&self.space, "") {
            if name.starts_with(STAGED) && self.staged.as_ref() != Some(&name) {
                let path = self.space.path_of(&name);
                swept += u64::from(disk::remove_tree(&path).is_ok());
            }
        }
        let Some(manifest) = Manifest::read(&self.space)? else {
            return Ok(swept);
        };
        let dir = self.space.dir("packs")?;
        for name in names_in(&self.space, "packs") {
            let is_named = manifest.packs.iter().any(|named| named.name == name);
            if !is_named && name != "MANIFEST" {
                // What cannot be deleted costs space and nothing else.
                swept += u64::from(disk::unlink(dir.fd.as_fd(), &name).is_ok());
            }
        }
        Ok(swept)
    }

    /// Puts the spare files back that a file system without room for files may need.
    pub(super) fn restock_spares(&self) {
        _ = make_spares(&self.space);
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        if let Some(staged) = &self.staged {
            // What cannot be removed is swept by the next gc.
            _ = disk::remove_tree(&self.space.path_of(staged));
        }
    }
}

/// Makes the packs durable that whoever held the lock before may not have synced, as it was killed:
/// what is done from now on relies on them.
fn sync_packs(space: &Space, lock: &Lock) -> Result<()> {
    if let Some(dir) = space.dir_if_any("packs")? {
        disk::sync(&dir.fd).map_err(|err| cannot(err, "sync", &dir.path))?;
        sync_above(space)?;
    }
    if is_unsettled(&lock.file) {
        settle(lock);
    }
    Ok(())
}

/// Says that MANIFEST is durable. Where that is not said, removals take a little longer.
fn settle(lock: &Lock) {
    _ = disk::truncate(&lock.file, SETTLED_LEN);
}

/// Makes the name of `packs/` durable, and that of the namespace, whoever made that.
fn sync_above(space: &Space) -> Result<()> {
    let dir = space.dir("")?;
    disk::sync(&dir.fd).map_err(|err| cannot(err, "sync", &dir.path))?;
    disk::sync(space.store()).map_err(|err| cannot(err, "sync", space.store_path()))
}

fn make_spares(space: &Space) -> Result<()> {
    let dir = space.dir("")?;
    let failed = |err| cannot(err, "make", &dir.path.join("spare"));
    make_dir(dir.fd.as_fd(), "spare", space.dir_mode()?).map_err(failed)?;
    for spare in SPARES {
        match disk::create(dir.fd.as_fd(), spare) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                let file = made.map_err(failed)?;
                disk::set_mode(&file, space.file_mode()?).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Names what is in a directory below a namespace, as far as it can be read.
pub(super) fn names_in(space: &Space, below: &str) -> Vec<String> {
    let names = fs::read_dir(space.path_of(below))
        .into_iter()
        .flatten()
        .flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
