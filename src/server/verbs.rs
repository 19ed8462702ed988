//! POST: the atomic steps that are no replacing and no removing of one entry.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;

use crate::exit::Exit;
use crate::store::key::MAX_KEY_LEN;
use crate::store::units::ttl;
use crate::store::{End, Etag, Expiry, Key, Namespace, list};
use crate::wire::time::read_rfc3339_deadline;

use super::address::Query;
use super::entry::{self, At};
use super::intake::Intake;
use super::openapi::{KeyVerb, NamespaceVerb, Raw};
use super::reply::{Answer, Refusal, Refusals, empty};
use super::stream::Peer;
use super::wait::{Look, Target, wait};
use super::{App, bulk, locks};

/// The most bytes that are added to a value in one step: they have to be in memory.
const MAX_ADDITION: u64 = 16 * 1024 * 1024;

/// Returns what `op` says.
pub(super) fn op(query: Option<&str>) -> &str {
    let parts = query.unwrap_or_default().split('&');
    parts
        .filter_map(|part| part.strip_prefix("op="))
        .next()
        .unwrap_or("")
}

fn unknown(op: &str, known: &str) -> Refusal {
    let op = op.escape_debug();
    Refusal::usage(format!("there is no `op={op}` here, but {known}"))
}

/// Carries out a verb on an entry; kv-serve(1) tells which parameters each has.
#[utoipa::path(
    post,
    path = "/v1/{namespace}/{key}",
    params(
        ("namespace" = String, Path, description = "1 to 255 bytes of UTF-8, not beginning with a dot"),
        ("key" = String, Path, description = "1 to 65,535 bytes, none of them NUL; any may be percent-encoded"),
        ("op" = inline(KeyVerb), Query),
        ("if_value" = Option<String>, Query, description = "put, remove: if it holds just this"),
        ("by" = Option<i64>, Query, description = "incr: how much"),
        ("ttl" = Option<String>, Query, description = "incr, expire: how long it lives"),
        ("at" = Option<String>, Query, description = "expire: when"),
        ("wait" = Option<String>, Query, description = "wait: how long"),
        ("gone" = Option<String>, Query, description = "wait: until it is gone"),
        ("changed" = Option<String>, Query, description = "wait: until its etag is another"),
    ),
    request_body(content = Raw, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "A number, or the value that was taken", content(
            (String = "text/plain"), (Raw = "application/octet-stream")
        )),
        (status = 201, description = "A new entry was put"),
        (status = 204, description = "Done"),
        Refusals
    )
)]
pub(super) async fn on_key(
    app: &Arc<App>,
    peer: &Peer,
    at: At,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let read = |known: &[&str]| Query::read(query, known);
    let if_value = || -> Result<_, Refusal> {
        let query = read(&["op", "if_value"])?;
        Ok(query.bytes("if_value").map(<[u8]>::to_vec))
    };
    match op(query) {
        "put" => entry::put(app, at, headers, body, if_value()?).await,
        "remove" => entry::remove(app, at, headers, if_value()?).await,
        "incr" => incr(app, at, &read(&["op", "by", "ttl"])?).await,
        "append" => {
            read(&["op"])?;
            let max = app.config.max_value.min(MAX_ADDITION);
            let addition = Intake::new(headers, body, max)?.whole(app).await?;
            let work = move |app: &App| {
                let At { namespace, key } = &at;
                app.store().append(namespace, key, &addition, app.clock())
            };
            app.change(work).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "take" => {
            read(&["op"])?;
            let work = move |app: &App| app.store().take(&at.namespace, &at.key, app.clock());
            let taken = app.change(work).await?.ok_or_else(Refusal::absent)?;
            Ok(entry::taken(app, taken))
        }
        "expire" => expire(app, at, &read(&["op", "ttl", "at"])?).await,
        "wait" => wait_for(app, peer, at, &read(&["op", "wait", "gone", "changed"])?).await,
        op => Err(unknown(
            op,
            "put, remove, take, incr, append, expire and wait",
        )),
    }
}

/// Carries out a verb on a namespace: as a list, or on many entries of it.
#[utoipa::path(
    post,
    path = "/v1/{namespace}",
    params(
        ("namespace" = String, Path, description = "1 to 255 bytes of UTF-8, not beginning with a dot"),
        ("op" = inline(NamespaceVerb), Query),
        ("last" = Option<String>, Query, description = "pop: the newest"),
        ("wait" = Option<String>, Query, description = "pop, wait: how long"),
        ("json" = Option<String>, Query, description = "batch: each command is an array"),
        ("stop" = Option<String>, Query, description = "batch: the first failure ends it"),
        ("merge" = Option<String>, Query, description = "import: overwrite, absent, newer or replace"),
    ),
    request_body(content = Raw, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "An element, replies, or what was done", content(
            (String = "text/plain"), (Raw = "application/octet-stream"), (Object = "application/json")
        )),
        (status = 204, description = "Done"),
        Refusals
    )
)]
pub(super) async fn on_namespace(
    app: &Arc<App>,
    peer: &Peer,
    list: Namespace,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    match op(query) {
        "pop" | "push" if !list::can_be(&list) => {
            Err(Refusal::usage("that namespace is not for lists"))
        }
        "push" => {
            Query::read(query, &["op"])?;
            let intake = Intake::new(headers, body, app.config.max_value)?;
            let push = intake.feed(app, move |app, mut value| {
                app.store().push(&list, &mut value, app.clock())
            });
            push.await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "pop" => {
            pop(
                app,
                peer,
                list,
                &Query::read(query, &["op", "last", "wait"])?,
            )
            .await
        }
        // A key that cannot stand in a path stands in the body.
        "wait" => {
            let query = Query::read(query, &["op", "wait", "gone", "changed"])?;
            let max = MAX_KEY_LEN as u64;
            let key = Intake::new(headers, body, max)?.whole(app).await?;
            let key = Key::new(key.to_vec()).map_err(|err| Refusal::usage(err.to_string()))?;
            let namespace = list;
            wait_for(app, peer, At { namespace, key }, &query).await
        }
        "batch" => bulk::batch(app, list, query, headers, body).await,
        "import" => bulk::import(app, list, query, headers, body).await,
        "drop" => {
            Query::read(query, &["op"])?;
            let dropped = app.change(move |app| app.store().remove_namespace(&list));
            match dropped.await? {
                true => Ok(empty(StatusCode::NO_CONTENT)),
                false => Err(Refusal::absent()),
            }
        }
        "lock" | "keep" | "free" | "holder" => {
            Query::read(query, &["op"])?;
            locks::carry_out(app, peer, op(query), list, headers, body).await
        }
        op => Err(unknown(
            op,
            "push, pop, wait, batch, import, drop, lock, keep, free and holder; the others want a key",
        )),
    }
}

async fn incr(app: &Arc<App>, at: At, query: &Query) -> Answer {
    let number = |text: &str| {
        text.parse()
            .map_err(|_| "it is no number of 64 bits".to_owned())
    };
    let by: i64 = query.parse("by", number)?.unwrap_or(1);
    let ttl = query.parse("ttl", ttl)?;
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        app.store().incr(namespace, key, by, ttl, app.clock())
    };
    let sum = app.change(work).await?;
    Ok(format!("{sum}\n").into_response())
}

