//! POST: the atomic steps that are no replacing and no removing of one entry.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::store::units::ttl;
use crate::store::{End, Etag, Expiry, Namespace, list};

use super::App;
use super::address::Query;
use super::entry::{self, At};
use super::intake::Intake;
use super::reply::{Answer, Refusal, empty};
use super::wait::{Look, Target, wait};

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

/// Carries out a verb on an entry.
pub(super) async fn on_key(
    app: &Arc<App>,
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
            app.start(work).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "take" => {
            read(&["op"])?;
            let work = move |app: &App| app.store().take(&at.namespace, &at.key, app.clock());
            let taken = app.start(work).await?.ok_or_else(Refusal::absent)?;
            Ok(entry::taken(app, taken))
        }
        "expire" => expire(app, at, &read(&["op", "ttl"])?).await,
        "wait" => wait_for(app, at, &read(&["op", "wait", "gone", "changed"])?).await,
        op => Err(unknown(
            op,
            "put, remove, take, incr, append, expire and wait",
        )),
    }
}

/// Carries out a verb on a list.
pub(super) async fn on_list(
    app: &Arc<App>,
    list: Namespace,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    if !list::can_be(&list) {
        return Err(Refusal::usage("that namespace is not for lists"));
    }
    match op(query) {
        "push" => {
            Query::read(query, &["op"])?;
            let intake = Intake::new(headers, body, app.config.max_value)?;
            let push = intake.feed(app, move |app, value| {
                app.store().push(&list, value, app.clock())
            });
            push.await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "pop" => pop(app, list, &Query::read(query, &["op", "last", "wait"])?).await,
        op => Err(unknown(op, "push and pop; the others want a key")),
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
    let sum = app.start(work).await?;
    Ok(format!("{sum}\n").into_response())
}

async fn expire(app: &Arc<App>, at: At, query: &Query) -> Answer {
    let expiry = query.parse("ttl", |text| match text {
        "never" => Ok(Expiry::Never),
        text => ttl(text).map(Expiry::After),
    })?;
    let expiry = expiry.ok_or_else(|| Refusal::usage("`expire` wants `ttl`"))?;
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        app.store().expire(namespace, key, expiry, app.clock())
    };
    match app.start(work).await? {
        true => Ok(empty(StatusCode::NO_CONTENT)),
        false => Err(Refusal::absent()),
    }
}

async fn pop(app: &Arc<App>, list: Namespace, query: &Query) -> Answer {
    let end = match query.flag("last")? {
        true => End::Last,
        false => End::First,
    };
    let target = Target::List(list.clone());
    let pop = move |app: &App| {
        let popped = app.store().pop(&list, end, app.clock())?;
        Ok(popped.map_or(Look::NotYet(None), Look::Found))
    };
    let nothing = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            crate::exit::Exit::No,
            "the list is empty",
        )
    };
    let popped = wait(app, target, query.wait()?, pop)
        .await?
        .ok_or_else(nothing)?;
    Ok(entry::taken(app, popped))
}

/// Answers when a key is there, or with `gone` when it is not, or with `changed` when its etag is
/// another than that one.
async fn wait_for(app: &Arc<App>, at: At, query: &Query) -> Answer {
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
    let nothing = || Refusal::new(code, crate::exit::Exit::No, "it does not hold yet");
    wait(app, target, query.wait()?, look)
        .await?
        .ok_or_else(nothing)?;
    let response: Response = empty(StatusCode::NO_CONTENT);
    Ok(response)
}
