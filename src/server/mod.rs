//! A store served over HTTP/1.1.
//!
//! It sees a [`Store`] and never an engine. Sockets are served by an asynchronous runtime, and each
//! call on the store by a thread that may block.
//!
//! ```text
//!   listen      binds the address
//!   connection  takes connections in, bounds them, and stops on a signal;  stream  their bytes
//!   routes      which path is whose
//!   speak       that an answer is kv's, and late ones
//!   guard       who may come in
//!   address     what a path and a query name
//!   entry       GET, HEAD, PUT, DELETE of one entry;  condition, range, fields  what they ask for
//!   verbs       POST: the other atomic steps;  wait  those that may take a while
//!   bulk        POST: many entries or commands at once;  locks  leases of named locks
//!   events      what changes, as server-sent events
//!   list        namespaces and entries as lines of JSON
//!   objects     /get and /set: objects and lists as JSON
//!   page        a page to look around with, and openapi.json, which describes all paths
//!   metrics     whether it is well, and what was done, for Prometheus
//!   request_body, response_body, reply   bodies in, bodies out, and errors;  memory  how much is held
//! ```

mod address;
mod bulk;
mod condition;
mod connection;
mod entry;
mod events;
mod fields;
mod guard;
mod list;
mod listen;
mod locks;
mod memory;
mod metrics;
mod objects;
mod page;
mod range;
mod reply;
mod request_body;
mod response_body;
mod routes;
mod speak;
mod stream;
mod verbs;
mod wait;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task;
use tokio::time::timeout;

use crate::os;
use crate::store::{Clock, Namespace, Store, StoreError};

pub use self::listen::Listener;
use self::locks::Locks;
use self::memory::Memory;
use self::metrics::Metrics;
use self::reply::Refusal;

/// Bodies of requests that are being read at the same time and do not fit a buffer: each takes a thread for
/// as long as its client takes.
const MAX_STREAMS: usize = 128;
/// Values that are being sent at the same time: whoever is slow to read one is in nobody's way who sends.
const MAX_READS: usize = 128;
/// Requests that wait for something to happen at the same time. Each takes a thread too, and a watch,
/// of which a user of Linux has 128 unless told otherwise.
const MAX_WAITS: usize = 128;
/// Listings and batches that are being sent at the same time: whoever is slow to send a value is in
/// nobody's way who wants to look.
const MAX_LISTS: usize = 64;
/// Threads for what is to come through whatever all others wait for: a lock that is given back, and
/// what watches over the service.
const MAX_ASIDE: usize = 8;
/// Calls on the store that are short, at the same time. They have threads of their own: among those
/// of the others a new one would be begun whenever the last call has not quite ended, and kept.
const MAX_CALLS: usize = 64;
/// Among how many workers a pool of memory is shared before they stand in each other's way.
const WORKERS_TO_A_POOL: usize = 4;
/// The most bytes of a request line and its headers.
const MAX_HEADER: usize = 64 * 1024;
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Carries out the commands of a client, and writes the replies to them.
pub type Batch = dyn Fn(BatchRequest, &mut dyn io::Write) -> io::Result<()> + Send + Sync;

/// What to serve, and to whom.
pub struct Config {
    /// The store.
    pub store: Box<dyn Store>,
    /// The clock.
    pub clock: Box<dyn Clock>,
    /// Which namespace `/get` and `/set` use.
    pub namespace: Namespace,
    /// What a request has to know; with `None` nothing.
    pub token: Option<Vec<u8>>,
    /// Names of this service besides its address and `localhost`.
    pub hosts: Vec<String>,
    /// The most bytes that a value can have.
    pub max_value: u64,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Carries out batches.
    pub batch: Box<Batch>,
    /// Is told what goes wrong with the store.
    pub tell: Box<dyn Fn(&StoreError) + Send + Sync>,
}

/// A batch that a client wants to be carried out.
#[derive(Debug)]
pub struct BatchRequest {
    /// The namespace of commands that name none.
    pub namespace: Namespace,
    /// The commands, as `kv batch` reads them.
    pub commands: Vec<u8>,
    /// Each is an array of JSON.
    pub json: bool,
    /// The first failure ends the batch.
    pub stop: bool,
    /// The end of the replies is marked.
    pub end: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// The most bytes that a value can have.
    pub max_value: u64,
}

/// What all requests share.
struct App {
    config: Config,
    metrics: Metrics,
    locks: Locks,
    memory: Memory,
    /// Whether there was a store at its place.
    was_there: AtomicBool,
    /// Becomes true when the service is to stop.
    stop: watch::Receiver<bool>,
    /// Has the threads for short calls.
    calls: Handle,
    streams: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    lists: Arc<Semaphore>,
    waits: Arc<Semaphore>,
}

impl App {
    fn store(&self) -> &dyn Store {
        &*self.config.store
    }

    fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    /// Calls the store on a thread that may block. It begins at once, whoever waits for it.
    fn start<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, Refusal>> {
        let app = Arc::clone(self);
        let work = move || work(&app).map_err(|err| app.failed(&err));
        joined(self.calls.spawn_blocking(work))
    }

    /// Changes the store in the same way, unless it was taken away: another in its place would be
    /// made, and what is stored there would be missed when it is back.
    fn change<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, Refusal>> {
        let app = Arc::clone(self);
        joined(self.calls.spawn_blocking(move || app.changed(work)))
    }

