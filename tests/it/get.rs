//! `kv get`: the value and nothing else.

use kv::exit::Exit;

use crate::files::flip_last;
use crate::harness::Sandbox;

#[test]
pub fn prints_the_value_and_nothing_else() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.holds("color", "green");
}

#[test]
pub fn a_missing_key_is_silent() {
    let kv = Sandbox::new();
    kv.lacks("color");
    kv.put("other", "x");
    kv.lacks("color");
}

#[test]
fn default_is_printed_in_place_of_a_missing_value() {
    let kv = Sandbox::new();
    for default in ["blue", "", "-", "-5", "two\nlines\n"] {
        kv.run(["get", "color", "--default", default])
            .ends(Exit::Success)
            .prints(default)
            .warns("");
    }
    kv.put("color", "");
    kv.run(["get", "color", "--default", "blue"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(kv.names_in("objects").len(), 1, "nothing is stored");
}

#[test]
fn default_does_not_hide_a_failure() {
    let kv = Sandbox::new();
    std::fs::write(kv.store(), "a file").unwrap();
    kv.run(["get", "color", "--default", "blue"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["Not a directory"]);
}

#[test]
pub fn remove_prints_the_value_once() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    kv.run(["get", "color", "--remove"])
        .ends(Exit::Success)
        .prints("green")
        .warns("");
    kv.run(["get", "color", "--remove"])
        .ends(Exit::No)
        .is_silent();
    kv.lacks("color");
}

#[test]
pub fn remove_and_default_go_together() {
    let kv = Sandbox::new();
    kv.put("color", "green");
    for want in ["green", "blue"] {
        kv.run(["get", "--remove", "--default", "blue", "color"])
            .ends(Exit::Success)
            .prints(want)
            .warns("");
    }
}

#[test]
fn remove_of_a_damaged_value_removes_nothing() {
    let kv = Sandbox::new();
    for len in [10, 100_000] {
        kv.put("k", &"v".repeat(len));
        let path = kv.file_of(b"k");
        flip_last(&path);
        kv.run(["get", "k", "--remove"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["is damaged"]);
        assert!(path.exists());
    }
}

#[test]
pub fn takes_one_key() {
    let kv = Sandbox::new();
    kv.run(["get"]).ends(Exit::Usage).complains(&["KEY"]);
    kv.run(["get", "a", "b"])
        .ends(Exit::Usage)
        .complains(&["`b`"]);
}

#[test]
pub fn of_several_takers_one_gets_the_value() {
    let kv = Sandbox::new();
    kv.put("job", "work\n");
    let script = "for i in 1 2 3 4 5 6 7 8; do kv get --remove job & done; wait";
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints("work\n")
        .warns("");
}
