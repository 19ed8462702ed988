//! Points in time, and the clock that tells them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NANOS_PER_MILLI: u128 = 1_000_000;

/// The last millisecond of the year 9999, the latest that RFC 3339 can write.
pub const LATEST_DEADLINE_MS: u64 = 253_402_300_799_999;

/// Nanoseconds since 1970-01-01 UTC.
///
/// As it stands in a store; what comes from outside goes through [`Time::new`] or
/// [`Time::of_file`], which know what every engine and every format keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// The latest that is kept, 2286-11-20T17:46:39.999999999Z: the line in front of an entry's value
    /// has 19 digits for it.
    pub const LATEST: Self = Self(9_999_999_999_999_999_999);

    /// Makes a time of nanoseconds since 1970; `None` if it is one that cannot be kept.
    pub fn new(nanos: i128) -> Option<Self> {
        let time = u64::try_from(nanos).ok().map(Self);
        time.filter(|time| *time <= Self::LATEST)
    }

    /// Makes a time of one that a file is to have; `None` if it is one that cannot be kept.
    pub fn of_file(time: SystemTime) -> Option<Self> {
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        Self::new(i128::try_from(since.as_nanos()).ok()?)
    }

    /// Returns the time of a system clock. One that is wrong by centuries counts as 1970, or as
    /// [`Time::LATEST`].
    pub fn from_system(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self(nanos).min(Self::LATEST)
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
    /// [`LATEST_DEADLINE_MS`]: the longest time to live ends before that, whatever the clock says.
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
        Duration::from_millis(self.0).saturating_sub(Duration::from_nanos(now.0))
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
