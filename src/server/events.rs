//! `GET /v1/NAMESPACE?op=watch`: what changes, as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum_core::response::IntoResponse as _;
use hyper::http::header;

use crate::store::{Follower, Listed, Meta, Namespace};
use crate::wire::entry;
use crate::wire::http::request::Follow;

use super::App;
use super::reply::{Answer, Refusal, typed};
use super::response_body::{self, BodyWriter, CutOff};
use super::wait::{LONGEST_LOOK, permit};

/// How often a listener is told that it is still listening, where nothing changes.
const BEAT: Duration = Duration::from_secs(5);

/// Tells what changes until the client goes, or the service stops. A client that does not read is told less
/// often, what there is by then, and goes as any that does not take its answer.
pub(super) async fn events(app: &Arc<App>, namespace: Namespace, query: Option<&str>) -> Answer {
    let follow = Follow::read(query).map_err(Refusal::usage)?;
    app.still_there().await?;
    let permit = permit(app)?;
    let write = move |app: &App, out: &mut BodyWriter| write(app, &namespace, &follow, out);
    let body = response_body::written(app, Some(permit), write).await?;
    // No cache is to have it, and nginx hands on each event.
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, typed("text/event-stream", body)).into_response())
}

/// Says that what is read by now is followed from before.
const STANDS: &[u8] = b": watching\n\n";
/// Says that all was told that was there.
const ALL: &[u8] = b": all\n\n";

fn write(
    app: &App,
    namespace: &Namespace,
    follow: &Follow,
    out: &mut BodyWriter,
) -> Result<(), CutOff> {
    let mut follower = Follower::new(app.store(), namespace, &follow.selection)?;
    let mut complaints = BTreeSet::new();
    let (mut tells, mut told) = (follow.now, Instant::now());
    if tells {
        out.write_all(STANDS)?;
        out.flush()?;
    }
    let mut is_first = true;
    while app.is_there().is_ok() && !app.is_stopping() {
        let now = app.clock().now();
        follower.look(now, &mut |change| -> Result<Option<Meta>, CutOff> {
            let meta = change.as_ref().map_or(None, |change| change.meta);
            match change {
                Ok(change) if tells => {
                    let key = change.key.as_bytes();
                    let listed = |meta| Listed {
                        key,
                        meta,
                        value: None,
                    };
                    let listed = (change.key, change.meta.map(listed));
                    out.write_all(b"data: ")?;
                    entry::write_change(out, app.store(), namespace, listed, now)??;
                    out.write_all(b"\n")?;
                    told = Instant::now();
                }
                Ok(_) => beat(out, &mut told)?,
                Err(err) => {
                    let refusal = app.failed(&err).body();
                    if complaints.insert(refusal.clone()) {
                        out.write_all(b"data: ")?;
                        out.write_all(&refusal)?;
                        out.write_all(b"\n")?;
                    }
                }
            }
            Ok(meta)
        })?;
        if std::mem::take(&mut is_first) {
            out.write_all(if tells { ALL } else { STANDS })?;
        }
        tells = true;
        beat(out, &mut told)?;
        out.flush()?;
        follower.wait(app.clock().now(), Some(Instant::now() + LONGEST_LOOK))?;
    }
    Ok(())
}

/// Tells a listener that it is still listening, if nothing was told for long.
fn beat(out: &mut BodyWriter, told: &mut Instant) -> io::Result<()> {
    if told.elapsed() >= BEAT {
        out.write_all(b":\n\n")?;
        out.flush()?;
        *told = Instant::now();
    }
    Ok(())
}
