//! What becomes of a process that has opened a file to write, as far as the kernel tells (proc(5), and
//! PIDFD_GET_INFO in pidfd_open(2)).

use std::sync::Arc;

use rustix::fs::OFlags;

/// A file by its device and number, and how it is open: what is open in another way is another opening.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only Linux tells")
)]
pub(crate) struct Opened {
    pub(crate) device: u64,
    pub(crate) number: u64,
    pub(crate) flags: OFlags,
}

/// A process that has opened a file to write, so that its end can be told from any other's.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The thread that has opened it, or its process.
    number: u32,
    #[cfg(target_os = "linux")]
    process: Option<linux::Process>,
}

/// How a file that is open is closed.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only Linux tells")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// Who closes it has it open, or who has opened it.
    InPart,
    /// By a process that goes on.
    ByHand,
    /// As a process ends.
    AtEnd,
    /// As a process ends, and a signal has killed the one that has opened it.
    Killed,
}

impl Writer {
    /// Remembers the process of a thread.
    pub(crate) fn of(thread: u32) -> Self {
        #[cfg(target_os = "linux")]
        let process = linux::Process::of(thread);
        Self {
            #[cfg(target_os = "linux")]
            number: process.as_ref().map_or(thread, |is| is.number),
            #[cfg(not(target_os = "linux"))]
            number: thread,
            #[cfg(target_os = "linux")]
            process,
        }
    }

    /// Tells whether it is the process of this number.
    pub(crate) fn is(&self, process: u32) -> bool {
        self.number == process
    }

    /// Tells whether another is of the same process.
    pub(crate) fn is_with(&self, other: &Self) -> bool {
        self.number == other.number
    }

    /// Counts the descriptors by which it has a file open so. Its path would not do: that is another
    /// where the file was looked up anew, in another root, or by another place where the same is mounted.
    pub(crate) fn count_open(&self, file: Opened) -> usize {
        #[cfg(target_os = "linux")]
        {
            let process = self.number;
            let counted = linux::in_time(move || linux::count_open(process, file));
            counted.unwrap_or(0)
        }
        #[cfg(not(target_os = "linux"))]
        {
            _ = file;
            0
        }
    }
}

/// Tells how a thread closes a file, which this process has opened. `others` tells how many descriptors of
/// other openings of it a process has at most. Since Linux 6.2 it is a
/// thread of the kernel that closes it where a process has ended.
#[cfg(target_os = "linux")]
pub(crate) fn closing(
    opener: &Arc<Writer>,
    closer: u32,
    file: Opened,
    others: impl Fn(u32) -> usize + Send + 'static,
) -> Closing {
    let opener = Arc::clone(opener);
    let look = move || {
        // Counted first: what is opened meanwhile is another.
        let has = |process: u32| linux::count_open(process, file) > others(process);
        if has(opener.number) {
            return Closing::InPart;
        }
        match linux::is_kernel(closer) || linux::is_ending(closer) {
            true if opener.process.as_ref().is_some_and(|is| is.was_killed()) => Closing::Killed,
            true => Closing::AtEnd,
            false if has(closer) => Closing::InPart,
            false => Closing::ByHand,
        }
    };
    linux::in_time(look).unwrap_or(Closing::ByHand)
}

