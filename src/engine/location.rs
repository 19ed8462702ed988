//! Where a store is, as `--store` and `KV_STORE` say it: a scheme, and a rest that its engine reads.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::store::Store;
use crate::wire::http::Address;

use super::{ENGINES, Settings};

/// Reads a location.
type Read = fn(&Given) -> Result<Arc<dyn Locator>, &'static str>;

/// An engine, and how the location of a store names it.
pub(super) struct Engine {
    name: &'static str,
    /// The words before the colon; the empty one stands for a location without any.
    schemes: &'static [&'static str],
    /// What help shows of it, if anything.
    pub(super) usage: &'static str,
    secret: Option<Secret>,
    read: Read,
}

impl Engine {
    pub(super) const fn new(
        name: &'static str,
        schemes: &'static [&'static str],
        usage: &'static str,
        secret: Option<Secret>,
        read: Read,
    ) -> Self {
        Self {
            name,
            schemes,
            usage,
            secret,
            read,
        }
    }
}

/// What lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// It may stand in a location, where that is not an argument.
    Password,
    /// It never stands in a location.
    Token,
}

/// The parts of a location.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) scheme: &'static str,
    /// What follows the scheme and its colon.
    pub(super) rest: OsString,
    /// Everybody can read it.
    pub(super) is_argument: bool,
    pub(super) secret: Option<String>,
}

/// A location as its engine has read it, which shows it as text without what is secret.
pub trait Locator: fmt::Display + Send + Sync {
    /// Opens the store. Nothing is read, made or connected before the first call on it.
    fn open(&self, settings: Settings) -> Box<dyn Store>;

    /// Returns where on this machine's disks the store is.
    fn on_disk(&self) -> Option<&Path> {
        None
    }

    /// Tells whether a write that is not synced leaves others to be synced by themselves. Where a store
    /// has one log for all, it waits for the disk like the rest.
    fn syncs_apart(&self) -> bool {
        false
    }

    /// Tells whether a service that listens there is the one that the store is behind.
    fn is_at(&self, _address: &Address) -> bool {
        false
    }
}

/// A place where a store can be.
#[derive(Clone)]
pub struct Location {
    engine: &'static Engine,
    given: Given,
    read: Arc<dyn Locator>,
}

impl Location {
    /// Reads a location from a variable, where it may hold a password: the environment of a process
    /// is its user's own, and its arguments are everybody's to read.
    ///
    /// # Errors
    ///
    /// Where the text is no location.
    pub fn from_variable(text: OsString) -> Result<Self, BadLocation> {
        Self::split(text, false)
    }

    fn split(text: OsString, is_argument: bool) -> Result<Self, BadLocation> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(BadLocation::Empty);
        }
        if bytes.ends_with(b"\n") || bytes.ends_with(b"\r") {
            return Err(BadLocation::LineEnd);
        }
        let (scheme, rest) = match scheme(bytes) {
            Some(scheme) => (scheme, &bytes[scheme.len() + 1..]),
            None => ("", bytes),
        };
        let first = rest.split(|&b| b == b'/').next().unwrap_or_default();
        if first.starts_with(b"~") || [&b"$HOME"[..], b"${HOME}"].contains(&first) {
            let first = String::from_utf8_lossy(first).into_owned();
            return Err(BadLocation::Home(first));
        }
        let mut all = ENGINES
            .iter()
            .flat_map(|engine| engine.schemes.iter().map(move |known| (engine, *known)));
        let Some((engine, scheme)) = all.find(|(_, known)| *known == scheme) else {
            return Err(BadLocation::Scheme(scheme.to_owned()));
        };
        let given = Given {
            scheme,
            rest: OsStr::from_bytes(rest).to_owned(),
            is_argument,
            secret: None,
        };
        Self::read(engine, given)
    }

    fn read(engine: &'static Engine, given: Given) -> Result<Self, BadLocation> {
        let read = (engine.read)(&given).map_err(BadLocation::Malformed)?;
        Ok(Self {
            engine,
            given,
            read,
        })
    }

    /// Returns the name of the engine that keeps a store there.
    pub fn engine(&self) -> &'static str {
        self.engine.name
    }

    /// Returns what the location can be given that nobody is to see.
    pub fn secret(&self) -> Option<Secret> {
        self.engine.secret
    }

    /// Adds what nobody is to see, unless the location holds it.
    ///
    /// # Errors
    ///
    /// Never: what was a location is one with it.
    pub fn add_secret(&mut self, secret: Option<String>) -> Result<(), BadLocation> {
        let given = self.given.clone();
        *self = Self::read(self.engine, Given { secret, ..given })?;
        Ok(())
    }

    /// Tells whether it is named from the directory that the process is in. Hosts stand behind two slashes.
    pub fn is_relative(&self) -> bool {
        !self.given.rest.is_empty() && !self.given.rest.as_bytes().starts_with(b"/")
    }

    /// Names what is on this machine by its full name, whatever directory the process is in later.
    ///
    /// # Errors
    ///
    /// Where the directory is not to be had that the process is in.
    pub fn make_absolute(&mut self) -> io::Result<()> {
        if self.is_relative() {
            let mut given = self.given.clone();
            given.rest = std::path::absolute(given.rest)?.into();
            *self = Self::read(self.engine, given).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Returns what its engine has read.
    pub fn locator(&self) -> &dyn Locator {
        &*self.read
    }
}

/// The only way in which a location is shown to anybody: whatever else one comes to hold, a
/// password is `***` here.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read.fmt(f)
    }
}

impl TryFrom<OsString> for Location {
    type Error = BadLocation;

    /// Reads a location from an argument: `word:…` names an engine, anything else a directory. A
    /// password is refused, as anybody can read the arguments of a process.
    fn try_from(text: OsString) -> Result<Self, BadLocation> {
        Self::split(text, true)
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
pub(super) fn host_and_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
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
    /// It begins with `word:`, which names no engine. What follows the colon may be a password and is
    /// not shown.
    #[error("no engine is called `{0}:`; a directory of that name is `./{0}:…`")]
    Scheme(String),
    /// What follows the engine's name is not what it takes.
    #[error("{0}")]
    Malformed(&'static str),
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
