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

use super::host_and_port;

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
            // As it stands before curl, where a namespace may follow.
            if base.ends_with("/v1") || base.rsplit('/').nth(1) == Some("v1") {
                return Err("leave out /v1 and what follows: -n names the namespace");
            }
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

/// Checks `HOST[:PORT]`.
fn check_authority(text: &str) -> Result<(), &'static str> {
    if text.contains('@') {
        return Err("a service takes no user and no password: give KV_TOKEN or --token-file");
    }
    match host_and_port(text)?.0.contains('%') {
        true => Err("it names no host"),
        false => Ok(()),
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
