//! The man pages, as man(1) shows them and as a reader types them in.

use std::process::Command;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, cannot_run, has_program};
use crate::manpage::{self, source::Page};

#[test]
fn man_shows_every_page_without_a_warning() {
    if !has_program("man") || !has_program("groff") {
        return cannot_run("man and groff are missing: apt-get install man-db groff");
    }
    let kv = Sandbox::new();
    for (name, text) in manpage::all() {
        let path = kv.path(&name);
        std::fs::write(&path, text).unwrap();
        let mut man = Command::new("man");
        man.args(["--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(&path)
            .env("MANWIDTH", "80")
            .env("MANROFFOPT", "-ww");
        Ran::of(&mut man).ends(Exit::Success).warns("");
    }
}

#[test]
fn a_page_has_the_sections_that_a_reader_looks_for() {
    if !has_program("man") {
        return cannot_run("man is missing: apt-get install man-db");
    }
    let kv = Sandbox::new();
    for (name, text) in manpage::all() {
        let path = kv.path(&name);
        std::fs::write(&path, text).unwrap();
        let shown = Ran::of(
            Command::new("man")
                .arg("-l")
                .arg(&path)
                .env("MANWIDTH", "80")
                .env("MAN_KEEP_FORMATTING", "")
                .env("LC_ALL", "C.UTF-8"),
        );
        let shown = shown.ends(Exit::Success).stdout_text();
        let mut wanted = vec!["NAME", "DESCRIPTION", "SEE ALSO"];
        if name.ends_with(".1") {
            wanted.extend(["SYNOPSIS", "OPTIONS", "EXIT STATUS", "EXAMPLES", "NOTES"]);
        }
        for title in wanted {
            assert!(
                shown.lines().any(|line| line == title),
                "{name} has no {title}:\n{shown}"
            );
        }
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
    }
}

#[test]
fn a_page_refers_only_to_pages_that_are() {
    let pages = manpage::all();
    for page in Page::of_commands() {
        for other in page.see_also() {
            let (name, section) = other.trim_end_matches(')').split_once('(').unwrap();
            let is_ours = name == "kv" || name.starts_with("kv-");
            assert!(
                !is_ours || pages.contains_key(&format!("{name}.{section}")),
                "{}(1) refers to {other}",
                page.name
            );
        }
    }
}

#[test]
fn a_page_is_about_a_command_that_is() {
    let kv = kv::cli::command();
    for Page { name, .. } in Page::of_commands() {
        let command = name.strip_prefix("kv-");
        let is_one = command.is_none_or(|command| kv.find_subcommand(command).is_some());
        assert!(is_one, "src/cli/man tells of {name}");
    }
}

#[test]
fn every_example_runs_as_it_is_printed() {
    for page in Page::of_commands() {
        if page.name == "kv-mount" && !crate::mount::can_mount() {
            cannot_run("nothing can be mounted here: the examples of kv-mount(1)");
            continue;
        }
        let (shell, builtin) = match (page.name.as_str(), std::env::var("KV_TEST_SO")) {
            ("kv-init", Ok(file)) => ("bash", format!("enable -f '{file}' kv")),
            ("kv-init", Err(_)) => {
                cannot_run("there is no kv.so: the examples of kv-init(1)");
                continue;
            }
            _ => ("sh", String::new()),
        };
        let kv = Sandbox::new();
        // What the examples of a page have in common is a key that was stored before.
        kv.run(["put", "color", "green"])
            .ends(Exit::Success)
            .is_silent();
        let scripts = page.code("EXAMPLES");
        assert!(!scripts.is_empty(), "{} has no example", page.name);
        for script in scripts {
            let ran = kv.shell(shell, &format!("set -eu\n{builtin}\n{script}"));
            ran.ends(Exit::Success).warns("");
        }
    }
}
