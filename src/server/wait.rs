//! Requests that wait until something can be had.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedSemaphorePermit, oneshot};
use tokio::task;

use crate::store::{self, Key, Namespace, WatchTarget};

use super::App;
use super::reply::Refusal;

/// The longest time that a request can wait; clients repeat it.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// What a look at the store has found.
pub(super) enum Look<T> {
    Found(T),
    /// Nothing yet; it may be otherwise after this time, even if nobody does anything.
    NotYet(Option<Duration>),
}

/// Where to look.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Key(Namespace, Key),
    List(Namespace),
}

/// Looks until something is found; `None` if nothing was in the time allowed. Each look may take
/// something away: none is begun once the client is gone or the service is to stop.
pub(super) async fn wait<T: Send + 'static>(
    app: &Arc<App>,
    target: Target,
    patience: Duration,
    mut look: impl FnMut(&App) -> store::Result<Look<T>> + Send + 'static,
) -> Result<Option<T>, Refusal> {
    if patience.is_zero() {
        let look = app.start(move |app| look(app)).await?;
        return Ok(match look {
            Look::Found(found) => Some(found),
            Look::NotYet(_) => None,
        });
    }
    let place = place(app)?;
    let (sender, mut result) = oneshot::channel();
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
    task::spawn_blocking(move || {
        waiter.run(&mut look, sender);
        drop(place);
    });
    let found = tokio::select! {
        found = &mut result => found,
        () = app.stops() => {
            drop(over);
            _ = turn.lock().await;
            match result.try_recv() {
                Ok(found) => Ok(found),
                Err(_) => return Err(Refusal::busy("the service stops")),
            }
        }
    };
    match found {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(err)) => Err(app.failed(&err)),
        Err(_) => Err(Refusal::bug()),
    }
}

/// Returns one of the places that there are for requests that wait.
pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, Refusal> {
    let place = Arc::clone(&app.waits).try_acquire_owned();
    place.map_err(|_| Refusal::busy("too many requests wait here"))
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
        sender: oneshot::Sender<store::Result<Option<T>>>,
    ) {
        let send = |found| _ = sender.send(found);
        let (namespace, target) = match &self.target {
            Target::Key(namespace, key) => (namespace, WatchTarget::Key(key)),
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
            let again = match look(&self.app) {
                Ok(Look::Found(found)) => return send(Ok(Some(found))),
                Ok(Look::NotYet(again)) => again,
                Err(err) => return send(Err(err)),
            };
            drop(turn);
            if self.until <= Instant::now() {
                return send(Ok(None));
            }
            let again = again.and_then(|again| Instant::now().checked_add(again));
            let until = again.map_or(self.until, |again| again.min(self.until));
            if let Err(err) = watcher.wait(Some(until)) {
                return send(Err(err));
            }
        }
    }
}
