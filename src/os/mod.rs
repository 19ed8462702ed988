//! What differs between operating systems, one signature each.
//!
//! `unsafe` and `cfg(target_os)` appear below this module and nowhere else in the crate. A new
//! platform is a new file here, not a new `cfg` in a caller.
//!
//! What holds where, of the functions that are not the same everywhere:
//!
//! | | Linux | macOS | FreeBSD |
//! |---|---|---|---|
//! | [`accept`], [`connect_unix`] | one step | a program started meanwhile may get the socket | one step |
//! | [`background()`], [`detach`] | close what /proc lists, or all up to the limit | what /dev/fd lists | closefrom(2) |
//! | [`count_descriptors`] | /proc | /dev/fd | not told |
//! | [`count_threads`] | /proc | not told | not told |
//! | [`die_of`] | no core, even to a program | no core file | no core file |
//! | [`exchange()`] | renameat2(2) | renameatx_np(2) | `Unsupported` |
//! | [`is_listening`] | asked | taken as true | asked |
//! | [`lacks_fuse`] | /dev/fuse, fusermount3 | always | /dev/fuse |
//! | [`nameless`] | O_TMPFILE | `Unsupported` | `Unsupported` |
//! | [`ofd_lock`], [`ofd_locked`] | F_OFD_SETLK | `Unsupported` | `Unsupported` |
//! | [`open_beneath`] | openat2(2) from 5.6 on | one directory at a time | one directory at a time |
//! | [`open_cached`] | openat2(2) from 5.12 on | `ENOSYS` | `ENOSYS` |
//! | [`random()`] | getrandom(2) | /dev/urandom | /dev/urandom |
//! | [`read_cached`] | preadv2(2) from 4.14 on | `ENOSYS` | `ENOSYS` |
//! | [`share_memory`] | of glibc: mallopt(3) | as the system has it | as the system has it |
//! | [`since_boot`] | CLOCK_BOOTTIME | CLOCK_MONOTONIC | CLOCK_MONOTONIC |
//! | [`Spot`] | mountinfo of /proc | nothing is known | nothing is known |
//! | [`Supervisor::spawn`] to die along | prctl(2) | the program lives on | procctl(2) |
//! | [`sync`] | fsync(2) | F_FULLFSYNC, else fsync(2) | fsync(2) |
//! | [`sync_first`] | fsync(2) | F_BARRIERFSYNC, else fsync(2) | fsync(2) |
//! | [`unmount`] | umount2(2), fusermount3 | umount(8) | umount(8) |
//! | [`Watch`] | inotify(7), and every 5 s | every 0.1 s | every 0.1 s |
//! | [`Watch::sees`] | the kinds of file systems that are this machine's own | never | never |
//! | [`Writer`], [`closing`] | pidfd, /proc | never known | never known |

mod background;
mod beneath;
mod cached;
mod death;
mod exchange;
mod file;
pub(crate) mod flock;
#[cfg(feature = "bash-builtin")]
mod guest;
mod inherited;
pub(crate) mod interrupt;
mod memory;
mod mounts;
mod ofd;
mod process;
mod random;
mod socket;
pub(crate) mod start;
mod stdio;
mod watch;
mod writer;

use std::io;
use std::path::Path;
use std::time::Duration;

pub(crate) use self::background::{Side, background};
pub(crate) use self::beneath::{open_beneath, raise_limit, spare_descriptors};
pub(crate) use self::cached::{is_near, open_cached, read_cached};
pub(crate) use self::death::{die_of, end_as_init, hear};
pub(crate) use self::exchange::exchange;
pub(crate) use self::file::{
    HAS_LAZY_FSYNC, changed, identity, mode, name, nameless, set_mode, sync, sync_first,
};
pub(crate) use self::flock::is_locked;
#[cfg(feature = "bash-builtin")]
pub(crate) use self::guest::Guest;
pub(crate) use self::inherited::{inherited_socket, tell_ready};
pub(crate) use self::memory::share_memory;
pub(crate) use self::mounts::{Spot, disk_space, is_read_only, lacks_fuse, unmount};
pub(crate) use self::ofd::{HAS_OFD_LOCKS, ofd_lock, ofd_locked};
pub(crate) use self::process::{
    Supervisor, Waiter, count_descriptors, count_threads, detach, hand_down, host_name,
    spawn_without_signals, survive_file_limit, without_signals,
};
pub(crate) use self::random::random;
pub(crate) use self::socket::{accept, connect_unix, is_listening, read_into};
pub(crate) use self::stdio::{
    RawStderr, RawStdin, RawStdout, close_stdout, end_when_unread, is_typed, replace_stdout,
    share_stdout, stderr_has_room, stdin_is_null,
};
pub(crate) use self::watch::{Happened, Watch};
pub(crate) use self::writer::{Closing, Opened, Writer, closing};

/// Returns the time since the machine was started. It goes on while the machine sleeps, and nobody
/// sets it.
pub(crate) fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // Where there is one clock only, it is the one that goes on.
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Returns the first of these variables of the environment that holds something, and its name.
pub(crate) fn first_variable<'a>(names: &[&'a str]) -> Option<(&'a str, String)> {
    let mut set = names.iter().filter_map(|name| {
        let text = std::env::var_os(name)?.to_string_lossy().trim().to_owned();
        (!text.is_empty()).then_some((*name, text))
    });
    set.next()
}

/// Returns how many bytes a file may have that this process writes (RLIMIT_FSIZE); `None` where it may
/// have any number.
pub(crate) fn file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// Fails if there is a symbolic link at a path, and nothing where it leads: a disk that is not
/// mounted, for example. Nothing can be made at such a path.
pub(crate) fn expect_target(path: &Path) -> io::Result<()> {
    // With a slash behind it the link would be followed.
    let path = path.components().as_path();
    match (std::fs::read_link(path), path.metadata()) {
        (Ok(target), Err(err)) if err.kind() == io::ErrorKind::NotFound => {
            let target = target.display();
            let why = format!("it is a symbolic link to `{target}`, which does not exist");
            Err(io::Error::new(io::ErrorKind::NotFound, why))
        }
        _ => Ok(()),
    }
}

/// Tells apart the two ways in which a disk is full: the error says "no space", but what ran out
/// may be inodes, and then no removal of large files helps.
pub(crate) fn explain_full(err: io::Error, path: &Path) -> io::Error {
    if err.kind() != io::ErrorKind::StorageFull {
        return err;
    }
    // The file may not exist; a directory above it does.
    let stat = path
        .ancestors()
        .find_map(|dir| rustix::fs::statvfs(dir).ok());
    match stat {
        Some(stat) if stat.f_files > 0 && stat.f_favail == 0 => io::Error::new(
            io::ErrorKind::StorageFull,
            "out of inodes: the file system can hold no more files (see df -i)",
        ),
        _ => err,
    }
}
