//! `kv batch`: the replies, byte for byte, and what is refused.

use std::fs;
use std::process::Stdio;

use kv::exit::Exit;

use crate::files::{bytes, flip_last};
use crate::harness::{Ran, Sandbox};

pub mod input;
pub mod process;

/// Returns the reply to a command that ended so and printed this.
fn reply(status: u8, printed: impl AsRef<[u8]>) -> Vec<u8> {
    let printed = printed.as_ref();
    let head = format!("{status} {}\n", printed.len());
    [head.as_bytes(), printed, b"\n"].concat()
}

fn replies(wanted: &[(u8, &str)]) -> Vec<u8> {
    let each = wanted
        .iter()
        .map(|(status, printed)| reply(*status, printed));
    each.collect::<Vec<_>>().concat()
}

/// Runs a batch of lines, and demands these replies and nothing on standard error.
#[track_caller]
fn answers(kv: &Sandbox, lines: &str, wanted: &[(u8, &str)]) {
    let highest = wanted.iter().map(|(status, _)| *status).max();
    let ran = kv.feed(["batch"], lines.as_bytes());
    ran.ends(Exit::Program(highest.unwrap_or(0)))
        .prints(replies(wanted))
        .warns("");
}

#[test]
pub fn a_reply_has_the_status_the_bytes_and_a_newline() {
    let kv = Sandbox::new();
    let ran = kv.feed(
        ["batch"],
        b"put k 'a b'\nget k\nget none\nput e ''\nget e\n",
    );
    ran.ends(Exit::No)
        .prints("0 0\n\n0 3\na b\n1 0\n\n0 0\n\n0 0\n\n")
        .warns("");
    kv.holds("k", "a b");
}

#[test]
pub fn every_command_about_values_has_its_place() {
    let kv = Sandbox::new();
    let lines = "put k v --ttl 1h\nhas k\nstat --field size k\nttl k\nexpire k never\nttl k\n\
                 append k w\nget k\nls\nls --values\nrm k\nhas k\nget --default d k\n\
                 incr n\nincr n --by -3\nput n 1 --if-absent\nget --remove n\nremove --force n\n\
                 push l 1\npush l 2\npush l 3\nitems l\npop l\npop --last l\npop l\npop l\n\
                 del k\nput - -1\nput -- -k -v\nget -- -k\nlist\nremove --glob '*'\nls --count\n\
                 put k v\ncopy k l\nrename k l --if-absent\nrename k m\nls --values\n";
    let wanted = &[
        (0, ""),
        (0, ""),
        (0, "1\n"),
        (0, "3600\n"),
        (0, ""),
        (0, "never\n"),
        (0, ""),
        (0, "vw"),
        (0, "k\n"),
        (0, "k\tvw\n"),
        (0, ""),
        (1, ""),
        (0, "d"),
        (0, "1\n"),
        (0, "-2\n"),
        (1, ""),
        (0, "-2"),
        (0, ""),
        (0, ""),
        (0, ""),
        (0, ""),
        (0, "1\n2\n3\n"),
        (0, "1"),
        (0, "3"),
        (0, "2"),
        (1, ""),
        (1, ""),
        (0, ""),
        (0, ""),
        (0, "-v"),
        (0, "-\n-k\n"),
        (0, ""),
        (0, "0\n"),
        (0, ""),
        (0, ""),
        (1, ""),
        (0, ""),
        (0, "l\tv\nm\tv\n"),
    ];
    answers(&kv, lines, wanted);
}

#[test]
pub fn no_input_is_no_failure() {
    let kv = Sandbox::new();
    for input in ["", "\n", "# a remark", "  \n\t\n#\n"] {
        for options in [&["batch"][..], &["batch", "--stop"]] {
            kv.feed(options, input.as_bytes())
                .ends(Exit::Success)
                .is_silent();
        }
    }
    kv.feed(["batch", "--json"], b"\n  \n")
        .ends(Exit::Success)
        .is_silent();
    assert!(!kv.store().exists());
    kv.run(["batch"])
        .ends(Exit::Usage)
        .prints("")
        .complains(&["standard input"]);
}

#[test]
pub fn any_bytes_pass_as_keys_and_values() {
    let kv = Sandbox::new();
    let (mut lines, mut wanted) = (Vec::new(), Vec::new());
    for first in 1..=255_u8 {
        let bytes: Vec<u8> = (0..=255).map(|n: u8| n.wrapping_add(first)).collect();
        let quoted = |bytes: &[u8]| {
            let each: String = bytes.iter().map(|b| format!("\\x{b:02x}")).collect();
            format!("$'{each}'")
        };
        let (key, value) = (quoted(&[first, b'/']), quoted(&bytes));
        lines.extend(format!("put -- {key} {value}\nget -- {key}\n").bytes());
        wanted.extend([reply(0, ""), reply(0, &bytes)].concat());
    }
    let ran = kv.feed(["batch", "--sync", "off"], &lines);
    ran.ends(Exit::Success).prints(wanted).warns("");
}

#[test]
pub fn a_large_value_has_its_length_in_front() {
    let kv = Sandbox::new();
    let big = bytes(5_000_000);
    fs::write(kv.path("big"), &big).unwrap();
    let ran = kv.feed(["batch"], b"put k --file big\nget k\nget k\n");
    let wanted = [reply(0, ""), reply(0, &big), reply(0, &big)].concat();
    ran.ends(Exit::Success).prints(wanted).warns("");
}

