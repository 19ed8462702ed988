//! One entry: GET, HEAD, PUT and DELETE of `/v1/NAMESPACE/KEY`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use axum_core::body::Body;
use axum_core::response::{IntoResponse as _, Response};
use hyper::body::Bytes;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;

use crate::exit::Exit;
use crate::store::{Condition, Entry, Etag, Meta, Put, Source, StoreError, Value};
use crate::wire::http::answer::{FAILED, WAS};
use crate::wire::json;
use crate::wire::text::escape;
use crate::wire::time::{rfc3339, rfc3339_deadline};

use super::App;
use super::address::At;
use super::condition::{Preconditions, current};
use super::fields::{EXPIRES, MODIFIED, expiry, modified};
use super::range::{Requested, requested};
use super::reply::{self, Answer, Refusal, empty, without_length};
use super::request_body::{RequestBody, permit};
use super::response_body;

/// So many headers the answer with a value has, or one less: it needs not grow for each.
const USUAL_HEADERS: usize = 12;
/// The bytes of an `ETag`.
const ETAG_LEN: usize = 18;

/// Answers with a value, or the part of it that is asked for.
pub(super) async fn get(app: &Arc<App>, at: At, headers: &HeaderMap) -> Answer {
    let preconditions = Preconditions::read(headers)?;
    let (store, now) = (app.store(), app.clock().now());
    // A wake-up of another thread and one of this take longer than the whole look.
    let found = match store.get_cached(&at.namespace, &at.key, now) {
        None => {
            app.start(move |app| app.store().get(&at.namespace, &at.key, app.clock().now()))
                .await?
        }
        found => found,
    };
    let meta = found.as_ref().map(|entry| &entry.meta);
    if let Some(answer) = before_reading(&preconditions, meta)? {
        return Ok(answer);
    }
    let entry = found.ok_or_else(Refusal::absent)?;
    let permit = match entry.value {
        Value::Whole { .. } => None,
        _ => Some(permit(app, &app.reads).await?),
    };
    value(app, entry.meta, entry.value, headers, permit).await
}

/// Tells what is known of an entry.
pub(super) async fn head(app: &Arc<App>, at: At, headers: &HeaderMap) -> Answer {
    let preconditions = Preconditions::read(headers)?;
    let found = app.start(move |app| app.store().stat(&at.namespace, &at.key, app.clock().now()));
    let found = found.await?;
    if let Some(answer) = before_reading(&preconditions, found.as_ref())? {
        return Ok(answer);
    }
    let meta = found.ok_or_else(Refusal::absent)?;
    let mut response = empty(StatusCode::OK);
    describe(response.headers_mut(), &meta);
    length(response.headers_mut(), meta.size);
    Ok(response)
}

/// Tells the same in a line, as `kv stat --json` prints it.
pub(super) async fn stat(app: &Arc<App>, at: At) -> Answer {
    let mut line = Vec::new();
    // Writing to memory cannot fail.
    _ = json::begin(&mut line, at.key.as_bytes());
    let found = app.start(move |app| app.store().stat(&at.namespace, &at.key, app.clock().now()));
    let meta = found.await?.ok_or_else(Refusal::absent)?;
    _ = json::end(&mut line, &meta);
    Ok(reply::json(line))
}

/// Answers a reader who has the entry already, or wants another.
fn before_reading(
    preconditions: &Preconditions,
    found: Option<&Meta>,
) -> Result<Option<Response>, Refusal> {
    let now = current(found);
    if !preconditions.holds(now) {
        return Err(Refusal::condition());
    }
    let Some(meta) = found.filter(|_| preconditions.is_known(now)) else {
        return Ok(None);
    };
    let mut response = (StatusCode::NOT_MODIFIED, without_length()).into_response();
    describe(response.headers_mut(), meta);
    Ok(Some(response))
}

/// Answers with a value, or the part of it that was asked for.
async fn value(
    app: &Arc<App>,
    meta: Meta,
    value: Value,
    headers: &HeaderMap,
    permit: Option<OwnedSemaphorePermit>,
) -> Answer {
    let (code, range) = match requested(headers, meta.etag, meta.size) {
        Requested::All => (StatusCode::OK, 0..meta.size),
        Requested::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Requested::Nothing => {
            let code = StatusCode::RANGE_NOT_SATISFIABLE;
            let error = format!(
                "the range begins behind the end of the value ({} bytes)",
                meta.size
            );
            let mut response = Refusal::new(code, Exit::No, error).into_response();
            let text = format!("bytes */{}", meta.size);
            set(response.headers_mut(), header::CONTENT_RANGE, text);
            return Ok(response);
        }
    };
    let (start, end) = (range.start, range.end);
    let body = match value {
        Value::Whole { bytes, next } => {
            let bytes = Bytes::from(bytes).slice(next..);
            Body::from(bytes.slice_ref(response_body::clip(&bytes, 0, &range)))
        }
        value => response_body::value(app, permit, value, range).await?,
    };
    let mut response = Response::new(body);
    *response.headers_mut() = HeaderMap::with_capacity(USUAL_HEADERS);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    describe(headers, &meta);
    length(headers, end - start);
    if code == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {start}-{}/{}", end - 1, meta.size);
        set(headers, header::CONTENT_RANGE, text);
    }
    Ok(response)
}

