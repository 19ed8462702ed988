//! Named locks: the service holds them for us, for as long as we say that we live. See
//! [`crate::engine::lease`] for what that can promise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use ureq::http::Method;

use crate::engine::lease::{self, Attempt, Grant, KEEP_EVERY};
use crate::os;
use crate::store::{Etag, Held, Holder, Key, LockRequest, Namespace, OrCannot as _, Result};
use crate::wire::time::read_rfc3339;

use super::Http;
use super::address::namespace_path;
use super::client::{Ask, Client, Reply};
use super::entries::WAIT;

/// A lock, for one holder.
struct HttpGrant {
    client: Arc<Client>,
    /// The path of its namespace.
    path: String,
    /// The name of the lock, as a member of a request.
    name: (&'static str, Json),
    id: Etag,
    is_shared: bool,
    host: String,
}

#[derive(Deserialize)]
struct Granted {
    token: u64,
}

#[derive(Deserialize)]
struct ToldHolder {
    pid: u32,
    host: String,
    since: String,
    shared: bool,
}

/// Writes the name of a lock as a member of a request.
fn member(name: &Key) -> (&'static str, Json) {
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) => ("name", Json::from(text)),
        Err(_) => ("name_base64", Json::from(STANDARD.encode(name.as_bytes()))),
    }
}

fn post(
    client: &Client,
    path: &str,
    op: &str,
    body: &Json,
    waits: Duration,
    within: Option<Duration>,
) -> Result<Option<Reply>> {
    let body = body.to_string();
    client.ask(&Ask {
        body: body.as_bytes(),
        waits,
        within,
        is_safe: true,
        ..Ask::change(Method::POST, format!("{path}?op={op}"))
    })
}

impl HttpGrant {
    /// Tries for the lock, for that long.
    fn take_within(&self, wait: Duration) -> Result<Option<u64>> {
        let (member, name) = &self.name;
        let body = json!({
            "id": self.id.to_string(),
            *member: name,
            "shared": self.is_shared,
            "wait": format!("{}ms", wait.as_millis()),
            "pid": std::process::id(),
            "host": self.host,
        });
        let Some(reply) = post(&self.client, &self.path, "lock", &body, wait, None)? else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let granted: Granted =
            serde_json::from_str(&text).map_err(|_| self.client.no_service("it gives no token"))?;
        Ok(Some(granted.token))
    }

    fn tell(&self, op: &str) -> Result<bool> {
        let body = json!({ "id": self.id.to_string() });
        let (waits, within) = (Duration::ZERO, Some(KEEP_EVERY));
        let reply = post(&self.client, &self.path, op, &body, waits, within)?;
        Ok(reply.is_some())
    }
}

impl Grant for HttpGrant {
    fn take(&self) -> Result<Attempt> {
        let token = self.take_within(Duration::ZERO)?;
        Ok(token.map_or(Attempt::Busy(Duration::ZERO), Attempt::Held))
    }

    fn keep(&self) -> Result<bool> {
        self.tell("keep")
    }

    fn free(&self) -> Result<()> {
        self.tell("free").map(drop)
    }
}

impl Http {
    pub(super) fn take_lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
    ) -> Result<Option<Held>> {
        let id = os::random().or_cannot("get random bits for", "a lock".as_ref())?;
        let grant = HttpGrant {
            client: Arc::clone(&self.client),
            path: namespace_path(namespace),
            name: member(name),
            id: Etag(id),
            is_shared: request.is_shared,
            host: os::host_name(),
        };
        let grant = Arc::new(grant);
        let shared: Arc<dyn Grant> = Arc::clone(&grant) as Arc<dyn Grant>;
        let until = request
            .patience
            .and_then(|patience| Instant::now().checked_add(patience));
        loop {
            let left = until.map_or(WAIT, |until| {
                until.saturating_duration_since(Instant::now())
            });
            let asked = os::since_boot();
            if let Some(token) = grant.take_within(left.min(WAIT))?
                && let Some(held) = lease::hold(&shared, token, asked)?
            {
                return Ok(Some(held));
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    pub(super) fn find_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let (member, name) = member(name);
        let path = namespace_path(namespace);
        let body = json!({ member: name });
        let Some(reply) = post(&self.client, &path, "holder", &body, Duration::ZERO, None)? else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let read = || {
            let told: ToldHolder = serde_json::from_str(&text).ok()?;
            Some(Holder {
                pid: told.pid,
                host: told.host,
                since: read_rfc3339(&told.since)?,
                is_shared: told.shared,
            })
        };
        let holder = read().ok_or_else(|| self.client.no_service("it names no holder"))?;
        Ok(Some(holder))
    }
}
