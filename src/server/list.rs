//! Namespaces and entries, as lines of JSON that are sent while they are found.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::exit::Exit;
use crate::store::{Glob, Namespace, Selection, StoreError};
use crate::wire::info::write_json as write_info;
use crate::wire::{entry, json};

use super::App;
use super::address::Query;
use super::intake::place;
use super::openapi::Listed;
use super::outlet;
use super::reply::{Answer, Refusal, Refusals};

const PARAMETERS: [&str; 9] = [
    "glob", "prefix", "from", "to", "limit", "reverse", "values", "inline", "cursor",
];

/// Lists the namespaces: `{"namespace":"…"}`.
#[utoipa::path(
    get,
    path = "/v1",
    responses(
        (status = 200, description = "A line each", content_type = "application/x-ndjson", body = String),
        Refusals
    )
)]
pub(super) async fn namespaces(app: &Arc<App>, query: Option<&str>) -> Answer {
    Query::read(query, &[])?;
    app.still_there().await?;
    let names = app.start(|app| app.store().namespaces()).await?;
    let mut lines = Vec::new();
    for name in names {
        let line = serde_json::json!({ "namespace": name.as_str() });
        // Writing to memory cannot fail.
        _ = writeln!(lines, "{line}");
    }
    Ok(json_lines(Body::from(lines)))
}

/// Lists the entries of a namespace, as `kv ls --json` prints them. If there are more than `limit`,
/// the last line is `{"cursor":"…"}`, and the same request with `cursor` goes on from there. What is
/// damaged is told in a line as the body of a refusal, `{"status":4,"error":"…"}`; all that is sound
/// is listed all the same, and then the answer is cut off.
#[utoipa::path(
    get,
    path = "/v1/{namespace}",
    params(
        ("namespace" = String, Path, description = "1 to 255 bytes of UTF-8, not beginning with a dot"),
        ("op" = Option<String>, Query, description = "info: tell what is known of the namespace instead"),
        ("glob" = Option<String>, Query, description = "The whole key matches this"),
        ("prefix" = Option<String>, Query, description = "The key begins with this"),
        ("from" = Option<String>, Query, description = "The first key"),
        ("to" = Option<String>, Query, description = "The first key that is not listed any more"),
        ("limit" = Option<u64>, Query, description = "At most so many"),
        ("reverse" = Option<String>, Query, description = "The last key first"),
        ("values" = Option<String>, Query, description = "The values too"),
        ("inline" = Option<u64>, Query, description = "But for those of more bytes"),
        ("cursor" = Option<String>, Query, description = "Where the last answer ended"),
    ),
    responses(
        (status = 200, description = "A line each", content_type = "application/x-ndjson", body = Listed),
        Refusals
    )
)]
pub(super) async fn entries(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    let Asked {
        mut selection,
        limit,
        inline,
    } = asked(query)?;
    // One more tells whether there are more.
    selection.limit = limit.map(|limit| limit.saturating_add(1));
    app.still_there().await?;
    let place = place(app, &app.lists).await?;
    let body = outlet::written(app, Some(place), move |app, out| {
        let now = app.clock().now();
        let mut listing = app.store().scan(&namespace, &selection, now)?;
        let mut damage = None;
        let mut count = 0;
        while let Some(listed) = listing.next() {
            let mut listed = match listed {
                Ok(listed) => listed,
                Err(err) => {
                    if let Err(err) = write_refusal(out, &err) {
                        return Ok(Err(err));
                    }
                    damage = damage.or(Some(err));
                    continue;
                }
            };
            if limit == Some(count) {
                let written = write_cursor(out, listed.key, selection.reverse);
                return damage.map_or(Ok(written), Err);
            }
            count += 1;
            if inline.is_some_and(|inline| listed.meta.size > inline) {
                listed.value = None;
            }
            match entry::write(out, app.store(), &namespace, listed, now, false) {
                Ok(Ok(())) => {}
                Ok(Err(err)) => return Ok(Err(err)),
                Err(err) => {
                    if let Err(err) = write_refusal(out, &err) {
                        return Ok(Err(err));
                    }
                    damage = damage.or(Some(err));
                }
            }
        }
        // All that is sound was listed; that it is not all is told by the missing end.
        damage.map_or(Ok(Ok(())), Err)
    });
    Ok(json_lines(body))
}

