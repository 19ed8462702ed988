//! The birth of a store and of a namespace.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::engine::path::sync_path;
use crate::os;
use crate::store::{Namespace, OrCannot as _, Result};

use super::Tree;
use super::dir::{cannot, make_dir};
use super::disk;
use super::layout::{FORMAT, GC_LOCK, SPARE, SPARES, SUBDIRS, random};
use super::namespace_dir::{NamespaceDir, mode_of_dirs};
use super::namespaces;
use super::tries::Tries;

impl Tree {
    /// Opens a namespace, and makes it and its store first if they do not exist.
    pub(super) fn open_or_create(&self, namespace: &Namespace) -> Result<NamespaceDir> {
        let mut tries = Tries::default();
        loop {
            if let Some(space) = self.open_namespace(namespace)? {
                return Ok(space);
            }
            self.create_store()?;
            self.create_namespace(namespace)?;
            tries.again(|| self.root.join(namespace.as_str()))?;
        }
    }

    /// Makes the store's directory with those above it, each for its user alone.
    fn create_store(&self) -> Result<()> {
        let missing: Vec<&Path> = self
            .root
            .ancestors()
            .take_while(|dir| is_missing(dir))
            .collect();
        for dir in missing.iter().rev() {
            match disk::make_dir_at(dir) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                    os::expect_target(dir).or_cannot("make the directory", dir)?;
                }
                done => done.map_err(|err| cannot(err, "make the directory", dir))?,
            }
        }
        Ok(())
    }

    /// Makes a namespace: built under another name, then renamed, so that it is whole or absent.
    /// Of several processes one is first, and its namespace is everybody's.
    fn create_namespace(&self, namespace: &Namespace) -> Result<()> {
        let Some(store) = self.open_store()? else {
            return Ok(());
        };
        let store = store.as_fd();
        let name = format!(".new-{:016x}", random());
        let path = self.root.join(&name);
        let built = self.build_namespace(store, &name).and_then(|()| {
            namespaces::sweep_litter(&self.root, &path, namespaces::LOOKED_AT);
            // From here on whoever finds the namespace may rely on the path that leads to it. If a sync fails there
            // is none yet, and so the next write tries all of them again.
            sync_path(&self.root, disk::sync)?;
            match disk::rename(store, &name, store, namespace.as_str()) {
                Err(err) if is_taken(&err) => Ok(false),
                done => {
                    let path = self.root.join(namespace.as_str());
                    done.map_err(|err| cannot(err, "make the namespace", &path))?;
                    Ok(true)
                }
            }
        });
        if !matches!(built, Ok(true)) {
            // What cannot be removed is litter that the next namespace to be made sweeps.
            _ = disk::remove_tree(&path);
        }
        let made = built?;
        if made {
            disk::sync(store).map_err(|err| cannot(err, "sync", &self.root))?;
        }
        Ok(())
    }

    fn build_namespace(&self, store: BorrowedFd<'_>, name: &str) -> Result<()> {
        let path = self.root.join(name);
        let mode = mode_of_dirs(store, &self.root)?;
        let failed = |err| cannot(err, "make", &path);

        make_dir(store, name, mode).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = os::open_beneath(store, name, flags, Mode::empty()).map_err(failed)?;
        for subdir in SUBDIRS {
            make_dir(dir.as_fd(), subdir, mode).map_err(failed)?;
        }
        // What a collection of garbage needs where no more files can be made.
        make_dir(dir.as_fd(), SPARE, mode).map_err(failed)?;
        let spares = SPARES.map(|spare| [SPARE, "/", spare].concat());
        for file in spares.iter().map(String::as_str).chain([GC_LOCK]) {
            let file = disk::create(dir.as_fd(), file).map_err(failed)?;
            disk::set_mode(&file, mode & Mode::from_raw_mode(0o666)).map_err(failed)?;
        }
        let format = disk::create(dir.as_fd(), "format").map_err(failed)?;
        disk::set_mode(&format, mode & Mode::from_raw_mode(0o666)).map_err(failed)?;
        disk::write(&format, FORMAT.as_bytes()).map_err(failed)?;
        disk::sync(&format).map_err(failed)?;
        disk::sync(&dir).map_err(failed)
    }
}

fn is_missing(dir: &Path) -> bool {
    let dir = match dir.as_os_str().is_empty() {
        true => ".".as_ref(),
        false => dir,
    };
    matches!(dir.metadata(), Err(err) if err.kind() == io::ErrorKind::NotFound)
}

/// Tells whether a rename failed because another namespace is at its target already.
fn is_taken(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
    )
}
