//! Connections: taken in, bounded in number and in time, and finished when the service stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::process::{Resource, getrlimit};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::signal::unix::SignalKind;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::exit::Exit;
use crate::os;

use super::listen::Listener;
use super::reply::Refusal;
use super::speak::speak;
use super::stream::{Peer, Timed, driven};
use super::{App, MAX_CALLS, MAX_HEADER, routes};

/// How long a client may take to send a header, the time between two requests included.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// How long requests may go on after the signal to stop.
const GRACE: Duration = Duration::from_secs(30);
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// While others wait for a place, a client that has not asked yet has so long to do so.
const CROWDED_TIME: Duration = Duration::from_secs(2);
/// How long a client waits for a place before it is refused; those behind it wait no longer.
const PLACE_TIME: Duration = Duration::from_secs(5);
const DRAIN_TIME: Duration = Duration::from_millis(20);
/// The most connections at a time; the others wait in the system's queue.
const MAX_CONNECTIONS: u64 = 16_384;
/// Descriptors that are left to the store and to the locks that it holds, where there are many; and
/// how many a request takes there.
const OTHER_FILES: u64 = 2_048;
const FILES_PER_CALL: u64 = 8;
/// How many the runtime takes.
const RUNTIME_FILES: u64 = 7;
/// And the connection that waits for a place.
const WAITING_FILES: u64 = 1;

/// Serves whoever connects, until a signal to stop.
pub(super) async fn accept(
    listener: &mut Listener,
    app: Arc<App>,
    most: usize,
    stopper: watch::Sender<bool>,
    ready: impl FnOnce(),
) -> io::Result<()> {
    let mut terminate = os::hear(SignalKind::terminate())?;
    let mut interrupt = os::hear(SignalKind::interrupt())?;
    let socket = driven(listener.take_socket()?)?;
    let permits = Arc::new(Semaphore::new(most));
    // Each connection holds a sender; when the last is gone, so are all connections.
    let (running, mut finished) = mpsc::channel::<()>(1);
    let (crowd, crowded) = watch::channel(false);
    let mut full_since = None;
    ready();
    loop {
        let accepted = async {
            let peer = next(&socket).await?;
            if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                return Ok((peer, Some(permit)));
            }
            crowd.send_if_modified(|crowded| !std::mem::replace(crowded, true));
            let since = *full_since.get_or_insert_with(Instant::now);
            let permit = Arc::clone(&permits).acquire_owned();
            let permit = timeout_at(since + PLACE_TIME, permit).await;
            Ok((peer, permit.ok().and_then(Result::ok)))
        };
        let accepted: io::Result<_> = tokio::select! {
            accepted = accepted => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let Ok((peer, permit)) = accepted else {
            // Out of descriptors, or the client is gone already: neither ends the service.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Some(permit) = permit else {
            let refusal = Refusal::busy("too many connections are open").raw();
            peer.stream().say(&refusal).await;
            // What has come of its request is read: the system would take the answer back otherwise.
            _ = timeout(DRAIN_TIME, peer.stream().linger()).await;
            continue;
        };
        full_since = None;
        // Who is told wakes every connection, so that only a change is told.
        crowd.send_if_modified(std::mem::take);
        let (app, running) = (Arc::clone(&app), running.clone());
        let crowded = crowded.clone();
        tokio::spawn(async move {
            app.metrics.connections.fetch_add(1, Relaxed);
            serve(peer, &app, crowded).await;
            app.metrics.connections.fetch_sub(1, Relaxed);
            drop((permit, running));
        });
    }
    drop((socket, running));
    _ = stopper.send(true);
    _ = timeout(GRACE, finished.recv()).await;
    Ok(())
}

/// Asks the system for as many descriptors as it allows, and returns how many that are.
pub(super) fn files() -> u64 {
    os::raise_limit();
    let limit = getrlimit(Resource::Nofile).current;
    limit.unwrap_or(MAX_CONNECTIONS + OTHER_FILES)
}

/// Returns how many connections there can be with so many descriptors, of which the requests need some,
/// too.
pub(super) fn most_connections(files: u64) -> io::Result<usize> {
    // Where the system does not tell how many are open, it is about as many.
    let open = os::count_descriptors().unwrap_or(4);
    let least = open + RUNTIME_FILES + WAITING_FILES + FILES_PER_CALL + 1;
    if files < least {
        let error = format!("{files} open files are too few (ulimit -n): it takes {least}");
        return Err(io::Error::other(error));
    }
    let left = files - open - RUNTIME_FILES - WAITING_FILES;
    let for_calls = FILES_PER_CALL * MAX_CALLS as u64;
    let most = (left / (1 + FILES_PER_CALL)).max(left.saturating_sub(for_calls));
    let most = most.min((left / 2).max(left.saturating_sub(OTHER_FILES)));
    Ok(usize::try_from(most.min(MAX_CONNECTIONS)).unwrap_or(usize::MAX))
}

/// Serves one connection to its end. What goes wrong with it concerns its client alone.
///
/// A client that closes its half of the connection after a request waits for the answer to it.
async fn serve(peer: Peer, app: &Arc<App>, crowded: watch::Receiver<bool>) {
    let (client, shared) = (peer.clone(), Arc::clone(app));
    // Boxed, as a connection has room for it from its beginning on, and most of them wait.
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        client.note_asked();
        let (client, app) = (client.clone(), Arc::clone(&shared));
        Box::pin(async move {
            let peer = client.clone();
            let answer = speak(request, |request| routes::answer(app, peer, request)).await;
            client.note_answered();
            Ok::<_, Infallible>(answer)
        })
    });
    let stream = TokioIo::new(Timed::new(peer.clone(), Arc::clone(app)));
    let connection = http1::Builder::new()
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let mut connection = Box::pin(connection);
    // A request that was begun is carried out, and none after it.
    let last = async {
        tokio::select! {
            () = app.stops() => {}
            () = is_to_go(&peer, crowded) => {}
        }
    };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = last => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(err) = &ended
        && err.is_parse_version_h2()
    {
        let error = "HTTP/2 is not supported: use HTTP/1.1";
        let code = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        peer.stream()
            .say(&Refusal::new(code, Exit::Usage, error).raw())
            .await;
    }
    if ended.is_err() || peer.is_refused() {
        peer.stream().linger().await;
    }
}

/// Returns when a client has to make room for others. One that has not asked yet has some time to do so.
async fn is_to_go(peer: &Peer, mut crowded: watch::Receiver<bool>) {
    // The sender is gone when the service stops.
    _ = crowded.wait_for(|crowded| *crowded).await;
    if !peer.has_asked() {
        sleep(CROWDED_TIME).await;
    }
}

/// Takes a connection in.
async fn next(socket: &TcpStream) -> io::Result<Peer> {
    let accept = || os::accept(socket).map_err(io::Error::from);
    let stream = socket.async_io(Interest::READABLE, accept).await?;
    // A unix socket has no such address.
    let reached = SocketAddr::try_from(rustix::net::getsockname(&stream)?).ok();
    if reached.is_some() {
        set_tcp_nodelay(&stream, true)?;
    }
    Peer::new(stream, reached.map(|address| address.ip()))
}
