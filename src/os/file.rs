//! What a file is, and how it comes to the disk.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, RawMode, Stat};

/// Returns the device and the number of a file, which no other has at the same time.
#[allow(clippy::unnecessary_cast, reason = "each system has other types")]
pub(crate) fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Returns when a file was changed in whatever way, in seconds and nanoseconds.
#[allow(clippy::unnecessary_cast, reason = "each system has other types")]
pub(crate) fn changed(stat: &Stat) -> (i64, u64) {
    (stat.st_ctime as i64, stat.st_ctime_nsec as u64)
}

/// Makes permissions of their bits.
#[allow(clippy::unnecessary_cast, reason = "each system has another type")]
pub(crate) fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits as RawMode)
}

/// Sets the permissions of a file or directory, whatever the umask is.
///
/// Some file systems refuse that (those of Windows, and network ones). What is there will do then,
/// if it lets nobody in whom the mode keeps out.
pub(crate) fn set_mode(file: impl AsFd, mode: Mode) -> io::Result<()> {
    let Err(err) = rustix::fs::fchmod(&file, mode) else {
        return Ok(());
    };
    let stat = rustix::fs::fstat(&file)?;
    // Nobody gets anything from being allowed to run a file of a store.
    let counts = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Mode::from_raw_mode(0o777),
        _ => Mode::from_raw_mode(0o666),
    };
    match mode.contains(Mode::from_raw_mode(stat.st_mode) & counts) {
        true => Ok(()),
        false => Err(err.into()),
    }
}

/// Whether a disk keeps for itself what fsync(2) has given to it, until it is asked for more.
pub(crate) const HAS_LAZY_FSYNC: bool = cfg!(target_vendor = "apple");

/// Waits until a file, or the names in a directory, would survive a power cut. All that the file system
/// has given to the disk before survives it too.
pub(crate) fn sync(file: impl AsFd) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    if apple::ask(&file, || nix::fcntl::FcntlArg::F_FULLFSYNC)? {
        return Ok(());
    }
    Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(&file))?)
}

/// Has a file come to the disk before anything that is written from now on. It would survive a power cut
/// only when something is synced by [`sync`] afterwards.
pub(crate) fn sync_first(file: impl AsFd) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    if apple::ask(&file, || nix::fcntl::FcntlArg::F_BARRIERFSYNC)? {
        return Ok(());
    }
    sync(file)
}

#[cfg(target_vendor = "apple")]
mod apple {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};

    /// Asks for what not every file system has; false where it has not.
    pub(super) fn ask(
        file: impl std::os::fd::AsFd,
        what: fn() -> FcntlArg<'static>,
    ) -> std::io::Result<bool> {
        loop {
            match fcntl(&file, what()) {
                Err(Errno::EINTR) => {}
                Err(Errno::ENOTSUP | Errno::EINVAL | Errno::ENOTTY) => return Ok(false),
                asked => return Ok(asked.map(|_| true)?),
            }
        }
    }
}

/// Makes a file without a name in a directory, which is gone with whoever is killed.
///
/// # Errors
///
/// Where the system, or the file system, has none, too.
pub(crate) fn nameless(dir: &Path, mode: u32) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::OFlags;

        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(dir, flags, self::mode(mode))?.into())
    }
    #[cfg(not(target_os = "linux"))]
    {
        _ = (dir, mode);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Gives a file without a name one, which nothing may have.
pub(crate) fn name(file: &File, path: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    use std::os::fd::AsRawFd as _;

    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, nameless, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}
