//! `completions/` and `man/` are generated from the command line, committed, and checked here.
//!
//! To accept a change: `KV_BLESS=1 cargo test --test it generated`, then commit; the binary holds
//! the completion scripts, so that it has to be built once more.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use crate::completions::scripts;
use crate::manpage;

#[test]
fn completions_are_those_of_the_command_line() {
    check("completions", &scripts::all());
}

#[test]
fn man_pages_are_those_of_the_command_line() {
    check("man", &manpage::all());
}

/// Compares the files of a committed directory with the ones just made, in both directions: the
/// page of a command that is gone fails the test just as a missing page does.
#[track_caller]
fn check(dir: &str, fresh: &BTreeMap<String, Vec<u8>>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    if env::var_os("KV_BLESS").is_some() {
        _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        for (name, bytes) in fresh {
            fs::write(path.join(name), bytes).unwrap();
        }
    }

    let committed = read_dir(&path);
    let names = committed.keys().chain(fresh.keys());
    let stale: BTreeSet<&String> = names
        .filter(|name| committed.get(*name) != fresh.get(*name))
        .collect();
    assert!(
        stale.is_empty(),
        "stale in {dir}/: {stale:?}; see the top of tests/it/generated.rs"
    );
}

fn read_dir(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        files.insert(name, fs::read(entry.path()).unwrap());
    }
    files
}
