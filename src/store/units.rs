//! Durations and sizes as people write them.

use std::time::Duration;

use crate::store::Expiry;

/// The longest time to live: 7,000 years of 365 days, which ends before the year 9999.
const LONGEST: Duration = Duration::from_secs(7_000 * 365 * 86_400);

/// Reads a time to live, which cannot be zero.
pub fn ttl(text: &str) -> Result<Duration, String> {
    match patience(text)? {
        Duration::ZERO => Err("it must be longer than nothing".to_owned()),
        ttl => Ok(ttl),
    }
}

/// Reads a time to live, or that there is no end to it.
pub fn expiry(text: &str) -> Result<Expiry, String> {
    match text {
        "never" => Ok(Expiry::Never),
        text => ttl(text).map(Expiry::After),
    }
}

/// Reads a duration: numbers with the units ms, s, m, h, d, w, or one number of seconds.
pub fn patience(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("it cannot be negative".to_owned());
    }
    let malformed = || "write it as 90s, 1h30m, 0.5s, 7d, or as a number of seconds".to_owned();
    let mut total = 0_u128;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let nanos = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            // Only a number that stands alone needs no unit.
            "" if rest.len() == text.len() && behind.is_empty() => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return Err(malformed()),
        };
        let part = times(number, nanos).ok_or_else(malformed)?;
        total = total.saturating_add(part);
        rest = behind;
    }
    let seconds = u64::try_from(total / 1_000_000_000).unwrap_or(u64::MAX);
    let duration = Duration::new(seconds, (total % 1_000_000_000) as u32);
    if duration > LONGEST {
        return Err("it is more than 7,000 years".to_owned());
    }
    Ok(duration)
}

/// Reads a number of bytes: a number alone, or with K, M, G or T as truncate(1) has them: alone or
/// with `iB` they are powers of 1024, with `B` of 1000.
pub fn size(text: &str) -> Result<u64, String> {
    if text.starts_with('-') {
        return Err("it cannot be negative".to_owned());
    }
    let malformed =
        || "write it as a number of bytes, or as 500K, 64M, 1.5G, 64MiB or 64MB".to_owned();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let mut unit = unit.chars();
    let power = match unit.next() {
        None => 0,
        Some('K' | 'k') => 1,
        Some('M' | 'm') => 2,
        Some('G' | 'g') => 3,
        Some('T' | 't') => 4,
        Some(_) => return Err(malformed()),
    };
    let base: u128 = match unit.as_str() {
        "" | "iB" => 1024,
        "B" => 1000,
        _ => return Err(malformed()),
    };
    if power == 0 && number.contains('.') {
        return Err("there are no parts of bytes".to_owned());
    }
    let bytes = times(number, base.pow(power)).ok_or_else(malformed)?;
    u64::try_from(bytes).map_err(|_| "it is more than any disk holds".to_owned())
}

/// Multiplies a decimal number with a unit; digits behind the ninth of its fraction do not count.
fn times(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    // More digits than this are more than the longest duration in any unit.
    let whole: u128 = whole.get(..whole.len().min(30))?.parse().ok()?;
    let digits = &fraction[..fraction.len().min(9)];
    let scale = 10_u128.pow(digits.len() as u32);
    Some(
        whole
            .saturating_mul(unit)
            .saturating_add(digits.parse::<u128>().ok()? * unit / scale),
    )
}
