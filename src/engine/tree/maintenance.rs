//! The maintenance lock, and what may be done under it: to commit other packs.
//!
//! A pack is synced before it gets its name, and its name before MANIFEST tells of it. `packs/` itself
//! is born by a rename, with a MANIFEST inside: where it lacks one, something was lost.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use crate::store::{Namespace, Result};

use super::Tree;
use super::dir::{Dir, cannot, gone, make_dir};
use super::disk;
use super::layout::{DURABLE_LEN, GC_LOCK, PACKS, PENDING_LEN, SPARE, SPARES, STAGED, random};
use super::lock::{Kind, Lock, Patience, is_pending};
use super::namespace_dir::{NamespaceDir, names_in};
use super::pack::manifest::{self, MANIFEST, Manifest};
use super::pack::{Geometry, Named, Pack, Packs};
use super::temp::Temp;
use super::tries::Tries;

/// Many entries at once wait so long for who collects garbage or comes with as many, whatever is asked of
/// other locks: that takes as long as there is to do, and what was read of the entries would be lost.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// A namespace whose packs nobody else can change.
#[derive(Debug)]
pub(super) struct Maintenance {
    pub(super) space: NamespaceDir,
    lock: Lock,
    /// `packs/` before it has that name.
    staged: Option<String>,
    /// Packs that no MANIFEST names yet.
    unnamed: Vec<String>,
}

/// A MANIFEST that is synced and has no name yet.
#[derive(Debug)]
#[must_use = "it is to be committed"]
pub(super) struct NewManifest(Option<Temp>);

impl Tree {
    /// Takes the maintenance lock for many entries at once: as [`Tree::lock_maintenance`], with patience for
    /// others who have it, or none.
    pub(super) fn lock_for_many(
        &self,
        namespace: &Namespace,
        makes: bool,
        waits: bool,
    ) -> Result<Option<Maintenance>> {
        let patience = match waits {
            true => Patience::Until(Instant::now(), self.settings.busy_timeout.max(LONGEST_WAIT)),
            false => Patience::none(),
        };
        self.lock_maintenance(namespace, makes, patience)
    }

    /// Takes the maintenance lock of a namespace; `None` if there is no namespace, unless it is to
    /// be made.
    pub(super) fn lock_maintenance(
        &self,
        namespace: &Namespace,
        makes: bool,
        patience: Patience,
    ) -> Result<Option<Maintenance>> {
        let Some((space, lock)) = self.lock_one(namespace, makes, GC_LOCK, patience)? else {
            return Ok(None);
        };
        sync_packs(&space, &lock)?;
        Ok(Some(Maintenance::of(space, lock)))
    }

    /// Takes one of a namespace's own locks; `None` if there is no namespace, unless it is to be made.
    pub(super) fn lock_one(
        &self,
        namespace: &Namespace,
        makes: bool,
        below: &str,
        patience: Patience,
    ) -> Result<Option<(NamespaceDir, Lock)>> {
        if let Some(locked) = self.lock_kept(namespace, below) {
            return Ok(Some(locked));
        }
        let mut tries = Tries::default();
        loop {
            let space = match makes {
                true => self.open_or_create(namespace)?,
                false => match self.open_namespace(namespace)? {
                    Some(space) => space,
                    None => return Ok(None),
                },
            };
            if let Some(lock) = Lock::acquire(&space, below, Kind::Exclusive, patience)? {
                return Ok(Some((space, lock)));
            }
            tries.again(|| space.path_of(below))?;
        }
    }
}

