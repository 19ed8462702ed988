//! Times as RFC 3339 writes them, in UTC.

use crate::store::{Deadline, Time};

/// Writes a time with all its nanoseconds, as `2026-11-21T08:15:30.123456789Z`.
pub fn rfc3339(time: Time) -> String {
    humantime::format_rfc3339_nanos(time.into()).to_string()
}

/// Writes a deadline with its milliseconds, as `2026-11-21T08:15:30.123Z`.
pub fn rfc3339_deadline(deadline: Deadline) -> String {
    humantime::format_rfc3339_millis(deadline.into()).to_string()
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
}
