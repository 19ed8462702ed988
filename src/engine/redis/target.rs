//! Which servers a store is on, and for how long they are asked.

use std::time::Duration;

use crate::engine::Settings;
use crate::os;

use super::location::RedisLocation;

/// No call is tried for longer, whatever the busy timeout: so long are notes of calls kept.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What a caller has said of the servers.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) location: RedisLocation,
    pub(super) settings: Settings,
}

impl Target {
    /// Until when a call that begins now is tried, as [`os::since_boot`] has it.
    pub(super) fn deadline(&self) -> Duration {
        os::since_boot() + self.settings.busy_timeout.min(LONGEST)
    }

    /// For how long to wait for one answer, so that there is time left to ask another server.
    pub(super) fn patience(&self) -> Duration {
        let third = self.settings.busy_timeout / 3;
        third.clamp(Duration::from_millis(500), Duration::from_secs(5))
    }

    /// The same per server for the map: a live one answers at once, and a dead one must leave time to try
    /// the next.
    pub(super) fn haste(&self) -> Duration {
        self.patience().min(Duration::from_secs(2))
    }
}
