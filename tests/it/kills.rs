//! `kill -9` at every system call: what was acknowledged is there, the rest is old or new.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use walkdir::WalkDir;

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run, has_program, names_in, tell_count};
use crate::sweep::age;

/// A command to be killed, and what its key may hold then.
struct Scenario {
    args: &'static [&'static str],
    /// What is on standard input; nothing if it is empty.
    input: Vec<u8>,
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
}

/// A store as it is before each attempt.
enum Before {
    NoStore,
    /// Another key's value is there, in another shard.
    NoShard,
    /// The key's shard is there, and the value, if there is an old one.
    Shard,
}

/// Where a process was killed: before its n-th call of that name.
pub type Point = (String, usize);

#[test]
fn put_in_a_new_store() {
    survives(Before::NoStore, put(&["put", "key", "new"], None));
}

#[test]
fn put_in_a_new_shard() {
    survives(Before::NoShard, put(&["put", "key", "new"], None));
}

#[test]
fn put_in_a_shard_that_is_there() {
    survives(Before::Shard, put(&["put", "key", "new"], None));
}

#[test]
fn put_over_a_value() {
    survives(Before::Shard, put(&["put", "key", "new"], Some("old")));
}

#[test]
fn put_with_an_expiry() {
    let args = &["put", "key", "new", "--ttl", "1h"];
    survives(Before::Shard, put(args, Some("old")));
}

#[test]
fn put_on_a_condition() {
    let args = &["put", "key", "new", "--if-value", "old"];
    survives(Before::Shard, put(args, Some("old")));
}

#[test]
fn put_of_a_large_value_from_standard_input() {
    let value: Vec<u8> = (0..600_000_u32).map(|n| (n % 251) as u8).collect();
    survives(
        Before::Shard,
        Scenario {
            args: &["put", "key"],
            input: value.clone(),
            old: Some(b"old".to_vec()),
            new: Some(value),
        },
    );
}

#[test]
fn remove() {
    survives(Before::Shard, removal(&["remove", "key"]));
}

#[test]
fn take() {
    survives(Before::Shard, removal(&["get", "key", "--remove"]));
}

fn put(args: &'static [&'static str], old: Option<&str>) -> Scenario {
    Scenario {
        args,
        input: Vec::new(),
        old: old.map(|old| old.as_bytes().to_vec()),
        new: Some(b"new".to_vec()),
    }
}

fn removal(args: &'static [&'static str]) -> Scenario {
    Scenario {
        args,
        input: Vec::new(),
        old: Some(b"old".to_vec()),
        new: None,
    }
}

/// Kills the command at each of its system calls, each time in a store as it was before.
#[track_caller]
fn survives(before: Before, scenario: Scenario) {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    let template = Sandbox::in_memory();
    before.prepare(&template, scenario.old.as_deref());

    let kv = Sandbox::in_memory();
    renew(&kv, &template);
    let calls = trace(&kv, scenario.args, &scenario.input);
    check(&kv, &scenario, None, &calls[0]);
    for point in &calls {
        renew(&kv, &template);
        let output = kill_at(&kv, scenario.args, &scenario.input, point);
        check(&kv, &scenario, Some(output), point);
    }
    tell_count(&format!("killed at each of {} system calls", calls.len()));
}

impl Before {
    fn prepare(&self, kv: &Sandbox, old: Option<&[u8]>) {
        let put = |key: &str, value: &[u8]| _ = kv.feed(["put", key], value).ends(Exit::Success);
        match self {
            Self::NoStore => return,
            Self::NoShard => {}
            Self::Shard => {
                put("key", old.unwrap_or_default());
                if old.is_none() {
                    kv.run(["remove", "key"]).ends(Exit::Success);
                }
            }
        }
        put("other", b"other");
    }
}

/// Tells whether strace is here and may do what it must.
pub fn can_inject() -> bool {
    let run = || {
        let mut command = Command::new("strace");
        command.args(["-e", "inject=exit_group:signal=KILL", "true"]);
        command
            .output()
            .is_ok_and(|output| output.status.code().is_none())
    };
    has_program("strace") && run()
}

/// Puts a copy of the template's store in the place of the sandbox's.
pub fn renew(kv: &Sandbox, template: &Sandbox) {
    _ = fs::remove_dir_all(kv.store());
    if !template.store().exists() {
        return;
    }
    for entry in WalkDir::new(template.store()) {
        let entry = entry.unwrap();
        let to = kv
            .store()
            .join(entry.path().strip_prefix(template.store()).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir(&to).unwrap();
            fs::set_permissions(to, entry.metadata().unwrap().permissions()).unwrap();
        } else {
            fs::copy(entry.path(), &to).unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            File::open(to).unwrap().set_modified(modified).unwrap();
        }
    }
}

