//! Every system call that fails: what was acknowledged is there, the rest is old or new, and what
//! could not be done is said in one line.
//!
//! A call is made to fail by strace, one at a time. All of them are some thousands, so a fixed part
//! of them is tried; with `KV_TEST_ALL=1` in the environment all are. Of calls that differ in nothing
//! but numbers, as in a walk through all shards, the first few and the last few stand for the rest.

mod contents;
mod inject;
mod judge;
mod limits;
mod scenario;

use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::{can_inject, renew};

use self::contents::{image, litter};
use self::inject::{Call, run, trace};
use self::judge::{Counts, Ordinary, judge};
use self::scenario::*;

/// So many failures are tried of each command, unless all are.
const TRIED: usize = 12;

#[test]
fn of_put() {
    survive(&[
        Scenario::new(nothing, &["put", "key", "new"]),
        Scenario::new(loose, &["put", "fresh", "new"]),
        Scenario::new(loose, &["put", "key", "new"]),
        Scenario::new(packed, &["put", "key", "new", "--if-value", "old"]),
        Scenario::new(packed, &["put", "fresh", "new", "--if-absent"]),
        Scenario::new(packed, &["put", "brief", "new", "--keep-ttl"]),
        Scenario::new(loose, &["put", "key", "new", "--ttl", "1h"]),
        Scenario::new(loose, &["put", "key", "new", "--sync", "off"]),
    ]);
}

#[test]
fn of_put_of_a_large_value() {
    survive(&[
        Scenario::fed(loose, &["put", "key"], large_value()),
        Scenario::new(with_file, &["put", "key", "--file", "file"]),
    ]);
}

#[test]
fn of_what_reads() {
    survive(&[
        Scenario::new(loose, &["get", "key"]),
        Scenario::new(packed, &["get", "key"]),
        Scenario::new(large, &["get", "key"]),
        Scenario::new(packed, &["get", "absent"]),
        Scenario::new(packed, &["get", "absent", "--default", "d"]),
        Scenario::new(packed, &["has", "brief"]),
        Scenario::new(packed, &["stat", "--field", "size", "key"]),
        Scenario::new(loose, &["ttl", "key"]),
        Scenario::new(loose, &["wait", "key"]),
    ]);
}

#[test]
fn of_what_lists() {
    survive(&[
        Scenario::new(packed, &["ls"]),
        Scenario::new(packed, &["ls", "--values", "--reverse"]),
        Scenario::new(packed, &["ls", "--count", "--prefix", "n"]),
        Scenario::new(packed, &["export"]),
        Scenario::new(packed, &["namespaces"]),
        Scenario::on_list(&["items", "jobs"]),
        Scenario {
            varies: true,
            ..Scenario::new(packed, &["info"])
        },
    ]);
}

#[test]
fn of_what_removes() {
    survive(&[
        Scenario::new(loose, &["remove", "key"]),
        Scenario::new(packed, &["remove", "key"]),
        Scenario::new(packed, &["remove", "other", "key", "brief"]),
        Scenario::new(loose, &["get", "--remove", "key"]),
        Scenario::new(packed, &["get", "--remove", "key"]),
        Scenario::new(large, &["get", "--remove", "key"]),
        Scenario::new(packed, &["remove", "--glob", "*e*"]),
    ]);
}

#[test]
fn of_what_reads_changes_and_writes_back() {
    survive(&[
        Scenario::new(loose, &["expire", "key", "1h"]),
        Scenario::new(packed, &["expire", "brief", "never"]),
        Scenario::new(loose, &["incr", "number"]),
        Scenario::new(packed, &["incr", "number"]),
        Scenario::new(loose, &["append", "key", "more"]),
        Scenario::new(loose, &["update", "key", "--", "tr", "o", "O"]),
    ]);
}

#[test]
fn of_lists() {
    survive(&[
        Scenario::new(nothing, &["push", "jobs", "n"]),
        Scenario::on_list(&["push", "jobs", "n"]),
        Scenario::on_list(&["pop", "jobs"]),
        Scenario::on_list(&["pop", "jobs", "--last", "--wait", "1s"]),
        Scenario::fed(list, &["push", "jobs", "--lines"], b"x\ny\n".to_vec()),
    ]);
}

#[test]
fn of_programs() {
    survive(&[
        Scenario::new(loose, &["lock", "name", "--", "true"]),
        Scenario::new(loose, &["lock", "name", "--no-wait", "--", "true"]),
        Scenario {
            // The namespace of results is made, whatever becomes of the result.
            ..Scenario::new(loose, &["memo", "--ttl", "1h", "--", "echo", "result"])
        },
    ]);
}

#[test]
fn of_batch() {
    let few = b"put key new\nput fresh new\nremove other\nincr number\nget key\n".to_vec();
    let many: String = (0..1_010)
        .map(|n| format!("put {} new\n", many_keys()[n]))
        .collect();
    survive(&[
        Scenario::fed(packed, &["batch"], few),
        Scenario::fed(bulk, &["batch"], many.into_bytes()),
    ]);
}

#[test]
fn of_import() {
    survive(&[
        Scenario::fed(bulk, &["import"], json_lines("new", 5)),
        Scenario::fed(nothing, &["import", "--tsv"], tsv("new")),
        Scenario::fed(bulk, &["import"], with_a_large_one()),
        Scenario::fed(bulk, &["import", "--if-absent"], with_a_large_one()),
    ]);
}

