//! `kv info`: what is known of a store.

pub mod location;

use std::fs;
use std::time::Duration;

use kv::exit::Exit;
use serde_json::{Value, json};

use crate::dated::date;
use crate::harness::{Ran, Sandbox, cannot_run, has_program};

/// What is told of each namespace, in its order.
const FACTS: [&str; 15] = [
    "namespace",
    "format",
    "entries",
    "bytes",
    "disk_bytes",
    "inodes",
    "loose",
    "packed",
    "packs",
    "temporary",
    "tombstones",
    "expired",
    "last_gc",
    "gc_pays",
    "damaged",
];

/// Returns what was printed of a namespace: the lines between its name and its histograms.
fn group(text: &str, namespace: &str) -> Vec<(String, String)> {
    let lines = text
        .lines()
        .skip_while(|line| *line != format!("namespace: {namespace}"));
    let facts = lines.take_while(|line| !line.is_empty() && !line.ends_with(':'));
    let split = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    facts.map(split).collect()
}

#[track_caller]
fn objects(ran: &Ran) -> Vec<Value> {
    let text = ran.stdout_text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn prints_the_store_and_then_each_namespace() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.run(["-n", "app", "put", "a", "b"]).ends(Exit::Success);
    let ran = kv.run(["info"]).ends(Exit::Success).warns("");
    let text = ran.stdout_text();
    let head = format!(
        "engine: tree\nlocation: {}\nsetting: KV_STORE\n\nnamespace: app\n",
        kv.store().display()
    );
    assert!(text.starts_with(&head), "{text}");
    assert_eq!(text.matches("engine: ").count(), 1, "{text}");
    for (namespace, bytes) in [("app", "2"), ("default", "10")] {
        let group = group(&text, namespace);
        let names: Vec<_> = group.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, FACTS);
        let fact = |name: &str| &group.iter().find(|fact| fact.0 == name).unwrap().1;
        assert_eq!(
            (fact("entries"), fact("bytes")),
            (&"1".into(), &bytes.into())
        );
        assert_eq!(
            (fact("last_gc"), fact("damaged")),
            (&"never".into(), &"0".into())
        );
    }
}

#[test]
fn json_is_an_object_a_line_for_each_namespace() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.put("empty", "");
    kv.run(["-n", "a \"b\"", "put", "a", "b"])
        .ends(Exit::Success);
    let ran = kv.run(["info", "--json"]).ends(Exit::Success).warns("");
    let objects = objects(&ran);
    let names: Vec<_> = objects.iter().map(|object| &object["namespace"]).collect();
    assert_eq!(names, ["a \"b\"", "default"]);
    for object in &objects {
        assert_eq!(object["engine"], "tree");
        assert_eq!(object["location"], kv.store().to_str().unwrap());
        assert_eq!(object["setting"], "KV_STORE");
        assert!(object["last_gc"].is_null());
        assert!(object["gc_pays"].is_boolean());
        let rest = FACTS
            .into_iter()
            .chain(["engine", "location", "setting", "sizes", "ages"]);
        for name in rest.clone() {
            assert!(object.get(name).is_some(), "{name}: {object}");
        }
        assert_eq!(object.as_object().unwrap().len(), rest.count());
    }
    assert_eq!(objects[1]["entries"], 2);
    assert_eq!(objects[1]["bytes"], 15);
    let sizes = json!([
        {"from": 0, "below": 1, "count": 1},
        {"from": 1, "below": 2, "count": 0},
        {"from": 2, "below": 4, "count": 0},
        {"from": 4, "below": 8, "count": 1},
    ]);
    assert_eq!(objects[1]["sizes"], sizes);
}

#[test]
fn a_histogram_has_a_row_for_each_power_of_two() {
    let kv = Sandbox::new();
    for (key, size, ago) in [
        ("a", 700, 100),
        ("b", 1_024, 7_200),
        ("c", 1_025, 7_300),
        ("d", 2_047, 7_400),
        ("e", 1_500, 7_500),
        ("f", 5_000, 40 * 86_400),
    ] {
        kv.put(key, &"x".repeat(size));
        date(&kv, key, Duration::from_secs(ago));
    }
    let text = kv.run(["info"]).ends(Exit::Success).stdout_text();
    let (_, drawn) = text.split_once("\nsizes:\n").unwrap();
    // The longest row has 80 columns; a bar of one in four is a fourth as long.
    let rows = |left: [&str; 4], long: usize| {
        let (long, short) = ("#".repeat(long), "#".repeat(long / 4));
        let bars = [&*short, &long, "", &short];
        let counts = [1, 4, 0, 1];
        let row = |n: usize| format!("  {}  {}  {}\n", left[n], bars[n], counts[n]);
        (0..4).map(row).collect::<String>()
    };
    let sizes = rows(
        [
            "512 B – 1 KiB",
            "1 KiB – 2 KiB",
            "2 KiB – 4 KiB",
            "4 KiB – 8 KiB",
        ],
        80 - 2 - 13 - 2 - 2 - 1,
    );
    let (drawn_sizes, drawn_ages) = drawn.split_once("ages:\n").unwrap();
    assert_eq!(drawn_sizes, sizes);
    // Between them are rows for whatever was written between an hour and a month ago.
    let ages: Vec<_> = drawn_ages.lines().collect();
    let full = "#".repeat(80 - 2 - 17 - 2 - 2 - 1);
    let (bar, _) = full.split_at(full.len() / 4);
    assert_eq!(ages.len(), 16, "{drawn_ages}");
    assert_eq!(ages[0], format!("  1.1 min – 2.1 min  {bar}  1"));
    assert_eq!(ages[6], format!("    1.1 h – 2.3 h    {full}  4"));
    assert_eq!(ages[7], "    2.3 h – 4.6 h      0");
    assert_eq!(ages[15], format!("     24 d – 49 d     {bar}  1"));

    let object = &objects(&kv.run(["info", "--json"]))[0];
    let ages = object["ages"].as_array().unwrap();
    assert_eq!(ages[6], json!({"from": 4096, "below": 8192, "count": 4}));
    for pair in ages.windows(2) {
        assert_eq!(pair[0]["below"], pair[1]["from"]);
    }
}

