//! What becomes of a process that writes to a file, as far as the kernel tells (proc(5), and
//! PIDFD_GET_INFO in pidfd_open(2)).

/// A process that has written, so that its end can be told from any other's.
#[derive(Debug)]
pub(crate) struct Writer {
    thread: u32,
    #[cfg(target_os = "linux")]
    process: Option<linux::Process>,
}

impl Writer {
    /// Remembers the process of a thread.
    pub(crate) fn of(thread: u32) -> Self {
        Self {
            thread,
            #[cfg(target_os = "linux")]
            process: linux::Process::of(thread),
        }
    }

    /// Tells whether it is the process of this thread.
    pub(crate) fn is(&self, thread: u32) -> bool {
        self.thread == thread
    }
}

#[cfg(target_os = "linux")]
impl Writer {
    /// Counts the descriptors by which the process has a file of this device and number open for
    /// writing. Its path would not do: that is another where the file was looked up anew, in another
    /// root, or by another place where the same is mounted.
    pub(crate) fn count_open(&self, device: u64, number: u64) -> usize {
        let thread = self.thread;
        linux::in_time(move || linux::count_open(thread, device, number)).unwrap_or(0)
    }

    /// Tells whether another is of the same process.
    pub(crate) fn is_with(&self, other: &Self) -> bool {
        let process = |writer: &Self| Some(writer.process.as_ref()?.number);
        let is_same = process(self).is_some_and(|number| process(other) == Some(number));
        self.thread == other.thread || is_same
    }
}

/// Tells whether a file is being closed because a signal has killed a process. `closer` is the thread
/// that closes it. Since Linux 6.2 that is one of the kernel's own where a process has ended, and then
/// the end of the last that has written to it counts, and of the one that has opened the file.
#[cfg(target_os = "linux")]
pub(crate) fn is_killed(opener: Option<&Writer>, writer: Option<&Writer>, closer: u32) -> bool {
    if !linux::is_kernel(closer) {
        let is_killed = move || {
            linux::has_nothing_open(closer)
                && linux::look(closer).is_some_and(|noted| noted.is_killed())
        };
        return linux::in_time(is_killed).unwrap_or(false);
    }
    let end = |writer: &Writer| writer.process.as_ref()?.is_killed();
    // The writer first: who has begun it may wait for it, and then nobody can ask any more how it ended.
    let mut ends = [writer, opener].into_iter().flatten().filter_map(end);
    ends.any(|is_killed| is_killed)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, makedev, statx};
    use rustix::ioctl::{Updater, ioctl, opcode};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    /// Of an exit code, the signal.
    const SIGNAL: i64 = 0x7f;

    /// The kernel closes the files of a process a moment before it can be told how that ended.
    const MOMENT: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };

    /// What is known of a process is known within this time, unless it goes on to another program
    /// just now: the kernel tells nothing of it until that has begun, which does not happen before
    /// its files are closed.
    const IN_TIME: Duration = Duration::from_millis(200);

    /// Asks the kernel about a process; `None` where it does not answer.
    pub(super) fn in_time<T: Send + 'static>(
        ask: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, answer) = mpsc::channel();
        let asker = std::thread::Builder::new().spawn(move || _ = sender.send(ask()));
        asker.ok()?;
        answer.recv_timeout(IN_TIME).ok()
    }

    /// What the kernel notes of a thread.
    pub(super) struct Noted {
        is_ending: bool,
        code: i64,
    }

    impl Noted {
        pub(super) fn is_killed(&self) -> bool {
            self.is_ending && self.code & SIGNAL != 0
        }
    }

    /// Looks at a process that is at its end.
    pub(super) fn look(process: u32) -> Option<Noted> {
        const EXITING: u64 = 0x4;

        let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
        // The name of the program stands in brackets and can hold anything.
        let behind = memchr::memrchr(b')', &stat)? + 1;
        let text = String::from_utf8_lossy(&stat[behind..]);
        let mut fields = text.split_ascii_whitespace();
        let flags: u64 = fields.nth(6)?.parse().ok()?;
        let code = fields.nth(42)?.parse().ok()?;
        Some(Noted {
            is_ending: flags & EXITING != 0,
            code,
        })
    }

    /// Tells whether a thread is the kernel's own, which are hidden from a container.
    pub(super) fn is_kernel(thread: u32) -> bool {
        let name = std::fs::read(format!("/proc/{thread}/comm"));
        name.map_or(true, |name| name.starts_with(b"kworker/"))
    }

    /// Tells whether a process has no file open, as when it ends.
    pub(super) fn has_nothing_open(process: u32) -> bool {
        let open = std::fs::read_dir(format!("/proc/{process}/fd"));
        open.is_ok_and(|mut open| open.next().is_none())
    }

    /// More descriptors than this are not looked at.
    const MANY: usize = 256;

    /// Counts how often a process has a file open for writing, without asking who keeps the file.
    pub(super) fn count_open(process: u32, device: u64, number: u64) -> usize {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{process}/fd")) else {
            return 0;
        };
        let writes = |number: &std::ffi::OsStr| {
            let info = format!("/proc/{process}/fdinfo/{}", number.display());
            let info = std::fs::read_to_string(info).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            // In octal digits; the last one has the mode of access.
            flags.is_some_and(|flags| flags.ends_with(['1', '2']))
        };
        let open = descriptors.take(MANY).flatten().filter(|fd| {
            let told = statx(CWD, fd.path(), AtFlags::STATX_DONT_SYNC, StatxFlags::INO);
            let is = |told: Statx| told.stx_ino == number && device_of(&told) == device;
            told.is_ok_and(is) && writes(&fd.file_name())
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

        /// Tells whether a signal has killed it; `None` if it lives.
        pub(super) fn is_killed(&self) -> Option<bool> {
            let mut end = [PollFd::new(&self.handle, PollFlags::IN)];
            if !poll(&mut end, Some(&MOMENT)).is_ok_and(|ended| ended > 0) {
                return None;
            }
            if let Some(code) = self.exit_code() {
                return Some(i64::from(code) & SIGNAL != 0);
            }
            // Nobody has waited for it yet, and so the number is its own still.
            let noted = look(self.number).filter(|noted| noted.is_ending)?;
            Some(noted.is_killed())
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
}

#[cfg(not(target_os = "linux"))]
impl Writer {
    /// Counts the descriptors by which the process has a file open for writing.
    pub(crate) fn count_open(&self, _device: u64, _number: u64) -> usize {
        0
    }

    /// Tells whether another is of the same process.
    pub(crate) fn is_with(&self, other: &Self) -> bool {
        self.thread == other.thread
    }
}

/// Tells whether a file is being closed because a signal has killed a process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_killed(_opener: Option<&Writer>, _writer: Option<&Writer>, _closer: u32) -> bool {
    false
}