#[test]
fn a_store_in_memory_ends_with_the_batch() {
    let kv = Sandbox::new();
    let lines = b"put a 1\nincr a\npush jobs x\npop jobs\nls";
    let batch = || kv.feed(["--store", "memory:", "batch"], lines);
    let wanted = replies(&[(0, ""), (0, "2\n"), (0, ""), (0, "x"), (0, "a\n")]);
    for _ in 0..2 {
        batch().ends(Exit::Success).prints(&wanted).warns("");
    }
    assert!(!kv.store().exists());
    let ran = kv.run(["--store", "memory:x", "ls"]).ends(Exit::Usage);
    ran.complains(&["`memory:` takes nothing behind it"]);
}

#[test]
fn damage_that_is_found_late_is_still_a_whole_reply() {
    let kv = Sandbox::new();
    fs::write(kv.path("big"), vec![b'x'; 1_000_000]).unwrap();
    kv.run(["put", "k", "--file", "big"])
        .ends(Exit::Success)
        .is_silent();
    let file = kv.file_of(b"k");
    flip_last(&file);
    let ran = kv.feed(["batch"], b"get k\nhas k\n").ends(Exit::Damaged);
    let out = ran.stdout();
    let head = out.iter().position(|&b| b == b'\n').unwrap();
    let head = std::str::from_utf8(&out[..head]).unwrap();
    let (status, len) = head.split_once(' ').unwrap();
    assert_eq!(status, "4");
    let rest = &out[head.len() + 1 + len.parse::<usize>().unwrap()..];
    assert_eq!(rest, b"\n0 0\n\n");
    ran.complains(&["kv: line 1: "]);
}

#[test]
pub fn stop_ends_at_the_first_failure_and_not_at_a_no() {
    let kv = Sandbox::new();
    let lines = b"get none\nincr n\nnonsense\nincr n\n";
    let ran = kv.feed(["batch", "--stop"], lines).ends(Exit::Usage);
    ran.prints(replies(&[(1, ""), (0, "1\n"), (2, "")]))
        .complains(&["line 3: "]);
    kv.holds("n", "1");
    let ran = kv.feed(["batch"], lines).ends(Exit::Usage);
    ran.prints(replies(&[(1, ""), (0, "2\n"), (2, ""), (0, "3\n")]))
        .complains(&["line 3: "]);
}

#[test]
pub fn the_exit_status_is_the_highest() {
    let kv = Sandbox::new();
    for (lines, exit) in [
        ("get none\nput k v\n", Exit::No),
        ("put k v --file x\nget none\nput k v\n", Exit::Usage),
        (
            "nonsense\nput k --file none\nget none\nput k v\n",
            Exit::Failure,
        ),
    ] {
        kv.feed(["batch"], lines.as_bytes()).ends(exit);
    }
}

#[test]
pub fn a_line_may_have_a_namespace_of_its_own() {
    let kv = Sandbox::new();
    let lines = "put k usual\n-n other put k other\nget k\nget k --namespace other\n\
                 --namespace none get k\nget k\nls --namespace other --values\n";
    let wanted = &[
        (0, ""),
        (0, ""),
        (0, "usual"),
        (0, "other"),
        (1, ""),
        (0, "usual"),
        (0, "k\tother\n"),
    ];
    answers(&kv, lines, wanted);
    let ran = kv.feed(
        ["-n", "other", "batch"],
        b"get k\nget k --namespace default\n",
    );
    ran.ends(Exit::Success)
        .prints(replies(&[(0, "other"), (0, "usual")]))
        .warns("");
}

#[test]
fn what_fails_inside_of_a_command_is_told_with_its_line() {
    let kv = Sandbox::new();
    kv.put("a", "1");
    kv.put("b", "2");
    let locks: Vec<_> = kv
        .names_in("locks")
        .iter()
        .map(|name| {
            let path = kv.space().join("locks").join(name);
            let lock = fs::OpenOptions::new().write(true).open(path).unwrap();
            fs2::FileExt::lock_exclusive(&lock).unwrap();
            lock
        })
        .collect();
    let ran = kv.feed(
        ["batch", "--busy-timeout", "0"],
        b"get a\nremove a b\nget b\n",
    );
    let said = ran.stderr_text();
    let ran = ran
        .ends(Exit::Busy)
        .prints(replies(&[(0, "1"), (3, ""), (0, "2")]));
    assert_eq!(said.lines().count(), 2, "{}", ran.report());
    assert!(
        said.lines().all(|line| line.starts_with("kv: line 2: ")),
        "{said}"
    );
    drop(locks);
}

#[test]
pub fn replies_that_nobody_can_read_are_a_failure() {
    let kv = Sandbox::new();
    let mut command = kv.kv(["batch"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // A program that another test starts at this moment has the other end too, until it runs: then
    // the first reply goes to it.
    while std::io::Write::write_all(&mut stdin, b"put k v\n").is_ok() {}
    let ran = Ran::with(&command, child.wait_with_output().unwrap());
    ran.ends(Exit::Failure)
        .complains(&["cannot write the replies"]);

    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = kv.kv(["batch"]);
    fs::write(kv.path("lines"), "get k\n").unwrap();
    command
        .stdin(fs::File::open(kv.path("lines")).unwrap())
        .stdout(full)
        .stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let ran = Ran::with(&command, output);
    ran.ends(Exit::Failure)
        .complains(&["cannot write the replies"]);
    kv.holds("k", "v");
}
