//! Whether somebody wants the work to end that is being done for them.
//!
//! A program ends by the signal itself. In the process of a shell the shell handles it, and whoever waits
//! or reads has to ask.

use std::io;
use std::sync::OnceLock;

static ASK: OnceLock<fn() -> bool> = OnceLock::new();

/// Lets this function tell from now on.
#[cfg(feature = "bash-builtin")]
pub(crate) fn ask(ask: fn() -> bool) {
    ASK.get_or_init(|| ask);
}

/// Tells whether this is the process of a shell.
pub(crate) fn is_guest() -> bool {
    ASK.get().is_some()
}

/// Tells whether the work is to end.
pub(crate) fn is_wanted() -> bool {
    ASK.get().is_some_and(|ask| ask())
}

/// Fails where the work is to end. The error is not the one of a call that is to be made once more.
pub(crate) fn check() -> io::Result<()> {
    match is_wanted() {
        true => Err(io::Error::other("interrupted")),
        false => Ok(()),
    }
}
