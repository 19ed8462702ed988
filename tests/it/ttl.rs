//! `kv ttl`, `--ttl` and what an expired key is: absent, everywhere and at once.

use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::Sandbox;

#[test]
pub fn prints_whole_seconds_rounded_up_or_never() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["ttl", "k"])
        .ends(Exit::Success)
        .prints("never\n")
        .warns("");
    kv.run(["put", "k", "v", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let left: u32 = kv.run(["ttl", "k"]).line().parse().unwrap();
    // Rounded up, it shows the whole hour for its first second; a slow machine takes some off.
    assert!((3_000..=3_600).contains(&left), "{left}");
}

#[test]
pub fn a_living_key_never_shows_zero() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "v", "--ttl", "900ms"])
        .ends(Exit::Success)
        .is_silent();
    let ran = kv.run(["ttl", "k"]);
    // On a machine so slow that it is over, the answer is no.
    if ran.status().success() {
        ran.prints("1\n").warns("");
    } else {
        ran.ends(Exit::No).is_silent();
    }
}

#[test]
pub fn a_missing_key_is_silent() {
    let kv = Sandbox::new();
    kv.run(["ttl", "k"]).ends(Exit::No).is_silent();
}

#[test]
pub fn durations_are_read_as_the_manual_says() {
    let kv = Sandbox::new();
    for (text, seconds) in [
        ("90000s", 90_000),
        ("1500m", 90_000),
        ("25h", 90_000),
        ("1h30m", 5_400),
        ("7d", 604_800),
        ("1w2d", 777_600),
        ("5000", 5_000),
        ("5000.5", 5_001),
        ("7200000ms", 7_200),
        ("1.5h", 5_400),
    ] {
        kv.run(["put", "k", "v", "--ttl", text])
            .ends(Exit::Success)
            .is_silent();
        let left: i64 = kv.run(["ttl", "k"]).line().parse().unwrap();
        assert!((seconds - 600..=seconds).contains(&left), "{text}: {left}");
    }
}

#[test]
pub fn what_is_no_duration_is_refused_and_nothing_stored() {
    let kv = Sandbox::new();
    for bad in [
        "0",
        "0s",
        "0.0ms",
        "-1",
        "",
        "x",
        "5x",
        "1h30",
        "1 h",
        "5S",
        "1e3",
        "never",
        "9999999999d",
    ] {
        kv.run(["put", "k", "v", "--ttl", bad])
            .ends(Exit::Usage)
            .prints("")
            .complains(&["--ttl"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn a_negative_duration_with_a_unit_is_no_option() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "v", "--ttl", "-5s"])
        .ends(Exit::Usage)
        .prints("")
        .complains(&[]);
    kv.run(["put", "k", "v", "--ttl=-5s"])
        .ends(Exit::Usage)
        .prints("")
        .complains(&["--ttl", "negative"]);
    assert!(!kv.store().exists());
}

#[test]
pub fn an_expired_key_is_absent_in_every_command_at_once() {
    let kv = Sandbox::new();
    expired(&kv, "k");
    if kv.is_directory() {
        assert!(kv.file_of(b"k").exists(), "nothing swept it");
    }

    for args in [
        &["get", "k"][..],
        &["get", "k", "--remove"],
        &["has", "k"],
        &["stat", "k"],
        &["stat", "k", "--field", "etag"],
        &["ttl", "k"],
        &["expire", "k", "1h"],
        &["expire", "k", "never"],
        &["remove", "k"],
        &["remove", "k", "--dry-run"],
        &["remove", "--glob", "k"],
        &["remove", "k", "--if-value", "v"],
        &["put", "k", "w", "--if-exists"],
        &["put", "k", "w", "--if-value", "v"],
        &["ls", "k"],
        &["ls", "--prefix", "k"],
    ] {
        kv.run(args).ends(Exit::No).is_silent();
    }
    kv.run(["ls"]).ends(Exit::Success).is_silent();
    kv.run(["ls", "--json", "--values"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--count"]).ends(Exit::Success).prints("0\n");
    kv.run(["get", "k", "--default", "d"])
        .ends(Exit::Success)
        .prints("d");
    kv.run(["remove", "-f", "k"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["put", "k", "w", "--if-absent"])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", "w");
}

#[test]
pub fn the_etag_of_an_expired_entry_is_of_no_use() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "v", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let args = ["put", "k", "v", "--ttl", "1ms", "--print-etag"];
    let etag = kv.run(args).line();
    thread::sleep(Duration::from_millis(5));
    for args in [
        ["put", "k", "w", "--if-etag"],
        ["remove", "k", "--dry-run", "--if-etag"],
    ] {
        kv.run(args.iter().chain([&&*etag]))
            .ends(Exit::No)
            .is_silent();
    }
}

#[test]
pub fn keep_ttl_does_not_keep_an_expiry_that_is_over() {
    let kv = Sandbox::new();
    expired(&kv, "k");
    kv.run(["put", "k", "w", "--keep-ttl"])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", "w");
    assert_eq!(kv.field("expires", "k"), "never");
}

#[test]
pub fn the_time_to_live_counts_from_the_end_of_a_slow_value() {
    let kv = Sandbox::new();
    // Counted from the start the value would be gone before it was whole.
    kv.shell(
        "sh",
        "{ sleep 1.6; echo late; } | kv put k --ttl 1500ms; kv get k",
    )
    .ends(Exit::Success)
    .prints("late\n")
    .warns("");
}

/// Stores a key that has expired when this returns.
fn expired(kv: &Sandbox, key: &str) {
    kv.run(["put", key, "v", "--ttl", "1ms"])
        .ends(Exit::Success)
        .is_silent();
    thread::sleep(Duration::from_millis(5));
}
