//! Durations and sizes, and what is none.

use std::time::Duration;

use kv::store::units::*;

#[test]
fn reads_durations() {
    for (text, millis) in [
        ("90s", 90_000),
        ("1h30m", 5_400_000),
        ("0.5s", 500),
        ("250ms", 250),
        ("1w2d", 777_600_000),
        ("5", 5_000),
        ("1.5", 1_500),
        ("0", 0),
        ("1m1m", 120_000),
    ] {
        assert_eq!(patience(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    assert_eq!(patience("0.0000000019s"), Ok(Duration::from_nanos(1)));
}

#[test]
fn reads_sizes() {
    for (text, bytes) in [
        ("0", 0),
        ("1000", 1000),
        ("1K", 1024),
        ("1k", 1024),
        ("1KiB", 1024),
        ("1KB", 1000),
        ("1kB", 1000),
        ("64M", 64 << 20),
        ("64MB", 64_000_000),
        ("1.5G", 3 << 29),
        ("0.5KB", 500),
        ("2TiB", 2 << 40),
        ("1TB", 1_000_000_000_000),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
}

#[test]
fn refuses_what_is_no_size() {
    for text in [
        "", "K", "B", "1B", "1b", "1 K", " 1", "1K ", "-1", "+1", "1kib", "1Kb", "1KK", "1P",
        ".5K", "1.K", "1.5", "1e3", "0x10", "1,000", "1Ki", "KiB", "1é", "1Ké", "٣", "all",
    ] {
        assert!(size(text).is_err(), "accepted {text:?}");
    }
    for text in ["18446744073709551616", "16777216T", &"9".repeat(1000)] {
        assert_eq!(size(text), Err("it is more than any disk holds".to_owned()));
    }
}

#[test]
fn refuses_what_is_none() {
    for text in [
        "", "s", "1x", "1 s", " 1s", "1S", "-1s", "-1", "+1", "1h30", "30 m", ".5s", "1.s",
        "1.2.3s", "1e3", "inf", "NaN", "٣s", "1\u{a0}s",
    ] {
        assert!(patience(text).is_err(), "accepted {text:?}");
    }
    assert!(patience(&"9".repeat(1000)).is_err());
    assert!(ttl("0").is_err() && ttl("0.0000000001s").is_err() && ttl("1ms").is_ok());
}
