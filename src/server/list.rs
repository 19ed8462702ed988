//! Namespaces and entries, as lines of JSON that are sent while they are found.

use std::io::{self, Write};
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::store::{Namespace, StoreError};
use crate::wire::entry;
use crate::wire::http::answer::{self, Cursor, Ended, Named};
use crate::wire::http::request::{List, read_info, read_namespaces};
use crate::wire::info::write_json as write_info;

use super::App;
use super::reply::{Answer, Refusal, typed, without_length};
use super::request_body::permit;
use super::response_body::{self, BodyWriter, CutOff};

/// The most bytes of what could not be listed that wait for an entry.
const MAX_HELD: usize = 64 * 1024;

/// Lists the namespaces: `{"namespace":"…"}`. With `end=1` the last line is `{"end":N}`.
pub(super) async fn namespaces(app: &Arc<App>, query: Option<&str>) -> Answer {
    let end = read_namespaces(query).map_err(Refusal::usage)?;
    app.still_there().await?;
    let names = app.start(|app| app.store().namespaces()).await?;
    let mut lines = Vec::new();
    for name in &names {
        let namespace = name.to_string();
        lines.extend(answer::line(&Named { namespace }));
    }
    if end {
        let end = names.len() as u64;
        lines.extend(answer::line(&Ended { end }));
    }
    Ok(json_lines(Body::from(lines)))
}

/// Lists the entries of a namespace, as `kv ls --json` prints them. If there are more than `limit`,
/// the last line is `{"cursor":"…"}`, and the same request with `cursor` goes on from there. What is
/// damaged is told in a line as the body of a refusal, `{"status":4,"error":"…"}`; all that is sound
/// is listed all the same, and then the answer is cut off. With `end=1` it is not, and the last line of
/// an answer that is whole is `{"end":N}`, where N entries are above.
pub(super) async fn entries(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    let request = List::read(query).map_err(Refusal::usage)?;
    app.still_there().await?;
    let permit = permit(app, &app.lists).await?;
    let write = move |app: &App, out: &mut BodyWriter| write(app, &namespace, request, out);
    let body = response_body::written(app, Some(permit), write).await?;
    Ok(json_lines(body))
}

/// Tells whether the entries of a namespace can be listed, and how.
pub(super) async fn head(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    let List { mut selection, .. } = List::read(query).map_err(Refusal::usage)?;
    selection.limit = Some(1);
    let look = move |app: &App| {
        let now = app.clock().now();
        let mut listing = app.store().scan(&namespace, &selection, now)?;
        listing.next().transpose().map(drop)
    };
    app.start(look).await?;
    Ok(json_lines(without_length()))
}

/// Writes a listing. Where its end is not to be marked, one that is not all there is has none.
fn write(
    app: &App,
    namespace: &Namespace,
    request: List,
    out: &mut BodyWriter,
) -> Result<(), CutOff> {
    let List {
        mut selection,
        inline,
        end,
    } = request;
    let limit = selection.limit;
    // One more tells whether there are more.
    selection.limit = limit.map(|limit| limit.saturating_add(1));
    let now = app.clock().now();
    let mut listing = app.store().scan(namespace, &selection, now)?;
    let mut damage = Damage::default();
    let mut count = 0;
    while let Some(listed) = listing.next() {
        let mut listed = match listed {
            Ok(listed) => listed,
            Err(err) => {
                damage.note(err, count == 0 && !end, out)?;
                continue;
            }
        };
        damage.tell(out)?;
        if limit == Some(count) {
            write_cursor(out, listed.key, selection.reverse)?;
            break;
        }
        count += 1;
        if inline.is_some_and(|inline| listed.meta.size > inline) {
            listed.value = None;
        }
        match entry::write(out, app.store(), namespace, listed, now, None) {
            Ok(written) => _ = written?,
            Err(err) => damage.note(err, false, out)?,
        }
    }
    match damage.first {
        Some(err) if !end => return Err(err.into()),
        Some(err) => _ = app.failed(&err),
        None => {}
    }
    if end {
        answer::write_line(out, &Ended { end: count })?;
    }
    Ok(())
}

/// What could not be listed.
#[derive(Default)]
struct Damage {
    first: Option<StoreError>,
    /// Lines that are not written before there is an entry: where there is none, the status of the
    /// answer tells.
    held: Vec<u8>,
}

impl Damage {
    fn note(&mut self, err: StoreError, holds: bool, out: &mut BodyWriter) -> io::Result<()> {
        self.held.extend(Refusal::of(&err).body());
        if self.first.is_none() {
            self.first = Some(err);
        }
        match holds && self.held.len() < MAX_HELD {
            true => Ok(()),
            false => self.tell(out),
        }
    }

    fn tell(&mut self, out: &mut BodyWriter) -> io::Result<()> {
        out.write_all(&self.held)?;
        self.held.clear();
        Ok(())
    }
}

fn write_cursor(out: &mut dyn Write, key: &[u8], reverse: bool) -> io::Result<()> {
    let mut bound = key.to_vec();
    if reverse {
        // The upper bound is not among what is listed; no key is between this one and its key.
        bound.push(0);
    }
    let cursor = URL_SAFE_NO_PAD.encode(bound);
    answer::write_line(out, &Cursor { cursor })
}

/// Tells what is known of a namespace, as `kv info --json` does.
pub(super) async fn info(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    read_info(query).map_err(Refusal::usage)?;
    let name = namespace.clone();
    let info = app.start(move |app| app.store().info(&name, app.clock().now()));
    let info = info.await?.ok_or_else(Refusal::no_namespace)?;
    let mut line = Vec::new();
    // Writing to memory cannot fail.
    _ = write_info(&mut line, &[], Some((namespace.as_str(), &info)));
    Ok(json_lines(Body::from(line)))
}

fn json_lines(body: Body) -> Response {
    typed("application/x-ndjson", body)
}
