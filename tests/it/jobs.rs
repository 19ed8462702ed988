//! `kv pop LIST -- CMD`: an element goes when the work on it has succeeded, and nobody else gets it before.

use std::os::unix::process::ExitStatusExt as _;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use crate::harness::{Sandbox, until};
use crate::process::{Started, until_there};

pub mod killed;

const FIRST: &str = "00000000000000000001";

fn push(kv: &Sandbox, elements: &[&str]) {
    let args = ["push", "--lines", "--sync", "off", "q"];
    kv.feed(args, elements.join("\n").as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

#[track_caller]
fn holds(kv: &Sandbox, list: &str, elements: &str) {
    let ran = kv.run(["items", list]).ends(Exit::Success).warns("");
    assert_eq!(ran.stdout_text().replace('\n', " ").trim_end(), elements);
}

/// Demands that nothing but the elements is in the namespace of the list.
#[track_caller]
/// A list holds elements alone, and is counted of none that has gone.
fn is_tidy(kv: &Sandbox) {
    let [keys, counted] = ["q", "q.attempts"]
        .map(|name| kv.run(["-n", name, "ls"]).ends(Exit::Success).stdout_text());
    assert!(keys.lines().all(|key| key.len() == 20), "{keys}");
    let is_there = |key| keys.lines().any(|one| one == key);
    assert!(counted.lines().all(is_there), "{counted}");
}

#[test]
pub fn success_removes_the_element_that_the_program_got() {
    let kv = Sandbox::new();
    push(&kv, &["a", "b", "c"]);
    let script = "echo \"$KV_ELEMENT $(cat)\"";
    kv.run(["pop", "q", "--", "sh", "-c", script])
        .ends(Exit::Success)
        .prints(format!("{FIRST} a\n"))
        .warns("");
    kv.run(["pop", "q", "--last", "--", "cat"])
        .ends(Exit::Success)
        .prints("c");
    holds(&kv, "q", "b");
    kv.run(["pop", "q", "--", "true"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["pop", "q", "--", "cat"]).ends(Exit::No).is_silent();
    kv.run(["pop", "q", "--wait", "0", "--", "cat"])
        .ends(Exit::No)
        .is_silent();
    is_tidy(&kv);
}

#[test]
pub fn any_element_comes_whole_and_need_not_be_read() {
    let kv = Sandbox::new();
    for value in [vec![], b"\0\xff\n".to_vec(), vec![7; 300_000]] {
        for _ in 0..2 {
            kv.feed(["push", "q"], &value).ends(Exit::Success);
        }
        kv.run(["pop", "q", "--", "cat"])
            .ends(Exit::Success)
            .prints(&value);
        kv.run(["pop", "q", "--", "true"])
            .ends(Exit::Success)
            .is_silent();
    }
    holds(&kv, "q", "");
}

#[test]
pub fn any_other_end_leaves_it_at_its_place() {
    let kv = Sandbox::new();
    push(&kv, &["a", "b", "c"]);
    for (script, exit) in [
        ("exit 3", Exit::Program(3)),
        ("cat >/dev/null; exit 1", Exit::Program(1)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -KILL $$", Exit::Signal(9)),
    ] {
        for end in [&["pop", "q"][..], &["pop", "q", "--last"]] {
            let args = [end, &["--", "sh", "-c", script]].concat();
            kv.run(args).ends(exit).is_silent();
            holds(&kv, "q", "a b c");
        }
    }
    for (cmd, status) in [("./missing", 127), ("/", 126)] {
        kv.run(["pop", "q", "--", cmd])
            .ends(Exit::Program(status))
            .complains(&["cannot run"]);
    }
    kv.run(["pop", "q"]).ends(Exit::Success).prints("a");
    kv.run(["pop", "q", "--", "cat"])
        .ends(Exit::Success)
        .prints("b");
}

#[test]
pub fn nobody_else_gets_it_while_it_is_worked_on() {
    let kv = Sandbox::new();
    push(&kv, &["a", "b", "c", "d", "e"]);
    let ran = kv.shell(
        "sh",
        "kv pop q -- sh -c '
           cat; kv pop q; kv pop q --last
           kv pop q -- sh -c \"cat; kv pop q -- cat; kv pop q; echo \\$?; kv pop q --last -- cat; echo \\$?\"
           exit 1'
         echo $?",
    );
    ran.ends(Exit::Success).prints("abecd1\n1\n1\n").warns("");
    holds(&kv, "q", "a");
    kv.run(["pop", "q"]).ends(Exit::Success).prints("a");
}

#[test]
pub fn who_waits_gets_what_is_given_back() {
    let kv = Sandbox::new();
    push(&kv, &["a"]);
    for taker in [
        &["pop", "q", "--wait", "60s", "--", "cat"][..],
        &["pop", "q", "--wait", "60s"],
    ] {
        let script = "touch there; until [ -e go ]; do sleep 0.02; done; exit 1";
        let worker = Started::script(&kv, &["pop", "q"], script);
        until_there(&kv.path("there"));
        kv.run(["pop", "q", "--wait", "1ms"])
            .ends(Exit::No)
            .is_silent();
        let waits = Started::new(kv.kv(taker));
        std::fs::write(kv.path("go"), "").unwrap();
        worker.end().ends(Exit::Program(1)).is_silent();
        waits.end().ends(Exit::Success).prints("a").warns("");
        for name in ["there", "go"] {
            std::fs::remove_file(kv.path(name)).unwrap();
        }
        push(&kv, &["a"]);
    }
    let waits = Started::new(kv.kv(["pop", "new", "--wait", "60s", "--", "cat"]));
    kv.run(["push", "new", "first"]).ends(Exit::Success);
    waits.end().ends(Exit::Success).prints("first").warns("");
}

#[test]
pub fn a_kv_that_is_killed_gives_it_back() {
    let kv = Sandbox::new();
    push(&kv, &["a", "b"]);
    let script = "echo $$ >pid; mv pid there; exec sleep 1000";
    let worker = Started::script(&kv, &["pop", "q"], script);
    until_there(&kv.path("there"));
    kv.run(["pop", "q"]).ends(Exit::Success).prints("b");
    worker.signal(Signal::SIGKILL);
    assert_eq!(worker.end().status().signal(), Some(9));
    until("it is free", || kv.run(["pop", "q"]).stdout() == b"a");
}

#[test]
pub fn what_the_program_has_started_keeps_it_when_kv_is_killed() {
    let kv = Sandbox::new();
    push(&kv, &["a"]);
    let script = "(touch there; until [ -e go ]; do sleep 0.02; done) >out 2>&1 & wait";
    let worker = Started::script(&kv, &["pop", "q"], script);
    until_there(&kv.path("there"));
    worker.signal(Signal::SIGKILL);
    worker.end().ends(Exit::Signal(9));
    for _ in 0..5 {
        kv.run(["pop", "q"]).ends(Exit::No).is_silent();
    }
    std::fs::write(kv.path("go"), "").unwrap();
    until("it is free", || kv.run(["pop", "q"]).stdout() == b"a");
}

#[test]
pub fn what_fails_too_often_moves_to_another_list() {
    let kv = Sandbox::new();
    push(&kv, &["a", "b"]);
    let fails = ["pop", "q", "--attempts", "2", "--", "false"];
    kv.run(fails).ends(Exit::Program(1)).is_silent();
    holds(&kv, "q", "a b");
    // The count is no key of the list.
    assert_eq!(kv.run(["-n", "q", "ls", "--count"]).line(), "2");
    kv.run(fails).ends(Exit::Program(1)).prints("").complains(&[
        FIRST,
        "`q`",
        "2 times",
        "`q.failed`",
    ]);
    holds(&kv, "q", "b");
    holds(&kv, "q.failed", "a");
    is_tidy(&kv);
    // A program that cannot be run has not failed on it.
    for _ in 0..3 {
        kv.run(["pop", "q", "--attempts", "2", "--", "./missing"])
            .ends(Exit::Program(127));
    }
    // Nor has one that was ended with kv.
    let script = "touch begun; exec sleep 60";
    let ended = Started::script(&kv, &["pop", "q", "--attempts", "1"], script);
    until_there(&kv.path("begun"));
    ended.signal(Signal::SIGTERM);
    let status = ended.end().status();
    assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
    // Failures count that nobody has set a limit to.
    kv.run(["pop", "q", "--", "false"]).ends(Exit::Program(1));
    kv.run(["pop", "q", "--attempts", "2", "--", "cat"])
        .ends(Exit::Success)
        .prints("b")
        .warns("");
    is_tidy(&kv);
    kv.run(fails).ends(Exit::No).is_silent();
}

#[test]
pub fn who_was_killed_in_a_move_leaves_it_to_the_next() {
    let kv = Sandbox::new();
    push(&kv, &["a", "b", "c"]);
    // The first is in both lists, and the number of the second is another's there.
    let export = kv.run(["-n", "q", "export"]).stdout_text();
    let first = export.lines().next().unwrap();
    kv.feed(["-n", "q.failed", "import"], first.as_bytes())
        .ends(Exit::Success);
    let second = &FIRST.replace('1', "2");
    kv.run(["-n", "q.failed", "put", second, "other"])
        .ends(Exit::Success);
    for element in [FIRST, second] {
        kv.run(["-n", "q.attempts", "put", element, "7"])
            .ends(Exit::Success);
    }
    let ran = kv.run(["pop", "q", "--attempts", "7", "--", "cat"]);
    ran.ends(Exit::Success).prints("c");
    holds(&kv, "q", "");
    holds(&kv, "q.failed", "a other b");
    is_tidy(&kv);
}

#[test]
pub fn what_is_changed_meanwhile_is_not_removed() {
    let kv = Sandbox::new();
    push(&kv, &["a"]);
    let ran = kv.shell("sh", "kv pop q -- sh -c 'kv -n q put $KV_ELEMENT other'");
    ran.ends(Exit::Program(125))
        .complains(&[FIRST, "`q`", "stays"]);
    holds(&kv, "q", "other");
    let ran = kv.shell("sh", "kv pop q -- sh -c 'kv -n q remove $KV_ELEMENT'");
    ran.ends(Exit::Success).is_silent();
    holds(&kv, "q", "");
}

#[test]
pub fn long_says_who_works_on_what_and_how_often_that_was_tried() {
    let kv = Sandbox::new();
    push(&kv, &["a", "bc"]);
    kv.run(["pop", "q", "--", "false"]).ends(Exit::Program(1));
    let ran = kv.shell(
        "sh",
        "kv pop q --attempts 3 -- sh -c 'echo $PPID; kv items q --long'",
    );
    let text = ran.ends(Exit::Success).warns("").stdout_text();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let [pid, first, second] = &lines[..] else {
        panic!("{text}");
    };
    assert_eq!((first[0], first[2], first[5]), ("1", "2", FIRST));
    assert!(first[3].ends_with('Z'), "{text}");
    assert_eq!(first[4].split('@').next(), Some(pid[0]));
    assert_eq!((second[0], &second[2..5]), ("2", &["0", "-", "-"][..]));
    let modified = kv.run(["-n", "q", "stat", "--field", "modified", second[5]]);
    assert_eq!(modified.line(), second[1]);
}

#[test]
pub fn a_wrong_command_line_is_2_and_125_where_a_program_is_named() {
    let kv = Sandbox::new();
    for bad in [
        &["pop"][..],
        &["pop", "q", "--attempts", "2"],
        &["pop", "q", "cat"],
        &["items", "q", "--long", "--json"],
    ] {
        kv.run(bad).ends(Exit::Usage);
    }
    for bad in [
        &["pop", "--", "cat"][..],
        &["pop", "q", "--attempts", "0", "--", "cat"],
        &["pop", "default", "--", "cat"],
        &["pop", "q", "--"],
        &["pop", "q", "--attempts", "2", "--"],
    ] {
        kv.run(bad).ends(Exit::Program(125));
    }
    let long = "l".repeat(250);
    kv.run(["pop", &long, "--attempts", "2", "--", "cat"])
        .ends(Exit::Program(125))
        .complains(&["too long"]);
    kv.feed(["batch"], b"pop q -- cat\n").ends(Exit::Usage);
}
