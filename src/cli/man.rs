//! What the man pages tell beyond the command line itself: sections as data.
//!
//! `tests/it/generated.rs` joins them with what clap knows and writes `man/`. A new command adds a
//! [`Page`] to [`PAGES`]; a test fails for a command without one, and runs every example.

mod batch;
mod bulk;
mod counters;
mod format;
mod general;
mod keys;
mod lists;
mod memo;
mod mount;
mod packs;
mod programs;
mod serve;
mod servers;
mod shell;
mod tables;
mod upkeep;
mod values;

use crate::cli::reader::runs_a_program;
use crate::exit::{Exit, PROGRAM_ROWS};

pub use self::format::{FIELDS, FORMAT, SHELL_READER};
pub use self::general::{ENVIRONMENT, FILES, KV};
pub use self::servers::{SERVER_FIELDS, SERVER_READER, SERVER_USER};
pub use self::tables::READER;

/// What a page tells about one command.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The command, as it is typed.
    pub command: &'static str,
    /// Rules worth telling, as NOTES.
    pub notes: &'static [Block],
    /// A script that runs as it is, with what it shows said in comments.
    pub examples: &'static [Block],
    /// Other pages, as `name(section)`.
    pub see_also: &'static [&'static str],
}

/// A part of a section. What stands in backticks is literal and is set in bold.
#[derive(Clone, Copy, Debug)]
pub enum Block {
    /// A paragraph.
    Text(&'static str),
    /// A term, and what is to say about it.
    Item(&'static str, &'static str),
    /// A heading within the section.
    Head(&'static str),
    /// Lines that stay as they are, such as a script.
    Code(&'static str),
    /// Rows of cells; the first row names the columns, the last column may wrap.
    Table(&'static [&'static [&'static str]]),
}

/// A section with its title.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The title, in capitals.
    pub title: &'static str,
    /// What it says.
    pub blocks: &'static [Block],
}

/// The pages of the commands.
pub const PAGES: &[&[Page]] = &[
    values::PAGES,
    keys::PAGES,
    batch::PAGES,
    bulk::PAGES,
    counters::PAGES,
    lists::PAGES,
    memo::PAGES,
    programs::PAGES,
    upkeep::PAGES,
    serve::PAGES,
    mount::PAGES,
    shell::PAGES,
];

/// Finds what is told about a command.
pub fn page(command: &str) -> Option<&'static Page> {
    PAGES
        .iter()
        .copied()
        .flatten()
        .find(|page| page.command == command)
}

/// Returns the exit statuses of a command and their meanings, for EXIT STATUS.
pub fn exit_status(command: &str) -> Vec<(String, &'static str)> {
    let numbered = |(status, meaning): (u8, _)| (status.to_string(), meaning);
    if !runs_a_program(command) {
        return Exit::ALL.map(Exit::row).map(numbered).to_vec();
    }
    let mut rows = PROGRAM_ROWS.map(numbered).to_vec();
    rows.push((
        "128+N".to_owned(),
        "The program was killed by the signal of number N, and then kv dies of it too. It is a shell that \
         shows it as 128+N.",
    ));
    rows.push(("other".to_owned(), "The status of the program itself."));
    rows
}
