//! Large numbers as a person takes them in.

use kv::wire::units::*;

#[test]
fn bytes_have_the_largest_unit_that_they_fill() {
    for (number, want) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1_048_524, "1023.9 KiB"),
        (1_048_525, "1.0 MiB"),
        (1_048_576, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (u128::from(u64::MAX), "16.0 EiB"),
        (1 << 90, "1073741824.0 EiB"),
    ] {
        assert_eq!(bytes(number), want, "{number}");
    }
}

#[test]
fn seconds_have_a_unit_that_people_count_in() {
    for (number, want) in [
        (0, "0 s"),
        (32, "32 s"),
        (64, "1.1 min"),
        (2_048, "34 min"),
        (4_096, "1.1 h"),
        (65_536, "18 h"),
        (131_072, "1.5 d"),
        (1_048_576, "12 d"),
        (1 << 40, "12725829 d"),
    ] {
        assert_eq!(seconds(number), want, "{number}");
    }
}
