//! Writes the man pages: what clap knows, joined with the texts in `src/cli/man`.

pub(crate) mod source;

use std::collections::BTreeMap;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use kv::exit::{Exit, PROGRAM_ROWS};

use self::source::{Block, Page};

/// Makes all pages, by the names of their files.
pub(crate) fn all() -> BTreeMap<String, Vec<u8>> {
    let mut kv = kv::cli::command();
    kv.build();
    let mut pages = BTreeMap::from([
        ("kv.1".to_owned(), command_page(&kv, &Page::named("kv"))),
        ("kv-format.5".to_owned(), format_page()),
        ("kv-recipes.7".to_owned(), recipes_page()),
    ]);
    for command in kv.get_subcommands().filter(|c| !c.is_hide_set()) {
        let name = command.get_name();
        let page = Page::named(&format!("kv-{name}"));
        pages.insert(format!("kv-{name}.1"), command_page(command, &page));
    }
    pages
}

fn command_page(command: &Command, page: &Page) -> Vec<u8> {
    let is_main = page.name == "kv";
    let mut command = command.clone();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace(['<', '>'], "");
    let name = command.get_display_name().unwrap_or("kv").to_owned();
    let runs_a_program = command.get_positionals().any(clap::Arg::is_last_set);
    let has_store = command.get_arguments().any(|arg| arg.get_id() == "store");
    let aliases: Vec<String> = command.get_visible_aliases().map(str::to_owned).collect();
    let about = describe(&command);
    let man = Man::new(
        command
            .override_usage(usage)
            .subcommand_help_heading("COMMANDS")
            .mut_args(|arg| arg.hide_short_help(false)),
    );

    let mut text = title(&name, 1, "User Commands").into_bytes();
    man.render_name_section(&mut text).unwrap();
    man.render_synopsis_section(&mut text).unwrap();
    text.extend(render(|roff| description(roff, &about)));
    for alias in aliases {
        let also = format!("`kv {alias}` is the same command.");
        text.extend(render(|roff| paragraph(roff, &also)));
    }
    if is_main {
        man.render_subcommands_section(&mut text).unwrap();
    }
    man.render_options_section(&mut text).unwrap();
    text.extend(render(|roff| {
        section(roff, "NOTES", page.section("NOTES"));
        exit_status(
            roff,
            runs_a_program,
            ["kv-pop", "kv-watch"].contains(&&*name),
        );
        other_sections(roff, page, is_main, has_store);
    }));
    finish(&String::from_utf8(text).unwrap())
}

/// Returns what a command says of itself. The first line of a long description is the short one,
/// which NAME has shown.
fn describe(command: &Command) -> String {
    let long = command.get_long_about().map(ToString::to_string);
    let rest = long.and_then(|long| Some(long.split_once("\n\n")?.1.to_owned()));
    rest.unwrap_or_else(|| format!("{}.", command.get_about().expect("it says what it does")))
}

fn description(roff: &mut Roff, about: &str) {
    roff.control("SH", ["DESCRIPTION"]);
    for (number, part) in about.split("\n\n").enumerate() {
        if part.starts_with(' ') {
            code(roff, part);
        } else if number == 0 {
            roff.text([roman(part)]);
        } else {
            paragraph(roff, part);
        }
    }
}

/// Tells the statuses of a command, and with `is_open` both those with a program and those without.
fn exit_status(roff: &mut Roff, runs_a_program: bool, is_open: bool) {
    roff.control("SH", ["EXIT STATUS"]);
    let mut numbered = |(status, meaning): (u8, &str)| item(roff, &format!("`{status}`"), meaning);
    if !runs_a_program || is_open {
        Exit::ALL.map(Exit::row).into_iter().for_each(&mut numbered);
    }
    if !runs_a_program {
        return;
    }
    PROGRAM_ROWS.into_iter().for_each(&mut numbered);
    let killed = "The program was killed by the signal of number N, and then kv dies of it too. It is a \
                  shell that shows it as 128+N.";
    item(roff, "`128+N`", killed);
    item(roff, "`other`", "The status of the program itself.");
}

fn other_sections(roff: &mut Roff, page: &Page, is_main: bool, has_store: bool) {
    if is_main {
        section(roff, "ENVIRONMENT", page.section("ENVIRONMENT"));
        section(roff, "FILES", page.section("FILES"));
    } else if has_store {
        let told = "The variables that stand in for global options, and the files, are told of in \
                    `kv`(1).";
        section(roff, "ENVIRONMENT", &[Block::Text(told.to_owned())]);
    }
    section(roff, "EXAMPLES", page.section("EXAMPLES"));
    let main = (!is_main).then(|| "kv(1)".to_owned());
    see_also(roff, main.into_iter().chain(page.see_also()));
}

