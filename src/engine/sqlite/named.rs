//! Named locks, for `kv lock` and `kv memo`: a flock on a file of its own for each name, in a
//! directory beside the database, as a lock that is a row would outlive its holder.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Instant;

use sha1::{Digest as _, Sha1};

use crate::engine::holder;
use crate::os::{self, flock};
use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Guard, Held, Holder, Key, LockRequest, Locks, Namespace, OrCannot as _, Result,
};

use super::{Sqlite, create};

/// The lock ends with the process, so that nothing has to be kept.
impl Guard for File {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

impl Locks for Sqlite {
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        // The database is made too: it says who else may be here.
        drop(self.connect_or_create()?);
        let (dir, mode) = self.directory_beside("-locks")?;
        let path = dir.join(lock_name(namespace, name));
        let begun = Instant::now();
        let mut conflicts = Conflicts::default();
        let file = loop {
            // Those of another are opened without O_CREAT, which may be forbidden (see
            // `fs.protected_regular` in sysctl(8)).
            let file = match open(&path) {
                Err(err) if err.kind() == io::ErrorKind::NotFound => {
                    match create::make(&path, mode) {
                        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => open(&path),
                        made => made,
                    }
                }
                opened => opened,
            };
            match file {
                // It was removed between the two.
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                file => {
                    let file = file.or_cannot("open the lock file", &path)?;
                    if !holder::take(&file, request, begun).or_cannot("lock", &path)? {
                        return Ok(None);
                    }
                    if is_at(&path, &file) {
                        break file;
                    }
                }
            }
            conflicts.pause(self.settings.busy_timeout, name)?;
        };
        // A lock that cannot say who holds it is still held. The mark comes last: who is marked has
        // said who it is.
        let text = holder::text(request.is_shared, clock.now());
        _ = file
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.set_len(text.len() as u64));
        _ = os::ofd_lock(&file, request.is_shared);
        Ok(Some(Box::new(file)))
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let path = self.beside("-locks").join(lock_name(namespace, name));
        let file = match File::open(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.or_cannot("open", &path)?,
        };
        holder::find(&file, &path)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Tells whether an open file is still the one at its path.
fn is_at(path: &Path, file: &File) -> bool {
    let identity = |meta: Metadata| (meta.dev(), meta.ino());
    let there = fs::symlink_metadata(path).map(identity);
    there.is_ok_and(|there| file.metadata().is_ok_and(|meta| identity(meta) == there))
}

impl Sqlite {
    /// Removes the files of the locks that nobody holds, and that this user may remove.
    pub(super) fn sweep_locks(&self) {
        let entries = fs::read_dir(self.beside("-locks")).into_iter().flatten();
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_name().to_str().is_some_and(holder::is_lock)
                && let Ok(file) = open(&path)
                && flock::try_lock(&file, flock::Kind::Exclusive).unwrap_or(false)
                && is_at(&path, &file)
            {
                _ = fs::remove_file(&path);
            }
        }
    }
}

/// Names the file of a lock. No name of a namespace or of a lock holds a NUL.
fn lock_name(namespace: &Namespace, name: &Key) -> String {
    let mut hasher = Sha1::new();
    hasher.update(namespace.as_str());
    hasher.update([0]);
    hasher.update(name.as_bytes());
    hex::encode(hasher.finalize())
}
