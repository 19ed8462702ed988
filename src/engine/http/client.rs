//! Requests to the service, and what its answers say.

use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::config::Config;
use ureq::http::{HeaderMap, Method, Request, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, SendBody};

use crate::engine::Settings;
use crate::store::{Fault, HttpLocation, HttpServer, Result, StoreError};

use super::socket::{NoResolver, UnixConnector};

/// How long the service may send nothing and take nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before a request is sent once more.
const PAUSE: Duration = Duration::from_millis(200);
/// An idle connection is given up before the service closes it.
const IDLE: Duration = Duration::from_secs(15);
/// The most bytes of a refusal that are read.
const MAX_REFUSAL: u64 = 64 * 1024;

/// What talks to a service.
#[derive(Debug)]
pub(super) struct Client {
    place: HttpLocation,
    settings: Settings,
    /// Where requests go, and `None` where no such thing could be made of the system's certificates.
    agent: OnceLock<Agent>,
}

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// The path below `/v1`, and the query.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
    /// How long the answer may take beyond the usual.
    pub(super) waits: Duration,
    /// How long all of it may take, where an answer that comes later is of no use.
    pub(super) within: Option<Duration>,
    /// It changes nothing, or the same once more, so that it may be sent again.
    pub(super) is_safe: bool,
}

impl Ask<'_> {
    /// Asks something that changes nothing.
    pub(super) fn look(method: Method, path: String) -> Self {
        Self {
            is_safe: true,
            ..Self::change(method, path)
        }
    }

    /// Asks for a change.
    pub(super) fn change(method: Method, path: String) -> Self {
        Ask {
            method,
            path,
            headers: Vec::new(),
            body: b"",
            waits: Duration::ZERO,
            within: None,
            is_safe: false,
        }
    }
}

/// An answer that is neither a refusal nor a no.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// What a refusal has for a body.
#[derive(Deserialize)]
struct Told {
    status: u8,
    error: String,
}

impl Client {
    pub(super) fn new(place: HttpLocation, settings: Settings) -> Self {
        Self {
            place,
            settings,
            agent: OnceLock::new(),
        }
    }

    pub(super) fn place(&self) -> &HttpLocation {
        &self.place
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Sends a request, and again where that can do no harm and it failed on the way. `None` is a no:
    /// there is no such thing, or the condition does not hold.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Option<Reply>> {
        let timeout = self.settings.busy_timeout;
        let until = Instant::now() + ask.within.map_or(timeout, |within| within.min(timeout));
        let mut tries = 0;
        loop {
            let sent = self.send(ask, SendBody::from_reader(&mut &*ask.body), true);
            let (err, may_repeat) = match sent {
                Ok(reply) if reply.is_busy() => {
                    let err = self.refusal(reply);
                    // What was refused for now was not done.
                    let is_busy = matches!(
                        &err,
                        StoreError::Service {
                            fault: Fault::Busy,
                            ..
                        }
                    );
                    (err, is_busy)
                }
                Ok(reply) => return self.judge(reply),
                Err(err) => {
                    tries += 1;
                    let may_repeat = ask.is_safe && tries < 4 && !is_unreachable(&err);
                    (self.unreachable(err), may_repeat)
                }
            };
            if !may_repeat || Instant::now() + PAUSE >= until {
                return Err(err);
            }
            thread::sleep(PAUSE);
        }
    }

    /// As [`Client::ask`], once, with a body that is read while it is sent.
    pub(super) fn stream(&self, ask: &Ask<'_>, body: &mut dyn Read) -> Result<Option<Reply>> {
        let sent = self.send(ask, SendBody::from_reader(body), false);
        self.judge(sent.map_err(|err| self.unreachable(err))?)
    }

    fn send(
        &self,
        ask: &Ask<'_>,
        body: SendBody<'_>,
        is_whole: bool,
    ) -> Result<Answered, ureq::Error> {
        let agent = self.agent()?;
        let authority = match &self.place.server {
            HttpServer::Host {
                tls: false,
                authority,
            } => format!("http://{authority}"),
            HttpServer::Host {
                tls: true,
                authority,
            } => format!("https://{authority}"),
            HttpServer::Socket(_) => "http://localhost".to_owned(),
        };
        let uri = format!("{authority}{}/v1{}", self.place.base, ask.path);
        let mut request = Request::builder().method(&ask.method).uri(uri);
        if let Some(token) = &self.place.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let has_body = [Method::PUT, Method::POST].contains(&ask.method);
        match (has_body, is_whole) {
            (true, true) => request = request.header(header::CONTENT_LENGTH, ask.body.len()),
            // So that a service which wants none of it can say so before it is sent.
            (true, false) => request = request.header(header::EXPECT, "100-continue"),
            (false, _) => {}
        }
        let patience = PATIENCE + ask.waits;
        let answer = if has_body {
            let request = request.body(body)?;
            let request = agent.configure_request(request);
            let request = request.timeout_global(ask.within);
            agent.run(request.timeout_per_read(Some(patience)).build())?
        } else {
            let request = agent.configure_request(request.body(())?);
            agent.run(request.timeout_per_read(Some(patience)).build())?
        };
        let (parts, body) = answer.into_parts();
        Ok(Answered {
            code: parts.status,
            headers: parts.headers,
            body,
        })
    }