#[test]
fn a_name_that_cannot_be_looked_at_is_not_taken() {
    let args = &["import", "--if-absent"];
    let missing = Scenario::fed(bulk, args, with_a_large_one());
    survive_each("newfstatat", missing);
}

#[test]
fn a_directory_that_cannot_be_read_is_not_empty() {
    let replaces = Scenario::fed(bulk, &["import", "--replace"], json_lines("new", 5));
    survive_each("getdents64", replaces);
}

#[test]
fn a_thread_that_cannot_be_had_is_a_failure() {
    survive_each(
        "clone3",
        Scenario::new(loose, &["update", "key", "--", "cat"]),
    );
    let memo = &["memo", "--ttl", "1h", "--", "echo", "result"];
    survive_each("clone3", Scenario::new(loose, memo));
}

#[test]
fn what_a_program_prints_and_cannot_be_read_is_a_failure() {
    // It is still to print when the reading fails, and finds nobody who reads.
    const PRINTS: &str = "sleep 0.05; echo new; echo new";
    let update = &["update", "key", "--", "sh", "-c", PRINTS];
    survive_each("read", Scenario::new(loose, update));
    let memo = &["memo", "--ttl", "1h", "--", "sh", "-c", PRINTS];
    survive_each("read", Scenario::new(loose, memo));
}

#[test]
fn of_import_that_replaces() {
    survive(&[Scenario::fed(
        bulk,
        &["import", "--replace"],
        json_lines("new", 5),
    )]);
}

#[test]
fn of_removals_of_many() {
    survive(&[
        Scenario::fed(bulk, &["remove", "--stdin"], names()),
        Scenario::new(bulk, &["remove", "--glob", "k*5"]),
        Scenario::new(bulk, &["remove", "--glob", "*"]),
    ]);
}

#[test]
fn of_gc() {
    survive(&[
        Scenario::new(loose, &["gc"]),
        Scenario::new(to_collect, &["gc"]),
        Scenario::new(packed, &["-n", "default", "gc", "--max-entries", "2"]),
    ]);
}

#[test]
fn of_the_removal_of_a_namespace() {
    survive(&[Scenario::new(
        packed,
        &["namespaces", "--remove", "default"],
    )]);
}

/// As [`survive`] with all failures of one system call, however many are tried otherwise.
#[track_caller]
fn survive_each(name: &str, scenario: Scenario) {
    try_each(&[scenario], usize::MAX, |call| call.name == name);
}

#[track_caller]
fn survive(scenarios: &[Scenario]) {
    let tries_all = std::env::var_os("KV_TEST_ALL").is_some();
    let most = if tries_all { usize::MAX } else { TRIED };
    try_each(scenarios, most, |_| true);
}

#[track_caller]
fn try_each(scenarios: &[Scenario], most: usize, is_asked_for: impl Fn(&Call) -> bool) {
    if !can_inject() {
        return cannot_run("strace, which lets system calls fail, does not work here");
    }
    let mut wrong = Vec::new();
    for scenario in scenarios {
        let template = Sandbox::in_memory();
        (scenario.prepare)(&template);
        let kv = Sandbox::in_memory();
        let renew = || {
            if scenario.prepares_anew {
                _ = std::fs::remove_dir_all(kv.store());
                (scenario.prepare)(&kv);
            } else {
                renew(&kv, &template);
            }
            if template.path("file").exists() {
                std::fs::copy(template.path("file"), kv.path("file")).unwrap();
            }
        };

        renew();
        let old = image(&kv).unwrap();
        let (output, calls) = trace(&kv, scenario.args, &scenario.input);
        let ordinary = Ordinary {
            status: output.status.code().unwrap(),
            stdout: output.stdout,
            old,
            new: image(&kv).unwrap(),
        };
        assert!(matches!(ordinary.status, 0 | 1), "{:?}", scenario.args);
        assert_eq!(litter(&kv), [""; 0], "{:?}", scenario.args);

        let asked_for = calls.iter().filter(|call| is_asked_for(call));
        let with_faults = asked_for.flat_map(|call| {
            let faults = call.faults().into_iter();
            faults.map(move |fault| (call, fault))
        });
        let all: Vec<_> = with_faults.collect();
        let step = all.len().div_ceil(most);
        let mut counts = Counts::default();
        // Where it begins is another for each command, and the same in every run.
        for (call, fault) in all
            .iter()
            .skip(scenario.args.concat().len() % step)
            .step_by(step)
        {
            renew();
            let output = run(&kv, scenario.args, &scenario.input, call, *fault);
            let judged = judge(
                &kv,
                scenario,
                &ordinary,
                (call, *fault),
                &output,
                &mut counts,
            );
            if let Err(why) = judged {
                let stderr = String::from_utf8_lossy(&output.stderr);
                wrong.push(format!(
                    "{:?}: {fault:?} at {}th {}: {why}; {}, {stderr}",
                    scenario.args, call.nth, call.text, output.status
                ));
            }
        }
        tell_count(&format!(
            "{}: {} failures of {}, {} of them fatal, {} left litter",
            scenario.args.join(" "),
            counts.tried,
            all.len(),
            counts.failed,
            counts.litter,
        ));
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
