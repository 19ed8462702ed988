//! `kv rename` and `kv copy`: what comes along, what stays, and who is first.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::files::flip;
use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::{can_inject, kill_at, trace};

const BOTH: [&str; 2] = ["rename", "copy"];

#[track_caller]
fn done(kv: &Sandbox, args: &[&str]) {
    kv.run(args).ends(Exit::Success).is_silent();
}

#[track_caller]
fn refused(kv: &Sandbox, args: &[&str]) {
    kv.run(args).ends(Exit::No).is_silent();
}

/// Returns what has to come along.
#[track_caller]
fn facts(kv: &Sandbox, key: &str) -> [String; 3] {
    ["size", "modified", "expires"].map(|field| kv.field(field, key))
}

#[test]
pub fn value_expiry_and_modified_come_along() {
    let kv = Sandbox::new();
    for (verb, ttl) in [
        ("rename", "1h"),
        ("copy", "1h"),
        ("rename", ""),
        ("copy", ""),
    ] {
        done(&kv, &["put", "old", "value"]);
        if !ttl.is_empty() {
            done(&kv, &["expire", "old", ttl]);
        }
        let (was, etag) = (facts(&kv, "old"), kv.field("etag", "old"));
        done(&kv, &[verb, "old", "new"]);
        kv.holds("new", "value");
        assert_eq!(facts(&kv, "new"), was);
        assert_ne!(kv.field("etag", "new"), etag);
        match verb {
            "rename" => kv.lacks("old"),
            _ => assert_eq!(kv.field("etag", "old"), etag),
        }
    }
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn any_value_comes_along_whole() {
    let kv = Sandbox::new();
    for value in [vec![], b"\0\xff\n".to_vec(), vec![7; 300_000]] {
        kv.feed(["put", "old"], &value).ends(Exit::Success);
        done(&kv, &["copy", "old", "copied"]);
        done(&kv, &["rename", "old", "new"]);
        done(&kv, &["rename", "new", "newer"]);
        kv.holds("copied", &value);
        kv.holds("newer", &value);
    }
    assert_eq!(kv.run(["ls"]).stdout_text(), "copied\nnewer\n");
}

#[test]
pub fn what_is_there_is_replaced_unless_it_is_to_stay() {
    let kv = Sandbox::new();
    for verb in BOTH {
        kv.put("old", "1");
        done(&kv, &["put", "new", "2", "--ttl", "1h"]);
        let etag = kv.field("etag", "new");
        refused(&kv, &[verb, "old", "new", "--if-absent"]);
        kv.holds("old", "1");
        assert_eq!(kv.field("etag", "new"), etag);
        done(&kv, &[verb, "old", "new"]);
        kv.holds("new", "1");
        assert_eq!(kv.field("expires", "new"), "never");
        kv.put("old", "3");
        done(&kv, &[verb, "--if-absent", "old", verb]);
        kv.holds(verb, "3");
    }
}

#[test]
pub fn what_is_missing_or_expired_is_not_moved() {
    let kv = Sandbox::new();
    for verb in BOTH {
        refused(&kv, &[verb, "none", "new"]);
        refused(&kv, &[verb, "none", "none"]);
        done(&kv, &["put", "new", "stays"]);
        done(&kv, &["put", "old", "x", "--ttl", "1ms"]);
        thread::sleep(Duration::from_millis(5));
        refused(&kv, &[verb, "old", "new"]);
        kv.holds("new", "stays");
        // What has expired is not in the way.
        done(&kv, &["put", "old", "x", "--ttl", "1ms"]);
        thread::sleep(Duration::from_millis(5));
        done(&kv, &[verb, "new", "old", "--if-absent"]);
        kv.holds("old", "stays");
        done(&kv, &["remove", "old"]);
    }
    kv.run(["rename", "a"])
        .ends(Exit::Usage)
        .complains(&["NEW"]);
    kv.run(["copy", "", "a"]).ends(Exit::Usage);
}

#[test]
pub fn a_key_stays_itself() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let etag = kv.field("etag", "k");
    for verb in BOTH {
        done(&kv, &[verb, "k", "k"]);
        refused(&kv, &[verb, "k", "k", "--if-absent"]);
    }
    kv.holds("k", "v");
    assert_eq!(kv.field("etag", "k"), etag);
}

