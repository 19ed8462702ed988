//! Running a program on behalf of the user, as timeout(1) and flock(1) do.
//!
//! While a program runs, kv holds back the signals that concern it and takes them one at a time:
//! those that a supervisor would send are passed on; those that a terminal sends to the whole
//! process group have reached the program already.
//!
//! # What ends with kv
//!
//! When kv is killed with SIGKILL, the program that it runs must not go on without the lock. The
//! kernel does that for one process: the program itself, by its parent-death signal. What the program
//! has started in turn is out of reach, and these ways to reach it were weighed:
//!
//! * A process group of its own: the kernel kills no group when its leader's parent dies, so that
//!   somebody would have to live to do it, and that process can be killed as well. Ctrl-C would no
//!   longer reach the program, nor could it read from the terminal, unless kv did a shell's work.
//! * A child subreaper (PR_SET_CHILD_SUBREAPER) inherits orphans while it lives. It is when kv is
//!   dead that they would have to be killed.
//! * A pidfd names one process, which has to be known, and somebody has to live to use it.
//! * A PID namespace is killed as a whole with its first process, and takes root or a user namespace:
//!   the program would see other numbers, other users, and no setuid.
//! * A cgroup has `cgroup.kill`; it has to be delegated to the user, and somebody has to live to
//!   write to it.
//!
//! So the manual promises the program's end and no more, and where all that it leaves behind must
//! count, the lock itself is handed down: it is free when the last of them has ended (`--inherit`).

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask,
};
use nix::unistd::Pid;
use rustix::io::FdFlags;

/// Passed on to the program.
const FORWARDED: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// Those of them that mean kv as well, when the program has ended.
const ENDING: [Signal; 2] = [Signal::SIGTERM, Signal::SIGHUP];
/// Left to the program alone while it runs.
const LEFT: [Signal; 2] = [Signal::SIGINT, Signal::SIGQUIT];

/// Whether SIGXFSZ would have killed this process when it began.
static LIMIT_KILLED: AtomicBool = AtomicBool::new(false);

/// Lets a write beyond the limit for the size of files (RLIMIT_FSIZE) be an error, as one on a full
/// disk is, where the signal would kill this process. Programs are started as if nothing was changed.
pub(crate) fn survive_file_limit() {
    // Without it a write beyond the limit kills as before: nothing else depends on it.
    if let Ok(before) = set_action(Signal::SIGXFSZ, &plain(SigHandler::SigIgn)) {
        let killed = matches!(before.handler(), SigHandler::SigDfl);
        LIMIT_KILLED.store(killed, Ordering::Relaxed);
    }
}

/// Keeps the signals that concern a program from this process, from now until it is dropped.
#[derive(Debug)]
pub(crate) struct Supervisor {
    held: SigSet,
    original: SigSet,
    stopper: Stopper,
}

/// Asks for the end of the program that is waited for, from any thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopper(Arc<Wishes>);

#[derive(Debug, Default)]
struct Wishes {
    stop: AtomicBool,
    ended_by: AtomicU8,
}

impl Stopper {
    /// Has TERM sent to the program, unless it has ended.
    pub(crate) fn stop(&self) {
        self.0.stop.store(true, Ordering::SeqCst);
        // It wakes who waits for the program, and means nothing to anybody else. To signal the
        // program itself from here would be to signal a number that may be another's by now.
        _ = kill(Pid::this(), Signal::SIGCHLD);
    }
}