/// Prepares a command under strace.
fn strace(kv: &Sandbox, args: &[&str], input: &[u8], options: &[&str]) -> Command {
    let path = kv.path("input");
    fs::write(&path, input).unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "trace"]).args(options);
    command.arg(KV).args(args);
    command
        .current_dir(kv.root())
        .env_clear()
        .env("KV_STORE", kv.location());
    if input.is_empty() {
        command.stdin(Stdio::null());
    } else {
        command.stdin(File::open(path).unwrap());
    }
    command
}

/// Runs the command to its end and returns all its system calls.
pub fn trace(kv: &Sandbox, args: &[&str], input: &[u8]) -> Vec<Point> {
    Ran::of(&mut strace(kv, args, input, &[])).ends(Exit::Success);
    calls_of(&fs::read_to_string(kv.path("trace")).unwrap())
}

/// Returns the system calls that strace has written down.
pub fn calls_of(text: &str) -> Vec<Point> {
    let mut counts = HashMap::new();
    let calls = text.lines().filter_map(|line| {
        // Where several processes are traced, each line has the number of one in front.
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let (name, _) = line.split_once('(')?;
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let count = counts.entry(name.to_owned()).or_insert(0);
        *count += 1;
        is_name.then(|| (name.to_owned(), *count))
    });
    // Before the first it is not yet kv that runs.
    let calls: Vec<_> = calls.filter(|(name, _)| name != "execve").collect();
    assert!(calls.len() > 20, "{text}");
    calls
}

/// Runs the command and kills it there.
#[track_caller]
pub fn kill_at(kv: &Sandbox, args: &[&str], input: &[u8], point: &Point) -> Output {
    let (name, n) = point;
    let inject = format!("inject={name}:signal=KILL:when={n}");
    let mut command = strace(kv, args, input, &["-e", &inject]);
    let output = command.output().unwrap();
    // The kernel told strace; strace ends in the same way.
    let status = output.status.code();
    assert_eq!(status, None, "not killed at {point:?}: {output:?}");
    output
}

/// Checks all that is promised of a store in which a command was killed, or none was.
#[track_caller]
fn check(kv: &Sandbox, scenario: &Scenario, killed: Option<Output>, point: &Point) {
    let ran = kv.run(["get", "key"]);
    let now = match ran.status().code() {
        Some(0) => Some(ran.stdout().to_vec()),
        Some(1) => None,
        _ => panic!("{point:?}: {}", ran.report()),
    };
    assert_eq!(ran.stderr_text(), "", "{point:?}");
    let is_new = now == scenario.new;
    match &killed {
        None => assert!(is_new, "{}", ran.report()),
        Some(_) => assert!(is_new || now == scenario.old, "{point:?}: {}", ran.report()),
    }
    // What was printed was removed before: a value is delivered at most once.
    if killed.is_some_and(|output| !output.stdout.is_empty()) {
        assert!(is_new, "{point:?}: printed, and still there");
    }

    next_commands_work(kv);
    let tmp = kv.space().join("tmp");
    let drafts = kv.litter();
    assert!(drafts.len() <= 1, "{point:?}: {drafts:?}");
    // It may be a live writer's, for all that anybody knows.
    kv.run(["put", "x", "y", "--ttl", "1h"]).ends(Exit::Success);
    assert_eq!(kv.litter(), drafts, "{point:?}");
    for draft in &drafts {
        age(&tmp.join(draft), Duration::from_secs(61));
    }
    kv.run(["put", "x", "y", "--ttl", "1h"]).ends(Exit::Success);
    assert_eq!(kv.litter(), [""; 0], "{point:?}");
    no_namespace_is_left_half_made(kv, point);
}

#[track_caller]
fn next_commands_work(kv: &Sandbox) {
    kv.run(["put", "key", "next"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["get", "key"]).ends(Exit::Success).prints("next");
    kv.run(["remove", "key"]).ends(Exit::Success).is_silent();
    kv.run(["get", "key"]).ends(Exit::No).is_silent();
}

#[track_caller]
fn no_namespace_is_left_half_made(kv: &Sandbox, point: &Point) {
    let hidden = |store: &Path| {
        let mut names = names_in(store);
        names.retain(|name| name.starts_with('.'));
        names
    };
    let found = hidden(&kv.store());
    assert!(found.len() <= 1, "{point:?}: {found:?}");
    for name in &found {
        age(&kv.store().join(name), Duration::from_secs(61));
        kv.run(["-n", "third", "put", "x", "y"]).ends(Exit::Success);
    }
    assert_eq!(hidden(&kv.store()), [""; 0], "{point:?}");
}
