//! Namespaces and entries, as lines of JSON that are sent while they are found.

use std::io::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::{Glob, Namespace, Selection};
use crate::wire::{entry, json};

use super::App;
use super::address::Query;
use super::intake::place;
use super::outlet;
use super::reply::{Answer, Refusal};

const PARAMETERS: [&str; 8] = [
    "glob", "prefix", "from", "to", "limit", "reverse", "values", "cursor",
];

/// Lists the namespaces: `{"namespace":"…"}`.
pub(super) async fn namespaces(app: &Arc<App>, query: Option<&str>) -> Answer {
    Query::read(query, &[])?;
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
/// the last line is `{"cursor":"…"}`, and the same request with `cursor` goes on from there.
pub(super) async fn entries(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    let (mut selection, limit) = selection(query)?;
    // One more tells whether there are more.
    selection.limit = limit.map(|limit| limit.saturating_add(1));
    let place = place(app, &app.streams).await?;
    let body = outlet::written(app, Some(place), move |app, out| {
        let now = app.clock().now();
        let mut listing = app.store().scan(&namespace, &selection, now)?;
        let mut damage = None;
        let mut count = 0;
        while let Some(listed) = listing.next() {
            let listed = match listed {
                Ok(listed) => listed,
                Err(err) => {
                    damage = damage.or(Some(err));
                    continue;
                }
            };
            if limit == Some(count) {
                let written = write_cursor(out, listed.key, selection.reverse);
                return damage.map_or(Ok(written), Err);
            }
            count += 1;
            match entry::write(out, app.store(), &namespace, listed, now, false) {
                Ok(Ok(())) => {}
                Ok(Err(err)) => return Ok(Err(err)),
                Err(err) => damage = damage.or(Some(err)),
            }
        }
        // All that is sound was listed; that it is not all is told by the missing end.
        damage.map_or(Ok(Ok(())), Err)
    });
    Ok(json_lines(body))
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

fn selection(query: Option<&str>) -> Result<(Selection, Option<u64>), Refusal> {
    let query = Query::read(query, &PARAMETERS)?;
    let bytes = |name| query.bytes(name).map(<[u8]>::to_vec);
    let glob = query.bytes("glob").map(Glob::new).transpose();
    let glob = glob.map_err(|err| Refusal::usage(format!("invalid `glob`: {err}")))?;
    let limit = query.parse("limit", |text| {
        let limit: Result<u64, _> = text.parse();
        limit.map_err(|_| "it is no number".to_owned())
    })?;
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
    Ok((selection, limit))
}

fn json_lines(body: Body) -> Response {
    let mut response = Response::new(body);
    let lines = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, lines);
    response
}
