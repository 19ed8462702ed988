//! Times as RFC 3339 writes them: written in UTC, read with any offset.

use crate::store::{Deadline, Time};

/// Writes a time with all its nanoseconds, as `2026-11-21T08:15:30.123456789Z`.
pub fn rfc3339(time: Time) -> String {
    humantime::format_rfc3339_nanos(time.into()).to_string()
}

/// Writes a deadline with its milliseconds, as `2026-11-21T08:15:30.123Z`.
pub fn rfc3339_deadline(deadline: Deadline) -> String {
    humantime::format_rfc3339_millis(deadline.into()).to_string()
}

/// Reads the time of modification that an entry is to show.
///
/// # Errors
///
/// What is wrong with it, to stand behind what it was given for.
pub fn read_modified(text: &str) -> Result<Time, &'static str> {
    Time::new(since_1970(text).ok_or(MALFORMED)?).ok_or(
        "is a time that cannot be kept: the first is 1970-01-01T00:00:00Z, the last \
         2286-11-20T17:46:39.999999999Z",
    )
}

/// Reads when an entry is to expire.
///
/// # Errors
///
/// As [`read_modified`].
pub fn read_expires(text: &str) -> Result<Deadline, &'static str> {
    let nanos = since_1970(text).ok_or(MALFORMED)?;
    if nanos % NANOS_PER_MILLI != 0 {
        return Err("has parts of a millisecond, which cannot be kept");
    }
    deadline(nanos).ok_or("is a time that cannot be kept: the years are 1970 to 9999")
}

const MALFORMED: &str = "is no time as in 2026-11-21T08:15:30.123Z or 2026-11-21T09:15:30+01:00";
const NANOS_PER_MILLI: i128 = 1_000_000;

/// Reads a time that a store has told; `None` where it is none, or not between 1970 and 2554: a store
/// of the past may hold what is accepted no more.
pub fn read_rfc3339(text: &str) -> Option<Time> {
    u64::try_from(since_1970(text)?).ok().map(Time)
}

/// Reads a deadline that a store has told, up to the year 9999.
pub fn read_rfc3339_deadline(text: &str) -> Option<Deadline> {
    deadline(since_1970(text)?)
}

fn deadline(nanos: i128) -> Option<Deadline> {
    let millis = u64::try_from(nanos / NANOS_PER_MILLI).ok()?;
    // Zero stands for no deadline; what expired with the first millisecond has expired all the same.
    Deadline::from_millis(millis.max(1)).filter(|_| nanos >= 0)
}

/// Reads nanoseconds since 1970 (RFC 3339, section 5.6); `None` where that is no time, or where it is
/// finer than nanoseconds. A leap second is none.
fn since_1970(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let number = |at: usize, digits: usize| -> Option<i64> {
        let field = bytes.get(at..at + digits)?;
        let add = |sum: i64, byte: &u8| sum * 10 + i64::from(byte - b'0');
        let is_number = field.iter().all(u8::is_ascii_digit);
        is_number.then(|| field.iter().fold(0, add))
    };
    let is = |at: usize, signs: &[u8]| signs.contains(bytes.get(at).unwrap_or(&0));
    let is_shaped = is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let is_time = hour < 24 && minute < 60 && second < 60;
    if !is_shaped || !is_time || day == 0 || day > days_in(year, month)? {
        return None;
    }
    let (mut nanos, mut zone) = (0, 19);
    if is(19, b".") {
        let digits = bytes[20..].iter().take_while(|byte| byte.is_ascii_digit());
        zone = 20 + digits.count();
        let (counting, beyond) = bytes[20..zone].split_at((zone - 20).min(9));
        if counting.is_empty() || beyond.iter().any(|&byte| byte != b'0') {
            return None;
        }
        let scale = 10_i64.pow(9 - counting.len() as u32);
        nanos = number(20, counting.len())? * scale;
    }
    let offset = match (bytes.get(zone)?, bytes.len() - zone) {
        (b'Z' | b'z', 1) => 0,
        (sign @ (b'+' | b'-'), 6) if is(zone + 3, b":") => {
            let (hours, minutes) = (number(zone + 1, 2)?, number(zone + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3_600 + minutes * 60;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(i128::from(seconds - offset) * 1_000_000_000 + i128::from(nanos))
}

fn days_in(year: i64, month: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    })
}

/// Counts days by years that begin in March, so that the leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    // 719,468 days lie between the first of March of the year 0 and 1970.
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}