    /// Changes the store on this thread.
    fn changed<T>(&self, work: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, Refusal> {
        self.is_there()?;
        let done = work(self).map_err(|err| self.failed(&err))?;
        self.note_there();
        Ok(done)
    }

    /// Notes a store that the first change has made.
    fn note_there(&self) {
        if !self.was_there.load(Relaxed) {
            let is_there = self.store().exists().unwrap_or_default();
            self.was_there.fetch_or(is_there, Relaxed);
        }
    }

    /// Refuses where the store was there and is so no more.
    fn is_there(&self) -> Result<(), Refusal> {
        // Noted before the look: another request may make the store between the two.
        let was_there = self.was_there.load(Relaxed);
        match self.store().exists() {
            Ok(false) if was_there => Err(Refusal::gone()),
            Ok(is_there) => {
                self.was_there.fetch_or(is_there, Relaxed);
                Ok(())
            }
            Err(err) => Err(self.failed(&err)),
        }
    }

    /// Calls the store on a thread that is in nobody's turn.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let app = Arc::clone(self);
        let work = move || work(&app).map_err(|err| app.failed(&err));
        joined(begin(self, work).await?).await
    }

    /// Does as [`App::is_there`], for who has found nothing.
    async fn still_there(self: &Arc<Self>) -> Result<(), Refusal> {
        let app = Arc::clone(self);
        joined(self.calls.spawn_blocking(move || app.is_there())).await
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Returns when the service is to stop.
    async fn stops(&self) {
        // Where nobody is left to say so it stops as well.
        _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    /// Makes an answer of what went wrong with the store, and tells the operator.
    fn failed(&self, err: &StoreError) -> Refusal {
        let refusal = Refusal::of(err);
        if refusal.is_ours() {
            (self.config.tell)(err);
        }
        refusal
    }
}

/// Begins what may take long on a thread of its own, and refuses where the system gives none.
async fn begin<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<task::JoinHandle<T>, Refusal> {
    let (sender, begun) = oneshot::channel();
    let job = task::spawn_blocking(move || {
        // Where nobody waits for it any more it was begun just then.
        _ = sender.send(());
        work()
    });
    if timeout(app.store().busy_timeout(), begun).await.is_err() {
        job.abort();
        return Err(Refusal::busy(
            "the system gives the service no more threads",
        ));
    }
    Ok(job)
}

/// Returns what became of a call on the store that was begun.
async fn joined<T>(call: task::JoinHandle<Result<T, Refusal>>) -> Result<T, Refusal> {
    // It is never called off, so that it has panicked.
    call.await.unwrap_or_else(|_| Err(Refusal::bug()))
}

/// Serves a store until SIGTERM or SIGINT, and then finishes what runs. `ready` is called when
/// requests are taken in.
///
/// # Errors
///
/// Where the system has no sockets or threads to give.
pub fn serve(mut listener: Listener, config: Config, ready: impl FnOnce()) -> io::Result<()> {
    let files = connection::files();
    let most = connection::most_connections(files)?;
    let (runtime, calls) = runtimes()?;
    let (stopper, stop) = watch::channel(false);
    // It may be there later, and what is wrong is told before somebody asks.
    let was_there = config.store.exists().unwrap_or_else(|err| {
        (config.tell)(&err);
        false
    });
    let app = Arc::new(App {
        config,
        metrics: Metrics::default(),
        locks: Locks::new(files),
        memory: Memory::default(),
        was_there: AtomicBool::new(was_there),
        stop,
        calls: calls.handle().clone(),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        reads: Arc::new(Semaphore::new(MAX_READS)),
        lists: Arc::new(Semaphore::new(MAX_LISTS)),
        waits: Arc::new(Semaphore::new(MAX_WAITS)),
    });
    let served = runtime.block_on(connection::accept(&mut listener, app, most, stopper, ready));
    // Who still waits for the store to change is a thread that nobody listens to.
    runtime.shutdown_background();
    calls.shutdown_background();
    served
}

/// Starts the threads. The runtime would panic where the system refuses one, or wait for it for ever: it
/// is asked for so many before. It would panic later, too, where it has none for what blocks: each begins
/// with one, and they are kept.
fn runtimes() -> io::Result<(Runtime, Runtime)> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    // Connections are now with one worker, now with another.
    os::share_memory(workers.div_ceil(WORKERS_TO_A_POOL));
    let before = os::count_threads();
    let gate = Mutex::new(());
    let given = thread::scope(|scope| {
        let _closed = gate.lock();
        let wait = || drop(gate.lock());
        let start = |_| thread::Builder::new().spawn_scoped(scope, wait).map(drop);
        (0..workers + 2).try_for_each(start)
    });
    given.map_err(|_| io::Error::other("the system gives too few threads (ulimit -u)"))?;
    // The system counts each until it has ended altogether.
    for _ in 0..1_000 {
        if os::count_threads() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(MAX_STREAMS + MAX_READS + MAX_LISTS + MAX_WAITS + MAX_ASIDE)
        .thread_keep_alive(FOR_EVER)
        .enable_all()
        .build()?;
    let calls = Builder::new_current_thread()
        .max_blocking_threads(MAX_CALLS)
        .thread_keep_alive(FOR_EVER)
        .build()?;
    for one in [&runtime, &calls] {
        drop(one.spawn_blocking(|| ()));
    }
    Ok((runtime, calls))
}
