//! Named locks as leases: a client that dies cannot say so, so that it has to say that it lives.
//!
//! ```text
//! POST /v1/NAMESPACE?op=lock    {"id":"…","name":"…","shared":false,"wait":"30s","pid":1,"host":"…"}
//!                               {"token":N}, or 404 where others hold it
//! POST /v1/NAMESPACE?op=keep    {"id":"…"}   204, or 404 where it is held no more
//! POST /v1/NAMESPACE?op=free    {"id":"…"}   204
//! POST /v1/NAMESPACE?op=holder  {"name":"…"} {"pid":1,"host":"…","since":"…","shared":false}, or 404
//! ```
//!
//! The lock itself is the store's, so that whoever uses the store without this service is kept out
//! too. Here it is only known for how long it was granted. `id` names the holder of one lock; each call
//! may be repeated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task;
use tokio::time::{Instant, sleep_until};

use crate::exit::Exit;
use crate::store::units::patience;
use crate::store::{Etag, Held, Holder, LockRequest, Namespace};
use crate::wire::http::answer::{self, Holds, LockWanted, line};
use crate::wire::text::is_hidden;
use crate::wire::time::rfc3339;

use super::address::{At, at};
use super::reply::{Answer, Refusal, empty, json};
use super::request_body::RequestBody;
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
    places: Arc<Semaphore>,
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
    place: At,
    held: Held,
    token: u64,
    holder: Holder,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

/// Which lock an id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LockOf {
    place: At,
    is_shared: bool,
}

impl Granted {
    fn of(&self) -> LockOf {
        LockOf {
            place: self.place.clone(),
            is_shared: self.holder.is_shared,
        }
    }
}

fn other() -> Refusal {
    let error = "this `id` holds another lock: use a new id for each lock";
    Refusal::new(StatusCode::CONFLICT, Exit::Failure, error)
}

/// What a look at a lock has found: until when it is granted, or what was granted for too long.
enum Check {
    Until(Instant),
    Over(Option<Box<Granted>>),
}

impl Locks {
    /// Makes room for as many as a process with so many descriptors can hold besides all else.
    pub(super) fn new(files: u64) -> Self {
        let places = MAX_LOCKS.min(files / FILES_PER_LOCK);
        Self {
            state: Mutex::default(),
            places: Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(1))),
            freed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grants a lock anew to who holds it already.
    fn keep(&self, id: Etag) -> Option<u64> {
        let mut state = self.state();
        let granted = state.granted.get_mut(&id)?;
        if granted.held.is_lost() {
            return None;
        }
        granted.until = Instant::now() + LASTS;
        Some(granted.token)
    }

    /// Grants a lock anew to who holds just this one already. An id stands for one lock.
    fn keep_same(&self, id: Etag, wanted: &LockOf) -> Result<Option<u64>, Refusal> {
        match self.state().granted.get(&id) {
            Some(granted) if granted.of() != *wanted => return Err(other()),
            _ => {}
        }
        Ok(self.keep(id))
    }

