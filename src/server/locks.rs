//! Named locks as leases: a client that dies cannot say so, so that it has to say that it lives.
//!
//! The lock itself is the store's, so that whoever uses the store without this service is kept out
//! too. Here it is only known for how long it was granted. `id` names the holder of one lock; each request
//! may be repeated. [`LockCall`] is the body of each, and kv-serve(1) has the answers.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum_core::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task;
use tokio::time::{Instant, sleep_until};

use crate::exit::Exit;
use crate::store::units::patience;
use crate::store::{Etag, Held, Holder, LockRequest, Namespace};
use crate::wire::http::answer::{self, Holds, LockCall, line};
use crate::wire::http::request::OnNamespace;
use crate::wire::text::is_hidden;
use crate::wire::time::rfc3339;

use super::address::{At, at};
use super::reply::{Answer, Refusal, empty, json};
use super::request_body::{RequestBody, parse};
use super::stream::Peer;
use super::wait::{LONGEST, not_yet, permit};
use super::{App, begin};

/// For how long a lock is granted; clients ask for it again in time.
const LASTS: Duration = Duration::from_secs(10);
/// The most locks that are held at a time, and how many of the process's descriptors there are for one.
const MAX_LOCKS: u64 = 1_024;
const FILES_PER_LOCK: u64 = 16;
/// The pause between two tries for a lock that others hold. Where it is given back here, who waits for
/// it is told; of what others do who use the store without this service nobody tells.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The most bytes of the name of a client's machine.
const MAX_HOST: usize = 255;
/// The most bytes of a request: a name, written as base64, and what stands beside it.
const MAX_REQUEST: u64 = 128 * 1024;

/// The locks that are held by clients of this service.
pub(super) struct Locks {
    state: Mutex<State>,
    permits: Arc<Semaphore>,
    /// Is told when one is given back.
    freed: Notify,
}

#[derive(Default)]
struct State {
    granted: HashMap<Etag, Granted>,
    /// The last token that was given where the store does not count.
    token: u64,
}

struct Granted {
    lock: Lock,
    held: Held,
    token: u64,
    holder: Holder,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

/// Which lock an id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lock {
    at: At,
    is_shared: bool,
}

fn other() -> Refusal {
    let error = "this `id` holds another lock: use a new id for each lock";
    Refusal::new(StatusCode::CONFLICT, Exit::Failure, error)
}

impl Locks {
    /// Makes room for as many as a process with so many descriptors can hold besides all else.
    pub(super) fn new(files: u64) -> Self {
        let most = MAX_LOCKS.min(files / FILES_PER_LOCK);
        Self {
            state: Mutex::default(),
            permits: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1))),
            freed: Notify::new(),
        }
    }

    /// Grants a lock anew to who holds it already. An id stands for one lock.
    fn keep(&self, id: Etag, lock: Option<&Lock>) -> Result<Option<u64>, Refusal> {
        let mut state = self.state.lock();
        let Some(granted) = state.granted.get_mut(&id) else {
            return Ok(None);
        };
        if lock.is_some_and(|lock| granted.lock != *lock) {
            return Err(other());
        }
        if granted.held.is_lost() {
            return Ok(None);
        }
        granted.until = Instant::now() + LASTS;
        Ok(Some(granted.token))
    }

    /// Notes that a lock is held. A token that the store does not give is the time, so that it grows
    /// from one service to the next too.
    fn grant(
        &self,
        id: Etag,
        lock: Lock,
        held: Held,
        holder: Holder,
        permit: OwnedSemaphorePermit,
    ) -> Result<u64, Refusal> {
        let mut state = self.state.lock();
        if let Some(granted) = state.granted.get(&id)
            && granted.lock != lock
        {
            return Err(other());
        }
        let token = held.token().unwrap_or_else(|| {
            state.token = (state.token + 1).max(holder.since.0 / 1_000);
            state.token
        });
        let granted = Granted {
            lock,
            held,
            token,
            holder,
            until: Instant::now() + LASTS,
            _permit: permit,
        };
        let before = state.granted.insert(id, granted);
        drop(state);
        drop(before);
        Ok(token)
    }

    /// Returns until when a lock is granted still, or takes it out when that is over.
    fn check(&self, id: Etag) -> ControlFlow<Option<Granted>, Instant> {
        let mut state = self.state.lock();
        match state.granted.get(&id) {
            Some(granted) if granted.until > Instant::now() => ControlFlow::Continue(granted.until),
            _ => ControlFlow::Break(state.granted.remove(&id)),
        }
    }

    fn holder(&self, at: &At) -> Option<Holder> {
        let state = self.state.lock();
        let holders = state
            .granted
            .values()
            .filter(|granted| granted.lock.at == *at);
        let last = holders.max_by_key(|granted| granted.holder.since);
        last.map(|granted| granted.holder.clone())
    }
}

fn id_of(call: &LockCall) -> Result<Etag, Refusal> {
    let id = call.id.as_ref().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Refusal::usage("invalid `id`: use 16 hexadecimal digits"))
}

fn name_of(namespace: Namespace, call: &LockCall) -> Result<At, Refusal> {
    let name = match (&call.name, &call.name_base64) {
        (Some(name), None) => Some(name.as_bytes().to_vec()),
        (None, Some(name)) => STANDARD.decode(name).ok(),
        _ => None,
    };
    let name = name.ok_or_else(|| Refusal::usage("there is no `name`"))?;
    at(namespace, name)
}

