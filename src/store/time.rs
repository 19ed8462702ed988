//! Points in time, and the clock that tells them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NANOS_PER_MILLI: u128 = 1_000_000;

/// The last millisecond of the year 9999, the latest that RFC 3339 can write.
pub const LATEST_DEADLINE_MS: u64 = 253_402_300_799_999;

/// Nanoseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// Returns the time of a system clock; one before 1970 counts as 1970, and one after 2554 as
    /// 2554.
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Returns the whole milliseconds since 1970.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> Self {
        UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

/// When an entry expires: milliseconds since 1970-01-01 UTC, at most [`LATEST_DEADLINE_MS`].
///
/// The entry is there before that millisecond and absent from its beginning on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// Makes a deadline of milliseconds since 1970; `None` outside of what a deadline can be.
    pub fn from_millis(millis: u64) -> Option<Self> {
        (1..=LATEST_DEADLINE_MS)
            .contains(&millis)
            .then_some(Self(millis))
    }

    /// Returns the first millisecond that is `ttl` or more after `now`, at the latest
    /// [`LATEST_DEADLINE_MS`].
    pub fn after(now: Time, ttl: Duration) -> Self {
        let nanos = u128::from(now.0).saturating_add(ttl.as_nanos());
        let millis = u64::try_from(nanos.div_ceil(NANOS_PER_MILLI)).unwrap_or(u64::MAX);
        Self(millis.clamp(1, LATEST_DEADLINE_MS))
    }

    /// Returns milliseconds since 1970.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Tells whether `now` is at or after the deadline.
    pub fn is_over(self, now: Time) -> bool {
        self.0 <= now.as_millis()
    }

    /// Returns what is left of the time to live; zero once it is over.
    pub fn left(self, now: Time) -> Duration {
        let nanos = u128::from(self.0) * NANOS_PER_MILLI;
        let left = nanos.saturating_sub(u128::from(now.0));
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// Returns what is left in whole seconds, rounded up so that what is there never shows 0. A part
    /// of a millisecond counts for nothing: a deadline is made by rounding up, and would else be more
    /// than what was asked for.
    pub fn seconds_left(self, now: Time) -> u64 {
        let millis = self.left(now).as_millis();
        u64::try_from(millis.div_ceil(1000))
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

impl From<Deadline> for SystemTime {
    fn from(deadline: Deadline) -> Self {
        UNIX_EPOCH + Duration::from_millis(deadline.0)
    }
}

/// Tells the time. It is a parameter of whatever needs more than one look at it.
pub trait Clock: Send + Sync {
    /// Returns the time now.
    fn now(&self) -> Time;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early() {
        let deadline = Deadline::after(Time(1_500_001), Duration::from_millis(1));
        assert_eq!(deadline.as_millis(), 3);
        assert!(!deadline.is_over(Time(2_999_999)));
        assert!(deadline.is_over(Time(3_000_000)));
        assert_eq!(deadline.left(Time(1_000_000)), Duration::from_millis(2));
    }

    #[test]
    fn what_is_left_is_never_more_than_was_asked_for() {
        let hour = Duration::from_secs(3600);
        let deadline = Deadline::after(Time(1_300_000), hour);
        assert_eq!(deadline.seconds_left(Time(1_300_000)), 3600);
        assert_eq!(deadline.seconds_left(Time(2_000_000)), 3600);
        assert_eq!(deadline.seconds_left(Time(1_002_000_000)), 3599);
        let last = Time(deadline.as_millis() * 1_000_000 - 1);
        assert_eq!(deadline.seconds_left(last), 1);
    }

    #[test]
    fn a_deadline_stays_writable() {
        let deadline = Deadline::after(Time(u64::MAX), Duration::MAX);
        assert_eq!(deadline.as_millis(), LATEST_DEADLINE_MS);
        assert_eq!(Deadline::from_millis(LATEST_DEADLINE_MS + 1), None);
        assert_eq!(Deadline::from_millis(0), None);
    }
}