    /// Notes that a lock is held. A token that the store does not give is the time, so that it grows
    /// from one service to the next too.
    fn grant(
        &self,
        id: Etag,
        of: LockOf,
        held: Held,
        holder: Holder,
        permit: OwnedSemaphorePermit,
    ) -> Result<u64, Refusal> {
        let mut state = self.state();
        if let Some(granted) = state.granted.get(&id)
            && granted.of() != of
        {
            return Err(other());
        }
        let token = held.token().unwrap_or_else(|| {
            state.token = (state.token + 1).max(holder.since.0 / 1_000);
            state.token
        });
        let granted = Granted {
            place: of.place,
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
    fn check(&self, id: Etag) -> Check {
        let mut state = self.state();
        match state.granted.get(&id) {
            Some(granted) if granted.until > Instant::now() => Check::Until(granted.until),
            _ => Check::Over(state.granted.remove(&id).map(Box::new)),
        }
    }

    fn remove(&self, id: Etag) -> Option<Granted> {
        self.state().granted.remove(&id)
    }

    fn holder(&self, place: &At) -> Option<Holder> {
        let state = self.state();
        let holders = state.granted.values();
        let holders = holders.filter(|granted| granted.place == *place);
        holders
            .map(|granted| granted.holder.clone())
            .max_by_key(|holder| holder.since)
    }
}

fn id_of(wanted: &LockWanted) -> Result<Etag, Refusal> {
    let id = wanted.id.as_ref().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Refusal::usage("`id` has 16 hexadecimal digits"))
}

fn place_of(namespace: Namespace, wanted: &LockWanted) -> Result<At, Refusal> {
    let name = match (&wanted.name, &wanted.name_base64) {
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
    op: &str,
    namespace: Namespace,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let body = RequestBody::new(headers, body, MAX_REQUEST)?
        .whole(app, 1)
        .await?;
    let wanted: LockWanted = serde_json::from_slice(&body)
        .map_err(|err| Refusal::usage(format!("invalid JSON body: {err}")))?;
    let absent = |error| Refusal::new(StatusCode::NOT_FOUND, Exit::No, error);
    match op {
        "lock" => {
            let wait = wanted.wait.as_deref().map_or(Ok(Duration::ZERO), patience);
            let wait = wait.map_err(|why| Refusal::usage(format!("invalid `wait`: {why}")))?;
            match lock(app, peer, namespace, &wanted, wait).await? {
                Some(token) => Ok(json(line(&answer::Granted { token }))),
                None => Err(not_yet("the lock is held by others", wait)),
            }
        }
        "keep" => match app.locks.keep(id_of(&wanted)?) {
            Some(_) => Ok(empty(StatusCode::NO_CONTENT)),
            None => Err(absent("the lock is held no more")),
        },
        "free" => {
            give_back(app, app.locks.remove(id_of(&wanted)?)).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => {
            let place = place_of(namespace, &wanted)?;
            let known = app.locks.holder(&place);
            let holder = match known {
                Some(holder) => Some(holder),
                None => {
                    let look =
                        app.start(move |app| app.store().lock_holder(&place.namespace, &place.key));
                    look.await?
                }
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
    wanted: &LockWanted,
    wait: Duration,
) -> Result<Option<u64>, Refusal> {
    let (id, place) = (id_of(wanted)?, place_of(namespace, wanted)?);
    let until = Instant::now() + wait.min(LONGEST);
    if wanted.host.len() > MAX_HOST || wanted.host.contains(is_hidden) {
        return Err(Refusal::usage(
            "invalid `host`: use a machine's name of at most 255 bytes",
        ));
    }
    let of = LockOf {
        place,
        is_shared: wanted.shared,
    };
    let mut waits = None;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(token) = app.locks.keep_same(id, &of)? {
            return Ok(Some(token));
        }
        // Who is told from here on that one was given back may have missed it in the try.
        let mut freed = std::pin::pin!(app.locks.freed.notified());
        freed.as_mut().enable();
        if let Some(token) = attempt(app, id, &of, wanted).await? {
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
            () = app.stops() => return Err(Refusal::busy("the service stops")),
            () = peer.has_ended() => return Ok(None),
        }
    }
}

/// Tries for a lock once.
async fn attempt(
    app: &Arc<App>,
    id: Etag,
    of: &LockOf,
    wanted: &LockWanted,
) -> Result<Option<u64>, Refusal> {
    let permit = Arc::clone(&app.locks.places).try_acquire_owned();
    let permit = permit.map_err(|_| Refusal::busy("too many locks are held here"))?;
    let request = LockRequest {
        is_shared: of.is_shared,
        patience: Some(Duration::ZERO),
    };
    let At { namespace, key } = of.place.clone();
    let work = move |app: &App| app.store().lock(&namespace, &key, request, app.clock());
    // Where nobody listens any more the lock is given back as soon as it is had.
    let Some(held) = app.change(work).await? else {
        return Ok(None);
    };
    let holder = Holder {
        pid: wanted.pid,
        host: wanted.host.clone(),
        since: app.clock().now(),
        is_shared: of.is_shared,
    };
    let token = app.locks.grant(id, of.clone(), held, holder, permit)?;
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
        loop {
            match app.locks.check(id) {
                Check::Until(until) => sleep_until(until).await,
                Check::Over(granted) => {
                    _ = give_back(&app, granted.map(|granted| *granted)).await;
                    return;
                }
            }
        }
    });
}