#[test]
pub fn a_bar_ends_where_the_terminal_does() {
    if !has_program("script") {
        return cannot_run("there is no script(1) to make a terminal with");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    for columns in [40, 133] {
        let run = format!("script -qec 'stty cols {columns}; kv info' /dev/null");
        let ran = kv.shell("sh", &run).ends(Exit::Success);
        let text = ran.stdout_text().replace("\r\n", "\n");
        let (_, drawn) = text.split_once("\nsizes:\n").unwrap();
        let row = drawn.lines().next().unwrap();
        assert!(
            row.starts_with("  1 B – 2 B  ##") && row.ends_with("##  1"),
            "{row}"
        );
        assert_eq!(row.chars().count(), columns);
    }
}

#[test]
pub fn a_namespace_that_is_named_is_told_alone() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.run(["-n", "app", "put", "a", "b"]).ends(Exit::Success);
    let by_option = kv.run(["-n", "app", "info", "--json"]);
    let by_variable = Ran::of(kv.kv(["info", "--json"]).env("KV_NAMESPACE", "app"));
    for ran in [by_option, by_variable] {
        let objects = objects(&ran.ends(Exit::Success).warns(""));
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0]["namespace"], "app");
    }
    for json in [&[][..], &["--json"]] {
        kv.run(["-n", "absent", "info"].iter().chain(json))
            .ends(Exit::No)
            .is_silent();
    }
    let mut empty = kv.kv(["info", "--json"]);
    let ran = Ran::of(empty.env("KV_NAMESPACE", "")).ends(Exit::Success);
    assert_eq!(objects(&ran).len(), 2);
}

#[test]
pub fn expired_and_removed_keys_are_no_entries() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.put("removed", "v");
    kv.run(["remove", "removed"]).ends(Exit::Success);
    kv.run(["put", "due", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    crate::harness::until("the key expires", || {
        !kv.run(["has", "due"]).status().success()
    });
    let object = &objects(&kv.run(["info", "--json"]))[0];
    assert_eq!(object["entries"], 1);
    assert_eq!(object["bytes"], 2);
}

#[test]
fn damage_is_counted_and_the_rest_is_told() {
    let kv = Sandbox::new();
    kv.put("k", "value");
    kv.put("sound", "still here");
    kv.run(["-n", "app", "put", "a", "b"]).ends(Exit::Success);
    fs::write(kv.file_of(b"k"), "garbage").unwrap();
    let ran = kv.run(["info"]).ends(Exit::Damaged);
    let ran = ran.complains(&["namespace `default`", "1 damaged"]);
    let text = ran.stdout_text();
    for (namespace, damaged) in [("app", "0"), ("default", "1")] {
        let group = group(&text, namespace);
        assert!(group.contains(&("entries".into(), "1".into())), "{text}");
        assert!(
            group.contains(&("damaged".into(), damaged.into())),
            "{text}"
        );
    }
    let ran = kv.run(["info", "--json"]).ends(Exit::Damaged);
    assert_eq!(objects(&ran)[1]["damaged"], 1);
    kv.run(["-n", "app", "info"]).ends(Exit::Success).warns("");
}

#[test]
fn a_namespace_that_cannot_be_read_keeps_no_other_from_being_told() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["-n", "newer", "put", "a", "b"]).ends(Exit::Success);
    let format = kv.store().join("newer/format");
    fs::write(format, "kv 2\nhash sha1\nshards 256\n").unwrap();
    let ran = kv.run(["info", "--json"]).ends(Exit::Damaged);
    let objects = objects(&ran.complains(&["newer"]));
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["namespace"], "default");
    // Where it is can be told all the same.
    let ran = kv.run(["-n", "newer", "info"]).ends(Exit::Damaged);
    let head = format!(
        "engine: tree\nlocation: {}\nsetting: KV_STORE\n",
        kv.store().display()
    );
    ran.prints(head).complains(&["newer"]);
}

#[test]
pub fn it_changes_nothing() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let all = || {
        let walk = walkdir::WalkDir::new(kv.store()).sort_by_file_name();
        let entry = |entry: walkdir::DirEntry| (entry.metadata().unwrap().len(), entry.into_path());
        walk.into_iter()
            .map(|e| entry(e.unwrap()))
            .collect::<Vec<_>>()
    };
    let before = all();
    kv.run(["info"]).ends(Exit::Success).warns("");
    assert_eq!(all(), before);
}

#[test]
pub fn it_takes_no_arguments() {
    let kv = Sandbox::new();
    for args in [
        &["info", "k"][..],
        &["info", "--nosuch"],
        &["info", "-s", "x"],
    ] {
        kv.run(args).ends(Exit::Usage).prints("").complains(&[]);
    }
}
