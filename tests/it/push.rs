//! `kv push`: adds elements to the end of a list.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in};
use crate::program::options_with_values;

#[track_caller]
fn done(ran: Ran) {
    ran.ends(Exit::Success).is_silent();
}

/// Demands that a list holds exactly these elements, in this order.
#[track_caller]
pub fn has_items(kv: &Sandbox, list: &str, want: &[&[u8]]) {
    let want: Vec<u8> = want.iter().flat_map(|e| [e, &b"\0"[..]].concat()).collect();
    kv.run(["items", "-0", list])
        .ends(Exit::Success)
        .prints(want)
        .warns("");
}

#[test]
pub fn adds_the_argument_as_it_is() {
    let kv = Sandbox::new();
    for element in ["one", "", "two\nlines\n", "-", "-5", "one"] {
        done(kv.run(["push", "jobs", element]));
    }
    let want = [&b"one"[..], b"", b"two\nlines\n", b"-", b"-5", b"one"];
    has_items(&kv, "jobs", &want);
}

#[test]
pub fn behind_a_double_dash_all_is_text() {
    let kv = Sandbox::new();
    done(kv.run(["push", "jobs", "--", "-0"]));
    done(kv.run(["push", "--", "jobs", "--lines"]));
    has_items(&kv, "jobs", &[b"-0", b"--lines"]);
    kv.run(["push", "jobs", "-x"])
        .ends(Exit::Usage)
        .complains(&["-x"]);
    kv.run(["push", "jobs", "a", "b"]).ends(Exit::Usage);
    kv.run(["push"]).ends(Exit::Usage).complains(&["LIST"]);
}

#[test]
fn the_option_of_nul_is_one_behind_every_other_option() {
    let kv = Sandbox::new();
    for option in options_with_values(&kv) {
        let with = |rest: &[&str]| -> Vec<String> {
            let words = option
                .iter()
                .map(String::as_str)
                .chain(rest.iter().copied());
            words.map(str::to_owned).collect()
        };
        done(kv.feed(with(&["push", "jobs", "-0"]), b"a\nb\0c\0"));
        let ran = kv.run(with(&["items", "jobs", "-0"]));
        ran.ends(Exit::Success).prints("a\nb\0c\0").warns("");
        for _ in 0..2 {
            _ = kv.run(with(&["pop", "jobs"])).ends(Exit::Success);
        }
    }
}

#[test]
pub fn all_of_standard_input_is_one_element() {
    let kv = Sandbox::new();
    let large = vec![7; 300_000];
    for element in [&b"a\nb\n"[..], b"", b"\0\xff\n", &large] {
        done(kv.feed(["push", "jobs"], element));
    }
    has_items(&kv, "jobs", &[b"a\nb\n", b"", b"\0\xff\n", &large]);
    assert_eq!(kv_litter(&kv), [""; 0]);
}

#[test]
pub fn each_line_is_an_element() {
    let kv = Sandbox::new();
    done(kv.feed(["push", "jobs", "--lines"], b"a\n\n b \0\xff\r\nlast"));
    has_items(&kv, "jobs", &[b"a", b"", b" b \0\xff\r", b"last"]);
    done(kv.feed(["push", "jobs", "--lines"], b""));
    done(kv.feed(["push", "--lines", "jobs"], b"\n"));
    has_items(&kv, "jobs", &[b"a", b"", b" b \0\xff\r", b"last", b""]);
}

#[test]
pub fn each_record_is_an_element() {
    let kv = Sandbox::new();
    done(kv.feed(["push", "jobs", "-0"], b"a\n\0\0\xff\0last"));
    let kept = kv.run(["items", "--json", "jobs"]).stdout_text();
    assert_eq!(kept.lines().count(), 4, "{kept}");
    has_items(&kv, "jobs", &[b"a\n", b"", b"\xff", b"last"]);
    done(kv.feed(["push", "jobs", "--null"], b"x\0"));
    kv.run(["pop", "--last", "jobs"]).prints("x");
}

