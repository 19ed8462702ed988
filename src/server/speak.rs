//! That an answer is kv's, and answers that take long.
//!
//! A client that knows the protocol takes silence for death, however long its request may take. Where
//! an answer is not at hand soon, it gets 200 and `KV-Late` at once, then an empty line every now and
//! then, so that nobody in between takes silence for death either, and when it is known what the answer
//! is a line that tells its code and headers, with its body behind.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::{IntoResponse as _, Response};
use hyper::body::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT};
use hyper::http::{HeaderName, HeaderValue, Method, Request};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::wire::http::answer::{self, Head, LATE, PROTOCOL, VERSION};

use super::reply::{NextPart, Polled, Refusal};

/// How long an answer may take before it is late, and how often a late one gives a sign of life.
const BEAT: Duration = Duration::from_millis(500);
/// The most bytes of a body that a connection outlives whose answer came first.
const SHORT: u64 = 64 * 1024;

type Coming = Pin<Box<dyn Future<Output = Response> + Send>>;

/// Has every answer that `answer` makes tell which protocol this is.
pub(super) async fn speak<F: Future<Output = Response> + Send + 'static>(
    mut request: Request<Incoming>,
    answer: impl FnOnce(Request<Body>) -> F,
) -> Response {
    let spoken = request.headers_mut().remove(PROTOCOL);
    let is_head = *request.method() == Method::HEAD;
    let (parts, body) = request.into_parts();
    // A short body is read to its end after the answer, without whoever answers.
    let is_long = parts.headers.contains_key(EXPECT)
        || body.size_hint().exact().is_none_or(|len| len > SHORT);
    let coming = Arc::new(AtomicU8::new(match body.is_end_stream() {
        true => ENDED,
        false => COMING,
    }));
    let at = Arc::clone(&coming);
    let request = Request::from_parts(parts, Body::new(Watched { body, at }));
    let mut response = match spoken.as_ref().map(HeaderValue::as_bytes) {
        None => answer(request).await,
        Some(version) if version != VERSION.as_bytes() => {
            let error = format!(
                "this service speaks version {VERSION} of the protocol, and the request another"
            );
            Refusal::usage(error).into_response()
        }
        // Its answer has no body in which anything could be told.
        Some(_) if is_head => answer(request).await,
        Some(_) => in_time(Box::pin(answer(request)), &coming).await,
    };
    let is_refused = response.status().is_client_error() || response.status().is_server_error();
    if is_refused && is_long && coming.load(Ordering::Acquire) != ENDED {
        // What is left of the body ends the connection, and who keeps it is told (RFC 9112, section 9.6).
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    let version = HeaderValue::from_static(VERSION);
    response.headers_mut().insert(PROTOCOL, version);
    tell_length(&mut response);
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Tells how long the body is, where that is known.
fn tell_length(response: &mut Response) {
    if let Some(length) = response.body().size_hint().exact() {
        let told = response.headers_mut().entry(CONTENT_LENGTH);
        told.or_insert_with(|| length.into());
    }
}

async fn in_time(mut coming: Coming, body: &AtomicU8) -> Response {
    loop {
        if let Ok(response) = timeout(BEAT, &mut coming).await {
            return response;
        }
        // Who is still sending does not look for an answer, and would take it for a refusal.
        if body.load(Ordering::Acquire) != COMING {
            break;
        }
    }
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut late = Late::Coming(coming, beat);
    let body = Polled(move |cx: &mut Context<'_>| late.poll(cx));
    // The second so that nginx hands on each sign of life.
    let headers = [(LATE, "1"), ("x-accel-buffering", "no")];
    (headers, Body::new(body)).into_response()
}

/// Whether more of a body is wanted, was read to its end, or is not looked at any more.
const COMING: u8 = 0;
const ENDED: u8 = 1;
const LEFT: u8 = 2;

/// The body of a request, of which is noted when nothing of it is to come any more.
struct Watched {
    body: Incoming,
    at: Arc<AtomicU8>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.at.store(LEFT, Ordering::Release),
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            _ => self.at.store(ENDED, Ordering::Release),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        _ = self
            .at
            .compare_exchange(COMING, LEFT, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The body of a late answer.
enum Late {
    Coming(Coming, Interval),
    Come(Body),
}

impl Late {
    fn poll(&mut self, cx: &mut Context<'_>) -> NextPart {
        let (coming, beat) = match self {
            Self::Come(body) => {
                let part = Pin::new(body).poll_frame(cx);
                return part.map_err(io::Error::other);
            }
            Self::Coming(coming, beat) => (coming, beat),
        };
        let Poll::Ready(mut response) = coming.as_mut().poll(cx) else {
            ready!(beat.poll_tick(cx));
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"\n")))));
        };
        tell_length(&mut response);
        let (parts, body) = response.into_parts();
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((name.to_string(), value.to_str().ok()?.to_owned()))
        };
        let head = Head {
            code: parts.status.as_u16(),
            headers: parts.headers.iter().filter_map(text).collect(),
        };
        *self = Self::Come(body);
        Poll::Ready(Some(Ok(Frame::data(answer::line(&head).into()))))
    }
}