fn format_page() -> Vec<u8> {
    let text = render(|roff| {
        roff.control("SH", ["NAME"]);
        roff.text([roman("kv-format - how kv keeps a store on disk")]);
        let page = Page::named("kv-format");
        for (title, blocks) in page
            .sections
            .iter()
            .filter(|(title, _)| title != "SEE ALSO")
        {
            section(roff, title, blocks);
        }
        see_also(roff, page.see_also().into_iter());
    });
    // Tables want tbl(1), which man(1) runs when the first line says so.
    let mut page = b"'\\\" t\n".to_vec();
    let text = title("kv-format", 5, "File Formats") + &String::from_utf8(text).unwrap();
    page.extend(finish(&text));
    page
}

fn recipes_page() -> Vec<u8> {
    let text = render(|roff| {
        roff.control("SH", ["NAME"]);
        roff.text([roman("kv-recipes - what scripts and programs do with kv")]);
        roff.control("SH", ["DESCRIPTION"]);
        roff.text([roman(
            "`kv help recipes` prints this; it is a script of sh(1).",
        )]);
        code(roff, kv::cli::RECIPES);
        see_also(roff, ["kv(1)".to_owned(), "sh(1)".to_owned()].into_iter());
    });
    let text = title("kv-recipes", 7, "Miscellanea") + &String::from_utf8(text).unwrap();
    finish(&text)
}

/// Names neither a date nor a version: a page changes when what it tells changes.
fn title(name: &str, section: u8, manual: &str) -> String {
    let name = name.to_uppercase();
    format!(".TH \"{name}\" {section} \"\" \"kv\" \"{manual}\"\n")
}

fn section(roff: &mut Roff, title: &str, blocks: &[Block]) {
    roff.control("SH", [title]);
    for (number, part) in blocks.iter().enumerate() {
        // A section begins with a paragraph as it is.
        match part {
            Block::Text(text) if number == 0 => _ = roff.text([roman(text)]),
            part => block(roff, part),
        }
    }
}

fn block(roff: &mut Roff, block: &Block) {
    match block {
        Block::Text(text) => paragraph(roff, text),
        Block::Item(term, text) => item(roff, term, text),
        Block::Head(title) => _ = roff.control("SS", [&title[..]]),
        Block::Code(lines, _) => code(roff, lines),
        Block::Table(rows) => table(roff, rows),
    }
}

fn paragraph(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.text([roman(text)]);
}

/// Sets lines as they are, but for what all of them are indented by.
fn code(roff: &mut Roff, lines: &str) {
    let indent = lines.len() - lines.trim_start_matches(' ').len();
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("EX", []);
    for line in lines.lines() {
        assert!(!line.contains('`'), "it would be lost: {line}");
        roff.text([roman(line.get(indent..).unwrap_or_default())]);
    }
    roff.control("EE", []);
    roff.control("RE", []);
}

fn item(roff: &mut Roff, term: &str, text: &str) {
    roff.control("TP", []);
    if term.contains('`') {
        roff.text([roman(term)]);
    } else {
        roff.text([italic(term)]);
    }
    roff.text([roman(text)]);
}

/// The last column takes what is left of the line, and is wrapped.
fn table(roff: &mut Roff, rows: &[Vec<String>]) {
    let columns = rows[0].len() - 1;
    roff.control("PP", []);
    roff.control("TS", []);
    roff.text([roman("nokeep;")]);
    roff.text([roman(format!("{}lx.", "l ".repeat(columns)))]);
    for (number, row) in rows.iter().enumerate() {
        let (last, cells) = row.split_last().unwrap();
        let cells: String = cells.iter().map(|cell| format!("{cell}\t")).collect();
        roff.text([roman(format!("{cells}T{{"))]);
        let style: fn(&str) -> Inline = if number == 0 {
            |t| bold(t)
        } else {
            |t| roman(t)
        };
        roff.text([style(last)]);
        roff.text([roman("T}")]);
    }
    roff.control("TE", []);
}

fn see_also(roff: &mut Roff, pages: impl Iterator<Item = String>) {
    roff.control("SH", ["SEE ALSO"]);
    let names: Vec<String> = pages
        .map(|page| {
            let (name, number) = page.split_once('(').expect("a page is name(section)");
            format!("`{name}`({number}")
        })
        .collect();
    roff.text([roman(names.join(", "))]);
}

fn render(write: impl FnOnce(&mut Roff)) -> Vec<u8> {
    let mut roff = Roff::new();
    write(&mut roff);
    let mut text = Vec::new();
    roff.to_writer(&mut text).unwrap();
    text
}

/// Sets in bold what stands in backticks, and keeps one of the preambles that each part begins
/// with.
fn finish(text: &str) -> Vec<u8> {
    const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
    let mut page = PREAMBLE.to_owned();
    // What the library writes for a backslash is one only to groff.
    let text = text.replace(PREAMBLE, "").replace(r"\\", r"\(rs");
    for line in text.lines() {
        let parts: Vec<&str> = line.split('`').collect();
        assert!(parts.len() % 2 == 1, "a backtick is left alone in: {line}");
        for (number, part) in parts.iter().enumerate() {
            page.push_str(if number == 0 {
                ""
            } else {
                ["\\fR", "\\fB"][number % 2]
            });
            page.push_str(part);
        }
        page.push('\n');
    }
    page.into_bytes()
}
