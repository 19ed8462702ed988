//! The file `ends` of a list: between which numbers its elements are.
//!
//! ```text
//! kvlist1 <boot id, 36> <inode, 20 digits> <first, 20> <next, 20> <XXH3-64 of all this, 16 hex>\n
//! ```
//!
//! No element has a number below `first` or from `next` on; numbers in between may be missing. The
//! file is never synced: what a power cut makes of it is not believed, as the boot is another then,
//! nor is a copy of it, as its inode is another. The elements themselves are counted then, once.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Mode, OFlags};
use xxhash_rust::xxh3::xxh3_64;

use crate::os;
use crate::store::{Namespace, Result};

use super::Tree;
use super::create::random;
use super::disk;
use super::lock::Lock;
use super::loose;
use super::space::{Space, cannot, unusable};

const ENDS: &str = "ends";
/// Bytes of `ends`.
pub(super) const ENDS_LEN: usize = 8 + 37 + 21 + 21 + 21 + 16 + 1;
/// Bytes of `ends` that its sum covers.
const SUMMED_LEN: usize = ENDS_LEN - 18;

/// The range of numbers in which all elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) first: u64,
    pub(super) next: u64,
}

impl Tree {
    /// Locks a list, and has its elements counted anew by whoever changes it next. To be held while
    /// many of them come and go.
    pub(super) fn forget_ends(&self, namespace: &Namespace) -> Result<Option<Lock>> {
        let Some((space, lock)) = self.lock_ends(namespace, false)? else {
            return Ok(None);
        };
        match disk::unlink(space.store(), &space.relative(ENDS)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(|err| cannot(err, "remove", &space.path_of(ENDS)))?,
        }
        Ok(Some(lock))
    }
}

fn encode(ends: Ends, boot: &str, inode: u64) -> String {
    let Ends { first, next } = ends;
    let text = format!("kvlist1 {boot:36} {inode:020} {first:020} {next:020}");
    let sum = xxh3_64(text.as_bytes());
    format!("{text} {sum:016x}\n")
}

/// Tells whether this is the file of some list, of this boot or another.
pub(super) fn is_ends(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let sum = text.get(..SUMMED_LEN).map(|text| xxh3_64(text.as_bytes()));
    text.starts_with("kvlist1 ")
        && text.len() == ENDS_LEN
        && text.get(SUMMED_LEN..) == sum.map(|sum| format!(" {sum:016x}\n")).as_deref()
}

/// Reads the ends that were noted in this boot of the machine.
pub(super) fn read_ends(space: &Space) -> Option<Ends> {
    let boot = os::boot_id()?;
    let file = space.open(ENDS, OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
    let file = File::from(file);
    let inode = file.metadata().ok()?.ino();
    let mut bytes = Vec::new();
    loose::read_up_to(&file, &mut bytes, ENDS_LEN).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut numbers = text
        .get(66..SUMMED_LEN)?
        .split(' ')
        .map(|digits| digits.parse().ok());
    let ends = Ends {
        first: numbers.next()??,
        next: numbers.next()??,
    };
    // What is written for these numbers in this boot is the one form that is believed.
    (text == encode(ends, &boot, inode)).then_some(ends)
}

/// Notes the ends.
pub(super) fn write_ends(space: &Space, ends: Ends) -> Result<()> {
    // Without a way to tell one boot from the next, the elements are counted each time.
    let Some(boot) = os::boot_id() else {
        return Ok(());
    };
    let path = || space.path_of(ENDS);
    let write = |file: &File| {
        let inode = file.metadata()?.ino();
        disk::write_at(file, encode(ends, &boot, inode).as_bytes(), 0)
    };
    match space.open(ENDS, OFlags::WRONLY | OFlags::NONBLOCK) {
        Ok(file) => write(&file.into()).map_err(|err| cannot(err, "write", &path())),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            let mode = space.file_mode()?;
            make_whole(space, mode, write).map_err(|err| cannot(err, "create", &path()))
        }
        Err(err) => Err(unusable(err, "open", &path())),
    }
}

/// Makes the file with its mode and all that is in it from the moment on at which it has its name:
/// other users of the store could not open it if its maker were killed in between.
fn make_whole(
    space: &Space,
    mode: Mode,
    write: impl Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let tmp = space.open("tmp", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let aside = format!("{:016x}", random());
    let file = disk::create(tmp.as_fd(), &aside)?;
    let made = disk::set_mode(&file, mode)
        .and_then(|()| write(&file))
        .and_then(|()| disk::rename(tmp.as_fd(), &aside, space.store(), &space.relative(ENDS)));
    if made.is_err() {
        // What cannot be removed is litter that a sweep collects, as it does drafts.
        _ = disk::unlink(tmp.as_fd(), &aside);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_length_that_is_read() {
        let boot = "3c2f1d5e-8a44-4c43-9c55-0a5f0c8b7a11";
        for ends in [
            Ends { first: 1, next: 1 },
            Ends {
                first: 0,
                next: u64::MAX,
            },
        ] {
            let text = encode(ends, boot, u64::MAX);
            assert_eq!(text.len(), ENDS_LEN);
            assert_eq!(text.as_bytes()[SUMMED_LEN], b' ');
        }
    }
}
