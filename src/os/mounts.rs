//! File systems in user space, and the end of a mount.

use std::io;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::path::PathBuf;

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
        return Some("this user may not open /dev/fuse, which usually has mode 0666");
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

/// Where something is, whatever it is called: a part of a file system is a part of it also where it is
/// bound to another place.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    /// Of the file system (proc_pid_mountinfo(5)).
    device: Vec<u8>,
    /// What is mounted there.
    kind: Vec<u8>,
    /// The path inside of the file system.
    inside: PathBuf,
    /// Whether it is where that is mounted.
    is_top: bool,
}

#[cfg(target_os = "linux")]
impl Spot {
    /// Looks for a path, which is a real one, without touching it.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mounts = std::fs::read("/proc/self/mountinfo")?;
        Ok(Self::among(&mounts, path))
    }

    fn among(mounts: &[u8], path: &Path) -> Option<Self> {
        let mut found: Option<(usize, Self)> = None;
        for line in mounts.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b' ').skip(2);
            let (Some(device), Some(root), Some(point)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let kind = fields.skip_while(|field| *field != b"-").nth(1);
            let (root, point) = (plain(root), plain(point));
            let Ok(rest) = path.strip_prefix(&point) else {
                continue;
            };
            let depth = point.components().count();
            // Of several on one place the last one is on top.
            if found.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
                let spot = Self {
                    device: device.to_vec(),
                    kind: kind.unwrap_or_default().to_vec(),
                    inside: root.join(rest),
                    is_top: rest.as_os_str().is_empty(),
                };
                found = Some((depth, spot));
            }
        }
        found.map(|(_, spot)| spot)
    }

    /// Tells whether it is another place or below it.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.device == other.device && self.inside.starts_with(&other.inside)
    }

    /// Tells whether a file system is mounted there that a program answers for.
    pub(crate) fn is_of_program(&self) -> bool {
        self.is_top && self.kind.starts_with(b"fuse")
    }
}

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Spot;

#[cfg(not(target_os = "linux"))]
impl Spot {
    pub(crate) fn of(_path: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn is_within(&self, _other: &Self) -> bool {
        false
    }

    pub(crate) fn is_of_program(&self) -> bool {
        false
    }
}

/// Reads a path in which blanks and the like are written as three octal digits.
#[cfg(target_os = "linux")]
fn plain(field: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;

    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// How much a disk has room for, in blocks of so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskSpace {
    pub(crate) block: u64,
    pub(crate) blocks: u64,
    pub(crate) free: u64,
    /// Of that what users other than root may take.
    pub(crate) available: u64,
    /// How many files there can be, and how many more.
    pub(crate) files: (u64, u64),
    /// Of what is free, what not even root may take.
    kept_back: u64,
    pub(crate) is_read_only: bool,
}

impl DiskSpace {
    /// Returns how many bytes this user may still write: 0 where there can be no more files.
    pub(crate) fn usable(&self) -> u64 {
        let blocks = match rustix::process::geteuid().is_root() {
            true => self.free.saturating_sub(self.kept_back),
            false => self.available,
        };
        match self.files {
            // Some file systems count none.
            (1.., 0) => 0,
            _ => blocks.saturating_mul(self.block),
        }
    }
}

/// Returns the nearest directory that is there, in which what is not there yet is made.
fn nearest(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above.find(|path| path.exists()).unwrap_or(Path::new("/"))
}

/// Tells how much room the disk of a path has.
pub(crate) fn disk_space(path: &Path) -> io::Result<DiskSpace> {
    let there = nearest(path);
    let told = rustix::fs::statvfs(there)?;
    // A system call less wherever there is room.
    let kept_back = (told.f_bavail == 0).then(|| kept_back(there)).flatten();
    Ok(DiskSpace {
        block: told.f_frsize.max(1),
        blocks: told.f_blocks,
        free: told.f_bfree,
        available: told.f_bavail,
        files: (told.f_files, told.f_ffree),
        kept_back: kept_back.unwrap_or(0),
        is_read_only: told.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// Returns how many blocks ext4 keeps for what it has to write itself, which it tells as free (ext4(5),
/// `reserved_clusters`).
#[cfg(target_os = "linux")]
fn kept_back(path: &Path) -> Option<u64> {
    let device = rustix::fs::stat(path).ok()?.st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let disk = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let kept = Path::new("/sys/fs/ext4").join(disk.file_name()?);
    let told = std::fs::read_to_string(kept.join("reserved_clusters")).ok()?;
    told.trim().parse().ok()
}

#[cfg(not(target_os = "linux"))]
fn kept_back(_path: &Path) -> Option<u64> {
    None
}

/// Tells whether nothing at a path can be changed: its file system is read-only, or this user may write neither
/// there nor in a directory that is in it.
pub(crate) fn is_read_only(path: &Path) -> bool {
    let denies = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err();
    let there = nearest(path);
    let mut inside = std::fs::read_dir(there).into_iter().flatten().flatten();
    denies(there) && inside.all(|entry| !entry.path().is_dir() || denies(&entry.path()))
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

#[cfg(target_vendor = "apple")]
pub(crate) fn lacks_fuse(_search_path: &std::ffi::OsStr) -> Option<&'static str> {
    Some("macOS has no file systems of programs by itself: Linux and FreeBSD have")
}

#[cfg(target_os = "freebsd")]
pub(crate) fn lacks_fuse(_search_path: &std::ffi::OsStr) -> Option<&'static str> {
    let is_loaded = Path::new("/dev/fuse").exists();
    (!is_loaded).then_some("this system has no /dev/fuse: `kldload fusefs` loads it")
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_itself_wherever_it_is_bound() {
        let mounts = b"20 1 8:1 / / rw shared:1 - ext4 /dev/a rw\n\
            21 20 8:1 /srv/a\\040store /bound rw - ext4 /dev/a rw\n\
            22 20 0:9 / /srv/other rw - tmpfs none rw\n\
            23 20 0:10 / /mnt rw - fuse.kv kv rw\n";
        let of = |path: &str| Spot::among(mounts, Path::new(path)).unwrap();
        assert!(of("/bound/mnt").is_within(&of("/srv/a store")));
        assert!(!of("/bound/mnt").is_within(&of("/srv/a")));
        assert!(of("/srv/a store").is_within(&of("/bound")));
        assert!(!of("/srv/other/x").is_within(&of("/srv")));
        assert!(of("/mnt").is_of_program() && !of("/mnt/x").is_of_program());
    }
}
