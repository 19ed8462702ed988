//! Named locks, for `kv lock` and `kv memo`: a flock on a file of its own for each name, in a
//! directory beside the database, as a lock that is a row would outlive its holder.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, fstat, statat, unlinkat};
use rustix::io::Errno;
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
        let file_name = lock_name(namespace, name);
        let path = self.beside("-locks").join(&file_name);
        let begun = Instant::now();
        let mut conflicts = Conflicts::default();
        let file = loop {
            // Those of another are opened without O_CREAT, which may be forbidden (see
            // `fs.protected_regular` in sysctl(8)).
            let open = || open(&dir, &file_name, OFlags::RDWR);
            let file = match open() {
                Err(err) if err.kind() == io::ErrorKind::NotFound => {
                    match create::make(&dir, file_name.as_ref(), mode) {
                        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => open(),
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
                    if is_at(&dir, &file_name, &file) {
                        break file;
                    }
                }
            }
            conflicts.pause(self.settings.busy_timeout, name)?;
        };
        // A lock that cannot say who holds it is still held. The OFD lock comes last: who has one
        // has said who it is.
        let text = holder::text(request.is_shared, clock.now());
        _ = file
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.set_len(text.len() as u64));
        _ = os::ofd_lock(&file, request.is_shared);
        Ok(Some(Box::new(file)))
    }

    fn clear(&self, namespace: &Namespace, name: &Key, _held: Held) {
        // Whoever has opened it meanwhile finds that it is not at its path.
        if let Ok(dir) = self.open_beside("-locks") {
            _ = unlinkat(&dir, lock_name(namespace, name), AtFlags::empty());
        }
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let file_name = lock_name(namespace, name);
        let path = self.beside("-locks").join(&file_name);
        let dir = self.open_beside("-locks");
        match dir.and_then(|dir| open(&dir, &file_name, OFlags::RDONLY)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => holder::find(&opened.or_cannot("open the lock file", &path)?, &path),
        }
    }
}

fn open(dir: &OwnedFd, name: &str, flags: OFlags) -> io::Result<File> {
    let opened = os::open_beneath(dir.as_fd(), name, flags | OFlags::NONBLOCK, Mode::empty());
    let what = match opened.map(File::from) {
        Ok(file) if file.metadata()?.is_file() => return Ok(file),
        Err(err) if err.raw_os_error() != Some(Errno::LOOP.raw_os_error()) => return Err(err),
        _ => "it is no regular file, and nothing is followed there: move it away",
    };
    Err(io::Error::other(what))
}

/// Tells whether an open file is still the one of its name.
fn is_at(dir: &OwnedFd, name: &str, file: &File) -> bool {
    let there = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| os::identity(&stat));
    there.is_ok_and(|there| fstat(file).is_ok_and(|stat| os::identity(&stat) == there))
}

impl Sqlite {
    /// Removes the files of the locks that nobody holds, and that this user may remove.
    pub(super) fn sweep_locks(&self) {
        let Ok(dir) = self.open_beside("-locks") else {
            return;
        };
        for entry in Dir::read_from(&dir).into_iter().flatten().flatten() {
            if let Ok(name) = entry.file_name().to_str()
                && holder::is_lock(name)
                && let Ok(file) = open(&dir, name, OFlags::RDWR)
                && flock::try_lock(&file, flock::Kind::Exclusive).unwrap_or(false)
                && is_at(&dir, name, &file)
            {
                _ = unlinkat(&dir, name, AtFlags::empty());
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
