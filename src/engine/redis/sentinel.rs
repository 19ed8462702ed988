//! Asking a sentinel which server is the master: Redis Sentinel and Valkey's watch single servers with
//! replicas, and put a replica in the place of a master that has died.

use std::io;
use std::time::Duration;

use crate::store::RedisLocation;

use super::facts::unknown;
use super::ready::given;
use super::resp::Reply;
use super::slots::{Address, address, is_host};
use super::socket::Socket;

/// What a sentinel knows: the master, and whether that has replicas, connected to it just now or not.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) master: Address,
    pub(super) has_replicas: Result<bool, String>,
}

/// Asks one sentinel for the master that it knows by this name.
fn master_of(
    location: &RedisLocation,
    sentinel: &str,
    name: &str,
    limit: Duration,
) -> io::Result<Known> {
    // The user is the servers'. A sentinel that wants a password wants the same one.
    let mut socket = Socket::reach(location, sentinel, limit)?;
    let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name];
    let mut reply = socket.ask(&question)?;
    let wants_login = matches!(&reply, Reply::Error(text) if text.starts_with("NOAUTH"));
    if wants_login && (location.user.is_some() || location.password.is_some()) {
        socket.log_in(location)?;
        reply = socket.ask(&question)?;
    }
    let master = read(reply, name)?;
    let has_replicas = match socket.ask(&["SENTINEL", "REPLICAS", name])? {
        Reply::Array(replicas) => Ok(!replicas.is_empty()),
        other => Err(unknown("SENTINEL REPLICAS", other).to_string()),
    };
    Ok(Known {
        master,
        has_replicas,
    })
}

/// Asks the sentinels of a store, one after the other, until one knows the master. What is told where none
/// does is what the first says, and which that is.
pub(super) fn word_of_all(
    location: &RedisLocation,
    name: &str,
    limit: Duration,
) -> Result<Known, (Address, io::Error)> {
    let mut trouble = None;
    for sentinel in given(location) {
        match master_of(location, &sentinel, name, limit) {
            Ok(known) => return Ok(known),
            Err(why) => _ = trouble.get_or_insert((sentinel, why)),
        }
    }
    Err(trouble.unwrap_or_else(|| (Address::new(), io::Error::other("it names no sentinel"))))
}

/// Reads what a sentinel answers.
pub(super) fn read(reply: Reply, name: &str) -> io::Result<Address> {
    match reply {
        Reply::Nil => Err(io::Error::other(format!(
            "the sentinel knows no master `{name}`"
        ))),
        Reply::Error(text) if text.starts_with("ERR unknown command") => Err(odd()),
        Reply::Error(text) => Err(io::Error::other(text)),
        Reply::Array(parts) => {
            let mut parts = parts.into_iter();
            let host = parts.next().and_then(Reply::into_bytes);
            let host = host.and_then(|host| String::from_utf8(host).ok());
            let port = parts.next().and_then(|port| port.as_int());
            match (host, port.and_then(|port| u16::try_from(port).ok())) {
                (Some(host), Some(port)) if is_host(&host) => Some(address(&host, port)),
                _ => None,
            }
        }
        .ok_or_else(odd),
        _ => Err(odd()),
    }
}

fn odd() -> io::Error {
    io::Error::other("it is no sentinel: for a server itself write `redis://`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_names_a_master_or_none() {
        let parts = |host: &str, port: &str| {
            Reply::Array(vec![Reply::Bytes(host.into()), Reply::Bytes(port.into())])
        };
        assert_eq!(read(parts("10.0.0.1", "7"), "m").unwrap(), "10.0.0.1:7");
        assert_eq!(read(parts("::1", "7"), "m").unwrap(), "[::1]:7");
        for bad in [
            parts("/etc/passwd", "7"),
            parts("h", "99999"),
            Reply::Nil,
            Reply::Array(Vec::new()),
            Reply::Int(1),
            Reply::Error("ERR unknown command".into()),
        ] {
            assert!(read(bad, "m").is_err());
        }
    }
}
