//! `/get` and `/set`: objects by an id, and lists by a name, as JSON.
//!
//! ```text
//! POST /set  {"id":"a","value":…}     {"result":true}
//! POST /get  {"id":"a"}               {"result":…}
//! POST /set  {"list":"l","value":…}   {"result":true}, and the list has one more
//! POST /get  {"list":"l"}             {"result":[…]}
//! ```

use std::io::{self, Write};
use std::sync::Arc;

use axum_core::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::{HeaderMap, Request, StatusCode, header};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::exit::Exit;
use crate::store::{Condition, Key, Namespace, Put, Selection, Value, lists};

use super::App;
use super::address::{key_of, namespace};
use super::condition::Preconditions;
use super::fields;
use super::reply::{Answer, Refusal, json};
use super::request_body::{Held, RequestBody, parse, permit};
use super::response_body;

/// The most bytes of an object: it has to be in memory to be JSON.
const MAX_OBJECT: u64 = 16 * 1024 * 1024;

/// What `/get` and `/set` take: an `id` or a `list`, and for `/set` a `value`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectRequest {
    id: Option<String>,
    list: Option<String>,
    #[serde(default, deserialize_with = "given")]
    value: Option<Box<RawValue>>,
}

/// Reads a value that is there, `null` too.
fn given<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(reader).map(Some)
}

/// What a request is about.
enum Object {
    Entry(Key),
    List(Namespace),
}

/// Stores an object, or adds it to a list.
pub(super) async fn set(app: &Arc<App>, request: Request<Body>) -> Answer {
    if app.config.read_only {
        return Err(Refusal::read_only());
    }
    Preconditions::refuse(request.headers(), false)?;
    let (object, value, held) = read(app, request).await?;
    let value = value.ok_or_else(|| Refusal::usage("there is no `value`"))?;
    let work = move |app: &App| {
        let mut text = value.get().as_bytes();
        let (store, clock) = (app.store(), app.clock());
        let key = match object {
            Object::List(list) => return store.push(&list, &mut text, clock),
            Object::Entry(key) => key,
        };
        let put = Put::new(&mut text, Condition::Always);
        let put = store.put(&app.config.namespace, &key, put, clock);
        drop(held);
        put.map(drop)
    };
    app.change(work).await?;
    Ok(json("{\"result\":true}\n"))
}

/// Answers with an object, or with all of a list.
pub(super) async fn get(app: &Arc<App>, request: Request<Body>) -> Answer {
    Preconditions::refuse(request.headers(), true)?;
    let (object, value, _) = read(app, request).await?;
    if value.is_some() {
        return Err(Refusal::usage("`value` is for /set"));
    }
    let key = match object {
        Object::List(list) => return elements(app, list).await,
        Object::Entry(key) => key,
    };
    let work = move |app: &App| {
        let found = app
            .store()
            .get(&app.config.namespace, &key, app.clock().now())?;
        let Some(entry) = found else {
            return Ok(Ok(None));
        };
        if entry.meta.size > MAX_OBJECT {
            return Ok(Err(too_large()));
        }
        Ok(Ok(Some(entry.value.into_vec()?)))
    };
    let Some(value) = app.start(work).await?? else {
        let none = "{\"result\":null}\n";
        return Ok(json((StatusCode::NOT_FOUND, none)));
    };
    let mut body = b"{\"result\":".to_vec();
    // Writing to memory cannot fail.
    _ = write_object(&mut body, &value);
    body.extend_from_slice(b"}\n");
    Ok(json(body))
}

fn too_large() -> Refusal {
    let error = format!("the object is larger than {MAX_OBJECT} bytes; GET /v1/ has it");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Exit::Failure, error)
}

/// Answers with the elements of a list, the oldest first.
async fn elements(app: &Arc<App>, list: Namespace) -> Answer {
    let permit = permit(app, &app.lists).await?;
    let body = response_body::written(app, Some(permit), move |app, out| {
        let selection = Selection {
            values: true,
            ..Selection::default()
        };
        let mut listing = app.store().scan(&list, &selection, app.clock().now())?;
        out.write_all(b"{\"result\":[")?;
        let mut is_first = true;
        while let Some(listed) = listing.next() {
            let listed = listed?;
            if !lists::is_element(listed.key) {
                continue;
            }
            let value = listed.value.map_or(Ok(Vec::new()), Value::into_vec)?;
            let comma: &[u8] = if is_first { b"" } else { b"," };
            is_first = false;
            out.write_all(comma)?;
            write_object(out, &value)?;
        }
        Ok(out.write_all(b"]}\n")?)
    })
    .await?;
    Ok(json(body))
}

/// Reads what is wanted, and what is held for it.
async fn read(
    app: &App,
    request: Request<Body>,
) -> Result<(Object, Option<Box<RawValue>>, Held), Refusal> {
    let (parts, body) = request.into_parts();
    fields::check_headers(&parts.headers, false)?;
    if !is_json(&parts.headers) {
        let error = "the request needs `Content-Type: application/json`";
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::new(code, Exit::Usage, error));
    }
    let max = app.config.max_value.min(MAX_OBJECT);
    let body = RequestBody::new(&parts.headers, body, max)?;
    let body = body.whole(app, 1).await?;
    let request: ObjectRequest = parse(&body)?;
    let object = match (request.id, request.list) {
        (Some(id), None) => Object::Entry(key_of(id.into_bytes())?),
        (None, Some(name)) => {
            let list = namespace(name.into_bytes())?;
            if !lists::can_be(&list) {
                return Err(Refusal::no_list());
            }
            Object::List(list)
        }
        _ => return Err(Refusal::usage("give either `id` or `list`")),
    };
    Ok((object, request.value, body))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Writes JSON as it is, other text as a string, and other bytes as `{"base64":…}`.
fn write_object(out: &mut dyn Write, value: &[u8]) -> io::Result<()> {
    if let Ok(json) = serde_json::from_slice::<&RawValue>(value) {
        return out.write_all(json.get().as_bytes());
    }
    match std::str::from_utf8(value) {
        Ok(text) => serde_json::to_writer(out, text).map_err(io::Error::from),
        Err(_) => write!(out, "{{\"base64\":\"{}\"}}", STANDARD.encode(value)),
    }
}