    fn agent(&self) -> Result<&Agent, ureq::Error> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let connect = self.settings.busy_timeout.max(Duration::from_secs(1));
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_age(IDLE)
            .user_agent(concat!("kv/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("")
            .proxy(None)
            .timeout_connect(Some(connect))
            .timeout_per_write(Some(PATIENCE));
        let agent = match &self.place.server {
            HttpServer::Socket(path) => {
                let connector = UnixConnector(path.clone());
                Agent::with_parts(config.build(), connector, NoResolver)
            }
            HttpServer::Host { tls: false, .. } => Agent::new_with_config(config.build()),
            HttpServer::Host { tls: true, .. } => {
                let config = config.tls_config(tls_config()?);
                Agent::new_with_config(config.build())
            }
        };
        Ok(self.agent.get_or_init(|| agent))
    }

    /// Tells apart what was done, what is not so, and what could not be done.
    fn judge(&self, answer: Answered) -> Result<Option<Reply>> {
        if answer.code.is_success() {
            let Answered { headers, body, .. } = answer;
            return Ok(Some(Reply { headers, body }));
        }
        if answer.status() == Some(1) {
            // Read to its end so that the connection can be used once more.
            _ = io::copy(&mut answer.body.into_reader(), &mut io::sink());
            return Ok(None);
        }
        Err(self.refusal(answer))
    }

    fn refusal(&self, answer: Answered) -> StoreError {
        let Some(status) = answer.status() else {
            return self.no_service(&format!("it answers {}", answer.code));
        };
        if answer.code == StatusCode::UNAUTHORIZED {
            let error = "it wants a token: set KV_TOKEN, or give --token-file FILE";
            return self.told(status, error.to_owned());
        }
        let mut body = Vec::new();
        let reader = answer.body.into_reader();
        _ = reader.take(MAX_REFUSAL).read_to_end(&mut body);
        match serde_json::from_slice::<Told>(&body) {
            Ok(told) => self.told(told.status, told.error),
            Err(_) => self.told(status, format!("it answers {}", answer.code)),
        }
    }

    /// Makes an error of what the service tells.
    pub(super) fn told(&self, status: u8, error: String) -> StoreError {
        let fault = match status {
            3 => Fault::Busy,
            4 => Fault::Damaged,
            _ => Fault::Failed,
        };
        StoreError::Service {
            place: self.place.to_string(),
            fault,
            error,
        }
    }

    /// Says that what answers there is something else.
    pub(super) fn no_service(&self, why: &str) -> StoreError {
        let error = format!("there is no service of kv: {why}");
        self.told(5, error)
    }

    /// Says that there was no answer, or no whole one.
    pub(super) fn broken(&self, source: io::Error) -> StoreError {
        StoreError::Io {
            action: "read the answer of",
            path: self.place.to_string().into(),
            source: unwrap(source),
        }
    }

    fn unreachable(&self, err: ureq::Error) -> StoreError {
        let action = match is_unreachable(&err) {
            true => "reach",
            false => "get an answer from",
        };
        StoreError::Io {
            action,
            path: self.place.to_string().into(),
            source: io_error(err),
        }
    }
}

/// An answer of any kind.
struct Answered {
    code: StatusCode,
    headers: HeaderMap,
    body: Body,
}

impl Answered {
    /// Returns the exit status that a refusal tells; `None` where something else than kv answers.
    fn status(&self) -> Option<u8> {
        self.headers.get("kv-status")?.to_str().ok()?.parse().ok()
    }

    fn is_busy(&self) -> bool {
        self.code == StatusCode::SERVICE_UNAVAILABLE && self.status().is_some()
    }
}

/// Trusts what the system trusts, or the file that SSL_CERT_FILE names.
fn tls_config() -> io::Result<TlsConfig> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let error = "the system has no certificates to trust (ca-certificates)";
        return Err(io::Error::other(error));
    }
    let certs: Vec<_> = found
        .certs
        .iter()
        .map(|cert| Certificate::from_der(cert).to_owned())
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certs))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

/// Tells whether nothing of the request can have arrived.
fn is_unreachable(err: &ureq::Error) -> bool {
    match err {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        // The system's resolver has errors of its own, which the library tells as a text.
        ureq::Error::Io(err) if err.to_string().starts_with("failed to lookup") => true,
        ureq::Error::Io(err) => matches!(
            err.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::NotFound
                // What TLS has to say against the other side.
                | io::ErrorKind::InvalidData
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        ),
        _ => false,
    }
}

fn io_error(err: ureq::Error) -> io::Error {
    match err {
        ureq::Error::Io(err) => unwrap(err),
        ureq::Error::Timeout(_) => io::Error::new(io::ErrorKind::TimedOut, "it does not answer"),
        ureq::Error::HostNotFound => {
            io::Error::new(io::ErrorKind::NotFound, "there is no such host")
        }
        err => io::Error::other(err.to_string()),
    }
}

/// Takes out what the client has wrapped.
fn unwrap(err: io::Error) -> io::Error {
    match err.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => err,
    }
}
