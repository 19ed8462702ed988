//! The three descriptors that a program is started with.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output was open when the program began. The standard library opens /dev/null
/// in the place of a closed one before `main`, and then a value would vanish without an error.
static STDOUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before the standard library starts.
extern "C" fn look_at_stdout() {
    // SAFETY: asking for the flags of a descriptor by its number has no other effect, and the
    // borrow ends with the call.
    #[allow(unsafe_code)]
    let stdout = unsafe { std::os::fd::BorrowedFd::borrow_raw(1) };
    STDOUT_IS_CLOSED.store(rustix::io::fcntl_getfd(stdout).is_err(), Ordering::Relaxed);
}

// SAFETY: an entry of this section is called once, before `main`, and takes no arguments that it
// would need; the function uses nothing that the standard library would have to set up.
#[allow(unsafe_code)]
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_STDOUT: extern "C" fn() = look_at_stdout;

/// Standard output without a buffer and without the standard library's tolerance of a closed one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStdout;

impl Write for RawStdout {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if STDOUT_IS_CLOSED.load(Ordering::Relaxed) {
            return Err(rustix::io::Errno::BADF.into());
        }
        Ok(rustix::io::write(rustix::stdio::stdout(), buf)?)
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
}

/// Tells whether standard input is closed or /dev/null, so that nothing can come from it.
pub(crate) fn stdin_is_null() -> bool {
    // A closed descriptor cannot be told from the other: the standard library puts /dev/null in its
    // place.
    match (
        rustix::fs::fstat(rustix::stdio::stdin()),
        rustix::fs::stat("/dev/null"),
    ) {
        (Ok(stdin), Ok(null)) => stdin.st_rdev == null.st_rdev && stdin.st_rdev != 0,
        // Of what cannot be looked at, reading it tells.
        _ => false,
    }
}
