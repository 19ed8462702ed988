//! `kv import`: what comes in, and that nothing does when a line is wrong.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};

pub mod merge;
pub mod namespaces;
pub mod scale;
pub mod watched;

/// Demands that a line is refused with this number and for this reason, and that nothing of the
/// whole input is stored.
#[track_caller]
fn refuses(options: &[&str], input: &[u8], number: u64, why: &str) {
    let kv = Sandbox::new();
    for dry_run in [&[][..], &["--dry-run"]] {
        let args = ["import"].iter().chain(options).chain(dry_run);
        let at = format!("kv: line {number} of standard input: ");
        kv.feed(args, input)
            .ends(Exit::Usage)
            .prints("")
            .complains(&[&at, why, ": nothing was imported\n"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn lines_become_entries() {
    let kv = Sandbox::new();
    let lines = "{\"key\":\"a\",\"value\":\"1\"}\n\n  \n{\"value\":\"two\\nlines\",\"key\":\"b\"}";
    kv.feed(["import"], lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.feed(
        ["import", "--tsv"],
        b"c\tcolumn\nd\\te\ta\\\\b\\nc\nempty\t",
    )
    .ends(Exit::Success)
    .is_silent();
    kv.run(["ls", "--values", "-0"])
        .prints("a\x001\0b\0two\nlines\0c\0column\0d\te\0a\\b\nc\0empty\0\0");
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn modified_and_expires_are_kept_and_the_etag_is_new() {
    let kv = Sandbox::new();
    let line = "{\"key\":\"k\",\"value\":\"v\",\"size\":99,\"modified\":\"2001-02-03T04:05:06.123456789Z\",\
                \"expires\":\"2999-01-01T00:00:00.123Z\",\"etag\":\"0123456789abcdef\"}\n";
    kv.feed(["import"], line.as_bytes()).ends(Exit::Success);
    assert_eq!(kv.field("modified", "k"), "2001-02-03T04:05:06.123456789Z");
    assert_eq!(kv.field("expires", "k"), "2999-01-01T00:00:00.123Z");
    assert_eq!(kv.field("size", "k"), "1");
    let etag = kv.field("etag", "k");
    assert_ne!(etag, "0123456789abcdef");
    kv.feed(["import"], line.as_bytes()).ends(Exit::Success);
    assert_ne!(kv.field("etag", "k"), etag);
    // Without them it is written now and stays.
    kv.feed(["import"], b"{\"key\":\"k\",\"value\":\"v\"}")
        .ends(Exit::Success);
    assert!(kv.field("modified", "k").as_str() > "2026-");
    assert_eq!(kv.field("expires", "k"), "never");
}

#[test]
pub fn what_has_expired_is_passed_over() {
    let kv = Sandbox::new();
    kv.put("a", "there");
    let line = |key: &str| {
        format!("{{\"key\":\"{key}\",\"value\":\"v\",\"expires\":\"2001-01-01T00:00:00Z\"}}\n")
    };
    let input = [line("a"), line("b")].concat();
    kv.feed(["import"], input.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--values"]).prints("a\tthere\n");
    // There was an input, and it says that nothing is alive.
    kv.feed(["import", "--replace"], input.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn of_equal_keys_the_last_wins() {
    for options in [&[][..], &["--if-absent"], &["--replace"]] {
        let kv = Sandbox::new();
        let args = ["import", "--tsv"].iter().chain(options);
        kv.feed(args, b"a\t1\nb\t1\na\t2\nb\t2\na\t3\n")
            .ends(Exit::Success)
            .is_silent();
        kv.run(["ls", "--values"]).prints("a\t3\nb\t2\n");
    }
}

#[test]
pub fn a_bad_line_stops_it_wherever_it_is() {
    let json = |key: &str| format!("{{\"key\":\"{key}\",\"value\":\"v\"}}\n");
    let good: Vec<String> = (0..3_000).map(|n| json(&n.to_string())).collect();
    let tsv: Vec<String> = (0..3_000).map(|n| format!("{n}\tvalue\n")).collect();
    for at in [0, 1, 1_500, 2_999] {
        for (bad, why) in [
            ("{\"key\":\"k\"}\n", "it has no `value`"),
            ("{\"value\":\"v\"}\n", "it has no `key`"),
            ("{\"key\":\"k\",\"value\":\"v\"\n", "EOF while parsing"),
            ("{\"key\":\"\",\"value\":\"v\"}\n", "a key cannot be empty"),
            ("k\tv\n", "it is no JSON object"),
        ] {
            let mut lines = good.clone();
            lines[at] = bad.to_owned();
            refuses(&[], lines.concat().as_bytes(), at as u64 + 1, why);
        }
        for (bad, why) in [
            ("\n", "it has no tab"),
            ("k\tv\tw\n", "more than one tab"),
            ("k\tv\\x\n", "`\\x` is no escape"),
            ("\tv\n", "a key cannot be empty"),
            ("k\0\tv\n", "NUL"),
        ] {
            let mut lines = tsv.clone();
            lines[at] = bad.to_owned();
            refuses(&["--tsv"], lines.concat().as_bytes(), at as u64 + 1, why);
        }
    }
    let cut = good.concat();
    refuses(&[], &cut.as_bytes()[..cut.len() - 2], 3_000, "EOF");
    refuses(&["--tsv"], b"a\t1\nb", 2, "no tab");
    refuses(&["--replace"], b"\n\n[1]\n", 3, "no JSON object");
}

#[test]
pub fn a_bad_line_leaves_what_was_there() {
    for options in [&[][..], &["--if-absent"], &["--merge"], &["--replace"]] {
        let kv = Sandbox::new();
        kv.put("a", "there");
        let etag = kv.field("etag", "a");
        let args = ["import", "--tsv"].iter().chain(options);
        kv.feed(args, b"a\tnew\nb\tnew\nbad\n")
            .ends(Exit::Usage)
            .complains(&["line 3 ", "nothing was imported"]);
        kv.run(["ls", "--values"]).prints("a\tthere\n");
        assert_eq!(kv.field("etag", "a"), etag);
    }
}

#[test]
pub fn an_input_of_nothing_is_no_failure_unless_it_would_remove_everything() {
    for options in [
        &[][..],
        &["--tsv"],
        &["--if-absent"],
        &["--merge"],
        &["--dry-run"],
    ] {
        let kv = Sandbox::new();
        kv.feed(["import"].iter().chain(options), b"")
            .ends(Exit::Success)
            .is_silent();
        assert!(!kv.store().exists());
        kv.run(["import"].iter().chain(options))
            .ends(Exit::Usage)
            .prints("")
            .complains(&["standard input is closed or /dev/null", "nothing to import"]);
    }
    let kv = Sandbox::new();
    kv.put("a", "there");
    for input in ["", "\n\n"] {
        kv.feed(["import", "--replace"], input.as_bytes())
            .ends(Exit::Usage)
            .prints("")
            .complains(&["standard input is empty: nothing was imported"]);
    }
    kv.holds("a", "there");
}

#[test]
pub fn an_input_that_cannot_be_read_imports_nothing() {
    let kv = Sandbox::new();
    kv.shell("sh", "kv import < .")
        .ends(Exit::Failure)
        .prints("")
        .complains(&["nothing was imported: cannot read `standard input`: Is a directory"]);
    assert!(!kv.store().exists());
}

#[test]
fn what_cannot_be_stored_is_told() {
    let kv = Sandbox::new();
    fs::write(kv.store(), "a file where the store should be").unwrap();
    kv.feed(["import", "--tsv"], b"a\t1\n")
        .ends(Exit::Failure)
        .prints("")
        .complains(&["not all was imported into `default`: ", "store"]);
}

#[test]
pub fn options_that_exclude_each_other_are_refused() {
    let kv = Sandbox::new();
    let options = ["--if-absent", "--merge", "--replace"];
    for (n, one) in options.iter().enumerate() {
        for other in &options[n + 1..] {
            kv.feed(["import", one, other], b"")
                .ends(Exit::Usage)
                .complains(&[one, other]);
        }
    }
    kv.feed(["import", "file"], b"").ends(Exit::Usage);
}

#[test]
pub fn nothing_is_stored_before_the_input_has_ended() {
    let kv = Sandbox::new();
    let mut command = kv.kv(["import", "--tsv"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It has read nearly all of this when there is room for the last of it.
    let lines: String = (0..100_000).map(|n| format!("{n}\tvalue\n")).collect();
    stdin.write_all(lines.as_bytes()).unwrap();
    kv.run(["ls", "--count"]).prints("0\n");
    stdin.write_all(b"bad").unwrap();
    drop(stdin);
    Ran::with(&command, child.wait_with_output().unwrap())
        .ends(Exit::Usage)
        .complains(&["line 100001 "]);
    kv.run(["ls", "--count"]).prints("0\n");
}

#[test]
pub fn a_mark_in_front_of_a_table_is_no_part_of_it() {
    let kv = Sandbox::new();
    kv.feed(["import", "--tsv"], b"\xef\xbb\xbfa\t1\nb\t\xef\xbb\xbf2\n")
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--values"])
        .ends(Exit::Success)
        .prints("a\t1\nb\t\u{feff}2\n");
    kv.feed(["import", "--tsv"], b"\xef\xbb\xbf")
        .ends(Exit::Success)
        .is_silent();
    refuses(&["--tsv"], b"\xef\xbb\xbf\na\t1\n", 1, "no tab");
    refuses(
        &[],
        b"\xef\xbb\xbf{\"key\":\"k\",\"value\":\"v\"}\n",
        1,
        "no JSON object",
    );
}

#[test]
pub fn carriage_returns_are_taken_off_where_that_is_asked_for() {
    for table in [
        &b"a\t1\r\nb\t2\r\n"[..],
        b"a\t1\r\nb\t2",
        b"a\t1\r\nb\t2\r",
        b"\xef\xbb\xbfa\t1\r\nb\t2\r\n",
    ] {
        refuses(&["--tsv"], table, 1, "--crlf");
        let kv = Sandbox::new();
        kv.feed(["import", "--tsv", "--crlf"], table)
            .ends(Exit::Success)
            .is_silent();
        kv.run(["ls", "--values"])
            .ends(Exit::Success)
            .prints("a\t1\nb\t2\n");
    }
    refuses(&["--tsv", "--crlf"], b"a\t1\r\nb\t2\n", 2, "--crlf");
    // Where some lines end in one, it belongs to their values.
    let kv = Sandbox::new();
    kv.feed(["import", "--tsv"], b"a\t1\r\nb\t2\n")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("a", "1\r");
    kv.feed(["import", "--crlf"], b"").ends(Exit::Usage);
}
