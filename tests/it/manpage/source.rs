//! Reads what the man pages tell beyond the command line itself: `src/cli/man/NAME.md`.
//!
//! A file is plain Markdown: `## SECTION`, `### Heading`, paragraphs, tables, fenced code, and terms
//! with what is said of them behind `: `. What stands in backticks is literal and is set in bold. A
//! word behind the language of a fence names the code for the tests that run it.

use std::fs;
use std::path::Path;

/// A part of a section.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Text(String),
    /// A term, and what is to say about it.
    Item(String, String),
    Head(String),
    /// Lines that stay as they are, and their name, which most have not.
    Code(String, String),
    /// Rows of cells; the first row names the columns, the last column may wrap.
    Table(Vec<Vec<String>>),
}

/// The text of one page.
#[derive(Debug)]
pub(crate) struct Page {
    /// The name of the page, as in `kv-get`.
    pub(crate) name: String,
    /// The sections with their titles.
    pub(crate) sections: Vec<(String, Vec<Block>)>,
}

impl Page {
    /// Reads the text of the page of this name.
    pub(crate) fn named(name: &str) -> Self {
        let path = dir().join(format!("{name}.md"));
        let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{path:?}: {err}"));
        Self::parse(name, &text)
    }

    /// Reads the texts of all pages of commands, that of kv(1) too.
    pub(crate) fn of_commands() -> Vec<Self> {
        let entries = fs::read_dir(dir()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = names.filter_map(|file| Some(file.strip_suffix(".md")?.to_owned()));
        let names = names.filter(|name| name != "kv-format");
        names.map(|name| Self::named(&name)).collect()
    }

    fn parse(name: &str, text: &str) -> Self {
        let mut sections = Vec::new();
        for part in text.split("\n## ").skip(1) {
            let (title, rest) = part.split_once('\n').unwrap();
            sections.push((title.to_owned(), blocks(rest)));
        }
        Self {
            name: name.to_owned(),
            sections,
        }
    }

    /// Finds a section.
    pub(crate) fn section(&self, title: &str) -> &[Block] {
        let found = self.sections.iter().find(|section| section.0 == title);
        let missing = || panic!("src/cli/man/{}.md has no section {title}", self.name);
        &found.unwrap_or_else(missing).1
    }

    /// Returns the code in a section.
    pub(crate) fn code(&self, title: &str) -> Vec<String> {
        let code = |block: &Block| match block {
            Block::Code(lines, _) => Some(lines.clone()),
            _ => None,
        };
        self.section(title).iter().filter_map(code).collect()
    }

    /// Returns the pages that it refers to, as `name(section)`.
    pub(crate) fn see_also(&self) -> Vec<String> {
        let [Block::Text(names)] = self.section("SEE ALSO") else {
            panic!("src/cli/man/{}.md: SEE ALSO is one paragraph", self.name);
        };
        names.split(", ").map(str::to_owned).collect()
    }
}

/// Returns the code of that name in kv-format(5).
pub(crate) fn named_code(wanted: &str) -> String {
    let page = Page::named("kv-format");
    let blocks = page.sections.iter().flat_map(|section| &section.1);
    let mut found = blocks.filter_map(|block| match block {
        Block::Code(lines, name) if name == wanted => Some(lines.clone()),
        _ => None,
    });
    found.next().expect("kv-format(5) has it")
}

/// Returns the rows of the first table in a section of kv-format(5) which has such fields: name,
/// offset, width, form, meaning.
pub(crate) fn fields(section: &str) -> Vec<Vec<String>> {
    let page = Page::named("kv-format");
    let mut tables = page
        .section(section)
        .iter()
        .filter_map(|block| match block {
            Block::Table(rows) if rows[0].iter().take(4).eq(["Field", "At", "Width", "Form"]) => {
                Some(rows)
            }
            _ => None,
        });
    tables.next().expect("there is such a table")[1..].to_vec()
}

fn dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/man"))
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
        } else if let Some(fence) = line.strip_prefix("```") {
            let code: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let name = fence.split_once(' ').map_or("", |(_, name)| name);
            blocks.push(Block::Code(code.join("\n"), name.to_owned()));
        } else if let Some(title) = line.strip_prefix("### ") {
            blocks.push(Block::Head(title.to_owned()));
        } else {
            let mut part = vec![line];
            while let Some(line) = lines.next_if(|line| !line.is_empty()) {
                part.push(line);
            }
            blocks.push(block(&part));
        }
    }
    blocks
}

/// Reads the lines between two empty ones.
fn block(lines: &[&str]) -> Block {
    if lines[0].starts_with('|') {
        let rows = lines.iter().filter(|line| !line.starts_with("|-"));
        let inner = rows.map(|row| {
            row.strip_prefix("| ")
                .and_then(|row| row.strip_suffix(" |"))
        });
        let cells = |row: &str| row.split(" | ").map(str::to_owned).collect();
        return Block::Table(inner.map(|row| cells(row.expect("| a | b |"))).collect());
    }
    match lines {
        [term, text, more @ ..] if text.starts_with(": ") => {
            let mut text = text[2..].to_owned();
            for line in more {
                text = text + " " + line.trim_start();
            }
            Block::Item((*term).to_owned(), text)
        }
        _ => Block::Text(lines.join(" ")),
    }
}
