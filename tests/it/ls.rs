//! `kv ls`: which keys, in which order, and how they look.

use kv::exit::Exit;
use serde_json::Value;

use crate::harness::Sandbox;

/// A store with these keys, each of which holds its own name.
fn with(keys: &[&str]) -> Sandbox {
    let kv = Sandbox::new();
    keys.iter().for_each(|key| kv.put(key, key));
    kv
}

#[test]
pub fn keys_come_in_byte_order_one_a_line() {
    let kv = with(&["b", "B", "a", "ä", "a b", "_", "10", "9"]);
    kv.run(["ls"])
        .ends(Exit::Success)
        .prints("10\n9\nB\n_\na\na b\nb\nä\n")
        .warns("");
}

#[test]
pub fn a_whole_listing_of_nothing_is_a_success_and_makes_nothing() {
    let kv = Sandbox::new();
    for options in [
        &[][..],
        &["-l"],
        &["--json"],
        &["--reverse"],
        &["--limit", "3"],
    ] {
        kv.run(["ls"].iter().chain(options))
            .ends(Exit::Success)
            .is_silent();
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn only_a_bound_that_nothing_matches_is_a_no() {
    let kv = with(&["a", "b"]);
    for bound in [
        &["z*"][..],
        &["--prefix", "z"],
        &["--from", "c"],
        &["--to", "a"],
        &["--from", "b", "--to", "b"],
    ] {
        kv.run(["ls"].iter().chain(bound))
            .ends(Exit::No)
            .is_silent();
        kv.run(["ls", "--count"].iter().chain(bound))
            .ends(Exit::Success)
            .prints("0\n")
            .warns("");
    }
}

#[test]
pub fn from_is_included_and_to_is_not_in_either_direction() {
    let kv = with(&["a", "b", "c", "d"]);
    let bounds = ["ls", "--from", "b", "--to", "d"];
    kv.run(bounds).ends(Exit::Success).prints("b\nc\n");
    kv.run(bounds.iter().chain(&["--reverse"]))
        .ends(Exit::Success)
        .prints("c\nb\n");
}

#[test]
pub fn a_limit_counts_after_the_bounds_and_from_where_the_listing_begins() {
    let kv = with(&["a", "b", "c", "d"]);
    for (args, want) in [
        (&["--limit", "2"][..], "a\nb\n"),
        (&["--limit", "2", "--reverse"], "d\nc\n"),
        (&["--limit", "1", "--from", "b"], "b\n"),
        (&["--limit", "9"], "a\nb\nc\nd\n"),
        (&["--limit", "3", "--count"], "3\n"),
        (&["--limit", "0"], ""),
        (&["--limit", "0", "--from", "b"], ""),
        (&["--limit", "0", "--count"], "0\n"),
    ] {
        kv.run(["ls"].iter().chain(args))
            .ends(Exit::Success)
            .prints(want)
            .warns("");
    }
}

#[test]
pub fn a_glob_matches_the_whole_key() {
    let keys = [".x", "a/b", "a\nb", "ab", "aé", "b*", "user:1", "user:22"];
    let kv = with(&keys);
    for (glob, want) in [
        ("*", &keys[..]),
        ("user:*", &["user:1", "user:22"]),
        ("user:?", &["user:1"]),
        ("a*b", &["a\nb", "a/b", "ab"]),
        ("a?", &["ab", "aé"]),
        ("[!a-u]*", &[".x", "b*"][..1]),
        ("[ab]?", &["ab", "aé", "b*"]),
        ("b\\*", &["b*"]),
    ] {
        let mut want: Vec<_> = want.to_vec();
        want.sort_unstable();
        let want = want.iter().map(|key| format!("{key}\0"));
        kv.run(["ls", "-0", glob])
            .ends(Exit::Success)
            .prints(want.collect::<String>())
            .warns("");
    }
    kv.run(["ls", "A*"]).ends(Exit::No).is_silent();
    for bad in ["[", "a\\"] {
        kv.run(["ls", bad])
            .ends(Exit::Usage)
            .complains(&["invalid pattern"]);
    }
}

#[test]
pub fn the_bounds_hold_all_at_once() {
    let kv = with(&["a1", "a2", "a3", "a33", "b3"]);
    kv.run(["ls", "a?", "--prefix", "a", "--from", "a2", "--to", "b"])
        .ends(Exit::Success)
        .prints("a2\na3\n");
}

#[test]
pub fn values_stand_behind_their_keys() {
    let kv = with(&["a", "b"]);
    kv.run(["ls", "--values"])
        .ends(Exit::Success)
        .prints("a\ta\nb\tb\n");
    kv.feed(["put", "a"], b"x\0\n\xff")
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--values", "-0"])
        .ends(Exit::Success)
        .prints(b"a\0x\0\n\xff\0b\0b\0");
}

#[test]
pub fn long_lines_hold_five_fields() {
    let kv = with(&["tab\tkey"]);
    let want = format!(
        "{}\t7\t{}\t-\ttab\tkey\n",
        kv.field("etag", "tab\tkey"),
        kv.field("modified", "tab\tkey")
    );
    kv.run(["ls", "-l"]).ends(Exit::Success).prints(want);
    kv.run(["expire", "tab\tkey", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let expires = kv.field("expires", "tab\tkey");
    let line = kv.run(["ls", "--long"]).line();
    assert_eq!(line.split('\t').nth(3), Some(&*expires), "{line}");
}

#[test]
pub fn json_is_one_object_a_line() {
    let kv = with(&["a\"\n", "b"]);
    let text = kv.run(["ls", "--json"]).ends(Exit::Success).stdout_text();
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["key"], "a\"\n");
    assert_eq!(objects[1]["size"], 1);
    assert!(objects[1]["expires"].is_null());
    assert_eq!(objects[1]["etag"], kv.field("etag", "b"));
    assert!(objects[1].get("value").is_none());
    let line = kv.run(["ls", "--json", "--values", "b"]).line();
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["value"], "b");
}

#[test]
pub fn json_of_what_is_not_utf_8_is_base64_however_large() {
    use base64::Engine as _;
    let kv = Sandbox::new();
    let text = "zwölf \"\\\n".repeat(150_000);
    let binary: Vec<u8> = (0..=u8::MAX).cycle().take(1_500_001).collect();
    kv.feed(["put", "text"], text.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.feed(["put", "zbinary"], &binary)
        .ends(Exit::Success)
        .is_silent();
    let printed = kv.run(["ls", "--json", "--values"]).ends(Exit::Success);
    let printed = printed.warns("").stdout_text();
    let objects: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        objects[0]["value"] == text.as_str(),
        "the text came back changed"
    );
    let engine = base64::engine::general_purpose::STANDARD;
    let decoded = engine.decode(objects[1]["value_base64"].as_str().unwrap());
    assert!(decoded.unwrap() == binary, "the bytes came back changed");
    assert!(objects[1].get("value").is_none());
}

#[test]
pub fn formats_that_contradict_each_other_are_refused() {
    let kv = with(&["a"]);
    for bad in [
        &["-l", "--json"][..],
        &["-l", "--values"],
        &["-0", "--json"],
        &["--count", "--json"],
        &["--count", "-0"],
        &["--count", "-l"],
        &["--count", "--values"],
        &["--limit", "x"],
        &["--limit", "-1"],
        &["a", "b"],
    ] {
        kv.run(["ls"].iter().chain(bad))
            .ends(Exit::Usage)
            .prints("")
            .complains(&[]);
    }
}

#[test]
pub fn list_is_another_name() {
    let kv = with(&["a"]);
    kv.run(["list"]).ends(Exit::Success).prints("a\n").warns("");
}
