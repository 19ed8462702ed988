//! Eviction: exactly the oldest go, from packs and from files alike.

use std::fs;
use std::time::{Duration, SystemTime};

use kv::exit::Exit;

use super::{contents, gc, ls, pack, packs};
use crate::dated::date_file;
use crate::files::flip;
use crate::harness::{Sandbox, cannot_run, has_program};

const DAY: Duration = Duration::from_secs(86_400);

/// Keys, the days since they were written, and the bytes of their values, the oldest last.
const ENTRIES: [(&str, u32, usize); 8] = [
    ("new", 35, 10),
    ("b", 40, 100),
    ("a", 50, 100),
    // Written in the same nanosecond: keys go in their order.
    ("tie 3", 60, 5),
    ("tie 2", 60, 5),
    ("tie 1", 60, 5),
    ("large", 70, 20_000),
    ("oldest", 80, 0),
];

/// Makes a store of these entries, in packs or not.
fn prepare(is_packed: bool) -> Sandbox {
    let kv = Sandbox::new();
    let now = SystemTime::now();
    for (key, days, size) in ENTRIES {
        kv.put(key, &"x".repeat(size));
        date_file(&kv.file_of(key.as_bytes()), now - DAY * days);
    }
    kv.run(["-n", "other", "put", "old", "v"])
        .ends(Exit::Success);
    if is_packed {
        pack(&kv);
        assert!(!packs(&kv).is_empty());
    }
    kv
}

/// Demands that these options evict all but the first so many of [`ENTRIES`].
#[track_caller]
fn leaves(options: &[&str], left: usize) {
    let keys = |entries: &[(&str, u32, usize)]| {
        let mut keys: Vec<_> = entries
            .iter()
            .map(|entry| format!("{}\n", entry.0))
            .collect();
        keys.sort();
        keys
    };
    let (stay, go) = ENTRIES.split_at(left);
    for is_packed in [false, true] {
        let kv = prepare(is_packed);
        let before = contents(&kv);
        let args = || ["-n", "default", "gc"].iter().chain(options);
        let dry = kv.run(args().chain(&["--dry-run"])).ends(Exit::Success);
        let dry = dry.warns("").stdout_text();
        let mut shown: Vec<_> = dry.split_inclusive('\n').map(str::to_owned).collect();
        shown.sort();
        assert_eq!(shown, keys(go), "packed: {is_packed}");
        assert!(contents(&kv) == before, "a dry run changed the store");

        kv.run(args()).ends(Exit::Success).is_silent();
        for _ in 0..2 {
            assert_eq!(ls(&kv, &[]), keys(stay).concat(), "packed: {is_packed}");
            for (key, _, size) in stay {
                kv.holds(key, "x".repeat(*size));
            }
            for (key, ..) in go {
                kv.lacks(key);
            }
            gc(&kv);
        }
        // Nobody asked for the others.
        let other = kv.run(["-n", "other", "ls"]).ends(Exit::Success);
        other.prints("old\n");
    }
}

#[test]
fn max_entries_leaves_the_newest() {
    for (most, left) in [
        ("8", 8),
        ("9", 8),
        ("7", 7),
        ("5", 5),
        ("4", 4),
        ("3", 3),
        ("0", 0),
    ] {
        leaves(&["--max-entries", most], left);
    }
}

#[test]
fn max_size_counts_keys_and_values() {
    // From the newest on: 13, 101, 101, three times 10, 20,005, 6.
    for (most, left) in [
        ("1M", 8),
        ("20256", 8),
        ("20255", 7),
        ("20250", 7),
        ("20249", 6),
        ("245", 6),
        ("244", 5),
        ("0.5K", 6),
        ("215", 3),
        ("12", 0),
        ("0", 0),
    ] {
        leaves(&["--max-size", most], left);
    }
}

#[test]
fn evict_older_than_goes_by_the_time_written() {
    for (age, left) in [
        ("100d", 8),
        ("75d", 7),
        ("65d", 6),
        ("55d", 3),
        ("38d", 1),
        ("0", 0),
    ] {
        leaves(&["--evict-older-than", age], left);
    }
}

