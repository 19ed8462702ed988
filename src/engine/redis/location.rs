//! Where a store on Redis, Valkey or a cluster of them is.
//!
//! ```text
//! redis[s]://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/DB][?OPTION=…[&OPTION=…]…]
//! redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/NAME[/DB][?…]
//! redis+unix:PATH[?…]
//! ```
//!
//! `valkey://` and `valkeys://` are the same as `redis://` and `rediss://`. Options are `replicas=N`,
//! `prefix=WORD`, `read=replica` and `eviction=allowed`, and behind a path `user=NAME` and `db=N` too.

use std::fmt;
use std::sync::Arc;

use crate::engine::Settings;
use crate::engine::location::{Given, Locator, host_and_port};
use crate::store::{Store, percent};

use super::Redis;

/// The port of a server that names none.
const DEFAULT_PORT: u16 = 6379;

/// The port of a sentinel that names none.
const SENTINEL_PORT: u16 = 26379;

/// What begins the location of such a store.
pub(in crate::engine) const SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "redis+unix",
    "redis+sentinel",
];

/// What the keys of a store begin with that names nothing else.
const DEFAULT_PREFIX: &str = "kv";

/// The longest prefix.
const MAX_PREFIX_LEN: usize = 64;

/// Servers, and the part of what they hold that is the store.
#[derive(Clone)]
pub(super) struct RedisLocation {
    /// What begins the location, as it was given.
    scheme: &'static str,
    /// Whether to speak TLS.
    pub(super) tls: bool,
    /// The name of the user, where it is not the default one.
    pub(super) user: Option<String>,
    /// The user's password. It is never shown.
    pub(super) password: Option<String>,
    /// Hosts to begin with; of a cluster they lead to the others. With a name for `sentinel` these are
    /// the sentinels.
    pub(super) hosts: Vec<(String, u16)>,
    /// The path of the socket of a server, in place of hosts.
    pub(super) socket: Option<String>,
    /// The name that sentinels have for the master.
    pub(super) sentinel: Option<String>,
    /// The number of the database.
    pub(super) database: u32,
    /// How many replicas must have a write before it is acknowledged; `None` leaves it to what
    /// there is.
    pub(super) replicas: Option<u32>,
    /// What the names of all keys of the store begin with.
    pub(super) prefix: String,
    /// A replica may be read where no master is to be reached.
    pub(super) reads_replica: bool,
    /// A server may be written to that drops entries when its memory is full.
    pub(super) allows_eviction: bool,
}

/// Reads a location, which takes the password that was given where it holds none.
pub(in crate::engine) fn location(given: &Given) -> Result<Arc<dyn Locator>, &'static str> {
    let rest = given.rest.to_str().ok_or("it is not UTF-8")?;
    let mut location = RedisLocation::read(given.scheme, rest)?;
    if given.is_argument && location.password.is_some() {
        return Err(
            "a password among the arguments can be read by everybody: set KV_PASSWORD, or KV_STORE \
             with the password in it",
        );
    }
    location.password = location.password.or_else(|| given.secret.clone());
    Ok(Arc::new(location))
}

impl Locator for RedisLocation {
    fn open(&self, settings: Settings) -> Box<dyn Store> {
        Box::new(Redis::new(self.clone(), settings))
    }
}

impl RedisLocation {
    fn read(scheme: &'static str, rest: &str) -> Result<Self, &'static str> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut location = Self {
            scheme,
            tls: matches!(scheme, "rediss" | "valkeys"),
            user: None,
            password: None,
            hosts: Vec::new(),
            socket: None,
            sentinel: None,
            database: 0,
            replicas: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            reads_replica: false,
            allows_eviction: false,
        };
        match scheme {
            "redis+unix" if rest.is_empty() => {
                return Err("`redis+unix:` needs the path of a socket");
            }
            "redis+unix" => location.socket = Some(rest.to_owned()),
            _ => location.read_hosts(rest)?,
        }
        for option in query.split('&').filter(|option| !option.is_empty()) {
            location.set(option)?;
        }
        Ok(location)
    }

