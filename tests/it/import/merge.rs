//! What an import does to what is there, and that `--dry-run` tells it and does nothing.

use kv::exit::Exit;

use crate::harness::{Sandbox, until};

const NEW: &str = "2020-01-01T00:00:00.000000000Z";

/// A store with an entry that is older than an imported one, of the same time, newer, one that is
/// not imported, and one that has expired.
fn store() -> Sandbox {
    let kv = Sandbox::new();
    let mut lines: String = [
        ("newer", "2020-01-01T00:00:00.000000001Z"),
        ("older", "2019-12-31T23:59:59.999999999Z"),
        ("same", NEW),
        ("stays", "2001-01-01T00:00:00Z"),
    ]
    .iter()
    .map(|(key, time)| {
        format!("{{\"key\":\"{key}\",\"value\":\"there\",\"modified\":\"{time}\"}}\n")
    })
    .collect();
    lines.push_str(
        "{\"key\":\"older\\nline\",\"value\":\"there\",\"modified\":\"2002-01-01T00:00:00Z\"}",
    );
    kv.feed(["import"], lines.as_bytes()).ends(Exit::Success);
    kv.run(["put", "expired", "there", "--ttl", "1ms"])
        .ends(Exit::Success);
    until("the entry expires", || {
        !kv.run(["has", "expired"]).status().success()
    });
    kv
}

fn input() -> String {
    let keys = [
        "same",
        "expired",
        "older\\nline",
        "absent",
        "newer",
        "older",
    ];
    let line = |key| format!("{{\"key\":\"{key}\",\"value\":\"new\",\"modified\":\"{NEW}\"}}\n");
    keys.map(line).concat()
}

#[track_caller]
fn check(options: &[&str], would_go: &str, then: &str) {
    let kv = store();
    let before = kv.run(["ls", "--json", "--values"]).stdout_text();
    let args = ["import"].iter().chain(options);
    kv.feed(args.clone().chain(&["--dry-run"]), input().as_bytes())
        .ends(Exit::Success)
        .prints(would_go)
        .warns("");
    kv.run(["ls", "--json", "--values"]).prints(before);
    kv.feed(args, input().as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--values"]).prints(then);
}

#[test]
pub fn an_entry_takes_the_place_of_what_is_there() {
    check(
        &[],
        "newer\nolder\nolder\nline\nsame\n",
        "absent\tnew\nexpired\tnew\nnewer\tnew\nolder\tnew\nolder\nline\tnew\nsame\tnew\nstays\tthere\n",
    );
}

#[test]
pub fn if_absent_leaves_what_is_there() {
    check(
        &["--if-absent"],
        "",
        "absent\tnew\nexpired\tnew\nnewer\tthere\nolder\tthere\nolder\nline\tthere\nsame\tthere\nstays\tthere\n",
    );
}

#[test]
pub fn merge_keeps_the_newer_one() {
    check(
        &["--merge"],
        "older\nolder\nline\n",
        "absent\tnew\nexpired\tnew\nnewer\tthere\nolder\tnew\nolder\nline\tnew\nsame\tthere\nstays\tthere\n",
    );
}

#[test]
pub fn replace_leaves_exactly_what_is_imported() {
    check(
        &["--replace"],
        "newer\nolder\nolder\nline\nsame\nstays\n",
        "absent\tnew\nexpired\tnew\nnewer\tnew\nolder\tnew\nolder\nline\tnew\nsame\tnew\n",
    );
}

#[test]
pub fn what_has_no_time_counts_as_of_now() {
    let kv = store();
    kv.feed(["import", "--tsv", "--merge"], b"newer\tnow\n")
        .ends(Exit::Success);
    kv.holds("newer", "now");
    let future = "{\"key\":\"f\",\"value\":\"1\",\"modified\":\"2286-01-01T00:00:00Z\"}";
    kv.feed(["import"], future.as_bytes()).ends(Exit::Success);
    kv.feed(["import", "--tsv", "--merge"], b"f\tnow\n")
        .ends(Exit::Success);
    kv.holds("f", "1");
}

#[test]
fn a_dry_run_tells_damage_and_goes_on() {
    let kv = store();
    // What was put has a file of its own.
    kv.put("newer", "there");
    std::fs::write(kv.file_of(b"newer"), "garbage").unwrap();
    for (options, printed) in [
        (&["import", "--dry-run"][..], "older\nolder\nline\nsame\n"),
        (
            &["import", "--dry-run", "--replace"],
            "older\nolder\nline\nsame\nstays\n",
        ),
    ] {
        kv.feed(options, input().as_bytes())
            .ends(Exit::Damaged)
            .prints(printed)
            .complains(&["is damaged"]);
    }
    // An import does not need what it replaces.
    kv.feed(["import"], input().as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.holds("newer", "new");
}

/// A key that was removed is absent, whatever a pack still has of it.
#[test]
pub fn what_was_removed_comes_in_again() {
    // One by one, and as many at once.
    for repeats in [1, 1_001] {
        let kv = Sandbox::new();
        kv.put("k", "old");
        kv.put("stays", "old");
        kv.at_home(["gc"]).ends(Exit::Success);
        kv.run(["remove", "k"]).ends(Exit::Success);
        let lines = "k\tnew\nstays\tnew\n".repeat(repeats);
        kv.feed(["import", "--tsv", "--if-absent"], lines.as_bytes())
            .ends(Exit::Success)
            .is_silent();
        kv.holds("k", "new");
        kv.holds("stays", "old");
    }
}
