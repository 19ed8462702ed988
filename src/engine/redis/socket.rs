//! A connection to one server.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use redis::{Client, Connection, ConnectionAddr, IntoConnectionInfo as _, RedisError};

use crate::store::RedisLocation;

use super::resp::{Reply, write_command};

/// A connection that is logged in and has the right database.
pub(super) struct Socket {
    connection: Connection,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Socket")
    }
}

impl Socket {
    /// Connects to a server, and waits that long at most for each of its answers.
    pub(super) fn connect(
        place: &RedisLocation,
        address: &str,
        limit: Duration,
    ) -> io::Result<Self> {
        let limit = limit.max(Duration::from_millis(1));
        let client = Client::open(place_of(place, address)?).map_err(io_error)?;
        let connection = client
            .get_connection_with_timeout(limit)
            .map_err(io_error)?;
        let mut socket = Self { connection };
        socket.limit(limit)?;
        let mut bytes = Vec::new();
        let mut greetings = 0;
        // The client would wait for these without limit.
        if let Some(password) = &place.password {
            match &place.user {
                Some(user) => write_command(&mut bytes, &["AUTH", user, password]),
                None => write_command(&mut bytes, &["AUTH", password]),
            }
            greetings += 1;
        }
        if place.database != 0 {
            write_command(&mut bytes, &["SELECT", &place.database.to_string()]);
            greetings += 1;
        }
        if greetings > 0 {
            socket.send(&bytes)?;
        }
        for _ in 0..greetings {
            if let Reply::Error(text) = socket.receive()? {
                let text = match text.contains("cluster mode") {
                    true => "a cluster has no database but 0".to_owned(),
                    false => text,
                };
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(socket)
    }

    /// Sets for how long to wait for bytes to come or go.
    pub(super) fn limit(&self, limit: Duration) -> io::Result<()> {
        // Zero would be without limit.
        let limit = Some(limit.max(Duration::from_millis(1)));
        self.connection.set_read_timeout(limit).map_err(io_error)?;
        self.connection.set_write_timeout(limit).map_err(io_error)
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.send_packed_command(bytes).map_err(io_error)
    }

    /// Reads one answer. After an error the connection is of no more use.
    pub(super) fn receive(&mut self) -> io::Result<Reply> {
        let received = self.connection.recv_response();
        received.map(Reply::from).map_err(io_error)
    }

    /// Sends one command and returns what comes back.
    pub(super) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        self.send(&bytes)?;
        self.receive()
    }
}

/// Says where a server is, as the client takes it.
fn place_of(place: &RedisLocation, address: &str) -> io::Result<redis::ConnectionInfo> {
    let parts = address.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or_else(|| io::Error::other("the address has no port"))?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let addr = if place.tls {
        // A second time it is there already.
        _ = rustls::crypto::ring::default_provider().install_default();
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let info = addr.into_connection_info().map_err(io_error)?;
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp))
}

/// Says of a wait that was too long what it is, which the system calls "temporarily unavailable".
fn io_error(err: RedisError) -> io::Error {
    if err.is_timeout() {
        return io::Error::new(io::ErrorKind::TimedOut, "it does not answer");
    }
    match err
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
    {
        Some(io) => match io.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(io.kind(), io.to_string()),
        },
        None => io::Error::new(io::ErrorKind::InvalidData, err.to_string()),
    }
}
