//! The range of a list: between which numbers its elements are.
//!
//! It is the name of an empty file, the only one in `list/`: `<first>-<end>`, of 20 digits each. No
//! element has a number below `first` or from `end` on; numbers in between may be missing. The range
//! is widened, by a rename that is synced, before an element beyond it gets its name, in blocks, so
//! that few pushes have to: the more a process has pushed, the larger they are, and at its end it takes
//! back what is left. It is narrowed, without a sync, past what is missing for good.
//!
//! A file that was copied, or written over by a copy, says nothing of the elements beside it. So
//! `locks/list` says which file was there when its name was last durable:
//!
//! ```text
//! <inode, 20> <its last change in nanoseconds, 20> <next, 20>\n
//! ```
//!
//! Where this is not so, or a file of another kind of range is there, the elements are counted: the
//! note, which is never synced, may cost a search, but no element. `next` is where to try first for a
//! number; that it is written tells those who wait that an element comes.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;

use crate::store::lists::key_of;
use crate::store::{Namespace, OrCannot as _, Result};

use super::Tree;
use super::dir::{Dir, cannot, gone};
use super::disk;
use super::layout::{ENDS, HashedKey, LIST_DIR, LIST_LOCK, PACKS, SHARDS, shard_name};
use super::lock::Lock;
use super::namespace_dir::NamespaceDir;
use super::temp::Temp;

/// How much wider the range is made than it has to be, and how much is missing when it is narrowed.
pub(super) const BLOCK: u64 = 64;
/// By so much at most it is made wider for a process that pushes many elements: as many as it has pushed.
pub(super) const WIDEST: u64 = 1_024;
/// Bytes of the note in the lock file, and of what it says of the range.
pub(super) const NOTE_LEN: usize = 3 * 21;
const PROOF_LEN: usize = 2 * 21;

/// What a process keeps in mind of its last push.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) list: Namespace,
    /// The file of the list's lock, which is not held.
    lock: File,
    next: u64,
    /// How many it has pushed in a row.
    pub(super) row: u64,
}

fn is_same(a: &File, b: &File) -> bool {
    let id = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    id(a).is_some_and(|a| Some(a) == id(b))
}

/// A list that is locked.
#[derive(Debug)]
pub(super) struct List {
    pub(super) space: NamespaceDir,
    lock: Lock,
    /// The range, where it can be believed.
    pub(super) range: Option<Range<u64>>,
}

impl Tree {
    /// Locks a list; `None` if there is no namespace of its name and none is to be made.
    pub(super) fn lock_list(&self, namespace: &Namespace, makes: bool) -> Result<Option<List>> {
        let Some((space, lock)) = self.lock_one(namespace, makes, LIST_LOCK, self.patience())?
        else {
            return Ok(None);
        };
        let range = read_range(&space, &lock.file)?;
        Ok(Some(List { space, lock, range }))
    }

    /// Locks a list, and has its elements counted anew by whoever pushes or pops next. To be held
    /// while many of them come and go.
    pub(super) fn forget_range(&self, namespace: &Namespace) -> Result<Option<List>> {
        let Some(mut list) = self.lock_list(namespace, false)? else {
            return Ok(None);
        };
        list.forget()?;
        Ok(Some(list))
    }
}

impl List {
    /// Sees to it that the range has a number, if there is a range that can be believed, and as many
    /// behind it where it is made wider.
    pub(super) fn cover(&mut self, number: u64, block: u64) -> Result<()> {
        let Some(range) = &self.range else {
            // What has the place of the range may come back in a power cut.
            return self.forget();
        };
        if range.contains(&number) {
            return Ok(());
        }
        let first = range.start.min(number.saturating_sub(BLOCK - 1));
        let wider = first..range.end.max(number.saturating_add(block));
        let dir = self.space.dir(LIST_DIR)?;
        self.note("")?;
        self.rename(&dir, wider)?;
        dir.sync()?;
        self.note_range(&dir)
    }

    /// Narrows the range by `missing`, at its beginning or end, which was looked through: no element
    /// of it is there.
    pub(super) fn narrow(&mut self, missing: Range<u64>) -> Result<()> {
        let Some(range) = &self.range else {
            return Ok(());
        };
        let narrower = match missing.start == range.start {
            true => missing.end..range.end,
            false => range.start..missing.start,
        };
        self.sync_removals(missing)?;
        let dir = self.space.dir(LIST_DIR)?;
        self.rename(&dir, narrower)?;
        self.note_range(&dir)
    }

    /// Takes numbers back from the end of the range that nobody has ever used, so that there is no
    /// removal to wait for.
    pub(super) fn trim(&mut self, end: u64) -> Result<()> {
        match self.range.clone() {
            Some(range) if (range.start..range.end).contains(&end) => {
                let dir = self.space.dir(LIST_DIR)?;
                self.rename(&dir, range.start..end)?;
                self.note_range(&dir)
            }
            _ => Ok(()),
        }
    }

