//! The stream of a connection: bytes in and out, how slow its client may be, and whether it has gone.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::os;

use super::App;

/// How long a client may take nothing of what is sent to it, or send nothing of what it has begun.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(30);
/// Each second beyond that is to be earned by so many bytes.
pub(super) const LEAST_RATE: u32 = 1_000;
/// And by so many where others wait for the memory that is taken.
pub(super) const URGENT_RATE: u32 = 64 * 1_024;
/// How long a client that has been refused may go on sending what nobody reads: it looks for the
/// answer only then, and would lose it with a connection that is closed under it.
const LINGER_TIME: Duration = Duration::from_secs(30);
/// When it sends nothing for so long it has seen its answer, or is not going to.
const LINGER_PAUSE: Duration = Duration::from_secs(2);
/// How often a client is looked at that has sent more than it was asked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A byte that no line of a request has (RFC 3986, section 2).
const NO_URI: u8 = b'<';

/// How slow somebody has been for how much.
#[derive(Debug, Default)]
pub(super) struct Slowness(Duration);

impl Slowness {
    /// Returns for how long the other side may go on doing nothing.
    pub(super) fn patience(&self) -> Duration {
        IDLE_TIME.saturating_sub(self.0)
    }

    /// Notes that so many bytes took so long, where a second is to be earned by `rate` bytes.
    pub(super) fn note(&mut self, took: Duration, count: usize, rate: u32) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1) * count / rate;
        self.0 = (self.0 + took).saturating_sub(earned);
    }
}

/// Has the runtime drive a socket that does not block. Whether it is one of TCP or of the file system, and
/// whether it is listened on, makes no difference to the calls that are made on it here.
pub(super) fn driven(socket: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::from_std(socket.into())
}

/// A stream, of which the connection and its requests know.
#[derive(Debug)]
pub(super) struct Stream(TcpStream);

impl Stream {
    /// Reads, if there is something. Where the buffer is not filled there is nothing more, and the
    /// next try need not ask the system to know.
    fn try_read(&self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        let mut count = None;
        let read = self.0.try_io(Interest::READABLE, || {
            let n = os::read_into(&self.0, buf)?;
            count = Some(n);
            match n > 0 && buf.remaining() > 0 {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(n),
            }
        });
        count.map_or(read, Ok)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.try_read(buf) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match self.0.try_write_vectored(parts) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                wrote => return Poll::Ready(wrote),
            }
            ready!(self.0.poll_write_ready(cx))?;
        }
    }

    /// Sends a few bytes, if the client takes them.
    pub(super) async fn say(&self, bytes: &[u8]) {
        let parts = [IoSlice::new(bytes)];
        let wrote = std::future::poll_fn(|cx| self.poll_write(cx, &parts));
        _ = timeout(LINGER_PAUSE, wrote).await;
    }

    /// Ends what is sent, and reads what a client that was refused is still sending, so that the answer
    /// reaches it. Who was sent a part of what was announced learns at once that it is all there is.
    pub(super) async fn linger(&self) {
        // A client that is gone already hears nothing.
        _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Write);
        let mut buf = vec![0; 64 * 1024];
        let drained = async {
            loop {
                let mut buf = ReadBuf::new(&mut buf);
                let read = std::future::poll_fn(|cx| self.poll_read(cx, &mut buf));
                match timeout(LINGER_PAUSE, read).await {
                    Ok(Ok(n)) if n > 0 => {}
                    _ => return,
                }
            }
        };
        _ = timeout(LINGER_TIME, drained).await;
    }
}

/// The client of a connection, as its requests see it.
#[derive(Clone, Debug)]
pub(super) struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stream: Stream,
    reached: Option<IpAddr>,
    is_refused: AtomicBool,
    /// The head of a request was read.
    has_asked: AtomicBool,
    /// The last one is answered, and what comes next begins another.
    awaits_request: AtomicBool,
}

impl Peer {
    /// Makes a client that has reached this service at an address; at none on a unix socket.
    pub(super) fn new(socket: OwnedFd, reached: Option<IpAddr>) -> io::Result<Self> {
        Ok(Self(Arc::new(Inner {
            stream: Stream(driven(socket)?),
            reached,
            is_refused: AtomicBool::new(false),
            has_asked: AtomicBool::new(false),
            awaits_request: AtomicBool::new(true),
        })))
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.0.stream
    }

    /// Returns the address at which the client has reached this service.
    pub(super) fn reached(&self) -> Option<IpAddr> {
        self.0.reached
    }

