//! The file system of the model: what is on it, and what can happen to it.
//!
//! It is the weakest that still has atomic rename ("All File Systems Are Not Created Equal",
//! OSDI'14): nothing is on the disk for sure but what a completed sync covers, and whatever is not
//! covered may be there or not, each by itself.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::xxh3_64;

use crate::dice::Dice;

/// The number of a file or directory.
pub type Inode = usize;

/// The directory in which everything is.
pub const ROOT: Inode = 0;

/// Something that a process did.
#[derive(Clone, Debug)]
pub enum Op {
    /// A file or directory got a name, its first or a further one.
    Link {
        dir: Inode,
        name: String,
        inode: Inode,
    },
    Unlink {
        dir: Inode,
        name: String,
    },
    Rename {
        from: (Inode, String),
        to: (Inode, String),
        inode: Inode,
        /// What had the new name, and gets the old one.
        swapped: Option<Inode>,
    },
    Write {
        inode: Inode,
        offset: usize,
        bytes: Arc<[u8]>,
    },
    Truncate {
        inode: Inode,
        len: usize,
    },
    Mode {
        inode: Inode,
        mode: u32,
    },
    /// A file, or the names in a directory.
    Sync {
        inode: Inode,
    },
    /// The user was told that the command of this number, from 1 on, has taken place.
    Told(usize),
}

/// What is left of an operation that no sync covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    All,
    Nothing,
    /// Of a write: its place in the file is there, and what is in it is not.
    Zeros,
    Garbage,
    Half,
}

impl Op {
    /// Returns the files and directories that a sync of which makes it durable: of a rename, the
    /// sync of either directory, as it is one step.
    pub fn synced_by(&self) -> [Option<Inode>; 2] {
        match self {
            Self::Link { dir, .. } | Self::Unlink { dir, .. } => [Some(*dir), None],
            Self::Rename { from, to, .. } => [Some(from.0), Some(to.0)],
            Self::Write { inode, .. } | Self::Truncate { inode, .. } | Self::Mode { inode, .. } => {
                [Some(*inode), None]
            }
            Self::Sync { .. } | Self::Told(_) => [None, None],
        }
    }

    /// Returns what can be left of it.
    pub fn leftovers(&self) -> &'static [Left] {
        match self {
            Self::Write { .. } => &[
                Left::All,
                Left::Nothing,
                Left::Zeros,
                Left::Garbage,
                Left::Half,
            ],
            Self::Sync { .. } | Self::Told(_) => &[Left::All],
            _ => &[Left::All, Left::Nothing],
        }
    }
}

/// Bytes that are compared by their hash.
#[derive(Debug)]
struct Content {
    bytes: Vec<u8>,
    hash: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Dir(Arc<BTreeMap<String, Inode>>),
    File(Arc<Content>),
}

#[derive(Clone, Debug)]
struct Node {
    mode: u32,
    kind: Kind,
}

/// Files and directories; those without a name that leads to them are not there for anybody.
#[derive(Clone, Debug)]
pub struct Disk {
    nodes: Vec<Node>,
    /// Of hashes of all facts, found or not, so that one more or less changes it at once.
    sum: u64,
}

impl Disk {
    /// Reads a directory, all of which is durable.
    pub fn read(dir: &Path) -> Self {
        let mut disk = Self {
            nodes: Vec::new(),
            sum: 0,
        };
        disk.read_dir(dir);
        disk
    }

