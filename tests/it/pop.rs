//! `kv pop`: takes an element from a list.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::files::flip_last;
use crate::harness::Sandbox;
use crate::push::has_items;

/// Returns the path of the file that holds the element with that number of the list `jobs`.
pub fn file_of(kv: &Sandbox, number: u64) -> PathBuf {
    let path = kv.file_of(format!("{number:020}").as_bytes());
    let below = path.strip_prefix(kv.space()).unwrap();
    kv.store().join("jobs").join(below)
}

/// Pushes one element for each character.
#[track_caller]
fn push(kv: &Sandbox, elements: &str) {
    let lines: String = elements.chars().flat_map(|c| [c, '\n']).collect();
    kv.feed(["push", "jobs", "--lines"], lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

#[track_caller]
fn pops(kv: &Sandbox, want: impl AsRef<[u8]>) {
    kv.run(["pop", "jobs"])
        .ends(Exit::Success)
        .prints(want)
        .warns("");
}

#[track_caller]
fn pops_nothing(kv: &Sandbox) {
    kv.run(["pop", "jobs"]).ends(Exit::No).is_silent();
}

/// Does something to an element by its key.
#[track_caller]
fn by_key(kv: &Sandbox, command: &str, number: u64, more: &[&str]) {
    let key = format!("{number:020}");
    kv.run([&["-n", "jobs", command, &key], more].concat())
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn takes_the_oldest_and_removes_it() {
    let kv = Sandbox::new();
    push(&kv, "abc");
    pops(&kv, "a");
    has_items(&kv, "jobs", &[b"b", b"c"]);
    pops(&kv, "b");
    push(&kv, "d");
    pops(&kv, "c");
    pops(&kv, "d");
    pops_nothing(&kv);
    kv.run(["-n", "jobs", "ls", "--count"]).prints("0\n");
}

#[test]
pub fn last_takes_the_newest() {
    let kv = Sandbox::new();
    push(&kv, "abcd");
    for want in ["d", "c"] {
        let ran = kv.run(["pop", "--last", "jobs"]).ends(Exit::Success);
        ran.prints(want).warns("");
    }
    push(&kv, "e");
    pops(&kv, "a");
    for want in ["e", "b"] {
        kv.run(["pop", "jobs", "--last"]).prints(want);
    }
    kv.run(["pop", "--last", "jobs"]).ends(Exit::No).is_silent();
    push(&kv, "f");
    pops(&kv, "f");
}

#[test]
pub fn prints_the_bytes_alone() {
    let kv = Sandbox::new();
    let large: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    for element in [&b""[..], b"\n", b"\0\xff", &large] {
        kv.feed(["push", "jobs"], element).ends(Exit::Success);
        pops(&kv, element);
    }
    pops_nothing(&kv);
}

#[test]
pub fn a_list_that_is_not_there_is_empty() {
    let kv = Sandbox::new();
    pops_nothing(&kv);
    kv.run(["pop", "--last", "jobs"]).ends(Exit::No).is_silent();
    assert!(!kv.store().exists());
    kv.put("k", "v");
    pops_nothing(&kv);
    assert!(!kv.store().join("jobs").exists());
    kv.run(["pop"]).ends(Exit::Usage).complains(&["LIST"]);
    kv.run(["pop", "jobs", "x"]).ends(Exit::Usage);
}

#[test]
pub fn an_element_that_nobody_read_is_lost_and_said_to_be() {
    let kv = Sandbox::new();
    push(&kv, "abc");
    // The pipe is closed when the element comes, and not a moment later.
    let script = "mkfifo p; { until [ -e closed ]; do :; done; kv pop jobs; echo $? >status; } >p &
        exec 3<p 3<&-; : >closed; wait; exit \"$(cat status)\"";
    kv.shell("bash", script)
        .ends(Exit::Failure)
        .complains(&["Broken pipe", "`jobs` is lost"]);
    kv.shell("sh", "kv pop jobs >/dev/full")
        .ends(Exit::Failure)
        .complains(&["`jobs` is lost"]);
    has_items(&kv, "jobs", &[b"c"]);
}

#[test]
pub fn an_element_put_by_its_key_takes_its_place() {
    let kv = Sandbox::new();
    push(&kv, "ab");
    by_key(&kv, "put", 900, &["z"]);
    push(&kv, "c");
    by_key(&kv, "put", 40, &["m"]);
    by_key(&kv, "put", 0, &["first"]);
    for want in ["first", "a", "b", "m", "z", "c"] {
        pops(&kv, want);
    }
    pops_nothing(&kv);
    // It comes before all that were pushed and taken.
    by_key(&kv, "put", 3, &["again"]);
    push(&kv, "d");
    pops(&kv, "again");
    pops(&kv, "d");
}

#[test]
pub fn a_list_can_begin_with_an_element_put_by_its_key() {
    let kv = Sandbox::new();
    by_key(&kv, "put", 7, &["x"]);
    push(&kv, "y");
    kv.run(["-n", "jobs", "incr", &format!("{:020}", 9)])
        .ends(Exit::Success)
        .prints("1\n");
    pops(&kv, "x");
    kv.run(["pop", "--last", "jobs"]).prints("1");
    pops(&kv, "y");
}

#[test]
pub fn a_gap_of_any_width_is_passed_over() {
    let kv = Sandbox::new();
    push(&kv, "a");
    let far = 10_000_000_000_000_000_000;
    by_key(&kv, "put", far, &["far"]);
    pops(&kv, "a");
    let ran = kv.run(["pop", "--wait", "0", "jobs"]).ends(Exit::Success);
    ran.prints("far");
    pops_nothing(&kv);
    push(&kv, "b");
    by_key(&kv, "put", 5, &["near"]);
    let last = ["b", "near"];
    for want in last {
        kv.run(["pop", "--last", "jobs"]).prints(want);
    }
}

#[test]
pub fn a_removed_or_expired_element_is_passed_over() {
    let kv = Sandbox::new();
    push(&kv, "abcdefg");
    by_key(&kv, "remove", 1, &[]);
    by_key(&kv, "expire", 2, &["1ms"]);
    by_key(&kv, "remove", 4, &[]);
    by_key(&kv, "remove", 6, &[]);
    by_key(&kv, "expire", 7, &["1ms"]);
    thread::sleep(Duration::from_millis(5));
    pops(&kv, "c");
    kv.run(["pop", "--last", "jobs"])
        .ends(Exit::Success)
        .prints("e");
    pops_nothing(&kv);
    push(&kv, "h");
    pops(&kv, "h");
}

#[test]
pub fn a_replaced_element_keeps_its_place() {
    let kv = Sandbox::new();
    push(&kv, "abc");
    by_key(&kv, "put", 2, &["B"]);
    by_key(&kv, "append", 1, &["!"]);
    for want in ["a!", "B", "c"] {
        pops(&kv, want);
    }
}

#[test]
fn a_damaged_element_is_named_and_stays() {
    let kv = Sandbox::new();
    push(&kv, "abc");
    let path = file_of(&kv, 2);
    let bytes = flip_last(&path);
    pops(&kv, "a");
    let name = path.file_name().unwrap().to_str().unwrap();
    for _ in 0..2 {
        kv.run(["pop", "jobs"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["is damaged", name]);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
    kv.run(["pop", "--last", "jobs"]).prints("c");
    by_key(&kv, "remove", 2, &[]);
    push(&kv, "d");
    pops(&kv, "d");
}

#[test]
pub fn a_namespace_that_was_removed_is_an_empty_list() {
    let kv = Sandbox::new();
    push(&kv, "abc");
    kv.run(["namespaces", "--remove", "jobs"])
        .ends(Exit::Success);
    pops_nothing(&kv);
    push(&kv, "d");
    pops(&kv, "d");
}
