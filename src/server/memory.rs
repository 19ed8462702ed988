//! Large requests that are in memory, for all of which there is one budget of bytes.
//!
//! What each connection holds by itself, its header and the first 64 KiB of a body, is bounded by the
//! number of connections, and what is streamed by that of streams.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::App;
use super::reply::Refusal;

/// The budget, but for the imports that wait for a share of it with the begin of a line in memory.
pub(super) const BUDGET: u64 = 128 * 1024 * 1024 - LONG_LINES as u64 * BEGIN;
/// How many imports may do so, and the most bytes of what they hold.
const LONG_LINES: usize = 8;
pub(super) const BEGIN: u64 = 2 * 1024 * 1024;
/// The bytes of a piece of it.
const PIECE: u64 = 4 * 1024;
/// For how long a share is waited for at the least: so long others may take for what they have begun.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many imports put their entries in order at the same time, in how much memory each of them and the
/// one that came first.
const IMPORTS: usize = 16;
const IMPORT: usize = 8 * 1024 * 1024;
const FIRST_IMPORT: usize = 64 * 1024 * 1024;

/// What is left of the budget.
pub(super) struct Memory {
    pieces: Arc<Semaphore>,
    /// Whoever waits for a share has another of these.
    waiting: Arc<()>,
    /// For imports with long lines.
    pub(super) long_lines: Arc<Semaphore>,
    imports: Arc<Semaphore>,
    first_import: Arc<Semaphore>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            pieces: Arc::new(Semaphore::new((BUDGET / PIECE) as usize)),
            waiting: Arc::default(),
            long_lines: Arc::new(Semaphore::new(LONG_LINES)),
            imports: Arc::new(Semaphore::new(IMPORTS)),
            first_import: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Memory {
    /// Tells whether others wait for what is held here.
    pub(super) fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.waiting) > 1
    }
}

/// A share of the budget, which is given back with this.
///
/// It is had at once. One that grew while a body comes would be held while others are waited for who
/// hold theirs and wait too.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Share {
    /// Makes it a share of so many bytes at least. Where there is no room it is waited for in turn, but
    /// not for ever.
    pub(super) async fn fit(&mut self, app: &App, bytes: u64) -> Result<(), Refusal> {
        if bytes <= self.bytes {
            return Ok(());
        }
        if bytes > BUDGET {
            return Err(Refusal::too_large(BUDGET));
        }
        let more = u32::try_from((bytes - self.bytes).div_ceil(PIECE)).unwrap_or(u32::MAX);
        let _waits = Arc::clone(&app.memory.waiting);
        let more = Arc::clone(&app.memory.pieces).acquire_many_owned(more);
        let Ok(Ok(more)) = timeout(app.store().busy_timeout().max(PATIENCE), more).await else {
            return Err(too_many());
        };
        self.bytes += more.num_permits() as u64 * PIECE;
        match &mut self.permit {
            Some(held) => held.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }

    /// Does the same on a thread of the service that may block.
    pub(super) fn fit_here(&mut self, app: &App, bytes: u64) -> Result<(), Refusal> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Handle::current().block_on(self.fit(app, bytes))
    }
}

/// Memory in which an import puts its entries in order, beside the budget; given back with this.
pub(super) struct ImportRoom {
    pub(super) bytes: usize,
    _permits: [Option<OwnedSemaphorePermit>; 2],
}

impl ImportRoom {
    /// Waits for it, but not for ever.
    pub(super) async fn take(app: &App) -> Result<Self, Refusal> {
        let _waits = Arc::clone(&app.memory.waiting);
        let place = Arc::clone(&app.memory.imports).acquire_owned();
        let place = timeout(app.store().busy_timeout().max(PATIENCE), place).await;
        let Ok(Ok(place)) = place else {
            return Err(Refusal::busy("too many imports are going on"));
        };
        let first = Arc::clone(&app.memory.first_import).try_acquire_owned();
        Ok(Self {
            bytes: if first.is_ok() { FIRST_IMPORT } else { IMPORT },
            _permits: [Some(place), first.ok()],
        })
    }
}

pub(super) fn too_many() -> Refusal {
    Refusal::busy("too many large requests are in memory")
}
