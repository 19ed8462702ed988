//! Connections to sockets of the file system.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

const PAUSE: Duration = Duration::from_millis(10);

/// Connects, and waits for room in the socket's queue for at most so long: connect(2) by itself would wait
/// for as long as whoever listens takes nobody in.
///
/// # Errors
///
/// [`io::ErrorKind::WouldBlock`] where there was no room.
pub(crate) fn connect_unix(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let begun = Instant::now();
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    loop {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
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
