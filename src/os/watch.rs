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
    /// None where the system has no more of them to give (inotify(7), max_user_instances).
    #[cfg(target_os = "linux")]
    inotify: Option<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    use super::{Instant, LONGEST_WAIT, Path, Watch, io, sleep};

    impl Watch {
        /// Watches nothing yet.
        pub(crate) fn new() -> io::Result<Self> {
            let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
            match inotify::init(flags) {
                Ok(inotify) => Ok(Self {
                    inotify: Some(inotify),
                }),
                Err(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                    Ok(Self { inotify: None })
                }
                Err(err) => Err(err.into()),
            }
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
            let Some(inotify) = &self.inotify else {
                return Ok(());
            };
            match inotify::add_watch(inotify, dir, changes) {
                Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(()),
                Err(err) => Err(err.into()),
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
            let longest = left.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
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

#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) fn add(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<()> {
        sleep(until);
        Ok(())
    }
}

/// Waits where nothing tells of changes: the caller looks again now and then.
fn sleep(until: Option<Instant>) {
    const PAUSE: Duration = Duration::from_millis(100);
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    std::thread::sleep(left.unwrap_or(PAUSE).min(PAUSE));
}
