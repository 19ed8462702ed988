//! A namespace on disk, opened for one step of one operation.
//!
//! A handle is never kept longer, but for one that is proved anew in each step
//! ([`kept`](super::kept)): names are resolved from the store's path anew in each step, so
//! that a namespace which was removed or moved meanwhile is noticed. A look and the draft that follows
//! are one step. The one that locks is always another, and looks at `format` once more: a value may
//! have come for hours, and what decides is what the namespace is when the entry gets its name. So
//! `get` looks once, `put` twice, and `incr`, a `get` with a `put` on a condition, three times; in a
//! namespace that is kept the look of who locks is the only one of a put.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::engine::path::expect_targets;
use crate::os;
use crate::store::{Namespace, OrCannot as _, Result, StoreError};

use super::Tree;
use super::codec::Damage;
use super::dir::{DIRECTORY, Dir, cannot, if_any, is_there, open_file, unusable};
use super::disk;
use super::layout::FORMAT;

/// An open namespace.
#[derive(Clone, Debug)]
pub(super) struct NamespaceDir {
    store: Arc<OwnedFd>,
    store_path: PathBuf,
    name: String,
    /// Where its drafts are made, if it is one that is kept.
    pub(super) drafts: Option<Arc<Drafts>>,
}

impl Tree {
    /// Opens the directory that is the store; `None` if it does not exist.
    pub(super) fn open_store(&self) -> Result<Option<OwnedFd>> {
        let flags = DIRECTORY | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::open(&self.root, flags, Mode::empty())) {
            Ok(store) => Ok(Some(store)),
            Err(rustix::io::Errno::NOENT) => {
                expect_targets(&self.root)?;
                match self.settings.existing {
                    true => Err(StoreError::no_store(self.root.clone())),
                    false => Ok(None),
                }
            }
            Err(err) => Err(err).or_cannot("open the store", &self.root),
        }
    }

    /// Opens a namespace; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Newer`] if its format is one that this version does not know.
    pub(super) fn open_namespace(&self, namespace: &Namespace) -> Result<Option<NamespaceDir>> {
        if let Some(kept) = self.still_kept(namespace) {
            return Ok(Some(kept.space.clone()));
        }
        match self.open_unchecked(namespace)? {
            Some(space) => Ok(space.check_format()?.then_some(space)),
            None => Ok(None),
        }
    }

    /// Opens what is in the place of a namespace, which nobody has looked at yet; `None` if there is
    /// no store.
    pub(super) fn open_unchecked(&self, namespace: &Namespace) -> Result<Option<NamespaceDir>> {
        let store = self.open_store()?;
        Ok(store.map(|store| NamespaceDir {
            store: Arc::new(store),
            store_path: self.root.clone(),
            name: namespace.as_str().to_owned(),
            drafts: None,
        }))
    }
}

/// Returns a path below another, in memory that is asked for once: each look makes some.
pub(super) fn joined(path: &Path, parts: &[&str]) -> PathBuf {
    let behind: usize = parts.iter().map(|part| part.len() + 1).sum();
    let mut whole = PathBuf::with_capacity(path.as_os_str().len() + behind);
    whole.push(path);
    whole.extend(parts);
    whole
}

impl NamespaceDir {
    /// Returns the path of the namespace.
    pub(super) fn path(&self) -> PathBuf {
        joined(&self.store_path, &[&self.name])
    }

    /// Returns the path of a file below the namespace.
    pub(super) fn path_of(&self, below: &str) -> PathBuf {
        joined(&self.store_path, &[&self.name, below])
    }