#[test]
pub fn lines_are_there_when_the_next_is_awaited() {
    let kv = Sandbox::new();
    let mut command = kv.kv(["push", "--lines", "jobs"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"first\nsecond").unwrap();
    kv.run(["pop", "--wait", "1m", "jobs"])
        .ends(Exit::Success)
        .prints("first");
    kv.run(["pop", "jobs"]).ends(Exit::No).is_silent();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    has_items(&kv, "jobs", &[b"second"]);
}

#[test]
pub fn one_source_of_elements_at_a_time() {
    let kv = Sandbox::new();
    for args in [
        &["push", "jobs", "x", "--lines"][..],
        &["push", "jobs", "x", "-0"],
        &["push", "jobs", "-0", "--lines"],
    ] {
        kv.feed(args, b"y")
            .ends(Exit::Usage)
            .prints("")
            .complains(&[]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn standard_input_must_be_one() {
    let kv = Sandbox::new();
    for args in [
        &["push", "jobs"][..],
        &["push", "jobs", "--lines"],
        &["push", "jobs", "-0"],
    ] {
        kv.run(args).ends(Exit::Usage).complains(&["/dev/null"]);
    }
    assert!(!kv.store().exists());
}

#[test]
pub fn some_names_are_no_lists() {
    let kv = Sandbox::new();
    for name in ["default", "memo", "", ".hidden", "a/b", "a\nb"] {
        for args in [
            &["push", "--", name, "x"][..],
            &["pop", name],
            &["items", "--", name],
        ] {
            kv.run(args)
                .ends(Exit::Usage)
                .prints("")
                .complains(&["LIST"]);
        }
    }
    assert!(!kv.store().exists());
}

#[test]
fn a_namespace_does_not_scope_a_list() {
    let kv = Sandbox::new();
    done(kv.run(["-n", "app1", "push", "jobs", "one"]));
    done(Ran::of(
        kv.kv(["push", "jobs", "two"]).env("KV_NAMESPACE", "app2"),
    ));
    assert_eq!(names_in(&kv.store()), ["jobs"]);
    kv.run(["-n", "app1", "items", "jobs"])
        .ends(Exit::Success)
        .prints("one\ntwo\n");
    kv.run(["-n", "app3", "pop", "jobs"])
        .ends(Exit::Success)
        .prints("one");
}

#[test]
pub fn the_keys_are_numbers_in_order() {
    let kv = Sandbox::new();
    done(kv.feed(["push", "jobs", "--lines"], b"a\nb\nc\n"));
    let ran = kv.run(["-n", "jobs", "ls"]).ends(Exit::Success);
    let text = ran.stdout_text();
    let keys: Vec<&str> = text.lines().collect();
    assert_eq!(keys.len(), 3);
    for (n, key) in (1..).zip(keys) {
        assert_eq!(key, format!("{n:020}"));
        let want = [b'a' + n - 1];
        kv.run(["-n", "jobs", "get", key]).prints(want);
    }
}

#[test]
pub fn an_element_behind_a_gap_keeps_its_place() {
    let kv = Sandbox::new();
    done(kv.run(["push", "jobs", "a"]));
    done(kv.run(["-n", "jobs", "put", &format!("{:020}", 900), "b"]));
    done(kv.run(["push", "jobs", "c"]));
    has_items(&kv, "jobs", &[b"a", b"b", b"c"]);
    let keys = kv.run(["-n", "jobs", "ls"]).stdout_text();
    assert!(keys.ends_with(&format!("{:020}\n", 901)), "{keys}");
}

#[test]
fn never_overwrites_what_is_in_the_way() {
    let kv = Sandbox::new();
    done(kv.run(["push", "jobs", "a"]));
    // It expires, and is in the way for all that.
    let second = format!("{:020}", 2);
    done(kv.run(["-n", "jobs", "put", &second, "x", "--ttl", "1ms"]));
    thread::sleep(Duration::from_millis(5));
    std::fs::remove_dir_all(kv.store().join("jobs/list")).unwrap();
    done(kv.run(["push", "jobs", "b"]));
    has_items(&kv, "jobs", &[b"a", b"b"]);
}

#[test]
pub fn numbers_can_be_used_up() {
    let kv = Sandbox::new();
    let last = (u64::MAX - 1).to_string();
    done(kv.run(["-n", "jobs", "put", &last, "x"]));
    kv.run(["push", "jobs", "y"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["`jobs`", "used up"]);
    has_items(&kv, "jobs", &[b"x"]);
    assert_eq!(kv_litter(&kv), [""; 0]);
    // Once it is gone, the others can be had.
    for (n, args) in [
        (1, &["pop", "jobs", "--last"][..]),
        (2, &["-n", "jobs", "remove", &last]),
    ] {
        kv.run(args).ends(Exit::Success);
        let key = format!("{n:020}");
        done(kv.run(["push", "jobs", "y"]));
        let listed = kv.run(["-n", "jobs", "ls", "--values", "--reverse", "--limit", "1"]);
        listed.ends(Exit::Success).prints(format!("{key}\ty\n"));
        done(kv.run(["-n", "jobs", "put", &last, "x"]));
        kv.feed(["push", "jobs", "--lines"], b"a\nb\n")
            .ends(Exit::Failure)
            .complains(&["`jobs`", "pop --last"]);
    }
}

fn kv_litter(kv: &Sandbox) -> Vec<String> {
    names_in(&kv.store().join("jobs/tmp"))
}
