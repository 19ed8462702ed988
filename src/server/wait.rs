//! Requests that wait until something can be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyper::http::StatusCode;
use tokio::sync::{Mutex, OwnedSemaphorePermit, oneshot};

use crate::exit::Exit;
use crate::store::{self, Namespace, WatchTarget};

use super::address::At;
use super::reply::Refusal;
use super::stream::Peer;
use super::{App, begin};

/// The longest time that a request can wait; clients repeat it.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// A waiter whose client is gone notices it within this time, and leaves its place.
pub(super) const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// What a look at the store has found.
pub(super) enum Look<T> {
    Found(T),
    /// Nothing yet; it may be otherwise after this time, even if nobody does anything.
    NotYet(Option<Duration>),
}

/// Where to look.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Key(At),
    List(Namespace),
}

/// Looks until something is found; `None` if nothing was in the time allowed. Each look may take
/// something away: but for the first, none is begun once the client may be gone, as one that sends no
/// more may be, or the service is to stop.
pub(super) async fn wait<T: Send + 'static>(
    app: &Arc<App>,
    peer: &Peer,
    target: Target,
    patience: Duration,
    mut look: impl FnMut(&App) -> store::Result<Look<T>> + Send + 'static,
) -> Result<Option<T>, Refusal> {
    if patience.is_zero() {
        let look = app.change(move |app| look(app)).await?;
        return Ok(match look {
            Look::Found(found) => Some(found),
            Look::NotYet(_) => None,
        });
    }
    let permit = permit(app)?;
    let (sender, mut result) = oneshot::channel();
    let (first, looked) = oneshot::channel();
    // Held during a look, so that what it takes away is not forgotten.
    let turn = Arc::new(Mutex::new(()));
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Over(Arc::clone(&is_over));
    let until = Instant::now() + patience;
    let waiter = Waiter {
        app: Arc::clone(app),
        target,
        until,
        turn: Arc::clone(&turn),
        is_over,
    };
    let run = move || {
        waiter.run(&mut look, first, sender);
        drop(permit);
    };
    begin(app, run).await?;
    let is_stopping = tokio::select! {
        found = &mut result => return answer_of(app, found),
        () = app.stops() => true,
        () = peer.has_ended() => false,
    };
    // The first look is had in any case: who asks and closes at once is told what there is.
    _ = looked.await;
    drop(over);
    _ = turn.lock().await;
    match result.try_recv() {
        Ok(found) => answer_of(app, Ok(found)),
        Err(_) if is_stopping => Err(Refusal::busy("the service is stopping")),
        Err(_) => Ok(None),
    }
}

fn answer_of<T>(
    app: &App,
    found: Result<store::Result<Option<T>>, oneshot::error::RecvError>,
) -> Result<Option<T>, Refusal> {
    match found {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(err)) => Err(app.failed(&err)),
        Err(_) => Err(Refusal::bug()),
    }
}

/// Tells a client that what it waits for has not come, and if it would have waited for longer than it
/// may.
pub(super) fn not_yet(what: &str, patience: Duration) -> Refusal {
    let longer = match patience > LONGEST {
        true => format!(": a request waits for {} s at the most", LONGEST.as_secs()),
        false => String::new(),
    };
    Refusal::new(StatusCode::NOT_FOUND, Exit::No, format!("{what}{longer}"))
}

/// Returns one of the places that there are for requests that wait.
pub(super) fn permit(app: &App) -> Result<OwnedSemaphorePermit, Refusal> {
    let permit = Arc::clone(&app.waits).try_acquire_owned();
    permit.map_err(|_| Refusal::busy("too many requests are waiting"))
}

/// Tells a waiter that nobody waits for it any more.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Waiter {
    app: Arc<App>,
    target: Target,
    until: Instant,
    turn: Arc<Mutex<()>>,
    is_over: Arc<AtomicBool>,
}

impl Waiter {
    fn run<T>(
        &self,
        look: &mut dyn FnMut(&App) -> store::Result<Look<T>>,
        first: oneshot::Sender<()>,
        sender: oneshot::Sender<store::Result<Option<T>>>,
    ) {
        let send = |found| _ = sender.send(found);
        let mut first = Some(first);
        let (namespace, target) = match &self.target {
            Target::Key(at) => (&at.namespace, WatchTarget::Key(&at.key)),
            Target::List(list) => (list, WatchTarget::List),
        };
        let mut watcher = match self.app.store().watch(namespace, target) {
            Ok(watcher) => watcher,
            Err(err) => return send(Err(err)),
        };
        loop {
            let turn = self.turn.blocking_lock();
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            if self.app.is_there().is_err() {
                // Whoever waits on it is told that nothing has come.
                return send(Ok(None));
            }
            let again = match look(&self.app) {
                Ok(Look::Found(found)) => return send(Ok(Some(found))),
                Ok(Look::NotYet(again)) => again,
                Err(err) => return send(Err(err)),
            };
            drop((turn, first.take()));
            if self.until <= Instant::now() {
                return send(Ok(None));
            }
            let again = again.and_then(|again| Instant::now().checked_add(again));
            let until = again.map_or(self.until, |again| again.min(self.until));
            let until = until.min(Instant::now() + LONGEST_LOOK);
            if let Err(err) = watcher.wait(Some(until)) {
                return send(Err(err));
            }
        }
    }
}
