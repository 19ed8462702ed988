//! File systems in user space, and the end of a mount.

use std::io;
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::Access;

/// Tells what is missing for this user to mount file systems of a program, as far as that can be told
/// without trying it.
#[cfg(target_os = "linux")]
pub(crate) fn lacks_fuse(search_path: &std::ffi::OsStr) -> Option<&'static str> {
    if !Path::new("/dev/fuse").exists() {
        return Some(
            "this system has no /dev/fuse: `modprobe fuse` loads it where the kernel has it, and a \
             container needs it from its host",
        );
    }
    if rustix::fs::access("/dev/fuse", Access::READ_OK | Access::WRITE_OK).is_err() {
        return Some(
            "this user may not open /dev/fuse, which is for all users as a rule (mode 0666)",
        );
    }
    let mut dirs = std::env::split_paths(search_path).chain(["/sbin".into(), "/bin".into()]);
    let has_helper = dirs.any(|dir| dir.join("fusermount3").exists());
    if !rustix::process::geteuid().is_root() && !has_helper {
        return Some(
            "fusermount3 is not installed, which users other than root need: `apt-get install fuse3`",
        );
    }
    None
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
pub(crate) fn lacks_fuse(_search_path: &std::ffi::OsStr) -> Option<&'static str> {
    None
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
