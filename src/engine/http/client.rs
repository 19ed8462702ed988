//! Requests to the service, and what its answers say.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{HeaderMap, Method, Request, StatusCode, header};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, DefaultConnector};
use ureq::{Agent, SendBody};

use crate::engine::Settings;
use crate::os::interrupt;
use crate::store::{Fault, Result, StoreError};
use crate::wire::http::answer::{self, PROTOCOL, Refused, VERSION};

use super::ask::Ask;
use super::deadline::WithDeadline;
use super::faults::{io_error, is_unreachable, uncertain};
use super::incoming::Incoming;
use super::location::{HttpLocation, HttpServer};
use super::proxy::{named_for, proxy_for};
use super::socket::{NoResolver, UnixConnector};
use super::tls::tls_config;

/// How long a service may be silent at the least: one that lives gives a sign of it more often.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long the answer to a large upload may be late, as long as there are signs of life.
const LATE: Duration = Duration::from_secs(600);
/// How much longer than that an answer may be late for which the service waits as long as this side.
const GRACE: Duration = Duration::from_millis(500);
/// The pause before a request is sent once more.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// The fewest milliseconds for which a request waits.
const LEAST_WAIT: u64 = 1_000;
/// An idle connection is given up before the service closes it.
const IDLE: Duration = Duration::from_secs(15);
/// The most bytes of a refusal that are read.
const MAX_REFUSAL: u64 = 64 * 1024;

/// What talks to a service.
#[derive(Debug)]
pub(super) struct Client {
    location: HttpLocation,
    /// What stands before each path.
    base: String,
    settings: Settings,
    /// For how many milliseconds a request may wait: proxies may have less patience than the service.
    longest_wait: AtomicU64,
    /// Where requests go, and `None` where no such thing could be made of the system's certificates.
    agent: OnceLock<Agent>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) code: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    /// It says that it is kv's.
    is_kv: bool,
}

