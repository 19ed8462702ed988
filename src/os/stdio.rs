//! The three descriptors that a program is started with.
//!
//! An earlier program of a pipeline may have made one of them non-blocking, for all who share it.
//! That nothing can be read or written at the moment is no error then: it is waited for.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::interrupt;
use super::process::spawn_without_signals;

/// Whether standard output was closed when the program began: a value would vanish without an error
/// in what stands in its place.
static STDOUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether anything was written to standard output, by this process or by a program that it has started.
static STDOUT_IS_USED: AtomicBool = AtomicBool::new(false);

/// Opens /dev/null in the place of each of the three that is closed, and returns those. A file that is
/// opened later would have its number else, and be written to.
pub(super) fn open_all() -> Vec<OwnedFd> {
    let mut opened = Vec::new();
    STDOUT_IS_CLOSED.store(false, Ordering::Relaxed);
    for number in 0..3 {
        // SAFETY: asking for the flags of a descriptor by its number has no other effect, and the
        // borrow ends with the call.
        #[allow(unsafe_code)]
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if !matches!(rustix::io::fcntl_getfd(fd), Err(Errno::BADF)) {
            continue;
        }
        // The lowest number that is free is taken.
        let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty());
        match null {
            Ok(null) if null.as_raw_fd() == number => opened.push(null),
            _ => std::process::abort(),
        }
        if number == 1 {
            STDOUT_IS_CLOSED.store(true, Ordering::Relaxed);
        }
    }
    opened
}

/// Standard output without a buffer and without the standard library's tolerance of a closed one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStdout;

impl Write for RawStdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if STDOUT_IS_CLOSED.load(Ordering::Relaxed) {
            return Err(rustix::io::Errno::BADF.into());
        }
        STDOUT_IS_USED.store(true, Ordering::Relaxed);
        let stdout = rustix::stdio::stdout();
        in_turn(stdout, PollFlags::OUT, || rustix::io::write(stdout, buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RawStdout {
    /// Tells whether a person reads the output.
    pub(crate) fn is_terminal(self) -> bool {
        rustix::stdio::stdout().is_terminal()
    }

    /// Returns how many columns the terminal has; `None` where there is none, or it does not know.
    pub(crate) fn columns(self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }

    /// Returns how many rows the terminal has; 24 where it does not know.
    pub(crate) fn rows(self) -> usize {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
        match size.map_or(0, |size| usize::from(size.ws_row)) {
            0 => 24,
            rows => rows.max(2),
        }
    }
}

/// Notes that a program writes to standard output, too.
pub(crate) fn share_stdout() {
    STDOUT_IS_USED.store(true, Ordering::Relaxed);
}

/// Closes standard output, once, if anything was written to it: file systems such as NFS, a full quota or a mounted store
/// tell only then that it was not kept. Nothing can be printed any more.
///
/// # Errors
///
/// Those of close(2).
pub(crate) fn close_stdout() -> io::Result<()> {
    // A shell goes on to print.
    if interrupt::is_guest() || !STDOUT_IS_USED.swap(false, Ordering::Relaxed) {
        return Ok(());
    }
    STDOUT_IS_CLOSED.store(true, Ordering::Relaxed);
    Ok(nix::unistd::close(rustix::stdio::raw_stdout())?)
}

/// Closes standard output as [`close_stdout`] does, in a process that goes on: /dev/null takes its place, so that no file
/// that is opened later is written to by its number.
///
/// # Errors
///
/// Those of close(2).
pub(crate) fn replace_stdout() -> io::Result<()> {
    let closed = close_stdout();
    if STDOUT_IS_CLOSED.load(Ordering::Relaxed)
        && let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
        && null.as_raw_fd() == rustix::stdio::raw_stdout()
    {
        std::mem::forget(null);
    }
    closed
}

/// Ends the process with status 0 as soon as nobody can read its output any more: who waits for something to
/// print would notice it by printing.
pub(crate) fn end_when_unread() -> io::Result<()> {
    let wait = || {
        // What is asked for is nothing but what is told in any case: that it has no reader.
        let mut fds = [PollFd::from_borrowed_fd(
            rustix::stdio::stdout(),
            PollFlags::empty(),
        )];
        while poll(&mut fds, None) == Err(Errno::INTR) {}
        // Of a pipe and a terminal that is an error, and of a socket its end.
        let gone = PollFlags::ERR | PollFlags::HUP;
        if fds[0].revents().intersects(gone) {
            std::process::exit(0);
        }
    };
    spawn_without_signals(wait).map(drop)
}

/// Standard input without a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStdin;

impl Read for RawStdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let stdin = rustix::stdio::stdin();
        in_turn(stdin, PollFlags::IN, || rustix::io::read(stdin, &mut *buf))
    }
}

/// Standard error without a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStderr;

impl Write for RawStderr {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let stderr = rustix::stdio::stderr();
        in_turn(stderr, PollFlags::OUT, || rustix::io::write(stderr, buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells whether a line of up to PIPE_BUF bytes (pipe(7)) can be written to standard error at once.
pub(crate) fn stderr_has_room() -> bool {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::from_borrowed_fd(stderr, PollFlags::OUT)];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    !matches!(poll(&mut fds, Some(&now)), Ok(0))
}

/// Reads or writes once, as soon as the descriptor lets it, whatever signals come meanwhile.
fn in_turn(
    fd: BorrowedFd<'_>,
    when: PollFlags,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    loop {
        // A signal that came before the call does not end it.
        interrupt::check()?;
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match poll(&mut [PollFd::from_borrowed_fd(fd, when)], None) {
                Ok(_) => {}
                Err(Errno::INTR) => interrupt::check()?,
                Err(err) => return Err(err.into()),
            },
            done => return Ok(done?),
        }
    }
}

/// Tells whether a person has typed the command that this process is: a shell with job control gives each
/// a process group of its own, and what a script runs is in the script's.
pub(crate) fn is_typed() -> bool {
    let stderr = rustix::stdio::stderr();
    if !stderr.is_terminal() || interrupt::is_guest() {
        return false;
    }
    // Of a terminal that is another session's nothing more is known.
    let group = rustix::termios::tcgetpgrp(stderr);
    group.map_or(true, |group| group == rustix::process::getpid())
}

/// Tells whether standard input is closed or /dev/null, so that nothing can come from it.
pub(crate) fn stdin_is_null() -> bool {
    // In the place of a closed one is the other.
    match (
        rustix::fs::fstat(rustix::stdio::stdin()),
        rustix::fs::stat("/dev/null"),
    ) {
        (Ok(stdin), Ok(null)) => stdin.st_rdev == null.st_rdev && stdin.st_rdev != 0,
        // Of what cannot be looked at, reading it tells.
        _ => false,
    }
}
