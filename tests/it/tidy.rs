//! Rules about the sources that no lint can state.

mod imports;

use std::fs;
use std::path::Path;
use std::process::Command;

use walkdir::WalkDir;

use crate::harness::{cannot_run, has_program};

const LONGEST_FILE: usize = 400;
const LONGEST_MEDIAN: usize = 150;

/// What only the two topmost lines of that drawing do: print, exit, look around.
const EDGE_ONLY: &[&str] = &[
    "print!(",
    "println!(",
    "dbg!(",
    "stdout()",
    "stderr()",
    "stdin()",
    "std::env",
    "env::var",
    "env::args",
    "process::exit",
    "process::abort",
    "SystemTime::now",
    "anyhow",
];

/// Ways to change a disk, by their names in std and rustix.
const CHANGES: &[&str] = &[
    "fs::write",
    "fs::copy",
    "fs::rename",
    "fs::remove_",
    "fs::hard_link",
    "fs::set_permissions",
    "fs::create_dir",
    "fs::mkdir",
    "DirBuilder",
    "File::create",
    "OpenOptions",
    "OFlags::CREATE",
    "OFlags::TRUNC",
    "renameat",
    "unlinkat",
    "mkdirat",
    "linkat",
    "symlink(",
    "ftruncate",
    "fallocate",
    "futimens",
    "set_len",
    "set_times",
    "set_modified",
    "set_permissions",
    "fchmod",
    "fchown",
    "fsync",
    "fdatasync",
    "sync_all",
    "sync_data",
    "write_all",
    "pwrite",
    "io::write",
];

/// What may lie at the top of the repository.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "completions",
    "man",
    "src",
    "tests",
];

#[test]
fn files_are_short() {
    let mut lengths = Vec::new();
    for (path, text) in sources("src").chain(sources("tests")) {
        let lines = text.lines().count();
        assert!(
            lines <= LONGEST_FILE,
            "{path} has {lines} lines; split it by responsibility"
        );
        if path.starts_with("src/") {
            lengths.push(lines);
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(median <= LONGEST_MEDIAN, "half of src/ is above {median}");
}

#[test]
fn only_os_knows_systems_and_is_unsafe() {
    for (path, text) in sources("src") {
        // The other is where bash and its builtin meet.
        if path.starts_with("src/os/") || path.starts_with("src/bash/ffi") {
            continue;
        }
        for word in [
            "unsafe",
            "target_os",
            "target_vendor",
            "/proc/",
            "extern \"C\"",
        ] {
            assert_absent(&path, code(&text), word);
        }
    }
}

#[test]
fn only_commands_print_exit_or_look_around() {
    for (path, text) in sources("src") {
        // `main` is above; what `os` has of the standard streams it hands to `commands`.
        if ["bash", "commands", "main", "os"].contains(&module_of(&path)) {
            continue;
        }
        for word in EDGE_ONLY {
            // What becomes of an error is decided at the edge, and told by its exit status.
            if path == "src/exit.rs" && *word == "anyhow" {
                continue;
            }
            assert_absent(&path, outside_tests(&text), word);
        }
    }
}

#[test]
fn only_one_file_of_the_tree_changes_the_disk() {
    for (path, text) in sources("src/engine/tree") {
        if path == "src/engine/tree/disk.rs" {
            continue;
        }
        for word in CHANGES {
            assert_absent(&path, outside_tests(&text), word);
        }
    }
}

/// Since Rust 1.89 std's `File` has methods of the same names, which win silently.
#[test]
fn locks_are_taken_by_the_full_name() {
    for (path, text) in sources("src").chain(sources("tests")) {
        let lines = code(&text).map(str::trim_start);
        assert_absent(&path, lines.filter(|line| line.starts_with("use ")), "fs2");
        for method in [".lock_exclusive(", ".lock_shared(", ".try_lock", ".unlock("] {
            // Only this table names them so.
            if path != "tests/it/tidy.rs" {
                assert_absent(&path, code(&text), method);
            }
        }
    }
}

#[test]
fn the_top_level_holds_what_the_house_lists() {
    if !has_program("git") {
        return cannot_run("git, which knows what belongs to the repository, is not here");
    }
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    if !listed.status.success() || listed.stdout.is_empty() {
        return cannot_run("the sources are not in a git repository");
    }
    for path in String::from_utf8(listed.stdout).unwrap().split('\0') {
        let top = path.split('/').next().unwrap();
        let is_known = top.is_empty() || TOP.contains(&top);
        assert!(is_known, "{path}: the top level is kept to {TOP:?}");
    }
}

#[track_caller]
fn assert_absent<'a>(path: &str, lines: impl Iterator<Item = &'a str>, word: &str) {
    for line in lines {
        assert!(!line.contains(word), "{path}: `{word}` in: {line}");
    }
}

/// Returns the name of the module that a file below `src/` belongs to.
fn module_of(path: &str) -> &str {
    path.split(['/', '.']).nth(1).unwrap()
}

/// Returns the lines that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| {
        let line = line.trim_start();
        !line.starts_with("//")
    })
}

/// As [`code`], up to a file's unit tests, which stand at its end.
fn outside_tests(text: &str) -> impl Iterator<Item = &str> {
    code(text).take_while(|line| *line != "#[cfg(test)]")
}

/// Every Rust file below a directory: its path in the repository, and its text.
fn sources(below: &str) -> impl Iterator<Item = (String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    WalkDir::new(root.join(below))
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "rs"))
        .map(move |entry| {
            let path = entry.path().strip_prefix(root).unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            (path.display().to_string(), text)
        })
}