/// Tells whether the entries of a namespace can be listed, and how.
pub(super) async fn head(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    let Asked { mut selection, .. } = asked(query)?;
    selection.limit = Some(1);
    let look = move |app: &App| {
        let now = app.clock().now();
        let mut listing = app.store().scan(&namespace, &selection, now)?;
        listing.next().transpose().map(drop)
    };
    app.start(look).await?;
    Ok(json_lines(Body::empty()))
}

fn write_refusal(out: &mut dyn std::io::Write, err: &StoreError) -> std::io::Result<()> {
    out.write_all(&Refusal::of(err).body())
}

fn write_cursor(out: &mut dyn std::io::Write, key: &[u8], reverse: bool) -> std::io::Result<()> {
    let mut bound = key.to_vec();
    if reverse {
        // The upper bound is not among what is listed; no key is between this one and its key.
        bound.push(0);
    }
    out.write_all(b"{")?;
    json::first(out, "cursor", &URL_SAFE_NO_PAD.encode(bound))?;
    out.write_all(b"}\n")
}

/// Tells what is known of a namespace, as `kv info --json` does.
pub(super) async fn info(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    Query::read(query, &["op"])?;
    let name = namespace.clone();
    let info = app.start(move |app| app.store().info(&name, app.clock().now()));
    let nothing = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            Exit::No,
            "there is no such namespace",
        )
    };
    let info = info.await?.ok_or_else(nothing)?;
    let mut line = Vec::new();
    // Writing to memory cannot fail.
    _ = write_info(&mut line, &[], Some((namespace.as_str(), &info)));
    Ok(json_lines(Body::from(line)))
}

/// What a listing is asked.
struct Asked {
    selection: Selection,
    limit: Option<u64>,
    /// Values of more bytes than this are left out.
    inline: Option<u64>,
}

fn asked(query: Option<&str>) -> Result<Asked, Refusal> {
    let query = Query::read(query, &PARAMETERS)?;
    let bytes = |name| query.bytes(name).map(<[u8]>::to_vec);
    let glob = query.bytes("glob").map(Glob::new).transpose();
    let glob = glob.map_err(|err| Refusal::usage(format!("invalid `glob`: {err}")))?;
    let number = |text: &str| -> Result<u64, String> {
        // The numbers of 64 bits of those who describe an interface have a sign.
        let number = text
            .parse()
            .ok()
            .filter(|number| i64::try_from(*number).is_ok());
        number.ok_or_else(|| "it is no number".to_owned())
    };
    let limit = query.parse("limit", number)?;
    let inline = query.parse("inline", number)?;
    let cursor = query.parse("cursor", |text| {
        let cursor = URL_SAFE_NO_PAD.decode(text);
        cursor.map_err(|_| "it is none that this service gave".to_owned())
    })?;
    let mut selection = Selection {
        glob,
        prefix: bytes("prefix").unwrap_or_default(),
        from: bytes("from"),
        to: bytes("to"),
        reverse: query.flag("reverse")?,
        limit: None,
        values: query.flag("values")?,
        ..Selection::default()
    };
    match cursor {
        None => {}
        // It was among what was asked for, so that it is the narrower bound.
        Some(bound) if selection.reverse => selection.to = Some(bound),
        Some(bound) => selection.from = Some(bound),
    }
    Ok(Asked {
        selection,
        limit,
        inline,
    })
}

fn json_lines(body: Body) -> Response {
    let mut response = Response::new(body);
    let lines = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, lines);
    response
}