#[test]
pub fn an_element_gets_another_place_in_its_list() {
    let kv = Sandbox::new();
    kv.feed(["push", "--lines", "jobs"], b"a\nb\nc\n")
        .ends(Exit::Success);
    let key = |number: u32| format!("{number:020}");
    let args = ["-n", "jobs", "rename", &key(1), &key(9)];
    done(&kv, &args);
    let args = ["-n", "jobs", "copy", &key(3), &key(5), "--if-absent"];
    done(&kv, &args);
    done(&kv, &["push", "jobs", "d"]);
    let all = kv.run(["items", "jobs"]).ends(Exit::Success);
    all.prints("b\nc\nc\na\nd\n");
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("b");
    kv.run(["pop", "jobs", "--last"])
        .ends(Exit::Success)
        .prints("d");
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn of_many_who_rename_a_key_one_does() {
    let kv = Sandbox::new();
    let many = 60;
    let moved = AtomicUsize::new(0);
    let sync = ["--sync", "off"];
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..many {
                let number = number.to_string();
                let args = [&["put", "slot", &number, "--if-absent"], &sync[..]].concat();
                while kv.run(&args).status().code() == Some(1) {}
            }
        });
        for worker in 0..3 {
            let (kv, moved) = (&kv, &moved);
            scope.spawn(move || {
                let mut own = 0;
                while moved.load(Ordering::Relaxed) < many {
                    let to = format!("{worker}/{own}");
                    // Whether something is in its way or not.
                    if own % 2 == 0 {
                        kv.put(&to, "before");
                    }
                    let ran = kv.run([&["rename", "slot", &to], &sync[..]].concat());
                    match ran.status().code() {
                        Some(0) => {
                            own += 1;
                            moved.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(1) if own % 2 == 0 => kv.holds(&to, "before"),
                        Some(1) => kv.lacks(&to),
                        _ => panic!("{}", ran.report()),
                    }
                }
                if own % 2 == 0 {
                    _ = kv.run(["remove", &format!("{worker}/{own}")]);
                }
            });
        }
    });
    let listed = kv.run(["ls", "--values"]).ends(Exit::Success);
    let values: Vec<usize> = listed
        .stdout_text()
        .lines()
        .filter_map(|line| line.split_once('\t')?.1.parse().ok())
        .collect();
    assert_eq!(values.len(), many, "{values:?}");
    assert_eq!(BTreeSet::from_iter(values), (0..many).collect());
    tell_count(&format!("{many} values, each moved once"));
}

#[test]
fn whoever_is_killed_leaves_the_old_or_both() {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    for verb in BOTH {
        let prepare = || {
            let kv = Sandbox::in_memory();
            kv.put("old", "value");
            kv.put("new", "before");
            kv
        };
        let args = [verb, "old", "new"];
        let calls = trace(&prepare(), &args, b"");
        let mut both = 0;
        for point in &calls {
            let kv = prepare();
            kill_at(&kv, &args, b"", point);
            let new = kv.run(["get", "new"]).ends(Exit::Success).stdout_text();
            let has_old = kv.run(["get", "old"]).status().success();
            match &*new {
                "value" => both += usize::from(has_old),
                "before" => assert!(has_old, "{point:?}: neither"),
                _ => panic!("{point:?}: {new}"),
            }
            done(&kv, &["put", "old", "value"]);
            done(&kv, &args);
            kv.holds("new", "value");
        }
        tell_count(&format!(
            "{verb} killed at each of {} system calls, {both} left both",
            calls.len()
        ));
    }
}

#[test]
fn what_is_damaged_is_replaced_as_by_a_put_but_not_where_it_is_to_stay() {
    for verb in BOTH {
        let kv = Sandbox::new();
        kv.put("old", "value");
        kv.put("new", "before");
        flip(&kv.file_of(b"new"), 0);
        kv.run([verb, "--if-absent", "old", "new"])
            .ends(Exit::Damaged);
        kv.holds("old", "value");
        done(&kv, &[verb, "old", "new"]);
        kv.holds("new", "value");
        kv.run(["fsck"]).ends(Exit::Success);
    }
}
