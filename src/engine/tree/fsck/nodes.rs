//! What is in a directory, links not followed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Stat};

use crate::store::{OrCannot as _, Result, Time};

use super::super::dir::Dir;

/// A name in a directory, and what has it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: OsString,
    pub(super) stat: Stat,
}

impl Node {
    /// Returns the name if it is one that kv could have given.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.to_str()
    }

    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    /// Says what it is instead of a file or a directory.
    pub(super) fn kind_word(&self) -> &'static str {
        match self.kind() {
            FileType::RegularFile => "a file",
            FileType::Directory => "a directory",
            FileType::Symlink => "a symbolic link",
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            _ => "a device",
        }
    }

    /// Tells whether it was written longer ago than this.
    pub(super) fn is_older(&self, than: Duration, now: Time) -> bool {
        // The nanoseconds have another type on another system, and do not matter here.
        let written = Duration::from_secs(u64::try_from(self.stat.st_mtime).unwrap_or(0));
        Duration::from_nanos(now.0) > written + than
    }
}

/// Reads the names in a directory, in the order of their bytes. What goes meanwhile is left out.
pub(super) fn read(dir: &Dir) -> Result<Vec<Node>> {
    let mut names: Vec<OsString> = Vec::new();
    for entry in dir.entries()? {
        let entry = entry.or_cannot("read", &dir.path)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    let mut nodes = Vec::with_capacity(names.len());
    for name in names {
        match rustix::fs::statat(&dir.fd, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => nodes.push(Node { name, stat }),
            Err(rustix::io::Errno::NOENT) => {}
            Err(err) => return Err(err).or_cannot("look at", &dir.path.join(&name)),
        }
    }
    Ok(nodes)
}

/// Tells whether a name is so many lower-case hexadecimal digits.
pub(super) fn is_hex(name: &str, len: usize) -> bool {
    name.len() == len && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