    /// Notes that the head of a request was read: what comes next is its body.
    pub(super) fn note_asked(&self) {
        self.0.awaits_request.store(false, Relaxed);
        self.0.has_asked.store(true, Relaxed);
    }

    pub(super) fn has_asked(&self) -> bool {
        self.0.has_asked.load(Relaxed)
    }

    /// Notes that the request is answered, or begins to be: nothing more is wanted of its body.
    pub(super) fn note_answered(&self) {
        self.0.awaits_request.store(true, Relaxed);
    }

    /// Notes whether the client may be sending still what nobody wants.
    pub(super) fn set_refused(&self, is_refused: bool) {
        self.0.is_refused.store(is_refused, Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.0.is_refused.load(Relaxed)
    }

    /// Returns when the client has said that it sends no more. It may be there still, and may be
    /// gone: nothing tells before an answer is sent.
    pub(super) async fn has_ended(&self) {
        loop {
            match self.0.stream.0.ready(Interest::READABLE).await {
                Ok(ready) if !ready.is_read_closed() => sleep(LOOK_EVERY).await,
                _ => return,
            }
        }
    }
}

/// What comes next of the line of a request.
#[derive(Clone, Copy, Debug)]
enum RequestLine {
    Method,
    /// The blanks between the two.
    Gap,
    Target,
    Over,
}

/// A stream whose bytes are counted, and which fails when its client takes what is sent too slowly.
pub(super) struct Timed {
    peer: Peer,
    line: RequestLine,
    app: Arc<App>,
    slowness: Slowness,
    pending: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timed {
    pub(super) fn new(peer: Peer, app: Arc<App>) -> Self {
        Self {
            peer,
            line: RequestLine::Over,
            app,
            slowness: Slowness::default(),
            pending: None,
        }
    }

    /// Has the parser refuse a fragment in the line of a request, which it would pass over, so that
    /// another key were meant. Bytes that do not begin as a request does are left as they are; and the lines
    /// of requests that are sent ahead of answers are not looked at.
    fn forbid_fragment(&mut self, bytes: &mut [u8]) {
        if self.peer.0.awaits_request.swap(false, Relaxed) {
            self.line = RequestLine::Method;
        }
        for byte in bytes {
            match (self.line, *byte) {
                (RequestLine::Over, _) => return,
                // An empty line may come before it (RFC 9112, section 2.2).
                (RequestLine::Method, b'\r' | b'\n' | b'A'..=b'Z') => {}
                (RequestLine::Method, b' ') => self.line = RequestLine::Gap,
                (RequestLine::Gap, b'/' | b'h') => self.line = RequestLine::Target,
                (RequestLine::Target, b'#') => *byte = NO_URI,
                (RequestLine::Target, byte) if byte != b'\n' => {}
                _ => self.line = RequestLine::Over,
            }
        }
    }

    /// Notes what was written, or when the patience ends.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(wrote) = wrote {
            let count = *wrote.as_ref().unwrap_or(&0);
            if let Some((since, _)) = self.pending.take() {
                self.slowness.note(since.elapsed(), count, LEAST_RATE);
            }
            self.app.metrics.sent.fetch_add(count as u64, Relaxed);
            return Poll::Ready(wrote);
        }
        let patience = self.slowness.patience();
        let (_, deadline) = self.pending.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + patience)))
        });
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let count = ready!(self.peer.stream().poll_read(cx, buf))?;
        self.forbid_fragment(&mut buf.filled_mut()[before..]);
        self.app.metrics.received.fetch_add(count as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = self.peer.stream().poll_write(cx, &[IoSlice::new(buf)]);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = self.peer.stream().poll_write(cx, parts);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let how = rustix::net::Shutdown::Write;
        Poll::Ready(rustix::net::shutdown(&self.peer.stream().0, how).map_err(io::Error::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_slow_earns_time_by_bytes() {
        let mut slowness = Slowness::default();
        assert_eq!(slowness.patience(), IDLE_TIME);
        slowness.note(Duration::from_secs(18), 1, LEAST_RATE);
        assert_eq!(slowness.patience(), Duration::from_millis(12_001));
        slowness.note(Duration::from_secs(18), 1, LEAST_RATE);
        assert_eq!(slowness.patience(), Duration::ZERO);
        slowness.note(Duration::ZERO, 10_000, LEAST_RATE);
        assert!(slowness.patience() > Duration::from_secs(3));
        slowness.note(Duration::from_secs(1), usize::MAX, LEAST_RATE);
        assert_eq!(slowness.patience(), IDLE_TIME);
    }
}
