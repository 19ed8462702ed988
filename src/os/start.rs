//! The way into the program.
//!
//! The standard library's own way asks where the stack of the first thread ends, and for the answer
//! glibc reads /proc/self/maps, and musl tries page after page: a quarter of what a `get` costs. What
//! it is for is one line about a stack that overflowed; the kernel ends the process all the same, by
//! SIGSEGV instead of SIGABRT. The rest of what that way does is done here.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::mem;
use std::os::unix::ffi::OsStrExt as _;
use std::panic;

use nix::sys::signal::{SigHandler, Signal, signal};

use super::stdio;

/// Defines the function that the C library starts a program with, by one that is given its words and
/// returns its exit status.
#[doc(hidden)]
#[macro_export]
macro_rules! program {
    ($run:path) => {
        // SAFETY: no other function has this name: a program has one.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: ::std::ffi::c_int,
            words: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            // SAFETY: it is the C library that calls this, once and first of all.
            unsafe { ::kv::start(count, words, $run) }
        }
    };
}

/// Carries out a program as the standard library would: with three descriptors that are open, with
/// errors instead of SIGPIPE, and with status 101 where it panics.
///
/// # Safety
///
/// There are so many words, each of them ends with NUL and none of them changes; and nothing else has
/// been done in this process yet.
#[doc(hidden)]
#[allow(unsafe_code)]
pub unsafe fn start(
    count: c_int,
    words: *const *const c_char,
    run: fn(Vec<OsString>) -> u8,
) -> c_int {
    // They stay open as long as the process lives.
    mem::forget(stdio::open_all());
    // SAFETY: no function is made a handler. It cannot fail: there is such a signal.
    _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    let words = (0..usize::try_from(count).unwrap_or(0)).map(|n| {
        // SAFETY: as the caller promises.
        let word = unsafe { CStr::from_ptr(*words.add(n)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    });
    let words = words.collect();
    // The hook has said by then what happened.
    panic::catch_unwind(|| run(words)).map_or(101, c_int::from)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_ends_with_status_101() {
        // SAFETY: there are no words. What is done of the rest is done in a test already.
        #[allow(unsafe_code)]
        let status = unsafe { super::start(0, std::ptr::null(), |words| panic!("{words:?}")) };
        assert_eq!(status, 101);
    }
}
