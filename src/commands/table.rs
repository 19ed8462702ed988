//! Columns for a person at a terminal: a heading, and the name that a row is about in the last one.
//!
//! Listings stream, so how wide the columns are is decided by the first screenful. A later cell that is wider
//! moves the rest of its row.

use std::io::{self, Write as _};

use unicode_width::UnicodeWidthChar as _;

use crate::cli::{Screen, When};
use crate::commands::output::Output;
use crate::commands::pager::is_dumb;
use crate::os;
use crate::store::{Deadline, Time};
use crate::wire::text::escape;

/// However narrow the terminal is, so much of a name is shown.
const LEAST: usize = 8;

/// Rows on their way to the terminal. A heading that begins with a blank is that of numbers, at the right.
pub(super) struct Table {
    heads: &'static [&'static str],
    is_wide: bool,
    is_colored: bool,
    held: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    pub(super) fn new(heads: &'static [&'static str], screen: &Screen) -> Self {
        Self {
            heads,
            is_wide: screen.wide,
            is_colored: is_colored(screen.color),
            held: Vec::new(),
            widths: Vec::new(),
        }
    }

    /// Adds a row: the cells, and the bytes of the name.
    pub(super) fn row(
        &mut self,
        out: &mut Output,
        mut cells: Vec<String>,
        name: &[u8],
    ) -> io::Result<()> {
        cells.push(escape(name));
        if !self.widths.is_empty() {
            return self.print(out, &cells, false);
        }
        self.held.push(cells);
        match self.held.len() < out.rows() {
            true => Ok(()),
            false => self.end(out),
        }
    }

    /// Prints what is held.
    pub(super) fn end(&mut self, out: &mut Output) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        let heads: Vec<_> = self
            .heads
            .iter()
            .map(|head| head.trim_start().to_owned())
            .collect();
        let rows = || held.iter().chain([&heads]);
        let wide = |at: usize| rows().map(|cells| width(&cells[at])).max();
        self.widths = (0..heads.len()).filter_map(wide).collect();
        self.print(out, &heads, true)?;
        held.iter()
            .try_for_each(|cells| self.print(out, cells, false))
    }

    fn print(&self, out: &mut Output, cells: &[String], is_heading: bool) -> io::Result<()> {
        let (mut line, mut used) = (String::new(), 0);
        let (name, cells) = cells
            .split_last()
            .map_or(("", cells), |(name, cells)| (&**name, cells));
        for ((cell, head), wide) in cells.iter().zip(self.heads).zip(&self.widths) {
            let blanks = " ".repeat(wide.saturating_sub(width(cell)));
            let (before, behind) = match head.starts_with(' ') {
                true => (&*blanks, ""),
                false => ("", &*blanks),
            };
            let cell = format!("{before}{cell}{behind}  ");
            used += width(&cell);
            line.push_str(&cell);
        }
        line.push_str(&match self.is_wide {
            true => name.to_owned(),
            false => cut(name, out.columns().saturating_sub(used).max(LEAST)),
        });
        match is_heading && self.is_colored {
            true => writeln!(out, "\x1b[1m{line}\x1b[0m"),
            false => writeln!(out, "{line}"),
        }
    }
}

fn is_colored(when: When) -> bool {
    let variable = |name| os::first_variable(&[name]).map(|(_, text)| text);
    let is_forced = || variable("CLICOLOR_FORCE").is_some_and(|text| text != "0");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => variable("NO_COLOR").is_none() && (is_forced() || !is_dumb()),
    }
}

/// Says how long ago something was.
pub(super) fn ago(time: Time, now: Time) -> String {
    format!("{} ago", span(now.0.saturating_sub(time.0) / 1_000_000_000))
}

/// Says how long it is until something.
pub(super) fn until(deadline: Option<Deadline>, now: Time) -> String {
    deadline.map_or_else(
        || "-".to_owned(),
        |deadline| format!("in {}", span(deadline.seconds_left(now))),
    )
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Cuts text to so many columns, with a mark that it was.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += columns_of(*c);
        used <= columns
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Returns how many columns a character takes on most terminals.
fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_counts_columns_and_not_characters() {
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcde", 4), "abc…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("e\u{301}tudes", 4), "e\u{301}tu…");
    }

    #[test]
    fn times_are_whole_and_never_more_than_two_units_of_the_next() {
        let told = [0, 59, 60, 3_599, 3_600, 172_799, 172_800].map(span);
        assert_eq!(
            told,
            ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]
        );
        // A clock that was set back makes no time of the future.
        assert_eq!(ago(Time(5), Time(0)), "0 s ago");
    }
}
