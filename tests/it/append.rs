//! `kv append`: adds to the end of a value.

use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::files::flip_last;
use crate::harness::{Ran, Sandbox};

#[track_caller]
fn done(ran: Ran) {
    ran.ends(Exit::Success).is_silent();
}

#[test]
pub fn adds_to_the_end_and_nothing_between() {
    let kv = Sandbox::new();
    kv.put("log", "one\n");
    done(kv.run(["append", "log", "two"]));
    done(kv.run(["append", "log", "three\n"]));
    kv.holds("log", "one\ntwothree\n");
}

#[test]
pub fn makes_a_key_that_is_absent() {
    let kv = Sandbox::new();
    done(kv.run(["append", "log", "one"]));
    kv.holds("log", "one");
    assert_eq!(kv.field("expires", "log"), "never");
    done(kv.run(["append", "empty", ""]));
    kv.holds("empty", "");
}

#[test]
pub fn keeps_the_expiry() {
    let kv = Sandbox::new();
    done(kv.run(["put", "log", "a", "--ttl", "1h"]));
    let expires = kv.field("expires", "log");
    done(kv.run(["append", "log", "b"]));
    kv.holds("log", "ab");
    assert_eq!(kv.field("expires", "log"), expires);
}

#[test]
pub fn an_expired_value_is_not_added_to() {
    let kv = Sandbox::new();
    done(kv.run(["put", "log", "old", "--ttl", "1ms"]));
    thread::sleep(Duration::from_millis(5));
    done(kv.run(["append", "log", "new"]));
    kv.holds("log", "new");
    assert_eq!(kv.field("expires", "log"), "never");
}

#[test]
pub fn adds_all_of_standard_input() {
    let kv = Sandbox::new();
    let parts: [&[u8]; 4] = [b"a\nb\n", b"\0\xff", b"", &[7; 300_000]];
    for part in parts {
        done(kv.feed(["append", "log"], part));
    }
    kv.holds("log", parts.concat());
    done(kv.feed(["append", "log"], &[8; 300_000]));
    kv.holds("log", [&parts.concat()[..], &[8; 300_000]].concat());
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn nothing_added_is_a_write_too() {
    let kv = Sandbox::new();
    kv.put("log", "one");
    let etag = kv.field("etag", "log");
    done(kv.run(["append", "log", ""]));
    kv.holds("log", "one");
    assert_ne!(kv.field("etag", "log"), etag);
}

#[test]
pub fn standard_input_must_be_one() {
    let kv = Sandbox::new();
    kv.put("log", "one");
    kv.run(["append", "log"])
        .ends(Exit::Usage)
        .complains(&["/dev/null"]);
    kv.shell("sh", "kv append log <&-")
        .ends(Exit::Usage)
        .complains(&["closed"]);
    kv.holds("log", "one");
}

#[test]
pub fn only_a_dash_and_negative_numbers_are_text() {
    let kv = Sandbox::new();
    done(kv.run(["append", "log", "-"]));
    done(kv.run(["append", "log", "-5"]));
    done(kv.run(["append", "--", "log", "--file"]));
    kv.run(["append", "log", "-x"])
        .ends(Exit::Usage)
        .complains(&["-x"]);
    kv.run(["append", "log", "--file", "x"]).ends(Exit::Usage);
    kv.run(["append", "log", "a", "b"]).ends(Exit::Usage);
    kv.run(["append", "", "a"]).ends(Exit::Usage);
    kv.holds("log", "--5--file");
}

#[test]
fn a_damaged_value_is_not_added_to() {
    let kv = Sandbox::new();
    for len in [10, 100_000] {
        kv.put("log", &"v".repeat(len));
        let path = kv.file_of(b"log");
        let bytes = flip_last(&path);
        kv.run(["append", "log", "w"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["is damaged", "objects/"]);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        assert_eq!(kv.litter(), [""; 0]);
    }
}
