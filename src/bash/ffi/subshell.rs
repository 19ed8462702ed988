//! The program in a subshell, such as the one of `kv … &`.

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::io::Write as _;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::unistd::{Pid, getpid};

use super::{Words, texts};
use crate::os::RawStderr;

unsafe extern "C" {
    static last_made_pid: c_int;
    static subshell_environment: c_int;
    static executing_builtin: c_int;
    static variable_context: c_int;
    static job_control: c_int;
    static export_env: *const *const c_char;

    fn maybe_make_export_env();
    fn pthread_atfork(
        before: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
    fn execve(
        path: *const c_char,
        args: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int;
}

const SUBSHELL_ASYNC: c_int = 0x01;
/// It was made for one simple command.
const SUBSHELL_FORK: c_int = 0x08;

/// How many builtins and functions bash was in when it made this process.
static BUILTINS: AtomicI32 = AtomicI32::new(0);
static FUNCTIONS: AtomicI32 = AtomicI32::new(0);

/// Lets each subshell know where it began.
pub(super) fn notice_forks() {
    static IS_NOTICED: Once = Once::new();
    // SAFETY: the function stores two numbers.
    IS_NOTICED.call_once(|| _ = unsafe { pthread_atfork(None, None, Some(note_fork)) });
}

extern "C" fn note_fork() {
    // SAFETY: they are numbers of the only thread.
    unsafe {
        BUILTINS.store(executing_builtin, Ordering::Relaxed);
        FUNCTIONS.store(variable_context, Ordering::Relaxed);
    }
}

/// Tells whether bash has made this process for the builtin alone and in the background, and not for a
/// function or a command that has come to it.
pub(super) fn is_for_this() -> bool {
    // SAFETY: they are numbers of the only thread.
    unsafe {
        let is_background = subshell_environment & (SUBSHELL_ASYNC | SUBSHELL_FORK);
        is_background == SUBSHELL_ASYNC | SUBSHELL_FORK
            && executing_builtin == BUILTINS.load(Ordering::Relaxed) + 1
            && variable_context == FUNCTIONS.load(Ordering::Relaxed)
    }
}

/// Lets this process become the program, as bash does for a program in the background: `$!` is it then.
///
/// # Safety
///
/// The path is a C string, and the words are a list of bash's.
pub(super) unsafe fn exec(path: *const c_char, words: *const Words) -> c_int {
    // SAFETY: as the caller promises; the arguments end with null.
    unsafe {
        if job_control == 0 {
            for signal in [Signal::SIGINT, Signal::SIGQUIT] {
                change(signal, |_| Some(SigHandler::SigIgn));
            }
        }
        maybe_make_export_env();
        let args = std::iter::once(path).chain(texts(words));
        let args: Vec<_> = args.chain([ptr::null()]).collect();
        execve(path, args.as_ptr(), export_env);
        let why = io::Error::last_os_error();
        let shown = CStr::from_ptr(path).to_string_lossy();
        _ = writeln!(RawStderr, "kv: cannot run `{shown}`: {why}");
        match why.kind() {
            io::ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
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

/// Lets signals that would end this subshell reach the program: of `f &`, where the
/// function comes to it, `$!` is the subshell. Those for which there is a trap, or which are ignored, are the shell's.
pub(super) fn pass_signals_on() -> bool {
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
pub(super) fn end_passing_on() {
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
