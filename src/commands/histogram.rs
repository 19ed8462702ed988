//! How counts are drawn: a row each, with bars that end where the line does.

use crate::wire::info::Row;

/// The least that a bar of the largest count is long, however narrow the line.
const SHORTEST: usize = 10;

/// Draws rows as `1 KiB – 2 KiB  ######  123`, in lines of at most so many columns; `label` writes
/// a bound.
pub(super) fn draw(rows: &[Row], columns: usize, label: impl Fn(u128) -> String) -> String {
    let labels: Vec<_> = rows
        .iter()
        .map(|row| (label(row.from), label(row.below)))
        .collect();
    let from_width = labels.iter().map(|(from, _)| from.len()).max().unwrap_or(0);
    let below_width = labels.iter().map(|(_, below)| below.len()).max();
    let below_width = below_width.unwrap_or(0);
    let most = rows.iter().map(|row| row.count).max().unwrap_or(0);
    // Two blanks before the bounds, before the bar and before the count; three signs between bounds.
    let taken = 2 + from_width + 3 + below_width + 2 + 2 + most.to_string().len();
    let longest = columns.saturating_sub(taken).max(SHORTEST);
    let mut text = String::new();
    for (Row { count, .. }, (from, below)) in rows.iter().zip(labels) {
        let bar = "#".repeat(length(*count, most, longest));
        text.push_str(&format!(
            "  {from:>from_width$} – {below:<below_width$}  {bar}  {count}\n"
        ));
    }
    text
}

/// Returns how long the bar of a count is: whatever is there can be seen.
fn length(count: u64, most: u64, longest: usize) -> usize {
    if count == 0 {
        return 0;
    }
    let length = u128::from(count) * longest as u128 / u128::from(most);
    // It is at most `longest`.
    (length as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(from: u128, below: u128, count: u64) -> Row {
        Row { from, below, count }
    }

    #[test]
    fn a_line_that_is_too_narrow_still_has_bars() {
        let text = draw(&[row(0, 1, 7)], 3, |bound| bound.to_string());
        assert_eq!(text, "  0 – 1  ##########  7\n");
        assert_eq!(draw(&[], 80, |bound| bound.to_string()), "");
    }

    #[test]
    fn counts_beyond_all_measure_are_drawn() {
        let rows = [row(0, 1, u64::MAX), row(1, 2, u64::MAX - 1)];
        let text = draw(&rows, 80, |bound| bound.to_string());
        assert_eq!(
            text.lines().next().map(|line| line.chars().count()),
            Some(80)
        );
    }
}