impl Supervisor {
    /// Holds the signals back. Threads that are made afterwards hold them back too.
    pub(crate) fn new() -> io::Result<Self> {
        // Who ignores SIGCHLD hands that on, and the end of a program would never be told.
        set_action(Signal::SIGCHLD, &plain(SigHandler::SigDfl))?;
        let mut held = SigSet::empty();
        held.extend(FORWARDED);
        held.extend(LEFT);
        held.add(Signal::SIGCHLD);
        let mut original = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&held), Some(&mut original))?;
        Ok(Self {
            held,
            original,
            stopper: Stopper::default(),
        })
    }

    /// Returns the signal by which somebody wanted kv to end while the program was waited for.
    pub(crate) fn ended_by(&self) -> Option<u8> {
        Some(self.stopper.0.ended_by.load(Ordering::SeqCst)).filter(|signal| *signal > 0)
    }

    /// Returns what ends the program before its time.
    pub(crate) fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Starts a program with the signal mask that kv was started with, and SIGPIPE at its default.
    /// With `dies_along` it is killed when this process dies, however that happens; where the
    /// system cannot do that (Linux and FreeBSD can) the program lives on.
    pub(crate) fn spawn(&self, command: &mut Command, dies_along: bool) -> io::Result<Child> {
        let original = self.original;
        let parent = std::process::id();
        let limit_kills = LIMIT_KILLED.load(Ordering::Relaxed);
        // SAFETY: between fork and exec only calls are made that are safe there (signal-safety(7)):
        // sigprocmask, sigaction, prctl, getppid and kill; nothing is allocated and no lock is taken.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || {
                sigprocmask(SigmaskHow::SIG_SETMASK, Some(&original), None)?;
                if limit_kills {
                    set_action(Signal::SIGXFSZ, &plain(SigHandler::SigDfl))?;
                }
                if dies_along {
                    die_along(parent)
                } else {
                    Ok(())
                }
            });
        }
        command.spawn()
    }

    /// As [`Supervisor::wait`], in a thread of its own, while this one has other work.
    pub(crate) fn wait_aside(&self, mut child: Child) -> io::Result<Waiter> {
        let (held, original, stopper) = (self.held, self.original, self.stopper.clone());
        let (sender, status) = mpsc::channel();
        let (until, dropped) = mpsc::channel::<()>();
        let thread = thread::Builder::new().spawn(move || {
            _ = sender.send(wait(&held, &stopper, &mut child));
            // What the program left in the background may keep its output open for long. From now
            // on a signal means kv, and this thread is the one that lets it in.
            _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&original), None);
            _ = dropped.recv();
        })?;
        Ok(Waiter {
            status,
            until: Some(until),
            thread: Some(thread),
        })
    }

    /// Waits for a program, and passes signals on to it meanwhile.
    pub(crate) fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        wait(&self.held, &self.stopper, child)
    }
}

