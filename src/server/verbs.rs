//! POST: the atomic steps that are no replacing and no removing of one entry.

use std::sync::Arc;
use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::IntoResponse as _;
use hyper::http::{HeaderMap, StatusCode};

use crate::store::key::MAX_KEY_LEN;
use crate::store::{End, Expiry, Namespace, lists};
use crate::wire::http::request::{self, OnKey, OnNamespace, Until};

use super::address::{At, at};
use super::reply::{Answer, Refusal, empty};
use super::request_body::RequestBody;
use super::stream::Peer;
use super::wait::{LONGEST, Look, Target, not_yet, wait};
use super::{App, BatchRequest, bulk, entry, locks};

/// The most bytes that are added to a value in one step: they have to be in memory.
const MAX_ADDITION: u64 = 16 * 1024 * 1024;

/// Carries out a verb on an entry; kv-serve(1) tells which parameters each has.
pub(super) async fn on_key(
    app: &Arc<App>,
    peer: &Peer,
    at: At,
    verb: OnKey,
    headers: &HeaderMap,
    body: Result<RequestBody, Refusal>,
) -> Answer {
    match verb {
        OnKey::Get => entry::get(app, at, headers).await,
        OnKey::Stat => entry::stat(app, at).await,
        OnKey::Put { if_value } => entry::put(app, at, headers, body, if_value).await,
        OnKey::Remove { if_value } => entry::remove(app, at, headers, if_value).await,
        OnKey::Incr { by, ttl } => incr(app, at, by, ttl).await,
        OnKey::Append => append(app, at, body?).await,
        OnKey::Take => take(app, at).await,
        OnKey::Expire(expiry) => expire(app, at, expiry).await,
        OnKey::Wait(wait) => wait_for(app, peer, at, wait).await,
    }
}

/// Returns how many bytes the body of a verb may have.
pub(super) fn most(app: &App, verb: &OnKey) -> u64 {
    match verb {
        OnKey::Append => app.config.max_value.min(MAX_ADDITION),
        _ => app.config.max_value,
    }
}

/// Carries out a verb on a namespace: as a list, or on many entries of it.
pub(super) async fn on_namespace(
    app: &Arc<App>,
    peer: &Peer,
    namespace: Namespace,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    match OnNamespace::read(query).map_err(Refusal::usage)? {
        OnNamespace::Pop { .. } | OnNamespace::Push if !lists::can_be(&namespace) => {
            Err(Refusal::no_list())
        }
        OnNamespace::Push => {
            let request = RequestBody::new(headers, body, app.config.max_value)?;
            let push = request.feed(app, move |app, value| {
                app.store().push(&namespace, value, app.clock())
            });
            push.await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        OnNamespace::Pop { end, wait } => pop(app, peer, namespace, end, wait).await,
        // A key that cannot stand in a path.
        OnNamespace::Key(verb, len) => {
            if len.is_some_and(|len| len > MAX_KEY_LEN) {
                return Err(Refusal::usage("the key is too long"));
            }
            // One that is a little too long is told as that.
            let key = len.unwrap_or(2 * MAX_KEY_LEN) as u64;
            let mut body = RequestBody::behind(key, headers, body, most(app, &verb))?;
            let at = at(namespace, body.take_key(len).await?)?;
            on_key(app, peer, at, verb, headers, Ok(body)).await
        }
        OnNamespace::Batch { json, stop, end } => {
            let request = BatchRequest {
                namespace,
                commands: Vec::new(),
                json,
                stop,
                end,
                read_only: app.config.read_only,
                max_value: app.config.max_value,
            };
            bulk::batch(app, request, headers, body).await
        }
        OnNamespace::Import(merge, now) => {
            bulk::import(app, namespace, (merge, now), headers, body).await
        }
        OnNamespace::Drop => {
            let dropped = app.change(move |app| app.store().remove_namespace(&namespace));
            match dropped.await? {
                true => Ok(empty(StatusCode::NO_CONTENT)),
                false => Err(Refusal::no_namespace()),
            }
        }
        verb
        @ (OnNamespace::Lock | OnNamespace::Keep | OnNamespace::Free | OnNamespace::Holder) => {
            locks::carry_out(app, peer, &verb, namespace, headers, body).await
        }
    }
}

/// Adds the body to a value, which may get no larger than a value can be.
async fn append(app: &Arc<App>, at: At, body: RequestBody) -> Answer {
    let addition = body.announced()?.whole(app, 1).await?;
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        let (store, clock) = (app.store(), app.clock());
        let there = store.stat(namespace, key, clock.now())?;
        let there = there.map_or(0, |meta| meta.size);
        let most = app.config.max_value;
        if there.saturating_add(addition.len() as u64) > most {
            return Ok(Err(Refusal::too_large(most)));
        }
        Ok(Ok(store.append(namespace, key, &addition, clock)?))
    };
    let mut response = empty(StatusCode::NO_CONTENT);
    if let Some((was, is)) = app.change(work).await?? {
        entry::set_etags(response.headers_mut(), was, is);
    }
    Ok(response)
}

async fn take(app: &Arc<App>, at: At) -> Answer {
    let work = move |app: &App| app.store().take(&at.namespace, &at.key, app.clock());
    let taken = app.change(work).await?.ok_or_else(Refusal::absent)?;
    entry::taken(app, taken).await
}

async fn incr(app: &Arc<App>, at: At, by: i64, ttl: Option<Duration>) -> Answer {
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        app.store().incr(namespace, key, by, ttl, app.clock())
    };
    let sum = app.change(work).await?;
    Ok(format!("{sum}\n").into_response())
}

async fn expire(app: &Arc<App>, at: At, expiry: Expiry) -> Answer {
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        app.store().expire(namespace, key, expiry, app.clock())
    };
    match app.change(work).await? {
        true => Ok(empty(StatusCode::NO_CONTENT)),
        false => Err(Refusal::absent()),
    }
}

async fn pop(app: &Arc<App>, peer: &Peer, list: Namespace, end: End, patience: Duration) -> Answer {
    let target = Target::List(list.clone());
    let pop = move |app: &App| {
        let popped = app.store().pop(&list, end, app.clock())?;
        Ok(popped.map_or(Look::NotYet(None), Look::Found))
    };
    let nothing = || not_yet("the list is empty", patience);
    let popped = wait(app, peer, target, patience.min(LONGEST), pop)
        .await?
        .ok_or_else(nothing)?;
    entry::taken(app, popped).await
}

/// Answers when something holds of a key.
async fn wait_for(app: &Arc<App>, peer: &Peer, at: At, wanted: request::Wait) -> Answer {
    let target = Target::Key(at.clone());
    let look = move |app: &App| {
        let now = app.clock().now();
        let found = app.store().stat(&at.namespace, &at.key, now)?;
        let holds = match wanted.until {
            Until::There => found.is_some(),
            Until::Gone => found.is_none(),
            Until::Changed(etag) => found.as_ref().is_none_or(|meta| meta.etag != etag),
        };
        let expires = found.and_then(|meta| meta.expires);
        let left: Option<Duration> = expires.map(|deadline| deadline.left(now));
        Ok(match holds {
            true => Look::Found(()),
            false => Look::NotYet(left),
        })
    };
    let nothing = || not_yet("the condition does not hold yet", wanted.wait);
    wait(app, peer, target, wanted.wait.min(LONGEST), look)
        .await?
        .ok_or_else(nothing)?;
    Ok(empty(StatusCode::NO_CONTENT))
}
