//! Where a service is that keeps a store.
//!
//! ```text
//! http[s]://HOST[:PORT][/BASE]
//! http+unix:PATH
//! ```

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// A service, and what it has to be told to let somebody in.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpLocation {
    /// Where it listens.
    pub server: HttpServer,
    /// What stands before the paths of the service, without a slash at its end.
    pub base: String,
    /// What it is told. It is never shown.
    pub token: Option<String>,
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpServer {
    /// A host and, unless it is the usual one, a port: `HOST[:PORT]`.
    Host {
        /// Whether to speak TLS.
        tls: bool,
        /// As it was given.
        authority: String,
    },
    /// A socket in the file system.
    Socket(PathBuf),
}

impl HttpLocation {
    /// Reads what follows the scheme and its colon.
    pub(super) fn parse(scheme: &str, rest: &[u8]) -> Result<Self, &'static str> {
        let (server, base) = if scheme == "http+unix" {
            if rest.is_empty() {
                return Err("`http+unix:` needs the path of a socket");
            }
            let path = PathBuf::from(OsStr::from_bytes(rest));
            (HttpServer::Socket(path), String::new())
        } else {
            let rest = std::str::from_utf8(rest).map_err(|_| "it is not UTF-8")?;
            let rest = rest
                .strip_prefix("//")
                .ok_or("write it as http://HOST[:PORT]")?;
            let (authority, base) = match rest.find('/') {
                Some(slash) => rest.split_at(slash),
                None => (rest, ""),
            };
            let base = base.trim_end_matches('/');
            let is_fine = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b);
            if !base.bytes().all(is_fine) {
                return Err("the path before /v1 is letters, digits and `/-._~%`");
            }
            check_authority(authority)?;
            let server = HttpServer::Host {
                tls: scheme == "https",
                authority: authority.to_owned(),
            };
            (server, base.to_owned())
        };
        Ok(Self {
            server,
            base,
            token: None,
        })
    }
}

/// Checks `HOST[:PORT]`; an address of IPv6 stands in brackets.
fn check_authority(text: &str) -> Result<(), &'static str> {
    if text.contains('@') {
        return Err("a service takes no user and no password: give KV_TOKEN or --token-file");
    }
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, ""))) => (host, None),
        Some(Some((host, rest))) => (host, Some(rest.strip_prefix(':').unwrap_or("?"))),
        Some(None) => return Err("a host is malformed"),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_six = text.starts_with('[');
    let is_fine =
        |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b) || (is_six && b":".contains(&b));
    if host.is_empty() || !host.bytes().all(is_fine) {
        return Err("it names no host");
    }
    let is_port = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits && text.parse::<u16>().is_ok_and(|port| port != 0)
    };
    match port {
        Some(port) if !is_port(port) => Err("a port is a number from 1 to 65535"),
        _ => Ok(()),
    }
}

impl fmt::Display for HttpLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            HttpServer::Host { tls, authority } => {
                let scheme = if *tls { "https" } else { "http" };
                write!(f, "{scheme}://{authority}{}", self.base)
            }
            HttpServer::Socket(path) => write!(f, "http+unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for HttpLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpLocation({self})")
    }
}
