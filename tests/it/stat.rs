//! `kv stat`: what is known about a key.

use kv::exit::Exit;
use serde_json::Value;

use crate::harness::Sandbox;

#[test]
pub fn prints_name_and_value_lines() {
    let kv = Sandbox::new();
    kv.run(["-n", "app", "put", "color", "green"])
        .ends(Exit::Success)
        .is_silent();
    let ran = kv.run(["-n", "app", "stat", "color"]).ends(Exit::Success);
    let text = ran.warns("").stdout_text();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_once(": ").unwrap())
        .collect();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["key", "namespace", "size", "modified", "expires", "etag"]
    );
    assert_eq!(lines[0].1, "color");
    assert_eq!(lines[1].1, "app");
    assert_eq!(lines[2].1, "5");
    assert_is_time(lines[3].1);
    assert_eq!(lines[4].1, "never");
    assert_eq!(lines[5].1.len(), 16);
}

#[test]
pub fn field_prints_the_value_alone() {
    let kv = Sandbox::new();
    kv.run(["put", "color", "green", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(kv.field("key", "color"), "color");
    assert_eq!(kv.field("namespace", "color"), "default");
    assert_eq!(kv.field("size", "color"), "5");
    assert_is_time(&kv.field("modified", "color"));
    assert_is_time(&kv.field("expires", "color"));
    assert_eq!(kv.field("etag", "color").len(), 16);
}

#[test]
pub fn json_is_one_object_on_one_line() {
    let kv = Sandbox::new();
    kv.run(["put", "a\"b\n", "green", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let line = kv.run(["stat", "--json", "a\"b\n"]).ends(Exit::Success);
    let object: Value = serde_json::from_str(&line.line()).unwrap();
    assert_eq!(object["key"], "a\"b\n");
    assert_eq!(object["namespace"], "default");
    assert_eq!(object["size"], 5);
    assert_eq!(object["expires"], kv.field("expires", "a\"b\n"));
    assert_eq!(object["modified"], kv.field("modified", "a\"b\n"));
    assert_eq!(object["etag"], kv.field("etag", "a\"b\n"));

    kv.put("plain", "");
    let line = kv.run(["stat", "plain", "--json"]).line();
    let object: Value = serde_json::from_str(&line).unwrap();
    assert!(object["expires"].is_null());
    assert_eq!(object["size"], 0);
}

#[test]
pub fn a_missing_key_is_silent() {
    let kv = Sandbox::new();
    for options in [&[][..], &["--json"], &["--field", "etag"]] {
        kv.run(["stat", "color"].iter().chain(options))
            .ends(Exit::No)
            .is_silent();
    }
}

#[test]
pub fn an_unknown_field_is_answered_with_the_known_ones() {
    let kv = Sandbox::new();
    kv.run(["stat", "color", "--field", "age"])
        .ends(Exit::Usage)
        .complains(&["age", "modified", "etag"]);
    kv.run(["stat", "color", "--field", "size", "--json"])
        .ends(Exit::Usage)
        .complains(&[]);
}

#[test]
pub fn modified_never_goes_back_with_the_next_write() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    let before = kv.field("modified", "color");
    kv.put("color", "green");
    assert!(kv.field("modified", "color") > before);
}

/// Demands a time as RFC 3339 writes it, in UTC and of this century.
#[track_caller]
fn assert_is_time(text: &str) {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let known = ["0000-00-00T00:00:00.000000000Z", "0000-00-00T00:00:00.000Z"];
    assert!(known.contains(&&*shape) && text.starts_with("20"), "{text}");
}