    /// Returns the store's directory.
    pub(super) fn store(&self) -> BorrowedFd<'_> {
        self.store.as_fd()
    }

    /// Returns the store's path.
    pub(super) fn store_path(&self) -> &Path {
        &self.store_path
    }

    /// Returns the path of something below the namespace as the store's directory knows it.
    pub(super) fn relative(&self, below: &str) -> String {
        match below {
            "" => self.name.clone(),
            below => [&self.name, "/", below].concat(),
        }
    }

    /// Opens a file or directory below the namespace, without following a symbolic link.
    pub(super) fn open(&self, below: &str, flags: OFlags) -> io::Result<OwnedFd> {
        os::open_beneath(
            self.store.as_fd(),
            &self.relative(below),
            flags,
            Mode::empty(),
        )
    }

    /// As [`Dir::open_if_any`], below the namespace.
    pub(super) fn open_if_any(&self, below: &str) -> Result<Option<File>> {
        let opened = open_file(self.store.as_fd(), &self.relative(below));
        if_any(opened, &|| self.path_of(below))
    }

    /// Opens a directory below the namespace that must exist.
    pub(super) fn dir(&self, below: &str) -> Result<Dir> {
        let opened = self.open(below, DIRECTORY);
        let fd = opened.map_err(|err| unusable(err, "open", &self.path_of(below)))?;
        let path = self.path_of(below);
        Ok(Dir { fd, path })
    }

    /// Opens a directory below the namespace; `None` if it does not exist.
    pub(super) fn dir_if_any(&self, below: &str) -> Result<Option<Dir>> {
        let path = || self.path_of(below);
        let found = if_any(self.open(below, DIRECTORY), &path)?;
        Ok(found.map(|fd| Dir { fd, path: path() }))
    }

    /// Opens a directory in which something is to be made, and makes it if there is none: not every
    /// tool copies empty ones. `None` if the namespace was removed meanwhile.
    pub(super) fn subdir(&self, name: &str) -> Result<Option<Dir>> {
        if let Some(dir) = self.dir_if_any(name)? {
            return Ok(Some(dir));
        }
        if self.has_vanished(name)? {
            return Ok(None);
        }
        self.dir("")?.make_dir(name, self.dir_mode()?)?;
        self.dir_if_any(name)
    }

    /// As [`NamespaceDir::subdir`], for a caller whose lock keeps the namespace from being removed.
    pub(super) fn kept_subdir(&self, name: &str) -> Result<Dir> {
        match self.subdir(name)? {
            Some(dir) => Ok(dir),
            None => self.dir(name),
        }
    }

    /// Makes the names of its directories durable, and its own, whoever made it.
    pub(super) fn sync_above(&self) -> Result<()> {
        self.dir("")?.sync()?;
        disk::sync(self.store()).map_err(|err| cannot(err, "sync", &self.store_path))
    }

    /// Returns the permissions that directories of this store have: those of the store itself.
    pub(super) fn dir_mode(&self) -> Result<Mode> {
        mode_of_dirs(self.store.as_fd(), &self.store_path)
    }

    /// Returns the permissions that files of this store have: the store's bits to read and write.
    pub(super) fn file_mode(&self) -> Result<Mode> {
        Ok(self.dir_mode()? & Mode::from_raw_mode(0o666))
    }

    /// Reads the format of the namespace. Returns false if there is no such namespace.
    pub(super) fn check_format(&self) -> Result<bool> {
        let path = || self.path_of("format");
        let Some(file) = self.open_if_any("format")? else {
            return self.check_absent();
        };
        // A few lines, which come in one read; no version has more.
        let mut bytes = [0; 256];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut bytes));
        let n = read.map_err(|err| unusable(err.into(), "read", &path()))?;
        if bytes[..n] != *FORMAT.as_bytes() {
            return Err(refuse_format(&bytes[..n], path()));
        }
        Ok(true)
    }

    /// Tells a namespace that does not exist from a directory that is none.
    fn check_absent(&self) -> Result<bool> {
        let path = self.path();
        match os::open_beneath(self.store.as_fd(), &self.name, DIRECTORY, Mode::empty()) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(unusable(err, "open", &path)),
            Ok(dir) => {
                // An empty directory is as good as none: a namespace can be made in its place.
                let is_empty = std::fs::read_dir(&path).map(|mut names| names.next().is_none());
                if self.has_moved_on(dir.as_fd(), "format")? {
                    return self.check_format();
                }
                let why = "it has no file `format`";
                match is_empty.or_cannot("read", &path)? {
                    true => Ok(false),
                    false if self.is_ours() => {
                        let source = why.into();
                        Err(StoreError::Damaged { path, source })
                    }
                    false => {
                        let what = format!("{why}, and what is in it is not kv's");
                        Err(io::Error::other(what)).or_cannot("use as a namespace", &path)
                    }
                }
            }
        }
    }

    /// Tells a namespace that has lost its format from somebody else's directory.
    pub(super) fn is_ours(&self) -> bool {
        let has = |subdir| self.dir_if_any(subdir).is_ok_and(|dir| dir.is_some());
        ["objects", "locks", "tmp"].into_iter().all(has)
    }

    /// Tells whether something that was not found below the namespace is missing because another
    /// process removed or made the namespace just then. If not, the namespace is damaged.
    pub(super) fn has_vanished(&self, below: &str) -> Result<bool> {
        match os::open_beneath(self.store.as_fd(), &self.name, DIRECTORY, Mode::empty()) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(err) => Err(unusable(err, "open", &self.path())),
            Ok(dir) => self.has_moved_on(dir.as_fd(), below),
        }
    }

    /// Tells whether `dir`, which was at the path of the namespace, has `below` after all, or is
    /// there no longer. A namespace comes and goes whole, by a rename, and never returns.
    fn has_moved_on(&self, dir: BorrowedFd<'_>, below: &str) -> Result<bool> {
        let has_it = is_there(dir, below).or_cannot("look at", &self.path_of(below))?;
        Ok(has_it || !self.is_at_path("", dir)?)
    }

    /// Opens the directory at the path of the namespace, to be compared later by
    /// [`NamespaceDir::is_removed`]; `None` if there is none, or it cannot be opened.
    pub(super) fn stand(&self) -> Option<OwnedFd> {
        self.open("", DIRECTORY).ok()
    }

    /// Tells whether the namespace that stood there is there no longer. What takes long and holds no
    /// lock comes to wrong ends then, which say nothing.
    pub(super) fn is_removed(&self, stood: Option<&OwnedFd>) -> bool {
        stood.is_some_and(|dir| self.is_at_path("", dir).is_ok_and(|is_there| !is_there))
    }

    /// Tells whether an open file is still the one at its path below the namespace.
    pub(super) fn is_at_path(&self, below: &str, file: impl AsFd) -> Result<bool> {
        let held = rustix::fs::fstat(file).or_cannot("look at", &self.path_of(below))?;
        self.has_at_path(below, os::identity(&held))
    }

    /// As [`NamespaceDir::is_at_path`], for an open file of this device and inode. That nobody can say is no
    /// answer: whoever took it for "no" would try again for ever on a disk that died.
    pub(super) fn has_at_path(&self, below: &str, id: (u64, u64)) -> Result<bool> {
        let path = self.relative(below);
        match rustix::fs::statat(self.store(), &path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            there => {
                let there = there.or_cannot("look at", &self.path_of(below))?;
                Ok(os::identity(&there) == id)
            }
        }
    }

    /// Tells whether anything has this name below the namespace.
    pub(super) fn is_there(&self, below: &str) -> Result<bool> {
        is_there(self.store(), &self.relative(below)).or_cannot("look at", &self.path_of(below))
    }
}

