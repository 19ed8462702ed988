//! What a service manager hands to a service (sd_listen_fds(3), sd_notify(3)).

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Returns the socket that the service manager listens on in our place; `None` where there is none.
/// It is handed out once.
///
/// # Errors
///
/// Where the variables that tell of it are wrong, or there is more than one.
pub(crate) fn inherited_socket() -> io::Result<Option<OwnedFd>> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);

    let mut sockets = sd_notify::listen_fds()?;
    let count = sockets.len();
    let Some(fd) = sockets.next() else {
        return Ok(None);
    };
    if count > 1 {
        let error = format!("the service manager has given {count} sockets, and one is served");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(None);
    }
    #[allow(unsafe_code, reason = "std has no other way from a number to a socket")]
    // SAFETY: by LISTEN_PID the descriptor was opened for this process, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Some(socket))
}

/// Tells the service manager, if there is one, that requests are taken in.
pub(crate) fn tell_ready() {
    // One that cannot be told notices by itself that it was not.
    _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
}
