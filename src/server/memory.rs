//! Large requests that are in memory, for all of which there is one budget of bytes.
//!
//! What each connection holds by itself, its header and the first 64 KiB of a body, is bounded by the
//! number of connections, and what is streamed by that of streams.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::App;
use super::reply::Refusal;

/// The budget, in pieces of so many bytes. What needs more than all of it has all of it, alone.
const PIECES: usize = 32 * 1024;
const PIECE: u64 = 4 * 1024;

/// What is left of the budget.
pub(super) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PIECES)))
    }
}

/// A share of the budget, which is given back with this.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    bytes: u64,
}

impl Share {
    /// Makes it a share of so many bytes at least, and of up to twice as many. Where there is no room
    /// it is waited for, but not for ever.
    pub(super) async fn fit(&mut self, app: &App, bytes: u64) -> Result<(), Refusal> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let bytes = bytes.checked_next_power_of_two().unwrap_or(u64::MAX);
        let pieces = usize::try_from(bytes.div_ceil(PIECE)).map_or(PIECES, |n| n.min(PIECES));
        let held = self.permit.as_ref().map_or(0, |held| held.num_permits());
        let more = u32::try_from(pieces.saturating_sub(held)).unwrap_or(u32::MAX);
        let more = Arc::clone(&app.memory.0).acquire_many_owned(more);
        let Ok(Ok(more)) = timeout(app.store().busy_timeout(), more).await else {
            return Err(Refusal::busy("too many large requests are in memory"));
        };
        match &mut self.permit {
            Some(held) => held.merge(more),
            None => self.permit = Some(more),
        }
        self.bytes = bytes;
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
