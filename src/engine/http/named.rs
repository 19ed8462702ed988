//! Named locks: the service holds them for us, for as long as we say that we live. See
//! [`crate::engine::lease`] for what that can promise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Method;

use crate::engine::lease::{self, Attempt, Grant, KEEP_EVERY};
use crate::os;
use crate::store::{
    Clock, Etag, Held, Holder, Key, LockRequest, Locks, Namespace, OrCannot as _, Result,
};
use crate::wire::http::answer::{self, Granted, Holds, LockWanted};
use crate::wire::http::millis;
use crate::wire::http::request::OnNamespace;
use crate::wire::time::read_rfc3339;

use super::Http;
use super::address::namespace_path;
use super::ask::{Ask, BRINGS, DONE};
use super::client::{Client, Reply};

/// A lock, for one holder.
struct HttpGrant {
    client: Arc<Client>,
    /// The path of its namespace.
    path: String,
    /// A request that names the lock.
    named: LockWanted,
    id: Etag,
    is_shared: bool,
    host: String,
}

/// Names a lock in a request.
fn named(name: &Key) -> LockWanted {
    let bytes = name.as_bytes();
    let text = std::str::from_utf8(bytes).ok();
    LockWanted {
        name: text.map(str::to_owned),
        name_base64: text.is_none().then(|| STANDARD.encode(bytes)),
        ..LockWanted::default()
    }
}

fn post(
    client: &Client,
    path: &str,
    op: OnNamespace,
    body: &LockWanted,
    waits: Duration,
    within: Option<Duration>,
) -> Result<Option<Reply>> {
    client.ask(&Ask {
        body: &answer::line(body),
        waits,
        within,
        is_safe: true,
        yes: match op {
            OnNamespace::Lock | OnNamespace::Holder => BRINGS,
            _ => DONE,
        },
        ..Ask::change(Method::POST, path.to_owned() + &op.write())
    })
}

impl HttpGrant {
    /// Tries for the lock, for that long.
    fn take_within(&self, wait: Duration) -> Result<Option<u64>> {
        let body = LockWanted {
            id: Some(self.id.to_string()),
            shared: self.is_shared,
            wait: Some(millis(wait)),
            pid: std::process::id(),
            host: self.host.clone(),
            ..self.named.clone()
        };
        let Some(reply) = post(
            &self.client,
            &self.path,
            OnNamespace::Lock,
            &body,
            wait,
            None,
        )?
        else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let granted: Option<Granted> = answer::read(&text);
        let granted = granted.ok_or_else(|| self.client.no_service("it gives no token"))?;
        Ok(Some(granted.token))
    }

    fn tell(&self, op: OnNamespace) -> Result<bool> {
        let body = LockWanted {
            id: Some(self.id.to_string()),
            ..LockWanted::default()
        };
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
        self.tell(OnNamespace::Keep)
    }

    fn free(&self) -> Result<()> {
        self.tell(OnNamespace::Free).map(drop)
    }
}

impl Locks for Http {
    fn lock(
        &self,
        namespace: &Namespace,
        name: &Key,
        request: LockRequest,
        _clock: &dyn Clock,
    ) -> Result<Option<Held>> {
        let id = os::random().or_cannot("get random bits for", "a lock".as_ref())?;
        let grant = HttpGrant {
            client: Arc::clone(&self.client),
            path: namespace_path(namespace),
            named: named(name),
            id: Etag(id),
            is_shared: request.is_shared,
            host: os::host_name(),
        };
        let grant = Arc::new(grant);
        let shared: Arc<dyn Grant> = Arc::clone(&grant) as Arc<dyn Grant>;
        let until = request
            .patience
            .and_then(|patience| Instant::now().checked_add(patience));
        self.client.wait(until, |wait| {
            let asked = os::since_boot();
            match grant.take_within(wait)? {
                Some(token) => lease::hold(&shared, token, asked),
                None => Ok(None),
            }
        })
    }

    fn lock_holder(&self, namespace: &Namespace, name: &Key) -> Result<Option<Holder>> {
        let path = namespace_path(namespace);
        let op = OnNamespace::Holder;
        let Some(reply) = post(&self.client, &path, op, &named(name), Duration::ZERO, None)? else {
            return Ok(None);
        };
        let text = self.client.text(reply)?;
        let read = || {
            let told: Holds = answer::read(&text)?;
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
