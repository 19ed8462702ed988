//! Sockets that no program gets that is run, and that are not waited for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect};
use tokio::io::ReadBuf;

const PAUSE: Duration = Duration::from_millis(10);

/// Tells whether others can connect to a socket, as far as the system says (macOS does not).
pub(crate) fn is_listening(socket: impl AsFd) -> rustix::io::Result<bool> {
    #[cfg(not(target_vendor = "apple"))]
    return rustix::net::sockopt::socket_acceptconn(socket);
    #[cfg(target_vendor = "apple")]
    return rustix::net::getsockname(socket).map(|_| true);
}

/// Takes a connection in, if one is there.
pub(crate) fn accept(listening: impl AsFd) -> rustix::io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    return rustix::net::accept_with(listening, flags());
    #[cfg(target_vendor = "apple")]
    return set_up(rustix::net::accept(listening)?);
}

/// Reads what has come into the room that a buffer has left, of which nothing has to be made zero before.
#[allow(unsafe_code)]
pub(crate) fn read_into(socket: impl AsFd, buf: &mut ReadBuf<'_>) -> rustix::io::Result<usize> {
    // SAFETY: only the system writes there.
    let room = unsafe { buf.unfilled_mut() };
    let (come, _) = rustix::io::read(socket, room)?;
    let count = come.len();
    // SAFETY: so many bytes of it the system has written.
    unsafe { buf.assume_init(count) };
    buf.advance(count);
    Ok(count)
}

fn new(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    return rustix::net::socket_with(family, SocketType::STREAM, flags(), None);
    #[cfg(target_vendor = "apple")]
    return set_up(rustix::net::socket(family, SocketType::STREAM, None)?);
}

#[cfg(not(target_vendor = "apple"))]
fn flags() -> rustix::net::SocketFlags {
    rustix::net::SocketFlags::CLOEXEC | rustix::net::SocketFlags::NONBLOCK
}

/// Does in two steps what other systems do in one: a program that another thread starts in between has
/// the socket, too, and keeps the connection open for as long as it runs.
#[cfg(target_vendor = "apple")]
fn set_up(socket: OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Connects, and waits for room in the socket's queue for at most so long: connect(2) by itself would wait
/// for as long as whoever listens takes nobody in.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] where there was no room.
pub(crate) fn connect_unix(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let begun = Instant::now();
    let address = SocketAddrUnix::new(path)?;
    loop {
        let socket = new(AddressFamily::UNIX)?;
        match retry_on_intr(|| connect(&socket, &address)) {
            Err(Errno::AGAIN) if begun.elapsed() < patience => thread::sleep(PAUSE),
            connected => {
                connected?;
                let stream = UnixStream::from(socket);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
        }
    }
}
