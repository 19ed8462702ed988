//! How far long work has come, on standard error, for a person.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Work that takes less time shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line is drawn anew.
const STEP: Duration = Duration::from_millis(100);

/// How many characters the bar has.
const BAR: u64 = 30;

/// A line that tells how much is done; there is none unless standard error is a terminal. It is
/// gone when this is dropped; that or [`Progress::clear`] comes before anything else is printed.
#[derive(Debug)]
pub(super) struct Progress {
    what: &'static str,
    is_watched: bool,
    begun: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    /// Begins. `what` names what is counted, in the plural.
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            is_watched: io::stderr().is_terminal(),
            begun: Instant::now(),
            drawn: None,
        }
    }

    /// Notes how many are done, of how many if that is known.
    pub(super) fn set(&mut self, done: u64, total: Option<u64>) {
        if !self.is_watched {
            return;
        }
        let now = Instant::now();
        let is_due = match self.drawn {
            None => now - self.begun >= PATIENCE,
            Some(drawn) => now - drawn >= STEP,
        };
        if is_due {
            self.drawn = Some(now);
            let line = format!("\r\x1b[K{}", line(self.what, done, total));
            // Nobody is worse off if this fails.
            _ = io::stderr().write_all(line.as_bytes());
        }
    }

    /// Takes the line away until it is due again.
    pub(super) fn clear(&mut self) {
        if self.drawn.is_some() {
            _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(what: &str, done: u64, total: Option<u64>) -> String {
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{} {what}", grouped(done));
    };
    let part = |of: u64| u128::from(done.min(total)) * u128::from(of) / u128::from(total);
    let full = usize::try_from(part(BAR)).unwrap_or_default();
    let (full, rest) = ("#".repeat(full), "-".repeat(BAR as usize - full));
    let (percent, done, total) = (part(100), grouped(done), grouped(total));
    format!("[{full}{rest}] {percent} %  {done} of {total} {what}")
}

/// Writes a number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_part_where_the_whole_is_known() {
        assert_eq!(line("entries", 1_234_567, None), "1,234,567 entries");
        assert_eq!(line("entries", 999, Some(0)), "999 entries");
        let half = format!(
            "[{}{}] 50 %  50 of 100 bytes",
            "#".repeat(15),
            "-".repeat(15)
        );
        assert_eq!(line("bytes", 50, Some(100)), half);
        let more = line("bytes", u64::MAX, Some(1_000));
        assert!(
            more.starts_with(&format!("[{}] 100 %", "#".repeat(30))),
            "{more}"
        );
    }
}