/// Tells how a file is closed.
#[cfg(not(target_os = "linux"))]
pub(crate) fn closing(_: &Arc<Writer>, _: u32, _: Opened, _: impl Fn(u32) -> usize) -> Closing {
    Closing::ByHand
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::{Duration, Instant};

    use rustix::fs::{AtFlags, CWD, OFlags, Statx, StatxFlags, makedev, statx};
    use rustix::ioctl::{Updater, ioctl, opcode};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::Opened;

    /// Of an exit code, the signal.
    const SIGNAL: i64 = 0x7f;

    /// What is known of a process is known within this time, unless it goes on to another program
    /// just now: the kernel tells nothing of it until that has begun, which does not happen before
    /// its files are closed.
    const IN_TIME: Duration = Duration::from_millis(200);
    /// Where the machine is busy it may take longer until the thread that asks has run.
    const AT_MOST: Duration = Duration::from_secs(10);

    /// Asks the kernel about a process; `None` where it does not answer.
    pub(super) fn in_time<T: Send + 'static>(
        ask: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (begin, begun) = mpsc::channel();
        let (sender, answer) = mpsc::channel();
        let asker = std::thread::Builder::new().spawn(move || {
            // Of this thread, from its process on.
            _ = begin.send(std::fs::read_link("/proc/thread-self"));
            _ = sender.send(ask());
        });
        asker.ok()?;
        let began = Instant::now();
        let mut thread = None;
        loop {
            match answer.recv_timeout(IN_TIME) {
                Err(RecvTimeoutError::Timeout) if began.elapsed() < AT_MOST => {}
                told => return told.ok(),
            }
            thread = thread.or_else(|| begun.try_recv().ok()?.ok());
            if thread.as_deref().is_some_and(waits) {
                // It may have been told just now.
                return answer.try_recv().ok();
            }
        }
    }

    /// Tells whether a thread of this process waits in the kernel, however often one looks.
    fn waits(thread: &Path) -> bool {
        const LOOKS: usize = 5;
        const PAUSE: Duration = Duration::from_millis(5);

        let path = Path::new("/proc").join(thread).join("stat");
        let is_ready = || {
            std::thread::sleep(PAUSE);
            let stat = std::fs::read(&path).ok()?;
            let behind = memchr::memrchr(b')', &stat)? + 2;
            (stat.get(behind) == Some(&b'R')).then_some(())
        };
        (0..LOOKS).all(|_| is_ready().is_none())
    }

    /// Returns the exit code of a process that is at its end, which the kernel notes before it closes
    /// the files of it.
    fn code_at_end(process: u32) -> Option<i64> {
        const EXITING: u64 = 0x4;

        let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
        // The name of the program stands in brackets and can hold anything.
        let behind = memchr::memrchr(b')', &stat)? + 1;
        let text = String::from_utf8_lossy(&stat[behind..]);
        let mut fields = text.split_ascii_whitespace();
        let flags: u64 = fields.nth(6)?.parse().ok()?;
        let code = fields.nth(42)?.parse().ok()?;
        (flags & EXITING != 0).then_some(code)
    }

    pub(super) fn is_ending(process: u32) -> bool {
        code_at_end(process).is_some()
    }

    /// Tells whether a thread is the kernel's own, which are hidden from a container.
    pub(super) fn is_kernel(thread: u32) -> bool {
        let name = std::fs::read(format!("/proc/{thread}/comm"));
        name.map_or(true, |name| name.starts_with(b"kworker/"))
    }

    /// More descriptors than this are not looked at.
    const MANY: usize = 256;

    /// Counts how often a process has a file open so, without asking who keeps the file.
    pub(super) fn count_open(process: u32, file: Opened) -> usize {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
            return 0;
        };
        let is_so = |number: &std::ffi::OsStr| {
            let info = format!("/proc/{process}/fdinfo/{}", number.display());
            let info = std::fs::read_to_string(info).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
            let how = OFlags::RWMODE | OFlags::APPEND;
            flags.is_some_and(|flags| OFlags::from_bits_retain(flags) & how == file.flags)
        };
        let open = descriptors.take(MANY).flatten().filter(|fd| {
            let told = statx(CWD, fd.path(), AtFlags::STATX_DONT_SYNC, StatxFlags::INO);
            let is = |told: Statx| told.stx_ino == file.number && device_of(&told) == file.device;
            told.is_ok_and(is) && is_so(&fd.file_name())
        });
        open.count()
    }

    pub(super) fn device_of(told: &Statx) -> u64 {
        makedev(told.stx_dev_major, told.stx_dev_minor)
    }

    /// A process by what stays its own when its number is another's.
    #[derive(Debug)]
    pub(super) struct Process {
        pub(super) number: u32,
        handle: OwnedFd,
    }

    /// What is asked of a process that was waited for already, and the answer (linux/pidfd.h).
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        group: u64,
        numbers: [u32; 11],
        exit_code: i32,
    }

    impl Process {
        const EXIT: u64 = 1 << 3;

        pub(super) fn of(thread: u32) -> Option<Self> {
            let open = |number: u32| {
                let pid = Pid::from_raw(number.cast_signed())?;
                let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
                Some(Self { number, handle })
            };
            // Only the first thread of a process can be opened.
            open(thread).or_else(|| {
                let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
                let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
                open(line.trim().parse().ok()?)
            })
        }

        /// Tells whether a signal has killed it.
        pub(super) fn was_killed(&self) -> bool {
            let known = || self.exit_code().map(i64::from);
            // Before and after: its number is its own until somebody has waited for it.
            let code = known().or_else(|| code_at_end(self.number)).or_else(known);
            code.is_some_and(|code| code & SIGNAL != 0)
        }

        /// Returns how it ended; `None` if nobody has waited for it, or before Linux 6.15.
        fn exit_code(&self) -> Option<i32> {
            const OPCODE: rustix::ioctl::Opcode = opcode::read_write::<Info>(0xff, 11);
            let mut info = Info {
                mask: Self::EXIT,
                ..Info::default()
            };
            // SAFETY: the request reads and writes a structure of just this form, whose size is part
            // of its number.
            #[allow(unsafe_code)]
            unsafe {
                let request = Updater::<OPCODE, Info>::new(&mut info);
                ioctl(&self.handle, request).ok()?;
            }
            (info.mask & Self::EXIT != 0).then_some(info.exit_code)
        }
    }
    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn who_is_slow_is_waited_for_and_who_waits_is_not() {
            let began = Instant::now();
            let until = began + 3 * IN_TIME;
            let slow = in_time(move || while Instant::now() < until {});
            assert_eq!(slow, Some(()));
            let began = Instant::now();
            let waits = in_time(|| std::thread::sleep(AT_MOST));
            assert_eq!(waits, None);
            assert!(began.elapsed() < AT_MOST);
        }
    }
}
