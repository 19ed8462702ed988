//! Points in time, and the clock that tells them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kv::store::time::*;

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
fn what_no_format_could_keep_is_no_time() {
    let latest = i128::from(Time::LATEST.0);
    assert_eq!(Time::new(0), Some(Time(0)));
    assert_eq!(Time::new(latest), Some(Time::LATEST));
    for nanos in [-1, latest + 1, i128::from(u64::MAX) + 1, i128::MAX] {
        assert_eq!(Time::new(nanos), None, "{nanos}");
    }
    let early = UNIX_EPOCH - Duration::from_nanos(1);
    let late = SystemTime::from(Time::LATEST) + Duration::from_nanos(1);
    for time in [early, late] {
        assert_eq!(Time::of_file(time), None);
    }
    assert_eq!(Time::from_system(early), Time(0));
    assert_eq!(Time::from_system(late), Time::LATEST);
    let longest = kv::store::units::ttl("255500000w").unwrap_err();
    assert!(longest.contains("7,000 years"), "{longest}");
    let deadline = Deadline::after(Time::LATEST, Duration::from_secs(7_000 * 365 * 86_400));
    assert!(deadline.as_millis() < LATEST_DEADLINE_MS);
}

#[test]
fn a_deadline_stays_writable() {
    let deadline = Deadline::after(Time(u64::MAX), Duration::MAX);
    assert_eq!(deadline.as_millis(), LATEST_DEADLINE_MS);
    assert_eq!(deadline.seconds_left(Time(0)), 253_402_300_800);
    assert_eq!(Deadline::from_millis(LATEST_DEADLINE_MS + 1), None);
    assert_eq!(Deadline::from_millis(0), None);
}
