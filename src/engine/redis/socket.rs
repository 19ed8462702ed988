//! A connection to one server.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::engine::tls::{authorities, explain};
use crate::os::{self, interrupt};

use super::facts::Facts;
use super::location::RedisLocation;
use super::resp::{Reply, read_reply, write_command};

/// Who sends or takes fewer bytes than this in a second is given up as one who does nothing.
const SLOWEST: u64 = 64 * 1024;

/// A connection that is logged in and has the right database.
pub(super) struct Socket {
    stream: BufReader<Limited>,
    /// What is known of the server, where it was asked.
    pub(super) facts: Option<Facts>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

impl Socket {
    /// Connects to a server, and waits that long at most for each of its answers.
    pub(super) fn connect(
        location: &RedisLocation,
        address: &str,
        limit: Duration,
    ) -> io::Result<Self> {
        let mut socket = Self::reach(location, address, limit)?;
        if location.user.is_some() || location.password.is_some() {
            socket.log_in(location)?;
        }
        if location.database != 0 {
            let reply = socket.ask(&["SELECT", &location.database.to_string()])?;
            if let Reply::Error(text) = reply {
                let text = match text.contains("cluster mode") {
                    true => "a cluster has no database but 0".to_owned(),
                    false => format!("database {}: {text}", location.database),
                };
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(socket)
    }

    /// Says who it is. A user that needs no password takes any, the empty one too; and who has one is not
    /// to act as another.
    pub(super) fn log_in(&mut self, location: &RedisLocation) -> io::Result<()> {
        let password = location.password.as_deref().unwrap_or_default();
        let reply = match &location.user {
            Some(user) => self.ask(&["AUTH", user, password])?,
            None => self.ask(&["AUTH", password])?,
        };
        let Reply::Error(mut text) = reply else {
            return Ok(());
        };
        if let Some(user) = &location.user
            && password.is_empty()
        {
            text = format!("`{user}` needs a password, and KV_PASSWORD has none: {text}");
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }

    /// Connects, and says nothing yet.
    pub(super) fn reach(
        location: &RedisLocation,
        address: &str,
        limit: Duration,
    ) -> io::Result<Self> {
        let limit = limit.max(Duration::from_millis(1));
        let stream: Box<dyn Stream> = match address.contains('/') {
            true => Box::new(os::connect_unix(address.as_ref(), limit)?),
            false => {
                let tcp = connect_tcp(address, limit)?;
                match location.tls {
                    true => Box::new(tls(address, tcp)?),
                    false => Box::new(tcp),
                }
            }
        };
        let mut socket = Self {
            stream: BufReader::new(Limited {
                stream,
                // It has none yet.
                limit: Duration::ZERO,
                waited: Duration::ZERO,
                bytes: 0,
            }),
            facts: None,
        };
        socket.limit(limit)?;
        Ok(socket)
    }

    /// Sets for how long to wait for bytes to come or go.
    pub(super) fn limit(&mut self, limit: Duration) -> io::Result<()> {
        // Zero would be without limit.
        let limit = limit.max(Duration::from_millis(1));
        let limited = self.stream.get_mut();
        if limited.limit == limit {
            return Ok(());
        }
        limited.limit = limit;
        limited.stream.limit(limit)
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limited = self.stream.get_mut();
        limited.begin();
        limited.write_all(bytes)?;
        limited.flush()
    }

    /// Reads one answer. After an error the connection is of no more use.
    pub(super) fn receive(&mut self) -> io::Result<Reply> {
        self.stream.get_mut().begin();
        read_reply(&mut self.stream)
    }

    /// Tells whether something has come by then to be received, and receives none of it.
    pub(super) fn has_more(&mut self, limit: Duration) -> io::Result<bool> {
        self.limit(limit)?;
        self.stream.get_mut().begin();
        match self.stream.fill_buf() {
            Ok([]) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// Sends one command and returns what comes back.
    pub(super) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        self.send(&bytes)?;
        self.receive()
    }
}

/// What carries bytes.
trait Stream: Read + Write + Send {
    fn limit(&self, limit: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Stream for UnixStream {
    fn limit(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn limit(&self, limit: Duration) -> io::Result<()> {
        self.sock.limit(limit)
    }
}

/// A stream that is given up when nothing comes for the limit, and when too little does.
struct Limited {
    stream: Box<dyn Stream>,
    limit: Duration,
    /// For how long was waited for all that is under way.
    waited: Duration,
    /// What has come or gone of it.
    bytes: u64,
}

impl Limited {
    fn begin(&mut self) {
        self.waited = Duration::ZERO;
        self.bytes = 0;
    }

    /// Moves some bytes, and says of a wait that was too long what it is, which the system calls
    /// "temporarily unavailable".
    fn wait_for(
        &mut self,
        moves: impl FnOnce(&mut dyn Stream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let begun = Instant::now();
        let moved = moves(&mut *self.stream);
        // What is more is a time in which this process was stopped: an answer may be there by then.
        self.waited += begun.elapsed().min(self.limit);
        let is_over = match &moved {
            Ok(count) => {
                self.bytes += *count as u64;
                self.waited > self.limit + Duration::from_secs(self.bytes / SLOWEST)
            }
            Err(err) => err.kind() == io::ErrorKind::WouldBlock,
        };
        match moved {
            _ if is_over => Err(no_answer()),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {
                interrupt::check().and(Err(err))
            }
            Err(err) => Err(match err.get_ref().and_then(|err| err.downcast_ref()) {
                Some(fault) => io::Error::new(
                    io::ErrorKind::InvalidInput,
                    explain(fault, "redis:// instead of rediss://"),
                ),
                None => err,
            }),
            moved => moved,
        }
    }
}

/// Says that nothing came in time.
pub(super) fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}

impl Read for Limited {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.read(buf))
    }
}

impl Write for Limited {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.wait_for(|stream| stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Tells whether a fault stays, however often is asked.
pub(super) fn stays(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

/// Connects to the first address of a host that takes it.
fn connect_tcp(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("its name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(err) if err.kind() == io::ErrorKind::TimedOut => {
                failed = no_answer();
            }
            Err(err) => failed = err,
        }
    }
    Err(failed)
}

/// Speaks TLS on a connection; the first bytes that are sent are those of its handshake.
fn tls(address: &str, tcp: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connection = ClientConnection::new(tls_config()?, name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, tcp))
}

/// Returns what the system knows of authorities, which is read once.
fn tls_config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities()?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}
