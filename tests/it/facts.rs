//! `--json`: every command that prints facts has it.

use kv::exit::Exit;
use serde_json::Value;

use crate::harness::Sandbox;
use crate::lock::hold;

/// How each command that prints facts is asked for them, and what an object that it prints has.
const FACTS: &[(&str, &[&str], &[&str])] = &[
    ("fsck", &[], &["severity", "path"]),
    (
        "get",
        &["k"],
        &["key", "value", "size", "modified", "expires", "etag"],
    ),
    ("info", &[], &["engine", "namespace", "entries", "sizes"]),
    ("items", &["jobs"], &["key", "value", "etag"]),
    (
        "lock",
        &["--show", "job"],
        &["pid", "host", "since", "shared"],
    ),
    ("ls", &[], &["key", "size", "modified", "expires", "etag"]),
    ("namespaces", &[], &["namespace"]),
    (
        "stat",
        &["k"],
        &["key", "namespace", "size", "modified", "expires", "etag"],
    ),
    ("ttl", &["k"], &["key", "ttl", "expires"]),
    (
        "watch",
        &["--now", "--timeout", "0"],
        &["key", "event", "etag"],
    ),
];

/// What prints no facts: nothing at all, bytes of a value, a number or an etag, or what a program prints;
/// keys that would go; JSON whatever is asked; texts for people and shells. `batch --json` is about its input.
const OTHERS: &[&str] = &[
    "append",
    "batch",
    "completions",
    "copy",
    "edit",
    "expire",
    "export",
    "gc",
    "has",
    "help",
    "import",
    "incr",
    "init",
    "memo",
    "mount",
    "pop",
    "push",
    "put",
    "remove",
    "rename",
    "serve",
    "update",
    "wait",
];

#[test]
fn every_command_that_prints_facts_has_json() {
    let kv = Sandbox::new();
    for (key, ttl) in [("k", "1h"), ("damaged", "2h")] {
        let put = ["put", key, "v", "--ttl", ttl];
        kv.run(put).ends(Exit::Success).is_silent();
    }
    kv.run(["push", "jobs", "one"])
        .ends(Exit::Success)
        .is_silent();
    let holder = hold(&kv, &["lock", "job"]);
    std::fs::write(kv.file_of(b"damaged"), "x").unwrap();
    let mut all = kv::cli::command();
    all.build();
    for command in all.get_subcommands() {
        let name = command.get_name();
        let Some((_, args, members)) = FACTS.iter().find(|facts| facts.0 == name) else {
            assert!(OTHERS.contains(&name), "does {name} print facts?");
            continue;
        };
        let ran = kv.run([&[name, "--json"], *args].concat());
        assert!(!ran.stdout_text().is_empty(), "{}", ran.report());
        for line in ran.stdout_text().lines() {
            let told: Value = serde_json::from_str(line).unwrap();
            for member in *members {
                assert!(told.get(member).is_some(), "{name}: {member}: {line}");
            }
        }
    }
    drop(holder);
}

#[test]
pub fn a_value_as_json_is_what_a_listing_has_of_it() {
    let kv = Sandbox::new();
    let large = "ü".repeat(1024 * 1024);
    for (key, value) in [
        ("k", &b"v"[..]),
        ("bytes", b"\xff\0"),
        ("large", large.as_bytes()),
    ] {
        kv.feed(["put", key, "--ttl", "1h"], value)
            .ends(Exit::Success)
            .is_silent();
        let listed = kv
            .run(["ls", "--json", "--values", "--prefix", key])
            .ends(Exit::Success);
        let got = kv.run(["get", "--json", key]).ends(Exit::Success).warns("");
        assert!(got.stdout() == listed.stdout(), "{key}");
    }
    kv.run(["get", "--json", "none"]).ends(Exit::No).is_silent();
    for option in ["--remove", "--default=x"] {
        let ran = kv.run(["get", "--json", "k", option]).ends(Exit::Usage);
        ran.complains(&["cannot be used with"]);
    }
}

#[test]
pub fn the_life_of_a_key_as_json_has_no_word_for_never() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let told = kv.run(["ttl", "--json", "k"]).ends(Exit::Success);
    told.prints("{\"key\":\"k\",\"ttl\":null,\"expires\":null}\n");
    kv.run(["expire", "k", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let told: Value = serde_json::from_str(&kv.run(["ttl", "--json", "k"]).line()).unwrap();
    assert!(
        (3_000..=3_600).contains(&told["ttl"].as_u64().unwrap()),
        "{told}"
    );
    assert_eq!(told["expires"], kv.field("expires", "k"));
}

#[test]
fn the_holder_of_a_lock_as_json_is_what_is_shown_of_it() {
    let kv = Sandbox::new();
    let holder = hold(&kv, &["lock", "job", "--shared"]);
    let told = kv.run(["lock", "--show", "job", "--json"]).line();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["pid"], holder.pid().as_raw());
    assert_eq!(told["shared"], true);
    let shown = kv.run(["lock", "--show", "job"]).stdout_text();
    for member in ["host", "since"] {
        let line = format!("{member}: {}\n", told[member].as_str().unwrap());
        assert!(shown.contains(&line), "{shown}{told}");
    }
    drop(holder);
    kv.run(["lock", "job", "--json", "--", "true"])
        .ends(Exit::Program(125))
        .complains(&["--json cannot be used with"]);
}