/// Carries out a verb on a lock.
pub(super) async fn carry_out(
    app: &Arc<App>,
    peer: &Peer,
    verb: &OnNamespace,
    namespace: Namespace,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let body = RequestBody::new(headers, body, MAX_REQUEST)?;
    let call: LockCall = parse(&body.whole(app, 1).await?)?;
    let absent = |error| Refusal::new(StatusCode::NOT_FOUND, Exit::No, error);
    match verb {
        OnNamespace::Lock => {
            let wait = call.wait.as_deref().map_or(Ok(Duration::ZERO), patience);
            let wait = wait.map_err(|why| Refusal::usage(format!("invalid `wait`: {why}")))?;
            match lock(app, peer, namespace, &call, wait).await? {
                Some(token) => Ok(json(line(&answer::Granted { token }))),
                None => Err(not_yet("the lock is held by others", wait)),
            }
        }
        OnNamespace::Keep => match app.locks.keep(id_of(&call)?, None)? {
            Some(_) => Ok(empty(StatusCode::NO_CONTENT)),
            None => Err(absent("the lock is held no more")),
        },
        OnNamespace::Free => {
            let granted = app.locks.state.lock().granted.remove(&id_of(&call)?);
            give_back(app, granted).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => {
            let at = name_of(namespace, &call)?;
            let holder = match app.locks.holder(&at) {
                None => {
                    let look =
                        app.start(move |app| app.store().lock_holder(&at.namespace, &at.key));
                    look.await?
                }
                known => known,
            };
            let holder = holder.ok_or_else(|| absent("nobody holds the lock"))?;
            Ok(json(line(&Holds {
                pid: holder.pid,
                host: holder.host,
                since: rfc3339(holder.since),
                shared: holder.is_shared,
            })))
        }
    }
}

/// Takes a lock, and returns its token; `None` where others held it for too long. A request that waits
/// has no thread meanwhile, and ends with its client.
async fn lock(
    app: &Arc<App>,
    peer: &Peer,
    namespace: Namespace,
    call: &LockCall,
    wait: Duration,
) -> Result<Option<u64>, Refusal> {
    let (id, at) = (id_of(call)?, name_of(namespace, call)?);
    let until = Instant::now() + wait.min(LONGEST);
    if call.host.len() > MAX_HOST || call.host.contains(is_hidden) {
        return Err(Refusal::usage(
            "invalid `host`: use a machine's name of at most 255 bytes",
        ));
    }
    let wanted = Lock {
        at,
        is_shared: call.shared,
    };
    let mut waits = None;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(token) = app.locks.keep(id, Some(&wanted))? {
            return Ok(Some(token));
        }
        // Who is told from here on that one was given back may have missed it in the try.
        let mut freed = std::pin::pin!(app.locks.freed.notified());
        freed.as_mut().enable();
        if let Some(token) = attempt(app, id, &wanted, call).await? {
            return Ok(Some(token));
        }
        let now = Instant::now();
        if until <= now {
            return Ok(None);
        }
        if waits.is_none() {
            waits = Some(permit(app)?);
        }
        tokio::select! {
            () = freed => {}
            () = sleep_until(until.min(now + pause)) => pause = LONGEST_PAUSE.min(pause * 2),
            () = app.stops() => return Err(Refusal::busy("the service is stopping")),
            () = peer.has_ended() => return Ok(None),
        }
    }
}

/// Tries for a lock once.
async fn attempt(
    app: &Arc<App>,
    id: Etag,
    wanted: &Lock,
    call: &LockCall,
) -> Result<Option<u64>, Refusal> {
    let permit = Arc::clone(&app.locks.permits).try_acquire_owned();
    let permit = permit.map_err(|_| Refusal::busy("too many locks are held here"))?;
    let request = LockRequest {
        is_shared: wanted.is_shared,
        patience: Some(Duration::ZERO),
    };
    let At { namespace, key } = wanted.at.clone();
    let work = move |app: &App| app.store().lock(&namespace, &key, request, app.clock());
    // Where nobody listens any more the lock is given back as soon as it is had.
    let Some(held) = app.change(work).await? else {
        return Ok(None);
    };
    let holder = Holder {
        pid: call.pid,
        host: call.host.clone(),
        since: app.clock().now(),
        is_shared: wanted.is_shared,
    };
    let token = app.locks.grant(id, wanted.clone(), held, holder, permit)?;
    watch_over(Arc::clone(app), id);
    Ok(Some(token))
}

/// Gives a lock back, which may take a while where the store is elsewhere. It is not kept waiting by
/// those who wait for it.
async fn give_back(app: &Arc<App>, granted: Option<Granted>) -> Result<(), Refusal> {
    let shared = Arc::clone(app);
    let given = begin(app, move || {
        drop(granted);
        shared.locks.freed.notify_waiters();
    });
    given.await?.await.map_err(|_| Refusal::bug())
}

/// Takes a lock from a client that does not ask for it any more.
fn watch_over(app: Arc<App>, id: Etag) {
    task::spawn(async move {
        let over = loop {
            match app.locks.check(id) {
                ControlFlow::Continue(until) => sleep_until(until).await,
                ControlFlow::Break(granted) => break granted,
            }
        };
        _ = give_back(&app, over).await;
    });
}
