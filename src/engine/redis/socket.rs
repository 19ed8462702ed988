//! A connection to one server.

use std::io::{self, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::store::RedisLocation;

use super::resp::{Reply, read_reply, write_command};

/// A connection that is logged in and has the right database.
#[derive(Debug)]
pub(super) struct Socket {
    stream: BufReader<TcpStream>,
}

impl Socket {
    /// Connects to a server, and waits that long at most for each of its answers.
    pub(super) fn connect(
        place: &RedisLocation,
        address: &str,
        limit: Duration,
    ) -> io::Result<Self> {
        if place.tls {
            let why = "this kv was built without TLS";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let stream = dial(address, limit)?;
        stream.set_nodelay(true)?;
        let mut socket = Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
        };
        socket.limit(limit)?;
        let mut bytes = Vec::new();
        let mut greetings = 0;
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
        self.stream.get_ref().set_read_timeout(limit)?;
        self.stream.get_ref().set_write_timeout(limit)
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes).map_err(named)
    }

    /// Reads one answer.
    pub(super) fn receive(&mut self) -> io::Result<Reply> {
        read_reply(&mut self.stream).map_err(named)
    }

    /// Sends one command and returns what comes back.
    pub(super) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        write_command(&mut bytes, words);
        self.send(&bytes)?;
        self.receive()
    }
}

/// Connects to the first of a host's addresses that answers.
fn dial(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let mut why = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for socket_address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket_address, limit.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(err) => why = named(err),
        }
    }
    Err(why)
}

/// Says of a wait that was too long what it is, which the system calls "temporarily unavailable".
fn named(err: io::Error) -> io::Error {
    match err.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
        }
        _ => err,
    }
}
