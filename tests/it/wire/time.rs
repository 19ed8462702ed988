//! Times there and back, and what is none.

use kv::store::{Deadline, Time};
use kv::wire::time::*;

#[test]
fn has_all_its_digits() {
    assert_eq!(
        rfc3339(Time(1_732_158_611_000_000_001)),
        "2024-11-21T03:10:11.000000001Z"
    );
    let deadline = Deadline::from_millis(1_732_158_611_500).unwrap();
    assert_eq!(rfc3339_deadline(deadline), "2024-11-21T03:10:11.500Z");
    let latest = Deadline::from_millis(kv::store::time::LATEST_DEADLINE_MS).unwrap();
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
    let latest = kv::store::time::LATEST_DEADLINE_MS;
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
    for text in [
        "2024-11-21T03:10:11Z",
        "2024-11-21t03:10:11z",
        "2024-11-21T03:10:11.000+00:00",
        "2024-11-21T03:10:11.000000000000-00:00",
        "2024-11-21T04:10:11+01:00",
        "2024-11-20T15:40:11-11:30",
        "2024-11-22T03:09:11+23:59",
    ] {
        assert_eq!(
            read_rfc3339(text),
            Some(Time(1_732_158_611_000_000_000)),
            "{text}"
        );
    }
    assert_eq!(
        read_rfc3339_deadline("1970-01-01T00:00:00Z"),
        Deadline::from_millis(1)
    );
    for text in [
        "",
        "Z",
        "now",
        "1732158611",
        "2024-11-21",
        "2024-11-21T03:10:11",
        "2024-11-21 03:10:11Z",
        "2024-11-21T03:10:11+01",
        "2024-11-21T03:10:11+0100",
        "2024-11-21T03:10:11+01:0",
        "2024-11-21T03:10:11+24:00",
        "2024-11-21T03:10:11+01:60",
        "2024-11-21T03:10:11 +01:00",
        "2024-11-21T03:10:11.Z",
        "2024-11-21T03:10:11.0000000001Z",
        "2024-11-21T03:10:60Z",
        "2024-11-21T24:00:00Z",
        "2024-13-21T03:10:11Z",
        "2024-00-21T03:10:11Z",
        "2024-11-00T03:10:11Z",
        "2023-02-29T03:10:11Z",
        "1900-02-29T03:10:11Z",
        "1970-01-01T00:59:59+01:00",
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
    assert_eq!(read_rfc3339("1969-12-31T23:30:00-00:30"), Some(Time(0)));
}

#[test]
fn refuses_what_cannot_be_kept() {
    let latest = "2286-11-20T17:46:39.999999999Z";
    assert_eq!(read_modified(latest), Ok(Time::LATEST));
    assert_eq!(read_modified("1970-01-01T00:00:00Z"), Ok(Time(0)));
    for text in [
        "2286-11-20T17:46:40Z",
        "2300-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
    ] {
        let why = read_modified(text).unwrap_err();
        assert!(why.contains("cannot be kept"), "{why}");
    }
    let last = read_expires("9999-12-31T23:59:59.999Z").unwrap();
    assert_eq!(last.as_millis(), kv::store::time::LATEST_DEADLINE_MS);
    for text in [
        "9999-12-31T23:59:59-00:01",
        "1969-12-31T23:59:59Z",
        "2030-01-01T00:00:00.0001Z",
    ] {
        let why = read_expires(text).unwrap_err();
        assert!(why.contains("cannot be kept"), "{why}");
    }
}
