//! `kv gc`: its command line, its silence, and which namespaces it treats.

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in};

/// The options that remove living entries.
const EVICTING: [[&str; 2]; 3] = [
    ["--evict-older-than", "1h"],
    ["--max-entries", "5"],
    ["--max-size", "1K"],
];

#[test]
fn to_evict_a_namespace_must_be_named() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for options in EVICTING {
        for dry in [&[][..], &["--dry-run"]] {
            let args = || ["gc"].iter().chain(&options).chain(dry);
            let mut empty = kv.kv(args());
            for ran in [kv.run(args()), Ran::of(empty.env("KV_NAMESPACE", ""))] {
                ran.ends(Exit::Usage).prints("").complains(&[
                    "a namespace must be named",
                    "-n NAME",
                    "KV_NAMESPACE",
                ]);
            }
            for name in ["default", "absent"] {
                kv.run(["-n", name].iter().chain(args()))
                    .ends(Exit::Success)
                    .is_silent();
                kv.run(args().chain(&["--namespace", name]))
                    .ends(Exit::Success)
                    .is_silent();
                Ran::of(kv.kv(args()).env("KV_NAMESPACE", name))
                    .ends(Exit::Success)
                    .is_silent();
            }
        }
    }
    kv.holds("k", "v");
    assert_eq!(names_in(&kv.store()), ["default"]);
}

#[test]
pub fn a_wrong_command_line_changes_nothing() {
    let kv = Sandbox::new();
    for args in [
        &["gc", "k"][..],
        &["gc", "--nosuch"],
        &["gc", "-n", "default"],
        &["gc", "--max-entries"],
        &["gc", "--max-entries", ""],
        &["gc", "--max-entries", "-1"],
        &["gc", "--max-entries", "1K"],
        &["gc", "--max-entries", "many"],
        &["gc", "--max-size"],
        &["gc", "--max-size", ""],
        &["gc", "--max-size", "-1"],
        &["gc", "--max-size", "1X"],
        &["gc", "--max-size", "1 K"],
        &["gc", "--max-size", "K"],
        &["gc", "--max-size", "99999999T"],
        &["gc", "--evict-older-than"],
        &["gc", "--evict-older-than", ""],
        &["gc", "--evict-older-than", "-1d"],
        &["gc", "--evict-older-than", "1y"],
        &["gc", "--dry-run", "--dry-run"],
    ] {
        kv.run(["-n", "default"].iter().chain(args))
            .ends(Exit::Usage)
            .prints("")
            .complains(&[]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn a_size_has_the_units_of_other_tools() {
    let kv = Sandbox::new();
    for size in [
        "0", "1000", "1K", "10k", "64M", "64MiB", "64MB", "1.5G", "2T",
    ] {
        kv.run(["-n", "cache", "gc", "--max-size", size])
            .ends(Exit::Success)
            .is_silent();
    }
    kv.run(["-n", "cache", "gc", "--max-size", "1.5"])
        .ends(Exit::Usage)
        .complains(&["--max-size", "`1.5`", "parts of bytes"]);
    kv.run(["-n", "cache", "gc", "--max-size", "10mb"])
        .ends(Exit::Usage)
        .complains(&["--max-size", "`10mb`", "64MiB", "64MB"]);
}

#[test]
fn without_a_store_it_is_silent_and_makes_none() {
    let kv = Sandbox::new();
    for args in [&["gc"][..], &["-n", "cache", "gc"], &["gc", "--dry-run"]] {
        kv.run(args).ends(Exit::Success).is_silent();
    }
    assert!(!kv.store().exists());
    std::fs::create_dir(kv.store()).unwrap();
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    assert_eq!(names_in(&kv.store()), [""; 0]);
}

#[test]
pub fn every_namespace_is_treated_in_silence_and_answers_as_before() {
    let kv = Sandbox::new();
    for name in ["default", "app", "with blank"] {
        let text = format!("value of {name}");
        kv.run(["-n", name, "put", "k", &text]).ends(Exit::Success);
        kv.run(["-n", name, "put", "empty", ""]).ends(Exit::Success);
    }
    kv.run(["push", "jobs", "one"]).ends(Exit::Success);
    for args in [
        &["gc"][..],
        &["gc", "--dry-run"],
        &["gc"],
        &["-n", "app", "gc"],
    ] {
        kv.run(args).ends(Exit::Success).is_silent();
        for name in ["default", "app", "with blank"] {
            kv.run(["-n", name, "ls", "--values"])
                .ends(Exit::Success)
                .prints(format!("empty\t\nk\tvalue of {name}\n"));
        }
    }
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("app\ndefault\njobs\nwith blank\n");
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("one");
}

#[test]
fn a_store_that_is_none_is_an_error() {
    let kv = Sandbox::new();
    std::fs::write(kv.store(), "precious").unwrap();
    kv.run(["gc"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["store`", "Not a directory"]);
    assert_eq!(std::fs::read(kv.store()).unwrap(), b"precious");
}

#[test]
pub fn it_has_no_place_in_a_batch() {
    let kv = Sandbox::new();
    for command in ["gc", "info"] {
        kv.feed(["batch"], format!("{command}\n").as_bytes())
            .ends(Exit::Usage)
            .prints("2 0\n\n")
            .complains(&["line 1", "cannot be a part of a batch"]);
    }
}
