//! What kv-format(5) says of a store on a server holds.

use std::process::Command;

use crate::manpage::source::{fields, named_code};
use kv::exit::Exit;
use sha1::{Digest as _, Sha1};
use xxhash_rust::xxh3::xxh3_64;

use super::cases::On;
use super::servers::{Server, server};
use crate::harness::Ran;

/// A store as most users have it, and the database that is its own.
fn usual(server: &Server, database: u32) -> (On, String) {
    let on = On::new(format!("redis://127.0.0.1:{}/{database}", server.port));
    (on, format!("redis-cli -p {} -n {database}", server.port))
}

fn sh(script: &str) -> Vec<u8> {
    let mut sh = Command::new("sh");
    let ran = Ran::of(sh.args(["-c", script])).ends(Exit::Success);
    ran.stdout().to_vec()
}

#[test]
fn the_reader_of_the_page_prints_keys_and_values() {
    let Some(server) = server() else {
        return;
    };
    let (on, cli) = usual(server, 14);
    on.put("k", "v");
    on.put("two words", "of text");
    on.run(&["-n", "other", "put", "k", "w"])
        .ends(Exit::Success);
    let printed = sh(&named_code("server-reader").replace("redis-cli", &cli));
    let printed = String::from_utf8(printed).unwrap();
    let mut lines: Vec<_> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["k\tv", "two words\tof text"]);
}

#[test]
fn an_entry_is_what_the_table_says() {
    let Some(server) = server() else {
        return;
    };
    let (on, cli) = usual(server, 15);
    on.run(&["-n", "a b", "put", "key", "value", "--ttl", "1h"])
        .ends(Exit::Success);
    let bucket = xxh3_64(b"key") & 0x3f;
    let tag = format!("{{kv:a%20b:{bucket:02x}}}");
    let entry = sh(&format!("{cli} GET '{tag}e:key'"));
    assert_eq!(entry[104..], *b"\nvalue\n");
    let text = std::str::from_utf8(&entry).unwrap();
    let number = |cell: &str| cell.parse::<usize>().unwrap();
    let mut end = 0;
    let fields = fields("REDIS");
    let mut next = |name: &str| {
        let row = fields.iter().find(|row| row[0] == name).unwrap();
        let at = number(&row[1]);
        // Between two fields is one blank.
        assert_eq!(at, if end == 0 { 0 } else { end + 1 });
        end = at + number(&row[2]);
        &text[at..end]
    };
    let told = |name: &str| {
        on.run(&["-n", "a b", "stat", "--field", name, "key"])
            .line()
    };
    assert_eq!(next("magic"), "kv1");
    assert_eq!(next("etag"), told("etag"));
    let [modified, expires] =
        ["modified", "expires"].map(|name| next(name).parse::<u64>().unwrap());
    let lasts = expires * 1_000_000 - modified;
    assert!((3_599..3_601).contains(&(lasts / 1_000_000_000)), "{lasts}");
    assert_eq!(next("value length"), "0000000005");
    assert_eq!(next("value sum"), format!("{:016x}", xxh3_64(b"value")));
    assert_eq!(next("kind of sum"), "x");
    let covered = [&entry[..87], b"key"].concat();
    assert_eq!(
        next("header sum"),
        &hex::encode(Sha1::digest(covered))[..16]
    );
    let keys = sh(&format!("{cli} ZRANGE '{tag}i' 0 -1 WITHSCORES"));
    assert_eq!(keys, b"key\n0\n");
    let names = sh(&format!("{cli} HKEYS '{{kv}}n'"));
    assert_eq!(names, b"a b\n");

    // What a script computes has the other sum.
    on.run(&["incr", "n"]).ends(Exit::Success);
    let tag = format!("{{kv:default:{:02x}}}", xxh3_64(b"n") & 0x3f);
    on.run(&["incr", "n"]).ends(Exit::Success);
    let entry = sh(&format!("{cli} GET '{tag}e:n'"));
    assert_eq!(
        entry[69..87],
        *[&hex::encode(Sha1::digest(b"2"))[..16], " s"]
            .concat()
            .as_bytes()
    );
}

#[test]
fn a_value_that_was_changed_meets_no_condition() {
    let Some(server) = server() else {
        return;
    };
    let on = On::new(server.store());
    on.put("k", "12345");
    let name = format!("{}e:k", on.tag("k"));
    let change = |to| server.cli(&["SETRANGE", &name, "106", to]);
    change("X");
    for value in ["12345", "1X345"] {
        let damaged = |args: &[&str]| on.run(args).ends(Exit::Damaged).complains(&["is damaged"]);
        damaged(&["put", "k", "new", "--if-value", value]);
        damaged(&["remove", "k", "--if-value", value]);
    }
    change("2");
    on.holds("k", "12345");
    let other = on.run(&["put", "k", "new", "--if-value", "1X345"]);
    other.ends(Exit::No).is_silent();
    let same = on.run(&["put", "k", "new", "--if-value", "12345"]);
    same.ends(Exit::Success).is_silent();
    let gone = on.run(&["remove", "k", "--if-value", "new"]);
    gone.ends(Exit::Success).is_silent();
}
