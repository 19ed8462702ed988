//! Connections: taken in, bounded in number and in time, and finished when the service stops.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use super::listen::{Listener, Socket};
use super::{App, routes};

/// How long a client may take to send a header, the time between two requests included.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what is sent to it.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// How long requests may go on after the signal to stop.
const GRACE: Duration = Duration::from_secs(30);
/// The most bytes of a request line and its headers.
pub(super) const MAX_HEADER: usize = 64 * 1024;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// The most connections at a time; the others wait in the system's queue.
const MAX_CONNECTIONS: u64 = 16_384;
/// Descriptors that are left to the store.
const OTHER_FILES: u64 = 512;

/// The address at which a client has reached this service; none on a unix socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached(pub(super) Option<IpAddr>);

/// Serves whoever connects, until a signal to stop.
pub(super) async fn accept(
    listener: &mut Listener,
    app: Arc<App>,
    stopper: watch::Sender<bool>,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let socket = Acceptor::of(listener.take_socket()?)?;
    let places = Arc::new(Semaphore::new(connections()));
    let routes = routes::router(&app);
    // Each connection holds a sender; when the last is gone, so are all connections.
    let (running, mut finished) = mpsc::channel::<()>(1);
    ready();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async {
            let place = place.await;
            (socket.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let Ok((stream, reached)) = accepted else {
            // Out of descriptors, or the client is gone already: neither ends the service.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (app, routes, running) = (Arc::clone(&app), routes.clone(), running.clone());
        tokio::spawn(async move {
            app.metrics.connections.fetch_add(1, Relaxed);
            serve(stream, reached, routes, &app).await;
            app.metrics.connections.fetch_sub(1, Relaxed);
            drop((place, running));
        });
    }
    drop((socket, running));
    _ = stopper.send(true);
    _ = tokio::time::timeout(GRACE, finished.recv()).await;
    Ok(())
}

/// Returns how many connections there can be, and asks the system for as many as it allows.
fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let wanted = MAX_CONNECTIONS + OTHER_FILES;
    let most = limit.maximum.unwrap_or(wanted);
    let raised = limit.current.unwrap_or(wanted).max(wanted.min(most));
    let new = Rlimit {
        current: Some(raised),
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, new) {
        Ok(()) => raised,
        Err(_) => limit.current.unwrap_or(wanted),
    };
    let places = files.saturating_sub(OTHER_FILES).max(files / 2);
    usize::try_from(places.min(MAX_CONNECTIONS)).unwrap_or(usize::MAX)
}

/// Serves one connection to its end. What goes wrong with it concerns its client alone.
async fn serve(stream: Box<dyn Duplex>, reached: Reached, routes: Router, app: &Arc<App>) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(reached);
        routes.call(request)
    });
    let stream = TokioIo::new(Timed {
        stream,
        app: Arc::clone(app),
        deadline: None,
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = app.stops() => {}
    }
    connection.as_mut().graceful_shutdown();
    _ = connection.await;
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    fn of(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket)?),
            Socket::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }

    async fn accept(&self) -> io::Result<(Box<dyn Duplex>, Reached)> {
        match self {
            Self::Tcp(socket) => {
                let (stream, _) = socket.accept().await?;
                stream.set_nodelay(true)?;
                let reached = Reached(Some(stream.local_addr()?.ip()));
                Ok((Box::new(stream), reached))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.accept().await?;
                Ok((Box::new(stream), Reached(None)))
            }
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream whose bytes are counted, and which fails when its client takes nothing for too long.
struct Timed {
    stream: Box<dyn Duplex>,
    app: Arc<App>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
        self.app.metrics.received.fetch_add(count as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl Timed {
    /// Notes that something was written, or when the patience ends.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(wrote) = wrote {
            self.deadline = None;
            let count = *wrote.as_ref().unwrap_or(&0);
            self.app.metrics.sent.fetch_add(count as u64, Relaxed);
            return Poll::Ready(wrote);
        }
        let new = || Box::pin(sleep_until(Instant::now() + WRITE_TIME));
        let deadline = self.deadline.get_or_insert_with(new);
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
