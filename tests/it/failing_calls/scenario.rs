//! The commands whose calls are made to fail, and the stores that they work on.

use sha1::{Digest as _, Sha1};

use kv::exit::Exit;

use crate::harness::Sandbox;

/// A command, and what it works on.
pub struct Scenario {
    pub args: &'static [&'static str],
    pub input: Vec<u8>,
    pub prepare: fn(&Sandbox),
    /// What it prints tells times, and is another each time.
    pub varies: bool,
    /// The store cannot be a copy: the file of a list's ends is believed only where it was made.
    pub prepares_anew: bool,
}

impl Scenario {
    pub fn new(prepare: fn(&Sandbox), args: &'static [&'static str]) -> Self {
        Self {
            args,
            input: Vec::new(),
            prepare,
            varies: false,
            prepares_anew: false,
        }
    }

    pub fn fed(prepare: fn(&Sandbox), args: &'static [&'static str], input: Vec<u8>) -> Self {
        Self {
            input,
            ..Self::new(prepare, args)
        }
    }

    pub fn on_list(args: &'static [&'static str]) -> Self {
        Self {
            prepares_anew: true,
            ..Self::new(list, args)
        }
    }
}

/// No store.
pub fn nothing(_: &Sandbox) {}

/// A few entries with files of their own.
pub fn loose(kv: &Sandbox) {
    kv.put("key", "old");
    kv.put("number", "41");
    kv.put("other", "other");
    kv.run(["put", "brief", "expires", "--ttl", "1h"])
        .ends(Exit::Success);
}

/// The same entries in a pack, and one of them a second time.
pub fn packed(kv: &Sandbox) {
    loose(kv);
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    kv.put("other", "newer");
}

/// An entry that is read in parts.
pub fn large(kv: &Sandbox) {
    loose(kv);
    kv.feed(["put", "key"], &large_value()).ends(Exit::Success);
}

pub fn large_value() -> Vec<u8> {
    (0..600_000_u32).map(|n| (n % 251) as u8).collect()
}

/// A file to store from, beside the entries.
pub fn with_file(kv: &Sandbox) {
    loose(kv);
    std::fs::write(kv.path("file"), large_value()).unwrap();
}

/// A list of three elements.
pub fn list(kv: &Sandbox) {
    kv.feed(["push", "jobs", "--lines"], b"a\nb\nc")
        .ends(Exit::Success);
}

/// More entries than are changed one by one, in a pack; a few of them a second time, with files of
/// their own. All are in four shards, so that the calls for 256 are not all the same.
pub fn bulk(kv: &Sandbox) {
    kv.feed(["import", "--tsv"], &tsv("old"))
        .ends(Exit::Success);
    kv.put("other", "other");
    for key in &many_keys()[..6] {
        kv.put(key, "older");
    }
}

/// Packs to be merged, and removed, expired and dead things of all kinds.
pub fn to_collect(kv: &Sandbox) {
    loose(kv);
    kv.put("gone", "1");
    kv.run(["gc"]).ends(Exit::Success);
    kv.run(["remove", "gone"]).ends(Exit::Success);
    kv.run(["put", "due", "1", "--ttl", "1ms"])
        .ends(Exit::Success);
    kv.put("key", "newer");
    kv.put("late", "1");
}

/// Keys that are more than a few, and in four shards.
pub fn many_keys() -> &'static [String] {
    static KEYS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| {
        let keys = (0..).map(|n| format!("k{n:06}"));
        let in_four = keys.filter(|key| Sha1::digest(key)[0] < 4);
        in_four.take(1_010).collect()
    })
}

pub fn tsv(value: &str) -> Vec<u8> {
    let lines = many_keys().iter().map(|key| format!("{key}\t{value}\n"));
    lines.collect::<String>().into_bytes()
}

pub fn json_lines(value: &str, count: usize) -> Vec<u8> {
    let line = |key: &String| format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}\n");
    let lines = many_keys()[..count].iter().map(line);
    lines.collect::<String>().into_bytes()
}

/// As [`json_lines`] for all keys, and a value among them that no pack takes.
pub fn with_a_large_one() -> Vec<u8> {
    let large = "x".repeat(40_000);
    let line =
        format!("{{\"key\":\"key\",\"value\":\"{large}\",\"expires\":\"2199-01-01T00:00:00Z\"}}\n");
    [json_lines("new", 1_010), line.into_bytes()].concat()
}

pub fn names() -> Vec<u8> {
    let lines = many_keys().iter().map(|key| format!("{key}\n"));
    lines.collect::<String>().into_bytes()
}
