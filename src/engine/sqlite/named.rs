//! Named locks, for `kv lock` and `kv memo`: a flock on a file of its own for each name, in a
//! directory beside the database, as a lock that is a row would outlive its holder.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;

use sha1::{Digest as _, Sha1};

use crate::engine::holder;
use crate::os::{self, flock};
use crate::store::{
    Clock, Guard, Held, Holder, Key, LockRequest, Locks, Namespace, OrCannot as _, Result,
};

use super::{Sqlite, file};

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
        // Those of another are opened without O_CREAT, which may be forbidden (see
        // `fs.protected_regular` in sysctl(8)).
        let open = || OpenOptions::new().read(true).write(true).open(&path);
        let file = match open() {
            Err(err) if err.kind() == io::ErrorKind::NotFound => match file::make(&path, mode) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => open(),
                made => made,
            },
            opened => opened,
        };
        let file = file.or_cannot("open the lock file", &path)?;
        let (kind, patience) = holder::asked_for(request);
        let given_up = flock::lock(&file, kind, patience).or_cannot("lock", &path)?;
        if given_up.is_some() {
            return Ok(None);
        }
        // A lock that cannot say who holds it is still held. The mark comes last: who is marked has
        // said who it is.
        let text = holder::text(request.is_shared, clock.now());
        _ = file
            .write_all_at(text.as_bytes(), 0)
            .and_then(|()| file.set_len(text.len() as u64));
        _ = os::mark(&file, request.is_shared);
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

/// Names the file of a lock. No name of a namespace or of a lock holds a NUL.
fn lock_name(namespace: &Namespace, name: &Key) -> String {
    let mut hasher = Sha1::new();
    hasher.update(namespace.as_str());
    hasher.update([0]);
    hasher.update(name.as_bytes());
    hex::encode(hasher.finalize())
}
