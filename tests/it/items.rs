//! `kv items`: prints the elements of a list.

use std::fs;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use serde_json::Value;

use crate::harness::Sandbox;
use crate::pop::file_of;

fn three(kv: &Sandbox) {
    kv.feed(["push", "jobs", "--lines"], b"one\ntwo\nthree\n")
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn prints_one_a_line_in_their_order() {
    let kv = Sandbox::new();
    three(&kv);
    for _ in 0..2 {
        kv.run(["items", "jobs"])
            .ends(Exit::Success)
            .prints("one\ntwo\nthree\n")
            .warns("");
    }
}

#[test]
pub fn order_does_not_end_at_ten() {
    let kv = Sandbox::new();
    let lines: String = (0..120).map(|n| format!("{n}\n")).collect();
    kv.feed(["push", "jobs", "--lines"], lines.as_bytes())
        .ends(Exit::Success);
    kv.run(["items", "jobs"]).ends(Exit::Success).prints(lines);
}

#[test]
pub fn null_ends_each_with_nul() {
    let kv = Sandbox::new();
    kv.run(["push", "jobs", "two\nlines"]).ends(Exit::Success);
    kv.run(["push", "jobs", ""]).ends(Exit::Success);
    for option in ["-0", "--null"] {
        kv.run(["items", option, "jobs"])
            .ends(Exit::Success)
            .prints("two\nlines\0\0");
    }
}

#[test]
pub fn json_is_one_object_a_line() {
    let kv = Sandbox::new();
    kv.run(["push", "jobs", "say \"hi\"\n"]).ends(Exit::Success);
    kv.feed(["push", "jobs"], b"\xff\0").ends(Exit::Success);
    let ran = kv.run(["items", "--json", "jobs"]).ends(Exit::Success);
    let text = ran.stdout_text();
    let objects = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let objects: Vec<Value> = objects.collect();
    assert_eq!(objects.len(), 2, "{text}");
    assert_eq!(objects[0]["key"], format!("{:020}", 1));
    assert_eq!(objects[0]["value"], "say \"hi\"\n");
    assert_eq!(objects[0]["expires"], Value::Null);
    assert_eq!(objects[1]["value_base64"], "/wA=");
    assert_eq!(objects[1]["size"], 2);
    kv.run(["-n", "jobs", "ls", "--json", "--values"])
        .ends(Exit::Success)
        .prints(text);
    kv.run(["items", "--json", "-0", "jobs"]).ends(Exit::Usage);
}

#[test]
pub fn nothing_in_a_whole_listing_is_no_failure() {
    let kv = Sandbox::new();
    for option in [None, Some("-0"), Some("--json")] {
        let args = ["items", "jobs"].into_iter().chain(option);
        kv.run(args).ends(Exit::Success).is_silent();
    }
    assert!(!kv.store().exists());
    three(&kv);
    for _ in 0..3 {
        kv.run(["pop", "jobs"]).ends(Exit::Success);
    }
    kv.run(["items", "jobs"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn other_keys_are_no_elements() {
    let kv = Sandbox::new();
    three(&kv);
    for key in [
        "note",
        "1",
        "0000000000000000001",
        "000000000000000000001",
        "0000000000000000000x",
        "99999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        kv.run(["-n", "jobs", "put", key, "no element"])
            .ends(Exit::Success)
            .is_silent();
    }
    let all = "one\ntwo\nthree\n";
    kv.run(["items", "jobs"]).ends(Exit::Success).prints(all);
    let json = kv.run(["items", "jobs", "--json"]).stdout_text();
    assert_eq!(json.lines().count(), 3, "{json}");
    kv.run(["push", "jobs", "four"]).ends(Exit::Success);
    for want in ["one", "two", "three", "four"] {
        kv.run(["pop", "jobs"]).ends(Exit::Success).prints(want);
    }
    kv.run(["pop", "jobs"]).ends(Exit::No).is_silent();
    kv.run(["pop", "--last", "jobs"]).ends(Exit::No).is_silent();
    kv.run(["-n", "jobs", "ls", "--count"]).prints("8\n");
}

#[test]
pub fn expired_and_removed_elements_are_gone() {
    let kv = Sandbox::new();
    three(&kv);
    let key = |n: u64| format!("{n:020}");
    kv.run(["-n", "jobs", "expire", &key(1), "1ms"])
        .ends(Exit::Success);
    kv.run(["-n", "jobs", "remove", &key(2)])
        .ends(Exit::Success);
    thread::sleep(Duration::from_millis(5));
    kv.run(["items", "jobs"])
        .ends(Exit::Success)
        .prints("three\n");
}

#[test]
fn a_damaged_element_does_not_hide_the_others() {
    let kv = Sandbox::new();
    three(&kv);
    let path = file_of(&kv, 2);
    let sound = fs::read(&path).unwrap();
    for damage in [10, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[damage] ^= 1;
        fs::write(&path, bytes).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        kv.run(["items", "jobs"])
            .ends(Exit::Damaged)
            .prints("one\nthree\n")
            .complains(&["is damaged", name]);
    }
}

#[test]
pub fn a_reader_that_has_enough_is_no_failure() {
    let kv = Sandbox::new();
    let lines: String = (0..2_000).map(|n| format!("{n:0100}\n")).collect();
    let args = ["push", "jobs", "--lines", "--sync", "off"];
    kv.feed(args, lines.as_bytes()).ends(Exit::Success);
    let script = "set -o pipefail; kv items jobs | head -n 1";
    kv.shell("bash", script)
        .ends(Exit::Success)
        .prints(&lines[..101])
        .warns("");
}
