//! Opening files below a directory without following a symbolic link on the way.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Opens `path`, which is relative and has no `..`, below `dir`. Where any part of it is a symbolic
/// link this fails, with `ELOOP` or `ENOTDIR`. The descriptor is closed in programs that are run.
pub(crate) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    match open_once(dir, path, flags, mode) {
        Err(err) if Errno::from_io_error(&err) == Some(Errno::MFILE) && raise_limit() => {
            open_once(dir, path, flags, mode)
        }
        done => done,
    }
}

/// Allows this process as many open files as it may allow itself; false if it has them already. The
/// usual limit is a low one for the sake of programs that use select(2).
pub(crate) fn raise_limit() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok()
}

/// Fails with `EMFILE` where this process has hardly a descriptor left: whoever has something open needs
/// a few to store it.
pub(crate) fn spare_descriptors() -> io::Result<()> {
    const RESERVE: u64 = 64;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // The lowest that is free.
    let next = std::fs::File::open("/dev/null")?;
    match u64::from(next.as_raw_fd().unsigned_abs()) < limit - RESERVE.min(limit / 2) {
        true => Ok(()),
        false => Err(Errno::MFILE.into()),
    }
}

fn open_once(dir: BorrowedFd<'_>, path: &str, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;

        // A file system that is a process, or far away, may be interrupted.
        match retry_on_intr(|| {
            rustix::fs::openat2(dir, path, flags, mode, ResolveFlags::NO_SYMLINKS)
        }) {
            // Before Linux 5.6 there is no such call; some sandboxes forbid it.
            Err(Errno::NOSYS | Errno::PERM) => {}
            done => return Ok(done?),
        }
    }
    open_stepwise(dir, path, flags, mode)
}

/// Does the same one directory at a time.
fn open_stepwise(
    dir: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let step = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut parent: Option<OwnedFd> = None;
    let mut rest = path;
    while let Some((name, behind)) = rest.split_once('/') {
        let at = parent.as_ref().map_or(dir, AsFd::as_fd);
        let opened = retry_on_intr(|| rustix::fs::openat(at, name, step, Mode::empty()));
        parent = Some(opened?);
        rest = behind;
    }
    let at = parent.as_ref().map_or(dir, AsFd::as_fd);
    Ok(retry_on_intr(|| rustix::fs::openat(at, rest, flags, mode))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Opens below `dir` in each of the ways that there are, which must agree.
    fn both(dir: &fs::File, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let fast = open_beneath(dir.as_fd(), path, flags, Mode::empty());
        let slow = open_stepwise(dir.as_fd(), path, flags | OFlags::NOFOLLOW, Mode::empty());
        assert_eq!(fast.is_ok(), slow.is_ok(), "{path}: {fast:?}, {slow:?}");
        fast
    }

    #[test]
    fn follows_no_link_at_any_depth() {
        let root = std::env::temp_dir().join(format!("kv-beneath-{}", std::process::id()));
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "x").unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("file", root.join("a/b/link")).unwrap();
        let dir = fs::File::open(&root).unwrap();

        both(&dir, "a/b/file", OFlags::RDONLY).unwrap();
        both(&dir, "a/b", OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
        for (path, flags) in [
            ("link/b/file", OFlags::RDONLY),
            ("a/b/link", OFlags::RDONLY),
            ("link", OFlags::RDONLY | OFlags::DIRECTORY),
        ] {
            let code = both(&dir, path, flags).unwrap_err().raw_os_error();
            let refused = [Errno::LOOP, Errno::NOTDIR].map(|errno| Some(errno.raw_os_error()));
            assert!(refused.contains(&code), "{path}: {code:?}");
        }
        assert_eq!(
            both(&dir, "a/x/y", OFlags::RDONLY).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