impl Client {
    pub(super) fn new(location: HttpLocation, settings: Settings) -> Self {
        let server = match &location.server {
            HttpServer::Host { tls, authority } => {
                format!("http{}://{authority}", if *tls { "s" } else { "" })
            }
            HttpServer::Socket(_) => "http://localhost".to_owned(),
        };
        Self {
            base: format!("{server}{}/v1", location.base),
            location,
            settings,
            longest_wait: AtomicU64::new(50_000),
            agent: OnceLock::new(),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Sends a request, and again where that can do no harm and it failed on the way. `None` is a no:
    /// there is no such thing, or the condition does not hold.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Option<Reply>> {
        self.ask_with(ask, ask.body)
    }

    /// As [`Client::ask`], with another body.
    pub(super) fn ask_with(&self, ask: &Ask<'_>, body: &[u8]) -> Result<Option<Reply>> {
        let timeout = self.settings.busy_timeout;
        let until = Instant::now() + ask.within.map_or(timeout, |within| within.min(timeout));
        let mut tries = 0;
        loop {
            let sent = self.send(ask, SendBody::from_reader(&mut &*body), Some(body.len()));
            let (err, may_repeat) = match sent {
                Ok(reply) if reply.is_busy() => {
                    let err = self.refusal(reply, ask);
                    // What was refused for now was not done.
                    let is_busy =
                        matches!(&err, StoreError::Service { fault, .. } if *fault == Fault::Busy);
                    (err, is_busy)
                }
                Ok(reply) => return self.judge(reply, ask),
                Err(err) => {
                    tries += 1;
                    let may_repeat = ask.is_safe && tries < 4 && !is_unreachable(&err);
                    (self.unreachable(err, ask), may_repeat)
                }
            };
            if !may_repeat || Instant::now() + PAUSE >= until || interrupt::is_wanted() {
                return Err(err);
            }
            thread::sleep(PAUSE);
        }
    }

    /// As [`Client::ask`], once, with a body that is read while it is sent.
    pub(super) fn stream(&self, ask: &Ask<'_>, body: &mut dyn Read) -> Result<Option<Reply>> {
        let sent = self.send(ask, SendBody::from_reader(body), None);
        self.judge(sent.map_err(|err| self.unreachable(err, ask))?, ask)
    }

    fn send(
        &self,
        ask: &Ask<'_>,
        body: SendBody<'_>,
        length: Option<usize>,
    ) -> Result<Reply, ureq::Error> {
        let agent = self.agent()?;
        let uri = format!("{}{}", self.base, ask.path);
        let mut request = Request::builder().method(&ask.method).uri(uri);
        request = request.header(PROTOCOL, VERSION);
        if let Some(token) = &self.location.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let has_body = [Method::PUT, Method::POST].contains(&ask.method);
        request = match length {
            _ if !has_body => request,
            Some(length) => request.header(header::CONTENT_LENGTH, length),
            // So that a service which wants none of it can say so before it is sent.
            None => request.header(header::EXPECT, "100-continue"),
        };
        let answer = if has_body {
            let request = agent.configure_request(request.body(body)?);
            agent.run(request.timeout_global(ask.within).build())?
        } else if ask.silence.is_some() {
            let request = agent.configure_request(request.body(())?);
            agent.run(request.timeout_per_read(ask.silence).build())?
        } else {
            agent.run(request.body(())?)?
        };
        let (parts, body) = answer.into_parts();
        let headers = parts.headers;
        let is_kv = headers
            .get(PROTOCOL)
            .is_some_and(|version| version == VERSION);
        // No service of kv encodes anything, so that somebody has changed what it said.
        let is_kv = is_kv && !headers.contains_key(header::CONTENT_ENCODING);
        let is_late = headers.contains_key(answer::LATE);
        let mut body = Incoming::new(body.into_reader(), &headers, self.patience(), !ask.is_safe);
        if let Some(silence) = ask.silence {
            body.may_be_silent(silence);
        }
        let mut reply = Reply {
            code: parts.status,
            body,
            headers,
            is_kv,
        };
        if is_kv && is_late {
            let late = length.map_or(LATE, |_| self.patience() + GRACE);
            let head = reply.body.head(Instant::now() + late + ask.waits);
            (reply.code, reply.headers) = head.map_err(ureq::Error::Io)?;
        }
        Ok(reply)
    }

    /// Returns how long the service may send nothing and take nothing.
    fn patience(&self) -> Duration {
        self.settings.busy_timeout.max(LEAST_PATIENCE)
    }

    fn agent(&self) -> Result<&Agent, ureq::Error> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let patience = Some(self.patience());
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_age(IDLE)
            .user_agent(concat!("kv/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("")
            .proxy(None)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience)
            .timeout_per_write(patience);
        let agent = match &self.location.server {
            HttpServer::Socket(path) => {
                let connector = UnixConnector(path.clone()).chain(WithDeadline);
                Agent::with_parts(config.build(), connector, NoResolver)
            }
            HttpServer::Host { tls, authority } => {
                let config = match tls {
                    true => config
                        .tls_config(tls_config()?)
                        .proxy(proxy_for(authority)?),
                    false => config,
                };
                let connector = DefaultConnector::new().chain(WithDeadline);
                Agent::with_parts(config.build(), connector, DefaultResolver::default())
            }
        };
        Ok(self.agent.get_or_init(|| agent))
    }

    /// Tells apart what was done, what is not so, and what could not be done.
    fn judge(&self, answer: Reply, ask: &Ask<'_>) -> Result<Option<Reply>> {
        if answer.is_kv && ask.yes.contains(&answer.code) {
            return Ok(Some(answer));
        }
        let is_no = [StatusCode::NOT_FOUND, StatusCode::PRECONDITION_FAILED].contains(&answer.code);
        if is_no && answer.status() == Some(1) {
            let told = match answer.body.has_length() {
                true => self.bytes(answer.body, MAX_REFUSAL)?,
                false => Vec::new(),
            };
            let is_told = answer::read(&told).is_some_and(|told: Refused| told.status == 1);
            let torn = || self.no_service("its 404 does not say what is missing");
            return is_told.then_some(None).ok_or_else(torn);
        }
        Err(self.refusal(answer, ask))
    }

    fn refusal(&self, answer: Reply, ask: &Ask<'_>) -> StoreError {
        let Some(status) = answer.status() else {
            if answer.code == StatusCode::GATEWAY_TIMEOUT {
                let shorter = self.longest_wait.load(Relaxed) / 2;
                self.longest_wait.store(shorter, Relaxed);
            }
            let mut why = answer.describe();
            if !ask.is_safe && answer.code.is_server_error() {
                why += "; the change may have been made";
            }
            return self.no_service(&why);
        };
        if answer.code == StatusCode::UNAUTHORIZED {
            let error = match self.location.token {
                Some(_) => {
                    "it refuses this token: KV_TOKEN or --token-file has that of another service"
                }
                None => "it needs a token: set KV_TOKEN, or give --token-file FILE",
            };
            return self.service_error(status, error.to_owned());
        }
        let mut body = Vec::new();
        _ = answer.body.take(MAX_REFUSAL).read_to_end(&mut body);
        let mut err = match answer::read::<Refused>(&body) {
            Some(told) if !told.error.is_empty() => self.service_error(told.status, told.error),
            _ => self.service_error(status, format!("it answers {}", answer.code)),
        };
        if let StoreError::Service { fault, error, .. } = &mut err {
            match answer.code {
                StatusCode::PAYLOAD_TOO_LARGE => *fault = Fault::TooLarge,
                StatusCode::INSUFFICIENT_STORAGE => *fault = Fault::Full,
                // Any other is of a name or an origin that it does not answer.
                StatusCode::FORBIDDEN if error == answer::READ_ONLY => *fault = Fault::ReadOnly,
                _ => {}
            }
        }
        err
    }

    /// Sends requests that wait for something, one after another, until one brings it or the time is
    /// over; `send` is given for how long to wait. Where a proxy gives up sooner, they wait for less.
    pub(super) fn wait<T>(
        &self,
        until: Option<Instant>,
        mut send: impl FnMut(Duration) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        loop {
            let (begun, longest) = (Instant::now(), self.longest_wait.load(Relaxed));
            let longest_wait = Duration::from_millis(longest);
            let left = until.map_or(longest_wait, |until| until.saturating_duration_since(begun));
            let brought = match send(left.min(longest_wait)) {
                Err(_) if self.longest_wait.load(Relaxed).max(LEAST_WAIT) < longest => None,
                brought => brought?,
            };
            if brought.is_some() || until.is_some_and(|until| until <= Instant::now()) {
                return Ok(brought);
            }
            // One that is answered before its time is not sent again at once.
            thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
        }
    }

    /// Makes an error of what the service tells.
    pub(super) fn service_error(&self, status: u8, error: String) -> StoreError {
        let fault = match status {
            3 => Fault::Busy,
            4 => Fault::Damaged,
            _ => Fault::Failed,
        };
        StoreError::Service {
            place: self.location.to_string(),
            fault,
            error,
        }
    }

    /// Says that what answers there is something else.
    pub(super) fn no_service(&self, why: &str) -> StoreError {
        let error = format!("what answers is no service of kv: {why}");
        self.service_error(5, error)
    }

    /// Says that an answer has not come to its end.
    pub(super) fn cut_off(&self) -> StoreError {
        self.service_error(5, "its answer was cut off".to_owned())
    }

    /// Says that there was no answer, or no whole one.
    pub(super) fn broken(&self, source: io::Error) -> StoreError {
        self.cannot("read the answer of", io_error(source.into()))
    }

    fn unreachable(&self, err: ureq::Error, ask: &Ask<'_>) -> StoreError {
        let is_unreachable = is_unreachable(&err);
        let mut source = io_error(err);
        if let HttpServer::Host {
            tls: true,
            authority,
        } = &self.location.server
            && let Some((name, _)) = named_for(authority)
            && source.kind() != io::ErrorKind::InvalidInput
        {
            let text = format!("{source} (through the proxy that {name} names)");
            source = io::Error::new(source.kind(), text);
        }
        let (action, source) = match is_unreachable {
            true => ("reach", source),
            false if ask.is_safe => ("get an answer from", source),
            false => ("get an answer from", uncertain(source)),
        };
        self.cannot(action, source)
    }

    pub(super) fn cannot(&self, action: &'static str, why: io::Error) -> StoreError {
        StoreError::io(action, self.location.to_string(), why)
    }
}

impl Reply {
    /// Returns the exit status that a refusal tells; `None` where something else than kv answers.
    fn status(&self) -> Option<u8> {
        let status = self.headers.get(answer::STATUS).filter(|_| self.is_kv)?;
        status.to_str().ok()?.parse().ok()
    }

    fn is_busy(&self) -> bool {
        self.code == StatusCode::SERVICE_UNAVAILABLE && self.status().is_some()
    }

    /// Says of an answer that is not kv's what it may be.
    fn describe(&self) -> String {
        let code = self.code;
        let text = |name| self.headers.get(name)?.to_str().ok();
        let who = match text(header::SERVER) {
            Some(server) => format!("{} answers {code}", server.escape_debug()),
            None => format!("it answers {code}"),
        };
        let why = match (code.as_u16(), text(header::LOCATION)) {
            (300..400, Some(to)) => {
                return format!("{who}, and sends to {}: name that place", to.escape_debug());
            }
            _ if self.headers.contains_key(header::CONTENT_ENCODING) => {
                "somebody in between encodes its answers"
            }
            (407, _) => "a proxy wants to know who asks",
            (413, _) => "a proxy takes no values as large as this one",
            (502 | 503, _) => "a proxy does not reach the service",
            (504, _) => "a proxy does not wait for as long as the service takes",
            _ => return who,
        };
        format!("{who}: {why}")
    }
}