/// `tmp/`, opened, and the permissions that files of the store had then.
#[derive(Debug)]
pub(super) struct Drafts {
    pub(super) dir: Dir,
    mode: Mode,
    /// The first file had these permissions when it was made, and so have all.
    are_born_right: AtomicBool,
}

impl Drafts {
    pub(super) fn of(space: &NamespaceDir, dir: Dir) -> Result<Self> {
        Ok(Self {
            dir,
            mode: space.file_mode()?,
            are_born_right: AtomicBool::new(false),
        })
    }

    /// Gives a file that was just made there its permissions.
    pub(super) fn set_mode(&self, file: &File, is_kept: bool) -> io::Result<()> {
        if self.are_born_right.load(Relaxed) {
            return Ok(());
        }
        // In a private store, unless the umask or the file system takes the owner's rights too.
        if is_kept && self.mode == Mode::RUSR | Mode::WUSR {
            let born = Mode::from_raw_mode(rustix::fs::fstat(file)?.st_mode);
            self.are_born_right.store(born == self.mode, Relaxed);
        }
        disk::set_mode(file, self.mode)
    }
}

/// Returns the permissions of directories in a store: the store's own, with the setgid bit.
pub(super) fn mode_of_dirs(store: BorrowedFd<'_>, path: &Path) -> Result<Mode> {
    let stat = rustix::fs::fstat(store).or_cannot("look at", path)?;
    Ok(Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o2777))
}

/// Names what is in a directory below a namespace; nothing if there is none. A directory that cannot
/// be read to its end is an error: what is not seen is not superseded.
pub(super) fn names_in(space: &NamespaceDir, below: &str) -> Result<Vec<String>> {
    let path = space.path_of(below);
    let entries = match std::fs::read_dir(&path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.or_cannot("read", &path)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.or_cannot("read", &path)?.file_name();
        names.extend(name.into_string());
    }
    Ok(names)
}

/// Says what a `format` means that is another than ours. One of a later version is whole lines of text,
/// and differs in more than a bit.
fn refuse_format(bytes: &[u8], path: PathBuf) -> StoreError {
    let is_text = |&byte: &u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
    let is_whole = bytes.ends_with(b"\n") && bytes.iter().all(is_text);
    let pairs = bytes.iter().zip(FORMAT.as_bytes());
    let flipped: u32 = pairs.map(|(a, b)| (a ^ b).count_ones()).sum();
    let is_ours = bytes.len() == FORMAT.len() && flipped == 1;
    let text = str::from_utf8(bytes).unwrap_or_default();
    let version = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("kv "));
    match version.and_then(|version| version.parse::<u32>().ok()) {
        Some(1) if is_whole && !is_ours => StoreError::Newer {
            path,
            what: "it names another hash or more".to_owned(),
        },
        Some(version) if is_whole && !is_ours => {
            let what = format!("its format is {version}, and this kv knows 1");
            StoreError::Newer { path, what }
        }
        _ => StoreError::Damaged {
            path,
            source: match FORMAT.as_bytes().starts_with(bytes) {
                true => Damage::Truncated.into(),
                false => "no version of kv has written it so".into(),
            },
        },
    }
}
