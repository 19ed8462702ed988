//! Named locks, for `kv lock` and `kv memo`: a flock on a file of its own for each name, in a
//! directory beside the database, as a lock that is a row would outlive its holder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::Instant;

use sha1::{Digest as _, Sha1};

use crate::engine::flock::{self, Kind, Patience};
use crate::engine::holder;
use crate::os;
use crate::store::{
    Clock, Guard, Held, Holder, Key, LockRequest, Namespace, OrCannot as _, Result,
};

use super::Sqlite;

/// The lock ends with the process, so that nothing has to be kept.
impl Guard for File {}

impl Sqlite {
    /// Takes a named lock; see [`crate::store::Store::lock`].
    pub(super) fn take_lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        // The database is made too: it says who else may be here.
        drop(self.connect_or_create()?);
        let dir = self.locks();
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
            done => done.or_cannot("make the directory", &dir)?,
        }
        let path = self.lock_file(namespace, name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|err| os::explain_full(err, &path))
            .or_cannot("open the lock file", &path)?;
        let kind = if request.is_shared {
            Kind::Shared
        } else {
            Kind::Exclusive
        };
        let patience = match request.patience {
            None => Patience::Endless,
            Some(limit) => Patience::Until(Instant::now(), limit.max(holder::ONE_TRY)),
        };
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

    /// Tells who holds a named lock; see [`crate::store::Store::lock_holder`].
    pub(super) fn find_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let path = self.lock_file(namespace, name);
        let file = match File::open(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.or_cannot("open", &path)?,
        };
        holder::find(&file, &path)
    }

    fn locks(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-locks");
        path.into()
    }

    /// Names the file of a lock. No name of a namespace or of a lock holds a NUL.
    fn lock_file(&self, namespace: &Namespace, name: &Key) -> PathBuf {
        let mut hasher = Sha1::new();
        hasher.update(namespace.as_str());
        hasher.update([0]);
        hasher.update(name.as_bytes());
        self.locks().join(hex::encode(hasher.finalize()))
    }
}
