//! Named locks: the service holds them for us, for as long as we say that we live. See
//! [`crate::engine::lease`] for what that can promise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use crate::engine::lease::{self, Attempt, Grant, KEEP_EVERY};
use crate::os;
use crate::store::{
    Clock, Etag, Held, Holder, Key, LockRequest, Locks, Namespace, OrCannot as _, Result,
};
use crate::wire::http::answer::{self, Granted, Holds, LockCall};
use crate::wire::http::millis;
use crate::wire::http::request::OnNamespace;
use crate::wire::time::read_rfc3339;

use super::Http;
use super::ask::Ask;
use super::client::Client;

/// A lock, for one holder.
struct HttpGrant {
    client: Arc<Client>,
    namespace: Namespace,
    /// A request that names the lock.
    named: LockCall,
    id: Etag,
    is_shared: bool,
    host: String,
}

/// Names a lock in a request.
fn named(name: &Key) -> LockCall {
    let bytes = name.as_bytes();
    let text = std::str::from_utf8(bytes).ok();
    LockCall {
        name: text.map(str::to_owned),
        name_base64: text.is_none().then(|| STANDARD.encode(bytes)),
        ..LockCall::default()
    }
}

/// Asks for a verb on a lock; `None` is a no.
fn ask<T: DeserializeOwned>(
    client: &Client,
    namespace: &Namespace,
    verb: &OnNamespace,
    body: &LockCall,
    waits: Duration,
) -> Result<Option<T>> {
    let ask = Ask {
        body: &answer::line(body),
        waits,
        ..Ask::on_namespace(namespace, verb)
    };
    let Some(reply) = client.ask(&ask)? else {
        return Ok(None);
    };
    let told = answer::read(&client.text(reply)?);
    let none = || client.no_service("its answer about a lock is malformed");
    told.map(Some).ok_or_else(none)
}

impl HttpGrant {
    /// Tries for the lock, for that long.
    fn take_within(&self, wait: Duration) -> Result<Option<u64>> {
        let body = LockCall {
            id: Some(self.id.to_string()),
            shared: self.is_shared,
            wait: Some(millis(wait)),
            pid: std::process::id(),
            host: self.host.clone(),
            ..self.named.clone()
        };
        let lock = &OnNamespace::Lock;
        let granted: Option<Granted> = ask(&self.client, &self.namespace, lock, &body, wait)?;
        Ok(granted.map(|granted| granted.token))
    }

    fn tell(&self, verb: &OnNamespace) -> Result<bool> {
        let body = LockCall {
            id: Some(self.id.to_string()),
            ..LockCall::default()
        };
        let ask = Ask {
            body: &answer::line(&body),
            within: Some(KEEP_EVERY),
            ..Ask::on_namespace(&self.namespace, verb)
        };
        Ok(self.client.ask(&ask)?.is_some())
    }
}

impl Grant for HttpGrant {
    fn take(&self) -> Result<Attempt> {
        let token = self.take_within(Duration::ZERO)?;
        Ok(token.map_or(Attempt::Busy(Duration::ZERO), Attempt::Held))
    }

    fn keep(&self) -> Result<bool> {
        self.tell(&OnNamespace::Keep)
    }

    fn free(&self) -> Result<()> {
        self.tell(&OnNamespace::Free).map(drop)
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
            namespace: namespace.clone(),
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
        let verb = &OnNamespace::Holder;
        let told = ask(&self.client, namespace, verb, &named(name), Duration::ZERO)?;
        let read = |told: Holds| {
            let since = read_rfc3339(&told.since);
            let since = since
                .ok_or_else(|| self.client.no_service("its answer has no time of the lock"))?;
            Ok(Holder {
                pid: told.pid,
                host: told.host,
                since,
                is_shared: told.shared,
            })
        };
        told.map(read).transpose()
    }
}
