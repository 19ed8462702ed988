//! Opening and reading what is in memory already, for who must not wait for a disk.
//!
//! Both answer `EAGAIN` where a disk would have to be asked, and another error where the system has no
//! such call.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens `path`, in which no part may be a symbolic link (openat2(2), `RESOLVE_CACHED`, Linux 5.12).
#[cfg(target_os = "linux")]
pub(crate) fn open_cached(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{Mode, ResolveFlags, openat2};

    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let how = ResolveFlags::CACHED | ResolveFlags::NO_SYMLINKS;
    openat2(dir, path, flags, Mode::empty(), how)
}

/// Reads at an offset (preadv2(2), `RWF_NOWAIT`, Linux 4.14) where [`is_near`] holds: there, who does not know
/// this is tmpfs, which has all of it in memory.
#[cfg(target_os = "linux")]
pub(crate) fn read_cached(
    file: BorrowedFd<'_>,
    bytes: &mut [u8],
    offset: u64,
) -> rustix::io::Result<usize> {
    use std::io::IoSliceMut;

    use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

    let parts = &mut [IoSliceMut::new(bytes)];
    match preadv2(file, parts, offset, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP) => pread(file, bytes, offset),
        read => read,
    }
}

/// Tells whether a file's file system is the kernel's own, where these calls are what they say: on one that is
/// far away or a process, opening asks that. Times there are of the kernel's clock.
#[cfg(target_os = "linux")]
pub(crate) fn is_near(file: BorrowedFd<'_>) -> bool {
    // ext4, XFS, Btrfs, F2FS, tmpfs: statfs(2).
    const NEAR: [u64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];
    #[allow(clippy::unnecessary_cast, reason = "each processor has another type")]
    let kind = rustix::fs::fstatfs(file).map(|fs| fs.f_type as u64);
    kind.is_ok_and(|kind| NEAR.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn open_cached(_: BorrowedFd<'_>, _: &Path, _: OFlags) -> rustix::io::Result<OwnedFd> {
    Err(rustix::io::Errno::NOSYS)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn read_cached(_: BorrowedFd<'_>, _: &mut [u8], _: u64) -> rustix::io::Result<usize> {
    Err(rustix::io::Errno::NOSYS)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_near(_: BorrowedFd<'_>) -> bool {
    false
}
