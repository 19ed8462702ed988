//! Waiting until something happens in a directory, without looking again and again.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// On a network file system another machine's changes are not announced, so a waiter looks again
/// at least this often.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Directories that are watched for names that come, go or change (inotify(7)).
#[derive(Debug)]
pub(crate) struct Watch {
    #[cfg(target_os = "linux")]
    inotify: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    use super::{Instant, LONGEST_WAIT, Path, Watch, io};

    impl Watch {
        /// Watches nothing yet.
        pub(crate) fn new() -> io::Result<Self> {
            let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
            Ok(Self {
                inotify: inotify::init(flags)?,
            })
        }

        /// Watches a directory; one that does not exist is not watched. Watching it twice is
        /// watching it once.
        pub(crate) fn add(&self, dir: &Path) -> io::Result<()> {
            let changes = WatchFlags::CREATE
                | WatchFlags::MOVED_TO
                | WatchFlags::MOVED_FROM
                | WatchFlags::DELETE
                | WatchFlags::MODIFY
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            match inotify::add_watch(&self.inotify, dir, changes) {
                Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(()),
                Err(err) => Err(err.into()),
            }
        }

        /// Waits until something has happened since the last wait, or until `until`; now and then
        /// also for no reason.
        pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<()> {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let longest = left.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
            let timeout = Timespec::try_from(longest).map_err(io::Error::other)?;
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(err) => return Err(err.into()),
            }
            // What happened does not matter, only that it did: the caller looks for itself.
            let mut events = [0_u8; 4096];
            while rustix::io::read(&self.inotify, &mut events).is_ok_and(|n| n > 0) {}
            Ok(())
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) fn add(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<()> {
        let longest = LONGEST_WAIT.min(Duration::from_millis(100));
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        std::thread::sleep(left.unwrap_or(longest).min(longest));
        Ok(())
    }
}
