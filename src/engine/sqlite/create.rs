//! How a store comes to its place: whole, so that nobody finds a part of one, however its maker ends.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, OFlags, openat, unlinkat};

use crate::engine::path::sync_path;
use crate::os;
use crate::store::{OrCannot as _, Result};

use super::schema;

/// A directory's bit that gives what is made in it to the directory's group.
pub(super) const FOR_A_GROUP: u32 = 0o2000;

/// What came of making the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// There is a store with nothing in it.
    Store,
    /// There is a file of no bytes.
    Empty,
    /// Somebody else was first.
    Nothing,
}

/// Makes the file, with the directories above it, and all tables in it where that can be done in one
/// step. It is for its user alone, or for those for whom its directory is, if that hands on its group.
pub(super) fn create(path: &Path, dir: &Path, is_log_left: bool) -> Result<Made> {
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists())
        .collect();
    for dir in missing.iter().rev() {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                os::expect_target(dir).or_cannot("make the directory", dir)?;
            }
            done => done.or_cannot("make the directory", dir)?,
        }
    }
    // From here on whoever finds the file may rely on the path that leads to it. If a sync fails there is none yet,
    // and so the next write tries all of them again.
    sync_path(dir, os::sync)?;
    let above = fs::metadata(dir).or_cannot("find", dir)?.mode();
    let mode = match above & FOR_A_GROUP {
        0 => 0o600,
        _ => above & 0o666,
    };
    let made = match is_log_left {
        true => Err(io::ErrorKind::Unsupported.into()),
        false => link_store(path, dir, mode).map(|()| Made::Store),
    };
    // Not every file system has files without a name, and what else stands against it is told here.
    let made = match made {
        Err(err) if err.kind() != io::ErrorKind::AlreadyExists => {
            make(CWD, path, mode).map(|_| Made::Empty)
        }
        made => made,
    };
    match made {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => os::expect_target(path)
            .map(|()| Made::Nothing)
            .or_cannot("follow the symbolic link", path),
        Ok(Made::Store) => File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map(|()| Made::Store)
            .or_cannot("sync", dir),
        made => made.or_cannot("make", path),
    }
}

/// Writes an empty store to a file without a name, which is gone with whoever is killed, and gives it
/// its name.
fn link_store(path: &Path, dir: &Path, mode: u32) -> io::Result<()> {
    let image = schema::image().map_err(io::Error::other)?;
    let mut file = os::nameless(dir, mode)?;
    file.write_all(&image)?;
    os::set_mode(&file, os::mode(mode))?;
    file.sync_all()?;
    os::name(&file, path)
}

/// Makes a file of this mode in a directory, whatever the umask is. Where that cannot be, there is none.
pub(super) fn make(dir: impl AsFd, path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = openat(&dir, path, flags, os::mode(mode)).map_err(io::Error::from);
    let file = File::from(made.map_err(|err| os::explain_full(err, path))?);
    if file.metadata()?.mode() & 0o777 != mode {
        os::set_mode(&file, os::mode(mode)).inspect_err(|_| {
            _ = unlinkat(&dir, path, AtFlags::empty());
        })?;
    }
    Ok(file)
}
