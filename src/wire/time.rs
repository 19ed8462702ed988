//! Times as RFC 3339 writes them, in UTC.

use std::time::{Duration, UNIX_EPOCH};

use crate::store::{Deadline, Time};

/// Writes a time with all its nanoseconds, as `2026-11-21T08:15:30.123456789Z`.
pub fn rfc3339(time: Time) -> String {
    humantime::format_rfc3339_nanos(time.into()).to_string()
}

/// Writes a deadline with its milliseconds, as `2026-11-21T08:15:30.123Z`.
pub fn rfc3339_deadline(deadline: Deadline) -> String {
    humantime::format_rfc3339_millis(deadline.into()).to_string()
}

/// Reads a time; `None` where it is none, not in UTC, or not between 1970 and 2554.
pub fn read_rfc3339(text: &str) -> Option<Time> {
    let nanos = since_1970(text)?.as_nanos();
    u64::try_from(nanos).ok().map(Time)
}

/// Reads a deadline, as [`read_rfc3339`], up to the year 9999. A part of a millisecond counts as a
/// whole one, as an entry never expires early.
pub fn read_rfc3339_deadline(text: &str) -> Option<Deadline> {
    let millis = since_1970(text)?.as_nanos().div_ceil(1_000_000);
    // Zero stands for no deadline; what expired with the first millisecond has expired all the same.
    Deadline::from_millis(u64::try_from(millis).ok()?.max(1))
}

fn since_1970(text: &str) -> Option<Duration> {
    let local = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    // What the reader would let pass: a blank for the T, and a second zone.
    if local.as_bytes().get(10) != Some(&b'T') || local.contains(['Z', '+']) {
        return None;
    }
    let time = humantime::parse_rfc3339_weak(local).ok()?;
    time.duration_since(UNIX_EPOCH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_all_its_digits() {
        assert_eq!(
            rfc3339(Time(1_732_158_611_000_000_001)),
            "2024-11-21T03:10:11.000000001Z"
        );
        let deadline = Deadline::from_millis(1_732_158_611_500).unwrap();
        assert_eq!(rfc3339_deadline(deadline), "2024-11-21T03:10:11.500Z");
        let latest = Deadline::from_millis(crate::store::time::LATEST_DEADLINE_MS).unwrap();
        assert_eq!(rfc3339_deadline(latest), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn reads_back_exactly_what_it_writes() {
        let step = u64::MAX / 1_001;
        for nanos in (0..=1_001)
            .map(|n| n * step)
            .chain([1, 999_999_999, u64::MAX])
        {
            assert_eq!(read_rfc3339(&rfc3339(Time(nanos))), Some(Time(nanos)));
        }
        let latest = crate::store::time::LATEST_DEADLINE_MS;
        for millis in (1..=1_001)
            .map(|n| n * (latest / 1_001))
            .chain([1, 999, latest])
        {
            let deadline = Deadline::from_millis(millis).unwrap();
            assert_eq!(
                read_rfc3339_deadline(&rfc3339_deadline(deadline)),
                Some(deadline)
            );
        }
    }

    #[test]
    fn reads_what_others_write_and_refuses_the_rest() {
        for text in ["2024-11-21T03:10:11Z", "2024-11-21T03:10:11.000+00:00"] {
            assert_eq!(
                read_rfc3339(text),
                Some(Time(1_732_158_611_000_000_000)),
                "{text}"
            );
        }
        let early = read_rfc3339_deadline("1970-01-01T00:00:00.000000001Z");
        assert_eq!(early, Deadline::from_millis(1));
        assert_eq!(read_rfc3339_deadline("1970-01-01T00:00:00Z"), early);
        for text in [
            "",
            "Z",
            "now",
            "1732158611",
            "2024-11-21",
            "2024-11-21T03:10:11",
            "2024-11-21 03:10:11Z",
            "2024-11-21T03:10:11+01:00",
            "2024-11-21T03:10:11.1+1234Z",
            "2024-11-21T03:10:11ZZ",
            "2024-02-30T03:10:11Z",
            "1969-12-31T23:59:59Z",
            "9999-99-99T99:99:99Z",
            "２024-11-21T03:10:11Z",
        ] {
            assert_eq!(read_rfc3339(text), None, "{text}");
            assert_eq!(read_rfc3339_deadline(text), None, "{text}");
        }
        assert_eq!(read_rfc3339("2555-01-01T00:00:00Z"), None);
    }
}