    /// Makes a range, in place of whatever there is. All elements were looked for, and are in it.
    pub(super) fn make(&mut self, range: Range<u64>) -> Result<()> {
        self.sync_removals(0..u64::MAX)?;
        let old = self.clear()?;
        let dir = self.space.kept_subdir(LIST_DIR)?;
        // It has its mode from the moment on at which it has its name: other users of the store could
        // not open it if its maker were killed in between.
        let name = name_of(&range);
        let gone = || gone("create", &dir.path.join(&name));
        let mut temp = Temp::create(&self.space)?.ok_or_else(gone)?;
        if !temp.publish(&dir, &name)? {
            return Err(gone());
        }
        // A first one that gets lost says nothing wrong.
        if old.is_some() {
            dir.sync()?;
        }
        self.range = Some(range);
        self.note_range(&dir)?;
        self.space.dir("")?.remove(ENDS)
    }

    /// Removes the range for good, whatever there is of it.
    pub(super) fn forget(&mut self) -> Result<()> {
        match self.clear()? {
            Some(dir) => dir.sync(),
            None => Ok(()),
        }
    }

    /// Removes the range, and returns the directory that it may come back to.
    fn clear(&mut self) -> Result<Option<Dir>> {
        self.range = None;
        self.note("")?;
        let dir = self.space.dir_if_any(LIST_DIR)?;
        if let Some(dir) = &dir {
            for (name, _) in names_in(dir)? {
                dir.remove(&name)?;
            }
        }
        Ok(dir)
    }

    /// Says where the next number is to be looked for first, and so wakes those who wait for an
    /// element.
    pub(super) fn ring(&self, next: u64) -> Result<()> {
        self.write_note(&format!("{next:020}\n"), PROOF_LEN)
    }

    /// Returns where to look for the next number first.
    pub(super) fn guess(&self) -> Option<u64> {
        read_next(&self.lock.file)
    }

    /// Returns the next number if nobody has added an element since this process did. The file of the
    /// lock was open all the while and still is the same, so that the file system has not gone down.
    pub(super) fn goes_on(&self, pushed: &Mutex<Option<Pushed>>) -> Option<u64> {
        let pushed = pushed.lock();
        let Pushed { lock, next, .. } = pushed.as_ref()?;
        let is_same = is_same(lock, &self.lock.file) && self.guess() == Some(*next);
        (is_same && self.range.as_ref()?.end >= *next && *next < u64::MAX).then_some(*next)
    }

    /// Keeps in mind what the next number is.
    pub(super) fn keep(&self, list: &Namespace, pushed: &Mutex<Option<Pushed>>, next: u64) {
        let mut pushed = pushed.lock();
        let kept = pushed
            .take()
            .filter(|kept| is_same(&kept.lock, &self.lock.file));
        let open = || self.space.open_if_any(LIST_LOCK).ok()?;
        let before = kept.as_ref().filter(|kept| kept.next + 1 == next);
        let row = before.map_or(0, |kept| kept.row) + 1;
        let lock = kept.map(|kept| kept.lock).or_else(open);
        let list = list.clone();
        *pushed = lock.map(|lock| Pushed {
            list,
            lock,
            next,
            row,
        });
    }

    /// Waits until what was removed of these numbers is removed for good: whoever did it may have been
    /// killed before.
    fn sync_removals(&self, numbers: Range<u64>) -> Result<()> {
        let mut shards: Vec<String> = match numbers.end - numbers.start < u64::from(SHARDS) {
            true => numbers
                .map(|number| HashedKey::of(&key_of(number)).shard().to_owned())
                .collect(),
            false => (0..SHARDS).map(shard_name).collect(),
        };
        shards.sort_unstable();
        shards.dedup();
        let dirs = shards.iter().map(|shard| ["objects/", shard].concat());
        for below in dirs.chain([PACKS.to_owned()]) {
            if let Some(dir) = self.space.dir_if_any(&below)? {
                dir.sync()?;
            }
        }
        Ok(())
    }

    fn rename(&mut self, dir: &Dir, to: Range<u64>) -> Result<()> {
        let Some(range) = &self.range else {
            return Ok(());
        };
        let (old, new) = (name_of(range), name_of(&to));
        disk::rename(dir.fd.as_fd(), &old, dir.fd.as_fd(), &new)
            .map_err(|err| cannot(err, "rename", &dir.path.join(&old)))?;
        self.range = Some(to);
        Ok(())
    }

    /// Notes the file of the range as it is now.
    fn note_range(&self, dir: &Dir) -> Result<()> {
        let Some(range) = &self.range else {
            return Ok(());
        };
        let below = [LIST_DIR, "/", &name_of(range)].concat();
        // Opened, as only then a network file system asks its server.
        let file = self.space.open(&below, OFlags::RDONLY | OFlags::NONBLOCK);
        let proof = file.and_then(|file| File::from(file).metadata());
        let proof = proof.map_err(|err| cannot(err, "look at", &dir.path.join(&below)))?;
        self.note(&proof_of(
            proof.ino(),
            proof.ctime().into(),
            proof.ctime_nsec().into(),
        ))
    }

