//! How this process ends by a signal.

use std::io;

use nix::libc::{self, c_int};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{self, SignalKind};

/// Ends this process by the signal of this number, as a program that it ran has ended: a shell looks
/// for that to end a loop. It leaves no core; the program's own is the one worth having.
///
/// Returns where it cannot be: the first process of a container cannot kill itself.
pub(crate) fn die_of(signal: u8) {
    // A core may go to a program instead of a file; the limit says nothing about that.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    _ = setrlimit(Resource::Core, none);
    let signal = c_int::from(signal);
    // SAFETY: the set is initialized before it is read, no function of this program is made a handler,
    // and a signal that does not exist is an error that changes nothing.
    #[allow(unsafe_code)]
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::signal(signal, libc::SIG_DFL);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        libc::raise(signal);
    }
}

/// Lets TERM, INT, HUP and QUIT end this process if it is the first one of a container, where the
/// kernel drops what nobody has asked for.
pub(crate) fn end_as_init() -> io::Result<()> {
    if std::process::id() != 1 {
        return Ok(());
    }
    let ends = SigAction::new(SigHandler::Handler(end), SaFlags::empty(), SigSet::empty());
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        // SAFETY: `end` does nothing but what a handler may. No handler was set before: this is
        // called first of all.
        #[allow(unsafe_code)]
        unsafe {
            let before = sigaction(signal, &ends)?;
            if !matches!(before.handler(), SigHandler::SigDfl) {
                sigaction(signal, &before)?;
            }
        }
    }
    Ok(())
}

/// Begins to hear a signal. What [`end_as_init`] has set for it would still be called, and goes first.
pub(crate) fn hear(kind: SignalKind) -> io::Result<unix::Signal> {
    if std::process::id() == 1 {
        // SAFETY: no function is made a handler.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(kind.as_raw_value(), libc::SIG_DFL);
        }
    }
    unix::signal(kind)
}

/// Ends the process with the status that a shell shows for a death by this signal.
extern "C" fn end(signal: c_int) {
    // SAFETY: it is safe in a handler (signal-safety(7)).
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(128 + signal)
    }
}
