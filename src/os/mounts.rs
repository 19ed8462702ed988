//! File systems in user space, and the end of a mount.

use std::io;
use std::path::Path;

/// Tells whether this system can mount file systems of a program, as far as that can be told without
/// trying it.
#[cfg(target_os = "linux")]
pub(crate) fn has_fuse() -> bool {
    Path::new("/dev/fuse").exists()
}

/// Takes a mount away from its directory, whoever uses it: what is open there stays usable for as
/// long as the process lives that answers for it.
#[cfg(target_os = "linux")]
pub(crate) fn unmount(point: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    use rustix::mount::UnmountFlags;

    match rustix::mount::unmount(point, UnmountFlags::DETACH) {
        // Only root may do it; a program of the system does it for others.
        Err(Errno::PERM) => unmount_by(
            std::process::Command::new("fusermount3").args(["-u", "-z"]),
            point,
        ),
        // Somebody else was faster.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn has_fuse() -> bool {
    true
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn unmount(point: &Path) -> io::Result<()> {
    unmount_by(&mut std::process::Command::new("umount"), point)
}

fn unmount_by(command: &mut std::process::Command, point: &Path) -> io::Result<()> {
    let done = command.arg("--").arg(point).output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&done.stderr).trim().to_owned(),
        )),
    }
}
