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