    fn read_hosts(&mut self, rest: &str) -> Result<(), &'static str> {
        let rest = rest
            .strip_prefix("//")
            .ok_or("write it as redis://HOST[:PORT]")?;
        // A password may hold a slash or an `@`; a host cannot.
        let (user_info, rest) = match rest.rsplit_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        if let Some(text) = user_info {
            let (user, password) = text.split_once(':').unwrap_or((text, ""));
            (self.user, self.password) = (decode(user)?, decode(password)?);
        }
        let (hosts, mut database) = rest.split_once('/').unwrap_or((rest, ""));
        let mut port = DEFAULT_PORT;
        if self.scheme == "redis+sentinel" {
            let name;
            (name, database) = database.split_once('/').unwrap_or((database, ""));
            self.sentinel = decode(name)?;
            if self.sentinel.is_none() {
                return Err("behind the sentinels stands the name of the master: HOSTS/NAME");
            }
            port = SENTINEL_PORT;
        }
        for host in hosts.split(',') {
            let (host, given) = host_and_port(host)?;
            self.hosts.push((host.to_owned(), given.unwrap_or(port)));
        }
        if !database.is_empty() {
            self.set_database(database)?;
        }
        Ok(())
    }

    fn set_database(&mut self, text: &str) -> Result<(), &'static str> {
        self.database = text.parse().map_err(|_| "the database is a number")?;
        Ok(())
    }

    fn set(&mut self, option: &str) -> Result<(), &'static str> {
        match option.split_once('=') {
            Some(("replicas", text)) => {
                let number = text.parse().ok().filter(|number| *number <= 100);
                self.replicas = Some(number.ok_or("`replicas` is a number up to 100")?);
            }
            Some(("prefix", text)) => {
                let is_fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
                if text.is_empty() || text.len() > MAX_PREFIX_LEN || !text.bytes().all(is_fine) {
                    return Err("`prefix` is up to 64 letters, digits, `.`, `_` and `-`");
                }
                text.clone_into(&mut self.prefix);
            }
            Some(("read", "replica")) => self.reads_replica = true,
            Some(("eviction", "allowed")) => self.allows_eviction = true,
            Some(("user", text)) if self.socket.is_some() => self.user = decode(text)?,
            Some(("db", text)) if self.socket.is_some() => self.set_database(text)?,
            _ => {
                return Err(
                    "behind `?` there can be `replicas=N`, `prefix=WORD`, `read=replica` and \
                     `eviction=allowed`",
                );
            }
        }
        Ok(())
    }
}

/// Reads text in which `%2F` stands for `/` (RFC 3986); none where it is empty.
fn decode(text: &str) -> Result<Option<String>, &'static str> {
    let text = percent::decode(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or("`%` in a user or a password begins two hexadecimal digits")?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The location as it was given, but for the password.
impl fmt::Display for RedisLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme)?;
        f.write_str(if self.socket.is_some() { ":" } else { "://" })?;
        if let Some(path) = &self.socket {
            f.write_str(path)?;
        } else if self.user.is_some() || self.password.is_some() {
            f.write_str(self.user.as_deref().unwrap_or_default())?;
            f.write_str(if self.password.is_some() {
                ":***@"
            } else {
                "@"
            })?;
        }
        for (number, (host, port)) in self.hosts.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "," })?;
            if host.contains(':') {
                write!(f, "[{host}]:{port}")?;
            } else {
                write!(f, "{host}:{port}")?;
            }
        }
        if let Some(name) = &self.sentinel {
            write!(f, "/{name}")?;
        }
        let behind_path = |text: String| self.socket.is_some().then_some(text);
        if self.database != 0 && self.socket.is_none() {
            write!(f, "/{}", self.database)?;
        }
        let database = (self.database != 0).then(|| format!("db={}", self.database));
        let user = self.user.as_ref().map(|user| format!("user={user}"));
        let options = [
            user.and_then(behind_path),
            database.and_then(behind_path),
            self.replicas.map(|number| format!("replicas={number}")),
            (self.prefix != DEFAULT_PREFIX).then(|| format!("prefix={}", self.prefix)),
            self.reads_replica.then(|| "read=replica".to_owned()),
            self.allows_eviction.then(|| "eviction=allowed".to_owned()),
        ];
        for (number, option) in options.iter().flatten().enumerate() {
            write!(f, "{}{option}", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

/// As it is displayed: a password gets into no message and no log.
impl fmt::Debug for RedisLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_shown_is_read_as_it_was_meant() {
        let location = RedisLocation::read("rediss", "//me%3A:s%40/x@h").unwrap();
        assert_eq!(location.user.as_deref(), Some("me:"));
        assert_eq!(location.password.as_deref(), Some("s@/x"));
        assert!(location.tls);
    }
}
