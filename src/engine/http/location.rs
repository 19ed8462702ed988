//! Where a service is that keeps a store.
//!
//! ```text
//! http[s]://HOST[:PORT][/BASE]
//! http+unix:PATH
//! ```

use std::fmt;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::Settings;
use crate::engine::location::{Given, Locator, host_and_port};
use crate::store::Store;
use crate::wire::http::Address;

use super::Http;

/// What begins the location of such a store.
pub(in crate::engine) const SCHEMES: &[&str] = &["http", "https", "http+unix"];

/// A service, and what it has to be told to let somebody in.
#[derive(Clone)]
pub(super) struct HttpLocation {
    /// Where it listens.
    pub(super) server: HttpServer,
    /// What stands before the paths of the service, without a slash at its end.
    pub(super) base: String,
    /// What it is told. It is never shown.
    pub(super) token: Option<String>,
}

/// Where a service listens.
#[derive(Clone)]
pub(super) enum HttpServer {
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

/// Reads a location, which takes the token that was given.
pub(in crate::engine) fn location(given: &Given) -> Result<Arc<dyn Locator>, &'static str> {
    let (server, base) = match given.scheme {
        "http+unix" => {
            if given.rest.is_empty() {
                return Err("`http+unix:` needs the path of a socket");
            }
            (HttpServer::Socket(given.rest.clone().into()), "")
        }
        scheme => {
            let rest = given.rest.to_str().ok_or("it is not UTF-8")?;
            let rest = rest
                .strip_prefix("//")
                .ok_or("write it as http://HOST[:PORT]")?;
            let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
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
            (server, base)
        }
    };
    Ok(Arc::new(HttpLocation {
        server,
        base: base.to_owned(),
        token: given.secret.clone(),
    }))
}

impl Locator for HttpLocation {
    fn open(&self, settings: Settings) -> Box<dyn Store> {
        Box::new(Http::new(self.clone(), settings))
    }

    fn is_at(&self, address: &Address) -> bool {
        match (address, &self.server) {
            (Address::Tcp(address), HttpServer::Host { authority, .. }) => {
                let places = authority.to_socket_addrs().into_iter().flatten();
                let is_here = |ip: IpAddr| {
                    address.ip() == ip || (address.ip().is_unspecified() && ip.is_loopback())
                };
                places
                    .into_iter()
                    .any(|place| place.port() == address.port() && is_here(place.ip()))
            }
            (Address::Unix(address), HttpServer::Socket(path)) => {
                let [address, path] = [address, path].map(|path| path.canonicalize().ok());
                address.is_some() && address == path
            }
            _ => false,
        }
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

/// As it is displayed: a token gets into no message and no log.
impl fmt::Debug for HttpLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
