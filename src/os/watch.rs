//! Waiting until something happens in a directory, without looking again and again.

#[cfg(target_os = "linux")]
use std::cell::Cell;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// On a network file system another machine's changes are not announced, so a waiter looks again
/// at least this often.
#[cfg(target_os = "linux")]
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Where nothing tells of changes, a waiter looks again this often.
const PAUSE: Duration = Duration::from_millis(100);

/// Directories that are watched for names that come, go or change (inotify(7)).
#[derive(Debug)]
pub(crate) struct Watch {
    /// None where the system gives none: there are too many already (inotify(7),
    /// max_user_instances), or it is forbidden here.
    #[cfg(target_os = "linux")]
    inotify: Option<std::os::fd::OwnedFd>,
    /// Whether there is a directory that cannot be watched.
    #[cfg(target_os = "linux")]
    is_blind: Cell<bool>,
}

/// Something that happened in a directory.
#[derive(Debug)]
pub(crate) struct Happened<'a> {
    /// What [`Watch::add`] has returned for the directory; -1 where more happened than is told.
    pub(crate) dir: i32,
    /// The name that came, went or changed; empty where it was the directory itself.
    pub(crate) name: &'a [u8],
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CStr;
    use std::mem::MaybeUninit;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    use super::{Cell, Duration, Happened, Instant, LONGEST_WAIT, PAUSE, Path, Watch, io, sleep};

    /// So much of what happened is told at once.
    const MOST_AT_ONCE: usize = 4096;

    /// File systems whose every change is one of this machine's, and announced (statfs(2)).
    const LOCAL: [i64; 12] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683E, // btrfs
        0x0102_1994, // tmpfs
        0xF2F5_2010, // F2FS
        0x2FC1_2FC1, // ZFS
        0x794C_7630, // overlayfs
        0xCA45_1A4E, // bcachefs
        0x8584_58F6, // ramfs
        0x3153_464A, // JFS
        0x4D44,      // FAT
        0x2011_BAB0, // exFAT
    ];

    impl Watch {
        /// Watches nothing yet.
        pub(crate) fn new() -> Self {
            let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
            Self {
                inotify: inotify::init(flags).ok(),
                is_blind: Cell::new(false),
            }
        }

        /// Watches a directory; one that does not exist is not watched. Watching it twice is
        /// watching it once. Where it cannot be watched (there are too many watches already, or this
        /// user cannot read it) each wait is a short one.
        pub(crate) fn add(&self, dir: &Path) -> Option<i32> {
            let changes = WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE
                | WatchFlags::MODIFY
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            let added = inotify::add_watch(self.inotify.as_ref()?, dir, changes);
            let none = [rustix::io::Errno::NOENT, rustix::io::Errno::NOTDIR];
            if added.is_err_and(|err| !none.contains(&err)) {
                self.is_blind.set(true);
            }
            added.ok()
        }

        /// Watches all directories above one: where another name is given to one of them, nothing happens in the
        /// directory itself.
        pub(crate) fn add_above(&self, dir: &Path) -> Vec<i32> {
            let moves = WatchFlags::MOVE_SELF | WatchFlags::MASK_ADD | WatchFlags::ONLYDIR;
            let add = |dir| inotify::add_watch(self.inotify.as_ref()?, dir, moves).ok();
            dir.ancestors().skip(1).filter_map(add).collect()
        }

        /// Tells whether whatever happens in a directory, and in those that were added, is told.
        pub(crate) fn sees(&self, dir: &Path) -> bool {
            // Its width is another on each processor.
            #[allow(clippy::useless_conversion)]
            let kind = rustix::fs::statfs(dir).ok().map(|fs| i64::from(fs.f_type));
            let is_local = kind.is_some_and(|kind| LOCAL.contains(&kind));
            self.inotify.is_some() && !self.is_blind.get() && is_local
        }

        /// Waits until something has happened since the last wait, or until `until`; now and then
        /// also for no reason. Tells what has happened, to who does not look for itself.
        pub(crate) fn wait(
            &self,
            until: Option<Instant>,
            tell: &mut dyn FnMut(Happened<'_>),
        ) -> io::Result<()> {
            let most = match self.inotify.is_none() || self.is_blind.get() {
                true => PAUSE,
                false => LONGEST_WAIT,
            };
            self.wait_for(until, Some(most), tell)
        }

        /// As [`Watch::wait`], for as long as that at most.
        pub(crate) fn wait_for(
            &self,
            until: Option<Instant>,
            most: Option<Duration>,
            tell: &mut dyn FnMut(Happened<'_>),
        ) -> io::Result<()> {
            let Some(inotify) = &self.inotify else {
                sleep(until, most.unwrap_or(PAUSE));
                return Ok(());
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let longest = left.into_iter().chain(most).min();
            let timeout = longest.map(Timespec::try_from).transpose();
            let timeout = timeout.map_err(io::Error::other)?;
            let mut fds = [PollFd::new(inotify, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(()),
                Ok(_) => {}
                Err(err) => return Err(err.into()),
            }
            let mut events = [MaybeUninit::<u8>::uninit(); 4096];
            let mut reader = inotify::Reader::new(inotify, &mut events);
            // It ends where there is none any more, or others make more of them all the time.
            for _ in 0..MOST_AT_ONCE {
                let Ok(event) = reader.next() else {
                    break;
                };
                tell(Happened {
                    dir: event.wd(),
                    name: event.file_name().map_or(b"", CStr::to_bytes),
                });
            }
            Ok(())
        }
    }
}

/// Nothing tells of changes: kqueue(2) wants each directory opened, and says nothing of what is written in
/// the files there, which is how a list and the log of SQLite change.
#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(crate) fn new() -> Self {
        Self {}
    }

    pub(crate) fn add(&self, _dir: &Path) -> Option<i32> {
        None
    }

    pub(crate) fn add_above(&self, _dir: &Path) -> Vec<i32> {
        Vec::new()
    }

    pub(crate) fn sees(&self, _dir: &Path) -> bool {
        false
    }

    pub(crate) fn wait(
        &self,
        until: Option<Instant>,
        tell: &mut dyn FnMut(Happened<'_>),
    ) -> io::Result<()> {
        self.wait_for(until, None, tell)
    }

    pub(crate) fn wait_for(
        &self,
        until: Option<Instant>,
        most: Option<Duration>,
        _tell: &mut dyn FnMut(Happened<'_>),
    ) -> io::Result<()> {
        sleep(until, most.unwrap_or(PAUSE));
        Ok(())
    }
}

/// Waits where nothing tells of changes: the caller looks again now and then.
fn sleep(until: Option<Instant>, most: Duration) {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    std::thread::sleep(left.unwrap_or(most).min(most));
}