/// Waits for a program in another thread, and lets signals in once it has ended.
#[derive(Debug)]
pub(crate) struct Waiter {
    status: Receiver<io::Result<ExitStatus>>,
    until: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waiter {
    /// Returns how the program ended. To be asked once.
    pub(crate) fn status(&self) -> io::Result<ExitStatus> {
        let gone = |_| Err(io::Error::other("nobody waits for it any more"));
        self.status.recv().unwrap_or_else(gone)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.until = None;
        // Where it lives on it would let signals in while the next program runs.
        _ = self.thread.take().map(JoinHandle::join);
    }
}

fn wait(held: &SigSet, stopper: &Stopper, child: &mut Child) -> io::Result<ExitStatus> {
    let pid = Pid::from_raw(child.id().cast_signed());
    loop {
        // Asked before each wait: SIGCHLD may stand for a change that was seen already.
        if let Some(status) = child.try_wait()? {
            discard_left()?;
            return Ok(status);
        }
        // It cannot be another process's number: the child has not been waited for.
        if stopper.0.stop.swap(false, Ordering::SeqCst) {
            _ = kill(pid, Signal::SIGTERM);
        }
        let signal = held.wait()?;
        if FORWARDED.contains(&signal) {
            _ = kill(pid, signal);
        }
        if ENDING.contains(&signal) {
            stopper.0.ended_by.store(signal as u8, Ordering::SeqCst);
        }
    }
}

/// Drops what the terminal has sent to the program and to kv alike, and which kv has not taken yet:
/// the program has answered it. A signal that is ignored for a moment is no longer pending.
fn discard_left() -> io::Result<()> {
    for signal in LEFT {
        let before = set_action(signal, &plain(SigHandler::SigIgn))?;
        set_action(signal, &before)?;
    }
    Ok(())
}

pub(super) fn plain(handler: SigHandler) -> SigAction {
    SigAction::new(handler, SaFlags::empty(), SigSet::empty())
}

/// Sets what a signal does, to one of the system's own actions, and returns what it did.
pub(super) fn set_action(signal: Signal, action: &SigAction) -> io::Result<SigAction> {
    // SAFETY: no function of this program is called, neither by the action set, nor by the one
    // before: the standard library handles none of the signals that are asked for here, and what
    // another program had as its action goes back as it was.
    #[allow(unsafe_code)]
    Ok(unsafe { sigaction(signal, action) }?)
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.original), None);
    }
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn die_along(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getpid, getppid, kill_process};

    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the call; then no signal comes. There is nobody left to whom an error
    // could be told.
    match getppid() {
        Some(pid) if pid.as_raw_nonzero().get().cast_unsigned() == parent => Ok(()),
        _ => Ok(kill_process(getpid(), Signal::KILL)?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn die_along(_parent: u32) -> io::Result<()> {
    Ok(())
}

/// Lets programs that are started from now on have a descriptor of this process, under its number.
pub(crate) fn hand_down(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?)
}

/// Goes on in a process of its own that has nothing of the caller's: another session, no
/// descriptor but /dev/null for the three standard ones. Returns true there, and false here. To be
/// called while there is one thread.
pub(crate) fn detach() -> io::Result<bool> {
    if !fork_alone()? {
        return Ok(false);
    }
    let_go_of_stdio()?;
    close_from(3, None);
    Ok(true)
}

/// Puts /dev/null in place of the three standard descriptors.
pub(super) fn let_go_of_stdio() -> io::Result<()> {
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Goes on in a second process, in a session of its own. Returns true there, and false here. To be
/// called while there is one thread.
pub(super) fn fork_alone() -> io::Result<bool> {
    // SAFETY: the process has one thread, as the callers promise, so the child may do anything.
    #[allow(unsafe_code)]
    let forked = unsafe { nix::unistd::fork() }?;
    if forked.is_parent() {
        return Ok(false);
    }
    nix::unistd::setsid()?;
    Ok(true)
}

/// Where the descriptors of this process are listed, all of them.
const DESCRIPTORS: &str = match () {
    () if cfg!(target_os = "linux") => "/proc/self/fd",
    () if cfg!(target_vendor = "apple") => "/dev/fd",
    // FreeBSD has the first three in /dev/fd, unless somebody mounts fdescfs(5).
    () => "",
};

/// Closes all descriptors from this number on but one.
pub(super) fn close_from(first: i32, but: Option<i32>) {
    let named =
        |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let open = std::fs::read_dir(DESCRIPTORS).map(|open| open.filter_map(named).collect());
    // Where nobody lists them, each is tried that there can be.
    let open: Vec<i32> = open.unwrap_or_else(|_| (first..end_of_descriptors(but)).collect());
    for number in open {
        if number >= first && Some(number) != but {
            // The process was forked a moment ago and uses none of them any more. The one that listed
            // the directory is closed already, which is no error here.
            _ = nix::unistd::close(number);
        }
    }
}

/// Returns a number from which on no descriptor is open.
#[cfg(not(target_os = "freebsd"))]
fn end_of_descriptors(_but: Option<i32>) -> i32 {
    // Where there is no limit nobody has more than that.
    const MOST: u64 = 1 << 16;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    i32::try_from(limit.unwrap_or(MOST).min(MOST)).unwrap_or(i32::MAX)
}

/// Closes all descriptors behind one, or behind the three standard ones, by closefrom(2), and returns where
/// it began.
#[cfg(target_os = "freebsd")]
fn end_of_descriptors(but: Option<i32>) -> i32 {
    let end = but.map_or(3, |but| but + 1);
    // SAFETY: the process was forked a moment ago and uses none of them any more.
    #[allow(unsafe_code)]
    unsafe {
        nix::libc::closefrom(end);
    }
    end
}

/// Counts the descriptors that this process has, where the system tells.
pub(crate) fn count_descriptors() -> Option<u64> {
    Some(std::fs::read_dir(DESCRIPTORS).ok()?.count() as u64)
}

/// Counts the threads of this process; 0 where the system does not tell (it is Linux that does).
pub(crate) fn count_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Starts a thread that no signal is delivered to. Any other thread would take signals from whoever
/// waits for them, and the end of a child would go unnoticed.
pub(crate) fn spawn_without_signals(
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    without_signals(|| thread::Builder::new().spawn(work))
}

/// Has a thread started that no signal is delivered to: it inherits what is blocked meanwhile.
pub(crate) fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let started = spawn();
    if let Ok(before) = before {
        _ = before.thread_set_mask();
    }
    started
}

/// Returns the name of this machine.
pub(crate) fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
