//! Keys: any bytes but NUL, 1 to 65,535 of them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use kv::exit::Exit;

use crate::harness::Sandbox;

fn args(command: &[&str], key: &[u8], value: &[&str]) -> Vec<OsString> {
    let own = |text: &&str| OsString::from(text);
    let mut args: Vec<_> = command.iter().map(own).collect();
    args.push(OsString::from_vec(key.to_vec()));
    args.extend(value.iter().map(own));
    args
}

#[test]
pub fn every_byte_but_nul_makes_the_round_trip() {
    let kv = Sandbox::new();
    let mut listing = Vec::new();
    for byte in 1..=u8::MAX {
        let value = byte.to_string();
        kv.run(args(&["put", "--sync", "off", "--"], &[byte], &[&value]))
            .ends(Exit::Success)
            .is_silent();
        listing.extend([byte, 0]);
    }
    for byte in 1..=u8::MAX {
        kv.run(args(&["get", "--"], &[byte], &[]))
            .ends(Exit::Success)
            .prints(byte.to_string());
    }
    kv.run(["ls", "-0"]).ends(Exit::Success).prints(listing);
    for byte in 1..=u8::MAX {
        kv.run(args(&["remove", "--sync", "off", "--"], &[byte], &[]))
            .ends(Exit::Success)
            .is_silent();
    }
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn the_longest_key_is_a_key_and_one_byte_more_is_none() {
    let kv = Sandbox::new();
    for byte in [b'k', b'\n', 0xFF] {
        let longest = vec![byte; 65_535];
        kv.run(args(&["put"], &longest, &["v"]))
            .ends(Exit::Success)
            .is_silent();
        kv.run(args(&["get"], &longest, &[]))
            .ends(Exit::Success)
            .prints("v");
        let listed = [&longest[..], b"\0"].concat();
        kv.run(["ls", "-0"]).ends(Exit::Success).prints(listed);
        kv.run(args(&["remove"], &longest, &[]))
            .ends(Exit::Success)
            .is_silent();
        for command in [&["put"][..], &["get"], &["has"], &["remove"], &["ttl"]] {
            kv.run(args(command, &[byte].repeat(65_536), &[]))
                .ends(Exit::Usage)
                .prints("")
                .complains(&["at most 65535 bytes"]);
        }
    }
}

#[test]
pub fn the_empty_key_is_none() {
    let kv = Sandbox::new();
    for command in [
        &["get", ""][..],
        &["put", "", "v"],
        &["remove", ""],
        &["stat", ""],
    ] {
        kv.run(command)
            .ends(Exit::Usage)
            .prints("")
            .complains(&["a key cannot be empty"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn a_key_that_is_not_utf_8_is_base64_in_json() {
    let kv = Sandbox::new();
    let key = OsStr::from_bytes(b"\xff\xfe");
    kv.run([OsStr::new("put"), key, OsStr::new("v")])
        .ends(Exit::Success)
        .is_silent();
    let line = kv.run(["ls", "--json"]).line();
    assert!(line.starts_with("{\"key_base64\":\"//4=\","), "{line}");
}

#[test]
pub fn keys_that_look_like_paths_are_no_paths() {
    let kv = Sandbox::new();
    for key in [
        "../../escape",
        "/etc/kv",
        ".",
        "..",
        "a//b",
        "a/",
        "%41",
        "~",
    ] {
        kv.put(key, key);
        kv.holds(key, key);
    }
    let mut names = crate::harness::names_in(kv.root());
    // A service's socket, and what SQLite has beside its file.
    names.retain(|name| !["socket", "store-shm", "store-wal"].contains(&&**name));
    assert_eq!(names, ["store"]);
}
