//! Bodies of answers that are made while they are sent.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum_core::body::Body;
use hyper::body::Bytes;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::store::{Source as _, StoreError, Value};

use super::reply::{Polled, Refusal};
use super::{App, begin};

/// Bytes that are sent at once.
const PART: usize = 128 * 1024;

/// What the thread that makes a body says of it.
enum Event {
    Part(Bytes),
    /// It has come to its end.
    End,
    /// It failed before anything of it was made.
    Refused(Refusal),
}

/// Makes a body of parts that another thread makes. Where that thread fails, or ends without saying that
/// it has come to the end, the body fails too, and the connection is closed short of its end.
fn body_of(
    first: Event,
    mut parts: mpsc::Receiver<Event>,
    permit: Option<OwnedSemaphorePermit>,
) -> Body {
    let mut first = Some(first);
    let mut is_torn = false;
    Body::new(Polled(move |cx: &mut Context<'_>| {
        let _held = &permit;
        let event = match first.take() {
            None => ready!(parts.poll_recv(cx)),
            first => first,
        };
        Poll::Ready(match event {
            Some(Event::Part(part)) => Some(Ok(Frame::data(part))),
            Some(Event::End) => None,
            Some(Event::Refused(_)) | None if is_torn => {
                Some(Err(io::Error::other("the answer could not be made")))
            }
            Some(Event::Refused(_)) | None => {
                // What was made is sent before the connection is closed, if the client takes it.
                is_torn = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        })
    }))
}

/// Writes the parts of a body; dropped before its end it leaves the body torn.
pub(super) struct BodyWriter {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Event>,
    has_begun: bool,
}

impl BodyWriter {
    fn send(&mut self, event: Event) -> io::Result<()> {
        self.has_begun = true;
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(event).map_err(gone)
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Event::End)
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.buffer);
        self.send(Event::Part(part.into()))
    }
}

/// Why a body has no end.
pub(super) enum CutOff {
    /// Its client takes no more.
    Gone,
    /// The store failed.
    Store(StoreError),
}

impl From<io::Error> for CutOff {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl From<StoreError> for CutOff {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

/// Makes a body of what `write` writes on a thread of its own, and returns when the first part of it
/// is there: what fails before that is refused. What fails behind it is told to the operator, and the
/// client sees a body that is cut off.
pub(super) async fn written(
    app: &Arc<App>,
    permit: Option<OwnedSemaphorePermit>,
    write: impl FnOnce(&App, &mut BodyWriter) -> Result<(), CutOff> + Send + 'static,
) -> Result<Body, Refusal> {
    let (sender, mut parts) = mpsc::channel(2);
    let shared = Arc::clone(app);
    let work = move || {
        let app = shared;
        let mut writer = BodyWriter {
            buffer: Vec::new(),
            sender,
            has_begun: false,
        };
        match write(&app, &mut writer) {
            // Whoever is gone needs no end.
            Ok(()) => _ = writer.finish(),
            Err(CutOff::Gone) => {}
            Err(CutOff::Store(err)) => {
                // What is sound is sent before it is cut off.
                _ = writer.flush();
                let refusal = app.failed(&err);
                if !writer.has_begun {
                    _ = writer.send(Event::Refused(refusal));
                }
            }
        }
    };
    begin(app, work).await?;
    match parts.recv().await {
        Some(Event::Refused(refusal)) => Err(refusal),
        Some(first) => Ok(body_of(first, parts, permit)),
        None => Err(Refusal::bug()),
    }
}

/// Makes a body of a part of a value that is too large to be held. Its last bytes are not sent
/// before the whole value is verified, so that nobody takes damage for a value.
pub(super) async fn value(
    app: &Arc<App>,
    permit: Option<OwnedSemaphorePermit>,
    mut value: Value,
    range: Range<u64>,
) -> Result<Body, Refusal> {
    written(app, permit, move |_, writer| {
        let mut buf = vec![0; PART];
        let mut at = 0_u64;
        let mut held: Vec<u8> = Vec::new();
        loop {
            let n = value.read(&mut buf)?;
            if n == 0 {
                return Ok(writer.write_all(&held)?);
            }
            let part = clip(&buf[..n], at, &range);
            at += n as u64;
            if part.is_empty() {
                continue;
            }
            writer.write_all(&held)?;
            held = part.to_vec();
        }
    })
    .await
}

/// Returns what of the bytes at `at` belongs to a range.
pub(super) fn clip<'a>(bytes: &'a [u8], at: u64, range: &Range<u64>) -> &'a [u8] {
    let within = |offset: u64| {
        let offset = offset.saturating_sub(at).min(bytes.len() as u64);
        usize::try_from(offset).unwrap_or(bytes.len())
    };
    &bytes[within(range.start)..within(range.end)]
}
