//! Large numbers as a person takes them in.

const BYTES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Writes bytes with one digit behind the point, as `1.0 MiB`; below 1024 as they are, as `5 B`.
pub fn bytes(number: u128) -> String {
    if number < 1024 {
        return format!("{number} B");
    }
    let (mut unit, mut power) = (1, 1024_u128);
    // In tenths, and rounded: 1023.97 KiB are 1.0 MiB.
    let tenths = |power| (number * 10 + power / 2) / power;
    while tenths(power) >= 10_240 && unit + 1 < BYTES.len() {
        (unit, power) = (unit + 1, power * 1024);
    }
    let tenths = tenths(power);
    format!("{}.{} {}", tenths / 10, tenths % 10, BYTES[unit])
}

/// Writes seconds with two digits or more, as `30 s`, `1.1 h` or `12 d`; a day is the largest unit.
pub fn seconds(number: u128) -> String {
    let (unit, name) = match number {
        0..60 => return format!("{number} s"),
        60..3_600 => (60, "min"),
        3_600..86_400 => (3_600, "h"),
        _ => (86_400, "d"),
    };
    let tenths = (number * 10 + unit / 2) / unit;
    match tenths < 100 {
        true => format!("{}.{} {name}", tenths / 10, tenths % 10),
        false => format!("{} {name}", (number + unit / 2) / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