impl Maintenance {
    /// Takes over a maintenance lock that is held.
    pub(super) fn of(space: NamespaceDir, lock: Lock) -> Self {
        Self {
            space,
            lock,
            staged: None,
            unnamed: Vec::new(),
        }
    }

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
        let named = Named::new(geometry);
        if !temp.publish(&dir, &named.name)? {
            return Err(gone("name", &temp.path()));
        }
        self.unnamed.push(named.name.clone());
        dir.sync()?;
        Ok(named)
    }

    /// Opens a pack that was added, and may be somewhere else than it will be.
    pub(super) fn open_pack(&self, named: &Named) -> Result<Pack> {
        let dir = self.staged.as_deref().unwrap_or(PACKS);
        let pack = Pack::open(&self.space, dir, named)?;
        pack.ok_or_else(|| gone("open", &self.space.path_of(dir).join(&named.name)))
    }

    /// Writes a MANIFEST that names these packs, the newest first.
    pub(super) fn write_manifest(&mut self, packs: &[Named]) -> Result<NewManifest> {
        let dir = self.packs_dir()?;
        let gone = || gone("write", &dir.path.join("MANIFEST"));
        // The directory of the spare files may be this one by now.
        let spares = self.staged.as_deref().unwrap_or(SPARE);
        let mut temp = Temp::create_or_spare(&self.space, spares)?.ok_or_else(gone)?;
        temp.write(manifest::encode(packs).as_bytes())?;
        temp.sync()?;
        if self.staged.is_none() {
            return Ok(NewManifest(Some(temp)));
        }
        if !temp.publish(&dir, "MANIFEST")? {
            return Err(gone());
        }
        dir.sync()?;
        Ok(NewManifest(None))
    }

    /// Lets a MANIFEST take effect, durably.
    ///
    /// For a moment it has its name and is not durable. Should this process die then, nobody may unlink
    /// a file because the packs have no older value: the length of the lock's file says so.
    pub(super) fn commit(&mut self, manifest: NewManifest) -> Result<()> {
        disk::truncate(&self.lock.file, PENDING_LEN)
            .map_err(|err| cannot(err, "mark", &self.space.path_of(GC_LOCK)))?;
        self.rename_manifest(manifest)?;
        mark_durable(&self.lock);
        Ok(())
    }

    fn rename_manifest(&mut self, manifest: NewManifest) -> Result<()> {
        let path = self.space.path_of(MANIFEST);
        if let Some(staged) = &self.staged {
            let (from, to) = (self.space.relative(staged), self.space.relative("packs"));
            let store = self.space.store();
            disk::rename(store, &from, store, &to).map_err(|err| cannot(err, "write", &path))?;
            self.staged = None;
            self.unnamed.clear();
            // Before anything is unlinked that is only there from now on.
            return self.space.sync_above();
        }
        let dir = self.space.dir("packs")?;
        let mut temp = manifest
            .0
            .expect("only packs/ in the making has its MANIFEST already");
        if !temp.publish(&dir, "MANIFEST")? {
            return Err(gone("write", &path));
        }
        self.unnamed.clear();
        dir.sync()
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
                let moved = disk::rename(space.fd.as_fd(), SPARE, space.fd.as_fd(), &name);
                moved.map_err(|_| cannot(err, "make the directory", &path))?;
            }
            made => made.map_err(|err| cannot(err, "make the directory", &path))?,
        }
        self.staged = Some(name.clone());
        self.space.dir(&name)
    }

    /// Deletes packs that were replaced. What cannot be deleted is swept by the next gc.
    pub(super) fn delete_packs(&self, replaced: &[Named]) {
        if let Ok(dir) = self.space.dir(PACKS) {
            for named in replaced {
                _ = disk::unlink(dir.fd.as_fd(), &named.name);
            }
        }
    }

    /// Deletes what MANIFEST does not name: packs that were replaced, and what dead processes left.
    /// Such a pack is never taken up: its keys may have been removed since.
    pub(super) fn sweep_packs(&self) -> Result<u64> {
        let mut swept = 0;
        // What cannot be listed, or deleted, costs space and nothing else.
        for name in names_in(&self.space, "").unwrap_or_default() {
            if name.starts_with(STAGED) && self.staged.as_ref() != Some(&name) {
                let path = self.space.path_of(&name);
                swept += u64::from(disk::remove_tree(&path).is_ok());
            }
        }
        let Some(manifest) = Manifest::read(&self.space)? else {
            return Ok(swept);
        };
        let names = names_in(&self.space, "packs").unwrap_or_default();
        let is_named = |name: &String| manifest.packs.iter().any(|named| named.name == *name);
        let mut named = manifest.packs.iter();
        // A pack that is missing may lie there under a name that is wrong.
        if !named.all(|named| names.contains(&named.name)) {
            return Ok(swept);
        }
        let mut litter = names
            .iter()
            .filter(|name| !is_named(name) && *name != "MANIFEST")
            .peekable();
        if litter.peek().is_none() {
            return Ok(swept);
        }
        let dir = self.space.dir("packs")?;
        for name in litter {
            // What cannot be deleted costs space and nothing else.
            swept += u64::from(disk::unlink(dir.fd.as_fd(), name).is_ok());
        }
        Ok(swept)
    }

    /// Puts the spare files back that a file system without room for files may need.
    pub(super) fn restock_spares(&mut self) {
        self.give_up();
        _ = make_spares(&self.space);
    }

    /// Removes what was not committed. What cannot be removed is swept by the next gc.
    fn give_up(&mut self) {
        if let Some(staged) = self.staged.take() {
            _ = disk::remove_tree(&self.space.path_of(&staged));
        } else if !self.unnamed.is_empty() {
            _ = self.drop_unnamed();
        }
        self.unnamed.clear();
    }

    /// Deletes the packs that were added and did not get into MANIFEST. A commit that failed may have
    /// taken place all the same, so that only MANIFEST itself can tell.
    fn drop_unnamed(&self) -> Result<()> {
        let Some(manifest) = Manifest::read(&self.space)? else {
            return Ok(());
        };
        let dir = self.space.dir("packs")?;
        for name in &self.unnamed {
            if !manifest.packs.iter().any(|named| named.name == *name) {
                _ = disk::unlink(dir.fd.as_fd(), name);
            }
        }
        Ok(())
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Makes the packs durable that whoever held the lock before may not have synced, as it was killed:
/// what is done from now on relies on them.
pub(super) fn sync_packs(space: &NamespaceDir, lock: &Lock) -> Result<()> {
    if let Some(dir) = space.dir_if_any("packs")? {
        dir.sync()?;
        space.sync_above()?;
    }
    if is_pending(&lock.file) {
        mark_durable(lock);
    }
    Ok(())
}

/// Says that MANIFEST is durable. Where that is not said, removals take a little longer.
fn mark_durable(lock: &Lock) {
    let mut first = [0];
    let has_note = lock.file.read_at(&mut first, 0).is_ok_and(|n| n == 1) && first != [0];
    _ = disk::truncate(&lock.file, if has_note { DURABLE_LEN } else { 0 });
}

fn make_spares(space: &NamespaceDir) -> Result<()> {
    let dir = space.dir("")?;
    let failed = |err| cannot(err, "make", &dir.path.join(SPARE));
    make_dir(dir.fd.as_fd(), SPARE, space.dir_mode()?).map_err(failed)?;
    for spare in SPARES {
        match disk::create(dir.fd.as_fd(), &[SPARE, "/", spare].concat()) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                let file = made.map_err(failed)?;
                disk::set_mode(&file, space.file_mode()?).map_err(failed)?;
            }
        }
    }
    Ok(())
}
