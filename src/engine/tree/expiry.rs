//! Hints about what expires when, so that a sweep costs what it finds and not what is stored.
//!
//! ```text
//! expiry/<milliseconds since 1970, 15 digits>     all that its hints name is due by then
//!     <when it expires, 15 digits> <SHA-1 of the key, 40 digits>\n
//! ```
//!
//! The files are appended to and never synced. A hint that is lost costs space and nothing else:
//! the header of an entry is the truth, and an expired entry is absent whether it was swept or
//! not. A file covers a sixteenth of the time to live that its entries were written with, so there
//! are few files, and what is due is not left for long.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::os;
use crate::store::{Deadline, Key, Namespace, Result, Time};

use super::Tree;
use super::dir::Dir;
use super::disk;
use super::find::KeptPacks;
use super::layout::{GC_LOCK, HashedKey};
use super::lock::{self, Kind, Lock, Patience};
use super::loose;
use super::namespace_dir::NamespaceDir;

/// Bytes of one hint.
pub(super) const HINT_LEN: usize = 15 + 1 + 40 + 1;
/// How many due entries one put clears away, at the most.
const SWEPT_BY_A_PUT: usize = 16;
/// So many bytes of hints are read at once.
const PART: usize = 4096 * HINT_LEN;
/// The least time that one file covers, in milliseconds.
const SHORTEST_SPAN: u64 = 1 << 16;
/// A draft that nobody holds is litter when it is older than this.
const LITTER_AGE: Duration = Duration::from_secs(60);

/// Notes that an entry expires at `deadline`. A note that cannot be made is left out.
pub(super) fn hint(space: &NamespaceDir, hashed: &HashedKey<'_>, deadline: Deadline, now: Time) {
    let Ok(mode) = space.file_mode() else {
        return;
    };
    let due = deadline.as_millis();
    let below = format!("expiry/{:015}", end_of_span(due, now));
    let open = || disk::open_append(space.store(), &space.relative(&below), mode);
    let opened = match open() {
        Err(err) if err.kind() == io::ErrorKind::NotFound && space.subdir("expiry").is_ok() => {
            open()
        }
        opened => opened,
    };
    if let Ok(file) = opened {
        _ = disk::write(&file, format!("{due:015} {}\n", hashed.hash()).as_bytes());
    }
}

/// Returns the end of the span of time that `due` falls into, seen from `now`.
fn end_of_span(due: u64, now: Time) -> u64 {
    let left = due.saturating_sub(now.as_millis());
    let span = (left / 16).max(SHORTEST_SPAN).next_power_of_two();
    due.next_multiple_of(span)
}

impl Tree {
    /// Clears away a few entries that are due, and drafts that dead writers left, so that somebody
    /// who never runs gc does not fill the disk with them. Gives up at the first trouble: the put
    /// that called is acknowledged already, and what is left is hidden or harmless.
    pub(super) fn sweep_some(&self, namespace: &Namespace, now: Time) {
        let Ok(Some(space)) = self.open_namespace(namespace) else {
            return;
        };
        // Shared: gc is kept out, and removals, which look whether gc runs, are not misled.
        let gc = Lock::acquire(&space, GC_LOCK, Kind::Shared, Patience::none());
        let Ok(Some(gc)) = gc else {
            return;
        };
        // What no pack has now may come back with a power cut.
        if lock::is_pending(&gc.file) {
            return;
        }
        _ = self.sweep_due(namespace, &space, now);
        _ = sweep_drafts(&space, now);
    }

