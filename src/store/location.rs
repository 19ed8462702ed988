//! Where a store is, as `--store` and `KV_STORE` say it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

mod http;
mod redis;

pub use self::http::{HttpLocation, HttpServer};
pub use self::redis::RedisLocation;

/// A place where a store can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory, for the tree engine.
    Directory(PathBuf),
    /// A service that keeps the store.
    Http(HttpLocation),
    /// The memory of the process that uses it.
    Memory,
    /// A server of Redis or Valkey, or a cluster of them.
    Redis(RedisLocation),
    /// A file, for the SQLite engine.
    Sqlite(PathBuf),
}

impl Location {
    /// Reads a location from a variable, where it may hold a password: the environment of a process
    /// is its user's own, and its arguments are everybody's to read.
    ///
    /// # Errors
    ///
    /// Where the text is no location.
    pub fn from_variable(text: OsString) -> Result<Self, BadLocation> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(BadLocation::Empty);
        }
        if bytes.ends_with(b"\n") || bytes.ends_with(b"\r") {
            return Err(BadLocation::LineEnd);
        }
        let place = scheme(bytes).map_or(bytes, |scheme| &bytes[scheme.len() + 1..]);
        let first = place.split(|&b| b == b'/').next().unwrap_or_default();
        if first.starts_with(b"~") || [&b"$HOME"[..], b"${HOME}"].contains(&first) {
            let first = String::from_utf8_lossy(first).into_owned();
            return Err(BadLocation::Home(first));
        }
        let Some(scheme) = scheme(bytes) else {
            return Ok(Self::Directory(text.into()));
        };
        match scheme {
            "sqlite" => match &bytes["sqlite:".len()..] {
                b"" => Err(BadLocation::NoPath),
                path => Ok(Self::Sqlite(OsStr::from_bytes(path).into())),
            },
            "memory" => match &bytes["memory:".len()..] {
                b"" => Ok(Self::Memory),
                _ => Err(BadLocation::Malformed("`memory:` takes nothing behind it")),
            },
            "http" | "https" | "http+unix" => {
                HttpLocation::parse(scheme, &bytes[scheme.len() + 1..])
                    .map(Self::Http)
                    .map_err(BadLocation::Malformed)
            }
            _ => {
                // What is no UTF-8 is no such location; which engine it names is told first.
                let rest = text.to_str().map(|text| &text[scheme.len() + 1..]);
                match RedisLocation::parse(scheme, rest.unwrap_or_default()) {
                    None => Err(BadLocation::Scheme(scheme.to_owned())),
                    Some(_) if rest.is_none() => Err(BadLocation::Malformed("it is not UTF-8")),
                    Some(read) => read.map(Self::Redis).map_err(BadLocation::Malformed),
                }
            }
        }
    }

    /// Gives a location that takes a password, and holds none, this one.
    pub fn add_password(&mut self, password: impl FnOnce() -> Option<String>) {
        match self {
            Self::Directory(_) | Self::Http(_) | Self::Memory | Self::Sqlite(_) => {}
            Self::Redis(location) => location.password = location.password.take().or_else(password),
        }
    }

    /// Gives a service its token.
    pub fn add_token(&mut self, token: Option<String>) {
        if let Self::Http(location) = self {
            location.token = token;
        }
    }

    /// Returns the name of the engine that keeps a store there.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Directory(_) => "tree",
            Self::Http(_) => "http",
            Self::Memory => "memory",
            Self::Redis(_) => "redis",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

/// The only way in which a location is shown to anybody: whatever else one comes to hold, a
/// password is `***` here.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Http(location) => location.fmt(f),
            Self::Memory => f.write_str("memory:"),
            Self::Redis(location) => location.fmt(f),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

impl TryFrom<OsString> for Location {
    type Error = BadLocation;

    /// Reads a location from an argument: `word:…` names an engine, anything else a directory. A
    /// password is refused, as anybody can read the arguments of a process.
    fn try_from(text: OsString) -> Result<Self, BadLocation> {
        match Self::from_variable(text)? {
            Self::Redis(location) if location.password.is_some() => Err(BadLocation::Password),
            location => Ok(location),
        }
    }
}

/// Returns the word before the colon, if the text begins with one (RFC 3986, section 3.1).
fn scheme(text: &[u8]) -> Option<&str> {
    let colon = text.iter().position(|&b| b == b':')?;
    let word = std::str::from_utf8(&text[..colon]).ok()?;
    let rest_is_fine = |b: u8| b.is_ascii_alphanumeric() || b"+-._".contains(&b);
    let begins = word.starts_with(|c: char| c.is_ascii_alphabetic());
    (begins && word.bytes().all(rest_is_fine)).then_some(word)
}

/// Reads `HOST[:PORT]`; an address of IPv6 stands in brackets.
fn host_and_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => (host, Some(rest.strip_prefix(':').unwrap_or("?"))),
        Some(None) => return Err("a host is malformed"),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || b".-_:%".contains(&b);
    if host.is_empty() || !host.bytes().all(is_fine) {
        return Err("it names no host");
    }
    let number = |text: &str| {
        let is_digits = text.bytes().all(|b| b.is_ascii_digit());
        let port = text.parse().ok();
        port.filter(|port: &u16| is_digits && *port != 0)
    };
    let read = port.map(|text| number(text).ok_or("a port is a number from 1 to 65535"));
    Ok((host, read.transpose()?))
}

/// Why text is no location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLocation {
    /// It is empty.
    #[error("a store needs a location")]
    Empty,
    /// It names an engine, and no file.
    #[error("`sqlite:` needs the path of a file")]
    NoPath,
    /// It begins with `word:`, which names no engine. What follows the colon may be a password and is
    /// not shown.
    #[error("no engine is called `{0}:`; a directory of that name is `./{0}:…`")]
    Scheme(String),
    /// What follows the engine's name is not what it takes.
    #[error("{0}")]
    Malformed(&'static str),
    /// It holds a password where everybody can read it.
    #[error(
        "a password among the arguments can be read by everybody: set KV_PASSWORD, or KV_STORE with \
         the password in it"
    )]
    Password,
    /// It ends in a carriage return or a newline, as a line of a file does.
    #[error("it ends in a carriage return or a newline: take the end of the line away")]
    LineEnd,
    /// It begins with what only a shell would have made a home directory of.
    #[error(
        "`{0}` was left as it is, as no shell has read it: write the whole path; a directory of that \
         name is `./{0}`"
    )]
    Home(String),
}
