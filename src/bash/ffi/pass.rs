//! Signals that a subshell of bash passes on to the program that it waits for.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::unistd::{Pid, getpid};

unsafe extern "C" {
    static last_made_pid: c_int;
}

/// Sent to whoever `$!` names, and meant for the program.
const SIGNALS: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];
/// The signal that has come, and the child that bash had made last before the program.
static CAME: AtomicI32 = AtomicI32::new(0);
static OLDER: AtomicI32 = AtomicI32::new(0);

/// Lets signals that would end this subshell reach the program: of `kv lock … &`, `$!` is the subshell that
/// bash makes for a builtin. Those for which there is a trap, or which are ignored, are the shell's.
pub(super) fn begin() -> bool {
    let older = unsafe { ptr::read_volatile(&raw const last_made_pid) };
    OLDER.store(older, Ordering::Relaxed);
    CAME.store(0, Ordering::Relaxed);
    for signal in SIGNALS {
        let handler = SigHandler::Handler(pass_on);
        change(signal, |was| {
            matches!(was, SigHandler::SigDfl).then_some(handler)
        });
    }
    true
}

extern "C" fn pass_on(signal: c_int) {
    CAME.store(signal, Ordering::Relaxed);
    // SAFETY: a number, that bash has written before the child could have got a signal.
    let child = unsafe { ptr::read_volatile(&raw const last_made_pid) };
    let is_child = child > 0 && child != OLDER.load(Ordering::Relaxed);
    // The child itself, before it is the program, has this function too.
    if let Ok(signal) = Signal::try_from(signal)
        && is_child
        && child != getpid().as_raw()
    {
        _ = kill(Pid::from_raw(child), signal);
    }
}

/// Ends the subshell by the signal that has come, as would have been without the program.
pub(super) fn end() {
    for signal in SIGNALS {
        let ours: extern "C" fn(c_int) = pass_on;
        let is_ours = |was| matches!(was, SigHandler::Handler(was) if ptr::fn_addr_eq(was, ours));
        change(signal, |was| is_ours(was).then_some(SigHandler::SigDfl));
    }
    if let Ok(signal) = Signal::try_from(CAME.load(Ordering::Relaxed)) {
        _ = raise(signal);
    }
}

/// Sets what a signal does to what `next` says of what it did, if anything.
fn change(signal: Signal, next: impl FnOnce(SigHandler) -> Option<SigHandler>) {
    let action = |handler| SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler stores a number and sends a signal; bash's own goes back as it was.
    unsafe {
        let Ok(was) = sigaction(signal, &action(SigHandler::SigIgn)) else {
            return;
        };
        let next = next(was.handler()).map_or(was, action);
        _ = sigaction(signal, &next);
    }
}