    /// Clears away all entries that are due by their hints, and returns how many there were.
    pub(super) fn sweep_all(
        &self,
        namespace: &Namespace,
        space: &NamespaceDir,
        now: Time,
    ) -> Result<u64> {
        let mut swept = 0;
        let Some(dir) = space.dir_if_any("expiry")? else {
            return Ok(swept);
        };
        let mut packs = KeptPacks::default();
        for name in due(&dir, now) {
            let Some(file) = open_hints(&dir, &name) else {
                continue;
            };
            each_part(&file, |hints| {
                for hash in hashes(hints) {
                    // What cannot be swept is found again when loose entries are folded.
                    let done = self.sweep_entry(namespace, hash, now, &mut packs);
                    swept += u64::from(done.unwrap_or(false));
                }
            });
            _ = disk::unlink(dir.fd.as_fd(), &name);
        }
        Ok(swept)
    }

    fn sweep_due(&self, namespace: &Namespace, space: &NamespaceDir, now: Time) -> Result<()> {
        let Some(dir) = space.dir_if_any("expiry")? else {
            return Ok(());
        };
        // What cannot be read must not keep the rest from being swept.
        let readable = due(&dir, now)
            .into_iter()
            .find_map(|name| last_hints(&dir, &name).map(|hints| (name, hints)));
        let Some((name, (hints, start))) = readable else {
            return Ok(());
        };
        let mut packs = KeptPacks::default();
        for hash in hashes(&hints) {
            // An entry that is in use, or cannot be read, is left to gc.
            _ = self.sweep_entry(namespace, hash, now, &mut packs);
        }
        // No new hint comes to a span that is over, unless the clock steps.
        match start {
            0 => _ = disk::unlink(dir.fd.as_fd(), &name),
            start => {
                let opened = os::open_beneath(dir.fd.as_fd(), &name, OFlags::WRONLY, Mode::empty());
                if let Ok(file) = opened {
                    _ = disk::truncate(&file.into(), start);
                }
            }
        }
        Ok(())
    }

    /// Unlinks the entry of that hash if it has expired, and tells whether it did. Judged under the lock, by its header.
    fn sweep_entry(
        &self,
        namespace: &Namespace,
        hash: &str,
        now: Time,
        packs: &mut KeptPacks,
    ) -> Result<bool> {
        let parts @ (shard, name) = hash.split_at(2);
        let Some(shard) = self.lock_shard_within(namespace, shard, Patience::none())? else {
            return Ok(false);
        };
        let Some(dir) = shard.dir()? else {
            return Ok(false);
        };
        let Ok(file) = dir.open(name) else {
            return Ok(false);
        };
        let (header, key) = loose::read_header(&file, parts, &|| dir.path.join(name))?;
        let expires = header.meta.expires;
        if header.tombstone || !expires.is_some_and(|deadline| deadline.is_over(now)) {
            return Ok(false);
        }
        // What hides a packed record stays, or an older value would be seen again.
        let key = Key::new(key).expect("a header has a sound key");
        let is_packed = packs.find(&shard.space, &HashedKey::of(&key))?.is_some();
        Ok(!is_packed && disk::unlink(dir.fd.as_fd(), name).is_ok())
    }
}

/// Returns the names of the hint files that have ended, the first of them first.
fn due(dir: &Dir, now: Time) -> Vec<String> {
    let names = fs::read_dir(&dir.path).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let is_over = |name: &String| {
        name.len() == 15 && name.parse::<u64>().is_ok_and(|end| end <= now.as_millis())
    };
    let mut due: Vec<_> = names.filter(is_over).collect();
    due.sort_unstable();
    due
}

/// Opens a file of hints; `None` if there is none that could be read.
fn open_hints(dir: &Dir, name: &str) -> Option<File> {
    let file = dir.open(name).ok()?;
    file.metadata().ok()?.is_file().then_some(file)
}

