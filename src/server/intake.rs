//! Bodies of requests: a small one in memory, a larger one as a source that is read while it comes.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task;
use tokio::time::timeout;

use crate::exit::Exit;
use crate::store::{Source, StoreError};

use super::App;
use super::reply::Refusal;

/// A body of at most this many bytes has come whole before a thread is taken for it.
const HELD: usize = 64 * 1024;

/// The most bytes that are read of a body of which nothing is wanted any more.
const MAX_UNWANTED: usize = 1024 * 1024 * 1024;
/// A client that sends nothing for so long is taken to wait for its answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A body on its way in.
pub(super) struct Intake {
    body: Body,
    max: u64,
    received: u64,
    has_ended: bool,
}

impl Intake {
    /// Looks at what the headers say of a body before any of it is read.
    pub(super) fn new(headers: &HeaderMap, body: Body, max: u64) -> Result<Self, Refusal> {
        let length = headers.get(header::CONTENT_LENGTH);
        let length: Option<u64> = length.and_then(|text| text.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > max) {
            return Err(Refusal::too_large(max).with(header::CONNECTION, "close"));
        }
        Ok(Self {
            body,
            max,
            received: 0,
            has_ended: false,
        })
    }

    /// Returns the next part, `None` at the end.
    async fn part(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(frame) = self.body.frame().await else {
                self.has_ended = true;
                return Ok(None);
            };
            let frame = frame.map_err(|err| explain(&err))?;
            let Ok(part) = frame.into_data() else {
                continue;
            };
            self.received += part.len() as u64;
            if self.received > self.max {
                self.drain().await;
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

    /// Reads all of a body that has to be in memory. There are not many large ones at a time.
    pub(super) async fn whole(mut self, app: &App) -> Result<Vec<u8>, Refusal> {
        let mut body = self.read(HELD).await?;
        if !self.has_ended {
            let _place = place(app, &app.streams).await?;
            body.extend_from_slice(&self.read(usize::MAX - 1).await?);
        }
        Ok(body)
    }

    /// Calls the store with the body as a source. A body that is cut off is an error of the source,
    /// so that nothing is changed.
    pub(super) async fn feed<T: Send + 'static>(
        mut self,
        app: &Arc<App>,
        work: impl FnOnce(&App, &mut dyn Source) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let head = self.read(HELD).await?;
        if self.has_ended {
            return app.start(move |app| work(app, &mut &*head)).await;
        }
        let _place = place(app, &app.streams).await?;
        let (sender, parts) = mpsc::channel(4);
        let mut upload = Upload {
            now: Bytes::from(head),
            parts,
            has_ended: false,
        };
        let shared = Arc::clone(app);
        let job = task::spawn_blocking(move || work(&shared, &mut upload));
        // The fault of a client is told to it as such, and not as the failure that comes of it.
        self.pump(sender).await?;
        let done = match job.await {
            Ok(done) => done.map_err(|err| app.failed(&err)),
            Err(_) => Err(Refusal::bug()),
        };
        self.drain().await;
        done
    }

    /// Reads what nobody wants any more: a client that is still sending does not look for an answer,
    /// and would take the end of the connection for one.
    async fn drain(&mut self) {
        let mut unwanted = 0;
        while !self.has_ended && unwanted < MAX_UNWANTED {
            match timeout(PAUSE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => unwanted += frame.data_ref().map_or(0, Bytes::len),
                Ok(None) => self.has_ended = true,
                Ok(Some(Err(_))) | Err(_) => return,
            }
        }
    }

    /// Hands on what comes, and that it has ended, until nobody wants it any more.
    async fn pump(&mut self, sender: mpsc::Sender<Option<Bytes>>) -> Result<(), Refusal> {
        loop {
            let part = self.part().await?;
            let has_ended = part.is_none();
            if sender.send(part).await.is_err() || has_ended {
                return Ok(());
            }
        }
    }
}

/// Waits for one of the places that there are for what takes long, but not for ever.
pub(super) async fn place(
    app: &App,
    places: &Arc<Semaphore>,
) -> Result<OwnedSemaphorePermit, Refusal> {
    let place = Arc::clone(places).acquire_owned();
    match timeout(app.store().busy_timeout(), place).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Refusal::busy("too many large values are on their way")),
    }
}

fn explain(err: &axum::Error) -> Refusal {
    let mut cause: Option<&(dyn Error + 'static)> = Some(err);
    while let Some(err) = cause {
        if err.is::<tower_http::timeout::TimeoutError>() {
            let error = "the body has not come in the time allowed";
            let slow = Refusal::new(StatusCode::REQUEST_TIMEOUT, Exit::Failure, error);
            return slow.with(header::CONNECTION, "close");
        }
        cause = err.source();
    }
    Refusal::usage("the body was cut off").with(header::CONNECTION, "close")
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
                    return Err(StoreError::Io {
                        action: "read",
                        path: PathBuf::from("the body"),
                        source: io::ErrorKind::UnexpectedEof.into(),
                    });
                }
            }
        }
        let n = buf.len().min(self.now.len());
        buf[..n].copy_from_slice(&self.now.split_to(n));
        Ok(n)
    }
}
