//! `kill -9` at every system call of `push` and `pop`: no element is lost, and none comes twice.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use kv::exit::Exit;

use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::{Point, can_inject, kill_at, trace};

/// A command to be killed, and what may be in its list then.
struct Scenario {
    /// Makes the list as it is before each attempt.
    prepare: fn(&Sandbox),
    args: &'static [&'static str],
    old: &'static str,
    new: &'static str,
}

const THREE: &[&str] = &["a", "b", "c"];

#[test]
fn push_in_a_new_store() {
    survives(Scenario {
        prepare: |_| {},
        args: &["push", "jobs", "n"],
        old: "",
        new: "n",
    });
}

#[test]
fn push_in_a_new_store_of_a_group() {
    survives(Scenario {
        prepare: |kv| {
            fs::create_dir(kv.store()).unwrap();
            fs::set_permissions(kv.store(), fs::Permissions::from_mode(0o2770)).unwrap();
        },
        args: &["push", "jobs", "n"],
        old: "",
        new: "n",
    });
}

#[test]
fn push_behind_others() {
    survives(Scenario {
        prepare: |kv| push(kv, THREE),
        args: &["push", "jobs", "n"],
        old: "abc",
        new: "abcn",
    });
}

#[test]
fn push_where_the_elements_must_be_counted() {
    survives(Scenario {
        prepare: |kv| {
            push(kv, THREE);
            fs::remove_dir_all(kv.store().join("jobs/list")).unwrap();
        },
        args: &["push", "jobs", "n"],
        old: "abc",
        new: "abcn",
    });
}

#[test]
fn pop_of_the_oldest() {
    survives(Scenario {
        prepare: |kv| push(kv, THREE),
        args: &["pop", "jobs"],
        old: "abc",
        new: "bc",
    });
}

#[test]
fn pop_of_the_newest() {
    survives(Scenario {
        prepare: |kv| push(kv, THREE),
        args: &["pop", "jobs", "--last"],
        old: "abc",
        new: "ab",
    });
}

#[test]
fn pop_of_the_only_one() {
    survives(Scenario {
        prepare: |kv| push(kv, &["a"]),
        args: &["pop", "jobs"],
        old: "a",
        new: "",
    });
}

#[test]
fn put_of_an_element_by_its_key() {
    survives(Scenario {
        prepare: |kv| push(kv, THREE),
        args: &["-n", "jobs", "put", "00000000000000000900", "n"],
        old: "abc",
        new: "abcn",
    });
}

fn push(kv: &Sandbox, elements: &[&str]) {
    let args = ["push", "--lines", "--sync", "off", "jobs"];
    kv.feed(args, elements.join("\n").as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

/// Kills the command at each of its system calls, each time with a list as it was before.
#[track_caller]
fn survives(scenario: Scenario) {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    let calls = {
        let kv = Sandbox::in_memory();
        (scenario.prepare)(&kv);
        let calls = trace(&kv, scenario.args, b"");
        check(&kv, &scenario, None, &calls[0]);
        calls
    };
    for point in &calls {
        let kv = Sandbox::in_memory();
        (scenario.prepare)(&kv);
        let output = kill_at(&kv, scenario.args, b"", point);
        check(&kv, &scenario, Some(output), point);
    }
    tell_count(&format!("killed at each of {} system calls", calls.len()));
}

/// Checks all that is promised of a list when a command was killed, or none was.
#[track_caller]
fn check(kv: &Sandbox, scenario: &Scenario, killed: Option<Output>, point: &Point) {
    let items = |kv: &Sandbox| {
        let ran = kv.run(["items", "jobs"]).ends(Exit::Success).warns("");
        ran.stdout_text().replace('\n', "")
    };
    let now = items(kv);
    match &killed {
        None => assert_eq!(now, scenario.new),
        Some(_) => assert!(
            now == scenario.old || now == scenario.new,
            "{point:?}: {now}"
        ),
    }
    // What was printed was removed before: an element is delivered at most once.
    if killed.is_some_and(|output| !output.stdout.is_empty()) {
        assert_eq!(now, scenario.new, "{point:?}: printed, and still there");
    }
    everybody_can_go_on(kv, point);
    // The next elements come behind, and all of them are popped.
    push(kv, &["y", "z"]);
    let now = now + "yz";
    assert_eq!(items(kv), now, "{point:?}");
    let drain = "while kv pop jobs --sync off; do :; done";
    kv.shell("sh", drain).prints(now).warns("");
}

/// Demands that whoever may use the store may use the file of the list's range, too.
#[track_caller]
fn everybody_can_go_on(kv: &Sandbox, point: &Point) {
    let mode = |path| Some(fs::metadata(path).ok()?.permissions().mode() & 0o660);
    let store = mode(kv.store());
    let list = kv.store().join("jobs/list");
    for entry in fs::read_dir(list).into_iter().flatten() {
        assert_eq!(mode(entry.unwrap().path()), store, "{point:?}");
    }
}