    /// Says of which file the name is durable; of none with an empty text.
    fn note(&self, proof: &str) -> Result<()> {
        self.write_note(&format!("{proof:PROOF_LEN$}"), 0)
    }

    fn write_note(&self, text: &str, at: usize) -> Result<()> {
        disk::write_at(&self.lock.file, text.as_bytes(), at as u64)
            .map_err(|err| cannot(err, "write", &self.space.path_of(LIST_LOCK)))
    }
}

/// Reads the range, if its file is the only one and the one that is noted in the file of the lock.
pub(super) fn read_range(space: &NamespaceDir, lock: &File) -> Result<Option<Range<u64>>> {
    let Some(dir) = space.dir_if_any(LIST_DIR)? else {
        return Ok(None);
    };
    let [(name, range)] = &names_in(&dir)?[..] else {
        return Ok(None);
    };
    let stat = match rustix::fs::statat(&dir.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat.or_cannot("look at", &dir.path.join(name))?,
    };
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    // The types of these fields are others on another system.
    let proof = proof_of(stat.st_ino, stat.st_ctime.into(), stat.st_ctime_nsec.into());
    let is_noted = is_file && read_note(lock).starts_with(&proof);
    Ok((is_noted && !space.is_there(ENDS)?).then(|| range.clone()))
}

/// Reads where a list may go on, without its lock; 1 if nobody knows.
pub(super) fn guess(space: &NamespaceDir) -> u64 {
    let file = space.open_if_any(LIST_LOCK).ok().flatten();
    file.and_then(|file| read_next(&file)).unwrap_or(1)
}

fn read_next(lock: &File) -> Option<u64> {
    let note = read_note(lock);
    note.get(PROOF_LEN..)?.strip_suffix('\n')?.parse().ok()
}

/// Reads the note in the file of the lock; what is none is empty.
fn read_note(lock: &File) -> String {
    let mut bytes = vec![0; NOTE_LEN];
    let n = lock.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(n);
    String::from_utf8(bytes).unwrap_or_default()
}

/// Tells whether a file holds what may be a note, or nothing yet.
pub(super) fn is_note(bytes: &[u8]) -> bool {
    let is_ours = |(at, &byte): (usize, &u8)| match at {
        // What a power cut leaves of a file that grew.
        _ if byte == 0 => true,
        _ if at + 1 == NOTE_LEN => byte == b'\n',
        _ if at % 21 == 20 => byte == b' ',
        _ => byte.is_ascii_digit() || (at < PROOF_LEN && byte == b' '),
    };
    bytes.len() <= NOTE_LEN && bytes.iter().enumerate().all(is_ours)
}

/// Says which file this is, and since when it is as it is.
fn proof_of(inode: u64, seconds: i128, nanos: i128) -> String {
    let changed = seconds * 1_000_000_000 + nanos;
    format!("{inode:020} {:020} ", changed.rem_euclid(10_i128.pow(20)))
}

fn name_of(range: &Range<u64>) -> String {
    format!("{:020}-{:020}", range.start, range.end)
}

/// Reads a range off the name of its file.
pub(super) fn range_of(name: &str) -> Option<Range<u64>> {
    let (start, end) = name.split_once('-')?;
    let range = start.parse().ok()?..end.parse().ok()?;
    (name == name_of(&range) && range.start <= range.end).then_some(range)
}

/// Reads the names in the directory that are ranges.
pub(super) fn names_in(dir: &Dir) -> Result<Vec<(String, Range<u64>)>> {
    let mut names = Vec::new();
    for entry in dir.entries()? {
        let entry = entry.or_cannot("read", &dir.path)?;
        let name = entry.file_name().to_str().unwrap_or_default();
        names.extend(range_of(name).map(|range| (name.to_owned(), range)));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    //! The names and notes of ranges.

    use super::*;

    #[test]
    fn a_range_has_one_name() {
        for range in [0..0, 1..65, 0..u64::MAX] {
            assert_eq!(range_of(&name_of(&range)), Some(range));
        }
        for other in ["1-65", "00000000000000000002-00000000000000000001", ""] {
            assert_eq!(range_of(other), None, "{other}");
        }
        let signed = "+0000000000000000001-00000000000000000065";
        assert_eq!(range_of(signed), None);
    }

    #[test]
    fn a_note_has_the_length_that_is_read() {
        assert_eq!(proof_of(1, -1, 5).len(), PROOF_LEN);
        assert_eq!(
            proof_of(u64::MAX, i64::MAX.into(), 999_999_999).len(),
            PROOF_LEN
        );
        let whole = format!("{}{:020}\n", proof_of(1, 2, 3), 7);
        assert!(whole.len() == NOTE_LEN && is_note(whole.as_bytes()));
        assert!(is_note(b"") && is_note(&[b' '; PROOF_LEN]));
        assert!(!is_note(&[0xA5; 10]) && !is_note(&[b'1'; NOTE_LEN]));
    }
}
