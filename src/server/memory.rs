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

/// What is left of the budget.
pub(super) struct Memory {
    pieces: Arc<Semaphore>,
    /// Whoever waits for a share has another of these.
    waiting: Arc<()>,
    /// For imports with long lines.
    pub(super) long_lines: Arc<Semaphore>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            pieces: Arc::new(Semaphore::new((BUDGET / PIECE) as usize)),
            waiting: Arc::default(),
            long_lines: Arc::new(Semaphore::new(LONG_LINES)),
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

pub(super) fn too_many() -> Refusal {
    Refusal::busy("too many large requests are in memory")
}