#[test]
fn several_options_all_hold() {
    leaves(&["--evict-older-than", "65d", "--max-entries", "7"], 6);
    leaves(
        &[
            "--evict-older-than",
            "75d",
            "--max-entries",
            "5",
            "--max-size",
            "1M",
        ],
        5,
    );
    leaves(&["--max-entries", "7", "--max-size", "114"], 2);
}

#[test]
fn the_newest_version_of_a_key_counts() {
    let kv = prepare(true);
    kv.put("oldest", "written again");
    let args = ["-n", "default", "gc", "--max-entries", "2"];
    kv.run(args).ends(Exit::Success).is_silent();
    assert_eq!(ls(&kv, &[]), "new\noldest\n");
    kv.holds("oldest", "written again");
    kv.put("a", "back");
    kv.holds("a", "back");
}

#[test]
fn what_expired_or_was_removed_is_not_counted() {
    let kv = prepare(true);
    kv.run(["remove", "new"]).ends(Exit::Success);
    kv.run(["put", "due", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    crate::harness::until("it expires", || !kv.run(["has", "due"]).status().success());
    let args = ["-n", "default", "gc", "--max-entries", "7"];
    kv.run(args.iter().chain(&["--dry-run"]))
        .ends(Exit::Success)
        .is_silent();
    kv.run(args).ends(Exit::Success).is_silent();
    assert_eq!(ls(&kv, &["--count"]), "7\n");
}

#[test]
fn keys_are_escaped_on_a_terminal_only() {
    let kv = Sandbox::new();
    kv.put("a\x1b[31m", "v");
    let args = ["-n", "default", "gc", "--max-entries", "0", "--dry-run"];
    kv.run(args).ends(Exit::Success).prints("a\x1b[31m\n");
    if !has_program("script") {
        return cannot_run("there is no script(1) to make a terminal with");
    }
    let run = format!("sleep 0.2 | script -qec 'kv {}' /dev/null", args.join(" "));
    kv.shell("sh", &run)
        .ends(Exit::Success)
        .prints("a\\u{1b}[31m\r\n");
}

#[test]
fn a_reader_of_the_keys_may_leave() {
    let kv = Sandbox::new();
    for n in 0..50 {
        kv.put(&format!("{n:02}{}", "k".repeat(4000)), "v");
    }
    let script = "{ kv -n default gc --max-entries 0 --dry-run; echo $? >status; } | head -c 1 \
                  >/dev/null; cat status";
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints("0\n")
        .warns("");
    kv.shell(
        "sh",
        "kv -n default gc --max-entries 0 --dry-run >/dev/full",
    )
    .ends(Exit::Failure)
    .complains(&["cannot write to standard output"]);
}

#[test]
fn beside_a_damaged_record_all_others_can_go() {
    let kv = Sandbox::new();
    let lines: String = (0..3_000)
        .map(|n| format!("k{n:04}\tvalue {n:04}.\n"))
        .collect();
    kv.feed(["import", "--tsv", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Success);
    let path = kv.space().join("packs").join(packs(&kv).remove(0));
    let bytes = fs::read(&path).unwrap();
    let place = bytes.windows(11).position(|part| part == b"value 1500.");
    flip(&path, place.unwrap());
    kv.put("loose", "v");
    for (left, key) in [(2_900, "k2999"), (100, "k2999"), (1, "loose")] {
        let options = ["-n", "default", "gc", "--max-entries", &left.to_string()];
        kv.run(options).ends(Exit::Damaged);
        kv.run(["ls", "--count"])
            .ends(Exit::Damaged)
            .prints(format!("{left}\n"));
        kv.run(["has", key]).ends(Exit::Success);
    }
    // Nobody can say what it held.
    kv.run(["get", "k1500"]).ends(Exit::Damaged);
    let keys: String = (1_000..2_600).map(|n| format!("k{n:04}\n")).collect();
    kv.feed(["remove", "--stdin"], keys.as_bytes())
        .ends(Exit::No);
    kv.lacks("k1500");
    // Whose record it was the list cannot tell.
    kv.run(["ls"]).ends(Exit::Damaged).prints("loose\n");
}
