//! Where the service listens.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use crate::os;
use crate::os::flock::{self, Kind};
use crate::wire::http::Address;

/// How often, and after which pause, others are waited for who make a socket.
const TURN_TRIES: u32 = 200;
const TURN_PAUSE: Duration = Duration::from_millis(10);
/// How many may wait to be taken in, where the system allows that many. Where more come, Linux knows of
/// some no more than a cookie, and resets them when what they send comes out of turn.
const QUEUE: i32 = 4_096;

/// An address that is listened on. The file of a socket is removed with it.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    socket: Option<OwnedFd>,
    /// The device and the number of the socket's file, if it was made by us.
    made: Option<(u64, u64)>,
}

impl Listener {
    /// Binds an address. A unix socket is made for its user alone; one that nobody listens on any
    /// more is replaced. To be called while there is one thread.
    ///
    /// # Errors
    ///
    /// Where the address is in use, or not to be had.
    pub fn bind(address: Address) -> io::Result<Self> {
        match address {
            Address::Tcp(wanted) => {
                let socket = TcpListener::bind(wanted)?;
                rustix::net::listen(&socket, QUEUE)?;
                let address = Address::Tcp(socket.local_addr()?);
                Self::of(socket.into(), address, None)
            }
            Address::Unix(path) => {
                // Of several who find one that nobody listens on, one replaces it at a time.
                let _turn = turn(&path);
                remove_stale(&path)?;
                let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
                let socket = UnixListener::bind(&path);
                rustix::process::umask(mask);
                let socket = socket?;
                rustix::net::listen(&socket, QUEUE)?;
                let made = identity(&path);
                Self::of(socket.into(), Address::Unix(path), made)
            }
        }
    }

    fn of(socket: OwnedFd, address: Address, made: Option<(u64, u64)>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            address,
            socket: Some(socket),
            made,
        })
    }

    /// Takes a socket that somebody else listens on already, and who may come in there is theirs to
    /// say.
    ///
    /// # Errors
    ///
    /// Where it is no such socket.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        if !os::is_listening(&socket)? || socket_type(&socket)? != SocketType::STREAM {
            let error = "it is no listening stream socket: use `ListenStream=` and `Accept=no`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let tcp = TcpListener::from(socket);
        if let Ok(address) = tcp.local_addr() {
            return Self::of(tcp.into(), Address::Tcp(address), None);
        }
        let unix = UnixListener::from(OwnedFd::from(tcp));
        let path = unix.local_addr()?.as_pathname().map(Path::to_owned);
        let path = path.unwrap_or_else(|| PathBuf::from("(no name)"));
        Self::of(unix.into(), Address::Unix(path), None)
    }

    /// Returns the address, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the socket out. When it is closed, nobody can connect any more.
    pub(super) fn take_socket(&mut self) -> io::Result<OwnedFd> {
        let gone = || io::Error::other("the socket is closed");
        self.socket.take().ok_or_else(gone)
    }
}

/// Tells a file from another that has its name later.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Waits for others who make a socket in the same directory, which takes them a moment. Where the
/// directory cannot be locked, or others hold it for something else, it goes on without.
fn turn(path: &Path) -> Option<File> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let dir = File::open(parent.unwrap_or(Path::new("."))).ok()?;
    for _ in 0..TURN_TRIES {
        if flock::try_lock(&dir, Kind::Exclusive).unwrap_or(false) {
            return Some(dir);
        }
        thread::sleep(TURN_PAUSE);
    }
    None
}

/// Removes the socket of a service that was killed. What is no socket stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::other(
                "a file that is no socket is there already",
            ));
        }
        // It is told when the socket is made.
        Err(_) => return Ok(()),
    }
    match os::connect_unix(path, Duration::ZERO) {
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address
            && self.made.is_some()
            && self.made == identity(path)
        {
            _ = fs::remove_file(path);
        }
    }
}