/// Reads whole lines of a file of hints, many at a time, and says whether that was all of it. Where
/// no line ends in a whole part, nothing of kv's was ever written, and the rest is not read.
pub(super) fn each_part(file: &File, mut each: impl FnMut(&[u8])) -> bool {
    let (mut part, mut kept, mut offset) = (vec![0; PART], 0, 0);
    loop {
        let read = |bytes: &mut [u8]| file.read_at(bytes, offset);
        let read = match read(&mut part[kept..]) {
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return false,
            Ok(read) => read,
        };
        let end = kept + read;
        let whole = match part[..end].iter().rposition(|&b| b == b'\n') {
            _ if read == 0 => end,
            Some(at) => at + 1,
            None if end == part.len() => return false,
            None => 0,
        };
        each(&part[..whole]);
        if read == 0 {
            return true;
        }
        offset += read as u64;
        part.copy_within(whole..end, 0);
        kept = end - whole;
    }
}

/// Reads the last few hints of a file, and says where they begin.
fn last_hints(dir: &Dir, name: &str) -> Option<(Vec<u8>, u64)> {
    let file = open_hints(dir, name)?;
    let size = file.metadata().ok()?.size();
    let start = size.saturating_sub((SWEPT_BY_A_PUT * HINT_LEN) as u64);
    let mut hints = vec![0; usize::try_from(size - start).ok()?];
    file.read_exact_at(&mut hints, start).ok()?;
    Some((hints, start))
}

/// Reads hints, and passes over what is none: the kernel may have cut one short on a full disk.
pub(super) fn hashes(hints: &[u8]) -> impl Iterator<Item = &str> {
    hints.split(|&b| b == b'\n').filter_map(|hint| {
        let (_, hash) = std::str::from_utf8(hint).ok()?.split_once(' ')?;
        let is_hash = hint.len() == HINT_LEN - 1 && hash.len() == 40;
        (is_hash && hash.bytes().all(|b| b.is_ascii_hexdigit())).then_some(hash)
    })
}

/// Tells whether this is a hint, without its newline.
pub(super) fn is_hint(line: &[u8]) -> bool {
    let is_digits = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    let is_lower = |hash: &[u8]| !hash.iter().any(u8::is_ascii_uppercase);
    let (due, hash) = line.split_at(15.min(line.len()));
    hashes(line).count() == 1 && is_digits(due) && is_lower(hash)
}

/// Removes drafts whose writers are dead: nobody holds their lock, and they are not just made.
pub(super) fn sweep_drafts(space: &NamespaceDir, now: Time) -> Result<u64> {
    let mut swept = 0;
    let Some(dir) = space.dir_if_any("tmp")? else {
        return Ok(swept);
    };
    for entry in fs::read_dir(&dir.path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let (Some(name), Ok(meta)) = (name.to_str(), entry.metadata()) else {
            continue;
        };
        let age = meta
            .modified()
            .map(|at| now.0.saturating_sub(Time::from_system(at).0));
        if age.map_or(true, |age| u128::from(age) <= LITTER_AGE.as_nanos()) {
            continue;
        }
        // What has another name is a lock file that was made here. Its lock says nothing of who
        // made it, and may be the one that is held at this moment.
        let is_spare = meta.nlink() > 1;
        let is_free = || lock::try_lock(&dir.open(name)?, Kind::Exclusive);
        if is_spare || is_free().unwrap_or(false) {
            swept += u64::from(disk::unlink(dir.fd.as_fd(), name).is_ok());
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_covers_a_sixteenth_of_the_time_to_live() {
        let now = Time(1_700_000_000_000_000_000);
        for ttl in [1, 1_000, 60_000, 3_600_000, 86_400_000, 31_536_000_000] {
            let due = now.as_millis() + ttl;
            let end = end_of_span(due, now);
            assert!(
                due <= end && end - due < (ttl / 8).max(2 * SHORTEST_SPAN),
                "{ttl}: {end}"
            );
        }
    }

    #[test]
    fn a_torn_hint_is_passed_over() {
        let whole = format!("{:015} {}\n", 7, "ab".repeat(20));
        let torn = &whole[..30];
        let hints = [torn, "\n", &whole, &whole, torn].concat();
        assert_eq!(hashes(hints.as_bytes()).count(), 2);
    }
}
