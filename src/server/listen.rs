//! Where the service listens.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of this machine.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// An address that is listened on. The file of a socket is removed with it.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    socket: Option<Socket>,
    /// Whether the file of the socket was made by us.
    made_file: bool,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
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
                socket.set_nonblocking(true)?;
                let address = Address::Tcp(socket.local_addr()?);
                let socket = Some(Socket::Tcp(socket));
                Ok(Self {
                    address,
                    socket,
                    made_file: false,
                })
            }
            Address::Unix(path) => {
                remove_stale(&path)?;
                let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
                let socket = UnixListener::bind(&path);
                rustix::process::umask(mask);
                let socket = socket?;
                socket.set_nonblocking(true)?;
                let address = Address::Unix(path);
                let socket = Some(Socket::Unix(socket));
                Ok(Self {
                    address,
                    socket,
                    made_file: true,
                })
            }
        }
    }

    /// Takes a socket that somebody else listens on already, and who may come in there is theirs to
    /// say.
    ///
    /// # Errors
    ///
    /// Where it is no such socket.
    pub fn adopt(socket: OwnedFd) -> io::Result<Self> {
        let tcp = TcpListener::from(socket);
        if let Ok(address) = tcp.local_addr() {
            tcp.set_nonblocking(true)?;
            return Ok(Self {
                address: Address::Tcp(address),
                socket: Some(Socket::Tcp(tcp)),
                made_file: false,
            });
        }
        let unix = UnixListener::from(OwnedFd::from(tcp));
        let address = unix.local_addr()?;
        unix.set_nonblocking(true)?;
        let path = address.as_pathname().unwrap_or(Path::new("(no name)"));
        Ok(Self {
            address: Address::Unix(path.to_owned()),
            socket: Some(Socket::Unix(unix)),
            made_file: false,
        })
    }

    /// Returns the address, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the socket out. When it is closed, nobody can connect any more.
    pub(super) fn take_socket(&mut self) -> io::Result<Socket> {
        let gone = || io::Error::other("the socket is closed");
        self.socket.take().ok_or_else(gone)
    }
}

/// Removes the socket of a service that was killed. What is no socket stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.address
            && self.made_file
        {
            _ = fs::remove_file(path);
        }
    }
}

/// Shows it as a client types it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