/// Answers with a value that was taken out of the store. It has nowhere else to go, so that it does
/// not wait for a place, and is sent whole also where the removal may not last, which a header tells.
pub(super) async fn taken(app: &Arc<App>, entry: Entry) -> Answer {
    let permit = Arc::clone(&app.reads).try_acquire_owned().ok();
    let (entry, err) = entry.without_error();
    let mut response = value(app, entry.meta, entry.value, &HeaderMap::new(), permit).await?;
    if let Some(err) = err {
        let failed = escape(app.failed(&err).into_error().as_bytes());
        set(
            response.headers_mut(),
            HeaderName::from_static(FAILED),
            failed,
        );
    }
    Ok(response)
}

/// Stores a value.
pub(super) async fn put(
    app: &Arc<App>,
    at: At,
    headers: &HeaderMap,
    body: Result<RequestBody, Refusal>,
    if_value: Option<Vec<u8>>,
) -> Answer {
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Refusal::usage(
            "a value is stored whole: leave `Content-Range` out",
        ));
    }
    let expiry = expiry(headers)?;
    let modified = modified(headers)?;
    let body = body?;
    let condition = condition(app, &at, headers, if_value).await?;
    let work = move |app: &App, body: &mut dyn Source| {
        let At { namespace, key } = &at;
        let mut was_there = false;
        let put = Put {
            value: body,
            expiry,
            modified,
            condition,
            was_there: Some(&mut was_there),
        };
        let etag = app.store().put(namespace, key, put, app.clock())?;
        Ok(etag.map(|etag| (etag, was_there)))
    };
    let (etag, was_there) = body.feed(app, work).await?.ok_or_else(Refusal::condition)?;
    let mut response = empty(match was_there {
        true => StatusCode::NO_CONTENT,
        false => StatusCode::CREATED,
    });
    set_etag(response.headers_mut(), etag);
    Ok(response)
}

/// Removes an entry.
pub(super) async fn remove(
    app: &Arc<App>,
    at: At,
    headers: &HeaderMap,
    if_value: Option<Vec<u8>>,
) -> Answer {
    let condition = condition(app, &at, headers, if_value).await?;
    let refusal = match condition {
        Condition::Always | Condition::Absent => Refusal::absent(),
        _ => Refusal::condition(),
    };
    let work = move |app: &App| {
        let At { namespace, key } = &at;
        // Nothing is removed where nothing is to be: it is told whether that holds.
        if condition == Condition::Absent {
            let found = app.store().stat(namespace, key, app.clock().now())?;
            return Ok(found.is_none().then_some(false));
        }
        let removed = app.store().remove(namespace, key, &condition, app.clock());
        removed.map(Some)
    };
    match app.change(work).await? {
        Some(true) => Ok(empty(StatusCode::NO_CONTENT)),
        Some(false) => Err(refusal),
        None => Err(Refusal::condition()),
    }
}

/// Returns the condition of a change. Where the store knows no such condition it is looked at what
/// is there, and the change takes place if that is still so.
async fn condition(
    app: &Arc<App>,
    at: &At,
    headers: &HeaderMap,
    if_value: Option<Vec<u8>>,
) -> Result<Condition, Refusal> {
    let preconditions = Preconditions::read(headers)?;
    if let Some(value) = if_value {
        return match preconditions == Preconditions::default() {
            true => Ok(Condition::Value(value)),
            false => Err(Refusal::usage("give either `if_value` or `If-` headers")),
        };
    }
    // Whoever waits to be told to send a body is told first where the condition fails already.
    let looks = headers.contains_key(header::EXPECT);
    let simple = preconditions.simple();
    if let Some(condition) = &simple
        && (*condition == Condition::Always || !looks)
    {
        return Ok(condition.clone());
    }
    let At { namespace, key } = at.clone();
    let found = app.start(move |app| -> Result<_, StoreError> {
        app.store().stat(&namespace, &key, app.clock().now())
    });
    let found = found.await?;
    match preconditions.allows(current(found.as_ref())) {
        true => Ok(simple
            .unwrap_or_else(|| found.map_or(Condition::Absent, |meta| Condition::Etag(meta.etag)))),
        false => Err(Refusal::condition()),
    }
}

/// Tells what is known of an entry.
fn describe(headers: &mut HeaderMap, meta: &Meta) {
    set_etag(headers, meta.etag);
    let modified = httpdate::fmt_http_date(SystemTime::from(meta.modified));
    set(headers, header::LAST_MODIFIED, modified);
    set(headers, MODIFIED, rfc3339(meta.modified));
    if let Some(deadline) = meta.expires {
        set(headers, EXPIRES, rfc3339_deadline(deadline));
    }
    for (name, value) in [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "application/octet-stream"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Says which etags an entry had, if there was one, and has.
pub(super) fn set_etags(headers: &mut HeaderMap, was: Option<Etag>, is: Etag) {
    set_etag(headers, is);
    if let Some(was) = was {
        set(headers, HeaderName::from_static(WAS), format!("\"{was}\""));
    }
}

fn set_etag(headers: &mut HeaderMap, etag: Etag) {
    // It would grow twice.
    let mut text = String::with_capacity(ETAG_LEN);
    // Writing to memory cannot fail.
    _ = write!(text, "\"{etag}\"");
    set(headers, header::ETAG, text);
}

fn length(headers: &mut HeaderMap, length: u64) {
    headers.insert(header::CONTENT_LENGTH, length.into());
}

/// Sets a header to text that is made of digits, letters and signs.
fn set(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
