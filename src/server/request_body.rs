//! Bodies of requests: a small one in memory, a larger one as a source that is read while it comes.

use std::io;
use std::sync::Arc;

use axum_core::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use hyper::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use crate::exit::Exit;
use crate::store::key::MAX_KEY_LEN;
use crate::store::{Source, StoreError};

use super::memory::Share;
use super::reply::Refusal;
use super::stream::{LEAST_RATE, Slowness, URGENT_RATE};
use super::{App, begin};

/// A body of at most this many bytes has come whole before a thread is taken for it.
const HELD: usize = 64 * 1024;
/// So much of a body that is refused is received all the same.
const PASSED_OVER: u64 = 16 * 1024 * 1024;

/// A body on its way in.
pub(super) struct RequestBody {
    body: Body,
    /// Of the value.
    max: u64,
    /// The most bytes of the key before it.
    key: u64,
    /// How many bytes it has, at the most.
    most: u64,
    received: u64,
    /// What was received and is still to be handed on.
    front: Bytes,
    /// How many bytes its client has to send in a second.
    rate: u32,
    slowness: Slowness,
    /// The headers speak of it.
    is_announced: bool,
    /// Memory is taken for as long as it comes.
    holds_memory: bool,
    has_ended: bool,
}

impl RequestBody {
    /// Looks at what the headers say of a body before any of it is read.
    pub(super) fn new(headers: &HeaderMap, body: Body, max: u64) -> Result<Self, Refusal> {
        Self::behind(0, headers, body, max)
    }

    /// As [`RequestBody::new`], of a body that begins with a key of at most so many bytes.
    pub(super) fn behind(
        key: u64,
        headers: &HeaderMap,
        body: Body,
        max: u64,
    ) -> Result<Self, Refusal> {
        let coding = headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let error = "a body is stored as it is: leave `Content-Encoding` out";
            return Err(Refusal::new(code, Exit::Usage, error));
        }
        let length = headers.get(header::CONTENT_LENGTH);
        let length: Option<u64> = length.and_then(|text| text.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > max.saturating_add(key)) {
            return Err(Refusal::too_large(max).with(header::CONNECTION, "close"));
        }
        Ok(Self {
            body,
            max,
            key,
            most: length.unwrap_or(max.saturating_add(key)),
            received: 0,
            front: Bytes::new(),
            rate: LEAST_RATE,
            slowness: Slowness::default(),
            is_announced: length.is_some() || headers.contains_key(header::TRANSFER_ENCODING),
            holds_memory: false,
            has_ended: false,
        })
    }

    /// Says that memory is taken for as long as the body comes.
    pub(super) fn for_memory(self) -> Self {
        let holds_memory = true;
        Self {
            holds_memory,
            ..self
        }
    }

    /// Refuses a request that says nothing of a body where one is wanted: in HTTP/1.0 it would end with the
    /// connection, and an empty value be stored in place of it.
    pub(super) fn announced(self) -> Result<Self, Refusal> {
        match self.is_announced {
            true => Ok(self),
            false => {
                let error = "the request has no `Content-Length`: send 0 for an empty value";
                Err(Refusal::new(
                    StatusCode::LENGTH_REQUIRED,
                    Exit::Usage,
                    error,
                ))
            }
        }
    }

    /// Tells whether its length is known, and little.
    pub(super) fn is_short(&self) -> bool {
        self.most <= HELD as u64
    }

    /// Returns how fast it has to come just now.
    fn rate(&self, app: &App) -> u32 {
        match self.holds_memory && app.memory.is_wanted() {
            true => URGENT_RATE,
            false => LEAST_RATE,
        }
    }

    /// Returns the next part, `None` at the end.
    async fn part(&mut self) -> Result<Option<Bytes>, Refusal> {
        if !self.front.is_empty() {
            return Ok(Some(std::mem::take(&mut self.front)));
        }
        loop {
            let asked = Instant::now();
            let frame = timeout(self.slowness.patience(), self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| slow())? else {
                self.has_ended = true;
                return Ok(None);
            };
            let frame = frame.map_err(|_| cut_off())?;
            let Ok(part) = frame.into_data() else {
                continue;
            };
            self.slowness.note(asked.elapsed(), part.len(), self.rate);
            self.received += part.len() as u64;
            if self.received > self.max.saturating_add(self.key) {
                return Err(Refusal::too_large(self.max).with(header::CONNECTION, "close"));
            }
            return Ok(Some(part));
        }
    }

    /// Reads until the end, or until more than `most` bytes have come.
    async fn read(&mut self, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut head = Vec::new();
        while head.len() <= most {
            match self.part().await? {
                Some(part) => head.extend_from_slice(&part),
                None => break,
            }
        }
        Ok(head)
    }

    /// Takes the key off its beginning, which has so many bytes, or is all of it.
    pub(super) async fn take_key(&mut self, len: Option<usize>) -> Result<Vec<u8>, Refusal> {
        let mut key = self.read(len.unwrap_or(MAX_KEY_LEN)).await?;
        if let Some(len) = len {
            if key.len() < len {
                return Err(Refusal::usage("the body is shorter than its key"));
            }
            self.front = Bytes::from(key.split_off(len));
        }
        Ok(key)
    }

    /// Reads all of a body that has to be in memory, and so many times where `copies` says so.
    pub(super) async fn whole(mut self, app: &App, copies: u64) -> Result<Held, Refusal> {
        self.holds_memory = true;
        let mut bytes = self.read(HELD).await?;
        let mut share = Share::default();
        if !self.has_ended {
            let room = share.fit(app, copies * self.most.max(bytes.len() as u64));
            room.await
                .map_err(|refusal| refusal.with(header::CONNECTION, "close"))?;
            let most = usize::try_from(self.most).unwrap_or(usize::MAX);
            bytes.reserve_exact(most.saturating_sub(bytes.len()));
        }
        while !self.has_ended {
            self.rate = self.rate(app);
            if let Some(part) = self.part().await? {
                bytes.extend_from_slice(&part);
            }
        }
        Ok(Held { bytes, share })
    }

    /// Calls the store with the body as a source. A body that is cut off is an error of the source,
    /// so that nothing is changed.
    pub(super) async fn feed<T: Send + 'static>(
        mut self,
        app: &Arc<App>,
        work: impl FnOnce(&App, &mut dyn Source) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        self = self.announced()?;
        let head = self.read(HELD).await?;
        if self.has_ended {
            return app.change(move |app| work(app, &mut &*head)).await;
        }
        let _permit = permit(app, &app.streams).await?;
        let (sender, parts) = mpsc::channel(4);
        let mut upload = Upload {
            now: Bytes::from(head),
            parts,
            has_ended: false,
        };
        let shared = Arc::clone(app);
        let job = begin(app, move || {
            shared.is_there()?;
            Ok(work(&shared, &mut upload))
        });
        let job = job.await?;
        // The fault of a client is told to it as such, and not as the failure that comes of it.
        self.pump(app, sender).await?;
        let done = job.await.unwrap_or_else(|_| Err(Refusal::bug()))?;
        app.note_there();
        done.map_err(|err| app.failed(&err))
    }

    /// Hands on what comes, and that it has ended. When nobody wants it any more a part of the rest is
    /// passed over: a client that is still sending when the connection closes gets no answer.
    async fn pump(
        &mut self,
        app: &App,
        sender: mpsc::Sender<Option<Bytes>>,
    ) -> Result<(), Refusal> {
        let mut passed_over = None;
        while passed_over.is_none_or(|from| self.received - from < PASSED_OVER) {
            self.rate = self.rate(app);
            let part = self.part().await?;
            let has_ended = part.is_none();
            if passed_over.is_none() && sender.send(part).await.is_err() {
                passed_over = Some(self.received);
            }
            if has_ended {
                break;
            }
        }
        Ok(())
    }
}