    fn read_dir(&mut self, dir: &Path) -> Inode {
        let mode = fs::metadata(dir).unwrap().permissions().mode() & 0o7777;
        let inode = self.add(mode, true);
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            let child = if meta.is_dir() {
                self.read_dir(&entry.path())
            } else {
                let child = self.add(meta.permissions().mode() & 0o7777, false);
                self.set(child, fs::read(entry.path()).unwrap());
                child
            };
            let name = entry.file_name().into_string().unwrap();
            self.link(inode, &name, child);
        }
        inode
    }

    /// Returns how many files and directories there are, with names or without.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds an empty file or directory without a name.
    pub fn add(&mut self, mode: u32, is_dir: bool) -> Inode {
        let kind = match is_dir {
            true => Kind::Dir(Arc::default()),
            false => Kind::File(content(Vec::new())),
        };
        self.nodes.push(Node { mode, kind });
        self.nodes.len() - 1
    }

    fn set(&mut self, file: Inode, bytes: Vec<u8>) {
        let Kind::File(old) = &self.nodes[file].kind else {
            panic!("{file} is a directory");
        };
        let new = content(bytes);
        self.sum ^= fact(&[file as u64, old.hash], "") ^ fact(&[file as u64, new.hash], "");
        self.nodes[file].kind = Kind::File(new);
    }

    fn names(&mut self, dir: Inode) -> &mut BTreeMap<String, Inode> {
        match &mut self.nodes[dir].kind {
            Kind::Dir(names) => Arc::make_mut(names),
            Kind::File(_) => panic!("{dir} is a file"),
        }
    }

    fn link(&mut self, dir: Inode, name: &str, inode: Inode) {
        self.unlink(dir, name);
        self.names(dir).insert(name.to_owned(), inode);
        self.sum ^= fact(&[dir as u64, inode as u64], name);
    }

    fn unlink(&mut self, dir: Inode, name: &str) {
        if let Some(inode) = self.names(dir).remove(name) {
            self.sum ^= fact(&[dir as u64, inode as u64], name);
        }
    }

    /// Returns a hash of all that is on it, found or not.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Returns the names in a directory; none if it is a file.
    pub fn entries(&self, dir: Inode) -> impl Iterator<Item = (&String, Inode)> {
        let names = match &self.nodes[dir].kind {
            Kind::Dir(names) => Some(names),
            Kind::File(_) => None,
        };
        names
            .into_iter()
            .flat_map(|names| names.iter().map(|(name, inode)| (name, *inode)))
    }

    /// Returns the bytes of a file.
    pub fn bytes(&self, file: Inode) -> &[u8] {
        match &self.nodes[file].kind {
            Kind::File(content) => &content.bytes,
            Kind::Dir(_) => panic!("{file} is a directory"),
        }
    }

    pub fn mode(&self, inode: Inode) -> u32 {
        self.nodes[inode].mode
    }

    /// Returns what a name stands for.
    pub fn find(&self, dir: Inode, name: &str) -> Option<Inode> {
        self.entries(dir)
            .find(|(other, _)| *other == name)
            .map(|(_, inode)| inode)
    }

    /// Lets happen what is left of an operation.
    pub fn apply(&mut self, op: &Op, left: Left) {
        if left == Left::Nothing {
            return;
        }
        match op {
            Op::Link { dir, name, inode } => self.link(*dir, name, *inode),
            Op::Unlink { dir, name } => self.unlink(*dir, name),
            Op::Rename {
                from,
                to,
                inode,
                swapped,
            } => {
                if self.find(from.0, &from.1) == Some(*inode) {
                    self.unlink(from.0, &from.1);
                }
                self.link(to.0, &to.1, *inode);
                if let Some(other) = swapped {
                    self.link(from.0, &from.1, *other);
                }
            }
            Op::Write {
                inode,
                offset,
                bytes,
            } => self.write(*inode, *offset, bytes, left),
            Op::Truncate { inode, len } => {
                let mut bytes = self.bytes(*inode).to_vec();
                bytes.resize(*len, 0);
                self.set(*inode, bytes);
            }
            Op::Mode { inode, mode } => {
                self.sum ^= fact(&[*inode as u64, u64::from(*mode), 0], "mode");
                self.nodes[*inode].mode = *mode;
            }
            Op::Sync { .. } | Op::Told(_) => {}
        }
    }

    fn write(&mut self, inode: Inode, offset: usize, written: &[u8], left: Left) {
        let mut bytes = self.bytes(inode).to_vec();
        let written = match left {
            Left::Half => &written[..written.len() / 2],
            _ => written,
        };
        let end = offset + written.len();
        bytes.resize(bytes.len().max(end), 0);
        let place = &mut bytes[offset..end];
        match left {
            Left::Zeros => place.fill(0),
            Left::Garbage => fill_with_garbage(place),
            _ => place.copy_from_slice(written),
        }
        self.set(inode, bytes);
    }

    /// Returns a hash of all that can be found: two disks of the same hash are the same to anybody.
    pub fn hash(&self) -> u64 {
        let mut text = Vec::with_capacity(4096);
        self.describe(ROOT, &mut text);
        xxh3_64(&text)
    }

    fn describe(&self, inode: Inode, text: &mut Vec<u8>) {
        let node = &self.nodes[inode];
        text.extend_from_slice(&node.mode.to_le_bytes());
        match &node.kind {
            Kind::File(content) => text.extend_from_slice(&content.hash.to_le_bytes()),
            Kind::Dir(names) => {
                for (name, child) in &**names {
                    text.extend_from_slice(name.as_bytes());
                    text.push(b'/');
                    self.describe(*child, text);
                }
                text.push(b'.');
            }
        }
    }

    /// Lists all that can be found.
    pub fn list(&self) -> String {
        let mut text = String::new();
        self.list_below(ROOT, ".", &mut text);
        text
    }

    fn list_below(&self, inode: Inode, path: &str, text: &mut String) {
        *text += &format!("{:o} {path}\n", self.mode(inode));
        for (name, child) in self.entries(inode) {
            self.list_below(child, &format!("{path}/{name}"), text);
        }
    }

    /// Marks all that can be found from a directory on.
    pub fn mark_found(&self, inode: Inode, found: &mut [bool]) {
        found[inode] = true;
        for (_, child) in self.entries(inode) {
            self.mark_found(child, found);
        }
    }

    /// Makes a real directory of it, in which everything is an hour old: a machine that lost its
    /// power takes a while to come back.
    pub fn lay_out(&self, dir: &Path) {
        let then = SystemTime::now() - Duration::from_secs(3600);
        self.lay_out_below(ROOT, dir, then, &mut HashMap::new());
    }

    fn lay_out_below(
        &self,
        inode: Inode,
        path: &Path,
        then: SystemTime,
        files: &mut HashMap<Inode, PathBuf>,
    ) {
        match &self.nodes[inode].kind {
            Kind::File(_) if files.contains_key(&inode) => {
                return fs::hard_link(&files[&inode], path).unwrap();
            }
            Kind::File(content) => {
                fs::write(path, &content.bytes).unwrap();
                files.insert(inode, path.to_owned());
            }
            Kind::Dir(_) => {
                fs::create_dir(path).unwrap();
                for (name, child) in self.entries(inode) {
                    self.lay_out_below(child, &path.join(name), then, files);
                }
            }
        }
        fs::File::open(path).unwrap().set_modified(then).unwrap();
        let mode = fs::Permissions::from_mode(self.nodes[inode].mode);
        fs::set_permissions(path, mode).unwrap();
    }
}

fn fact(numbers: &[u64], name: &str) -> u64 {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    xxh3_64(&bytes)
}

fn content(bytes: Vec<u8>) -> Arc<Content> {
    let hash = xxh3_64(&bytes);
    Arc::new(Content { bytes, hash })
}

/// Fills a place with bytes that nobody wrote, the same in every run.
fn fill_with_garbage(place: &mut [u8]) {
    let mut dice = Dice(1);
    for byte in place {
        *byte = dice.roll(256) as u8;
    }
}