async fn expire(app: &Arc<App>, at: At, query: &Query) -> Answer {
    let after = query.parse("ttl", |text| match text {
        "never" => Ok(Expiry::Never),
        text => ttl(text).map(Expiry::After),
    })?;
    let at_time = query.parse("at", |text| {
        let deadline = read_rfc3339_deadline(text);
        deadline
            .map(Expiry::At)
            .ok_or_else(|| "it is no time of RFC 3339".to_owned())
    })?;
    let expiry = match (after, at_time) {
        (Some(expiry), None) | (None, Some(expiry)) => expiry,
        _ => return Err(Refusal::usage("`expire` wants `ttl` or `at`")),
    };
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        app.store().expire(namespace, key, expiry, app.clock())
    };
    match app.change(work).await? {
        true => Ok(empty(StatusCode::NO_CONTENT)),
        false => Err(Refusal::absent()),
    }
}

async fn pop(app: &Arc<App>, peer: &Peer, list: Namespace, query: &Query) -> Answer {
    let end = match query.flag("last")? {
        true => End::Last,
        false => End::First,
    };
    let target = Target::List(list.clone());
    let pop = move |app: &App| {
        let popped = app.store().pop(&list, end, app.clock())?;
        Ok(popped.map_or(Look::NotYet(None), Look::Found))
    };
    let nothing = || Refusal::new(StatusCode::NOT_FOUND, Exit::No, "the list is empty");
    let popped = wait(app, peer, target, query.wait()?, pop)
        .await?
        .ok_or_else(nothing)?;
    Ok(entry::taken(app, popped))
}

/// Answers when a key is there, or with `gone` when it is not, or with `changed` when its etag is
/// another than that one.
async fn wait_for(app: &Arc<App>, peer: &Peer, at: At, query: &Query) -> Answer {
    let gone = query.flag("gone")?;
    let changed = query.parse("changed", |text| {
        let etag = text.parse::<Etag>();
        etag.map_err(|err| err.to_string())
    })?;
    if gone && changed.is_some() {
        return Err(Refusal::usage("`gone` and `changed` exclude each other"));
    }
    let target = Target::Key(at.namespace.clone(), at.key.clone());
    let look = move |app: &App| {
        let now = app.clock().now();
        let found = app.store().stat(&at.namespace, &at.key, now)?;
        let holds = match (&found, changed) {
            (Some(meta), Some(etag)) => meta.etag != etag,
            (None, Some(_)) => true,
            (found, None) => found.is_none() == gone,
        };
        let expires = found.and_then(|meta| meta.expires);
        let left: Option<Duration> = expires.map(|deadline| deadline.left(now));
        Ok(match holds {
            true => Look::Found(()),
            false => Look::NotYet(left),
        })
    };
    let code = StatusCode::NOT_FOUND;
    let nothing = || Refusal::new(code, Exit::No, "it does not hold yet");
    wait(app, peer, target, query.wait()?, look)
        .await?
        .ok_or_else(nothing)?;
    Ok(empty(StatusCode::NO_CONTENT))
}