/// Reads a body that is JSON.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let read = serde_json::from_slice(body);
    read.map_err(|err| Refusal::usage(format!("invalid JSON body: {err}")))
}

/// Waits for one of the places that there are for what takes long, but not for ever.
pub(super) async fn permit(
    app: &App,
    places: &Arc<Semaphore>,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let permit = Arc::clone(places).acquire_owned();
    match timeout(app.store().busy_timeout(), permit).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Refusal::busy("too many large values are being sent")),
    }
}

fn slow() -> Refusal {
    let error = "timed out waiting for the body";
    let slow = Refusal::new(StatusCode::REQUEST_TIMEOUT, Exit::Failure, error);
    slow.with(header::CONNECTION, "close")
}

fn cut_off() -> Refusal {
    Refusal::usage("the body was cut off").with(header::CONNECTION, "close")
}

/// A body that is in memory, and its share of it.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    share: Share,
}

impl Held {
    pub(super) fn into_parts(self) -> (Vec<u8>, Share) {
        (self.bytes, self.share)
    }
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body that another thread receives. That it has ended is said; where it only stops coming, it
/// was cut off.
struct Upload {
    now: Bytes,
    parts: mpsc::Receiver<Option<Bytes>>,
    has_ended: bool,
}

impl Source for Upload {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        while self.now.is_empty() && !self.has_ended {
            match self.parts.blocking_recv() {
                Some(Some(part)) => self.now = part,
                Some(None) => self.has_ended = true,
                None => {
                    let cut_off = io::ErrorKind::UnexpectedEof.into();
                    return Err(StoreError::io("read", "the body", cut_off));
                }
            }
        }
        let n = buf.len().min(self.now.len());
        buf[..n].copy_from_slice(&self.now.split_to(n));
        Ok(n)
    }
}
