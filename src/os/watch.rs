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

#[cfg(target_os = "linux")]
mod linux {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    use super::{Cell, Instant, LONGEST_WAIT, PAUSE, Path, Watch, io, sleep};

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
        pub(crate) fn add(&self, dir: &Path) {
            let changes = WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE
                | WatchFlags::MODIFY
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            let Some(inotify) = &self.inotify else {
                return;
            };
            match inotify::add_watch(inotify, dir, changes) {
                Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(_) => self.is_blind.set(true),
            }
        }

        /// Waits until something has happened since the last wait, or until `until`; now and then
        /// also for no reason.
        pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<()> {
            let Some(inotify) = &self.inotify else {
                sleep(until);
                return Ok(());
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let most = if self.is_blind.get() {
                PAUSE
            } else {
                LONGEST_WAIT
            };
            let longest = left.unwrap_or(most).min(most);
            let timeout = Timespec::try_from(longest).map_err(io::Error::other)?;
            let mut fds = [PollFd::new(inotify, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
            // What happened does not matter, only that it did: the caller looks for itself.
            let mut events = [0_u8; 4096];
            while rustix::io::read(inotify, &mut events).is_ok_and(|n| n > 0) {}
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

    pub(crate) fn add(&self, _dir: &Path) {}

    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<()> {
        sleep(until);
        Ok(())
    }
}

/// Waits where nothing tells of changes: the caller looks again now and then.
fn sleep(until: Option<Instant>) {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    std::thread::sleep(left.unwrap_or(PAUSE).min(PAUSE));
}
