//! A namespace is removed while another command stands still, at each of its system calls in turn.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run, names_in, tell_count};
use crate::kills::can_inject;

/// How long a call waits before it begins; a third of that later the namespace is removed. Where a
/// machine is too slow for that, a point is missed, and nothing fails.
const DELAY: Duration = Duration::from_millis(90);

#[test]
fn put() {
    goes_on(&["put", "key", "new", "--ttl", "1h"], &[0]);
}

#[test]
fn put_on_a_condition() {
    goes_on(&["put", "key", "new", "--if-exists"], &[0, 1]);
}

#[test]
fn remove() {
    goes_on(&["remove", "key"], &[0, 1]);
}

#[test]
fn take() {
    goes_on(&["get", "key", "--remove"], &[0, 1]);
}

#[test]
fn ls() {
    goes_on(&["ls", "--values"], &[0]);
}

#[test]
fn export() {
    goes_on(&["export", "--all"], &[0]);
}

#[test]
fn info() {
    goes_on(&["info"], &[0]);
}

#[test]
fn fsck() {
    goes_on(&["fsck"], &[0]);
}

#[test]
fn gc() {
    goes_on(&["gc"], &[0]);
}

#[test]
fn namespaces() {
    goes_on(&["namespaces"], &[0]);
}

#[test]
fn removal_of_the_same_namespace_by_another() {
    // Its many calls on locks are all alike.
    goes_on(&["namespaces", "--remove", "default"], &[0, 1]);
}

/// A process that puts many keeps the namespace open. What it does there before it has the lock counts only
/// if the namespace is still at its path then.
#[test]
fn put_in_a_namespace_that_is_kept() {
    if !can_inject() {
        return cannot_run("strace, which delays a system call, does not work here");
    }
    let kvs: Vec<Sandbox> = (0..10).map(|_| Sandbox::in_memory()).collect();
    for kv in &kvs {
        kv.put("key", "old");
        fs::write(kv.path("commands"), "put key 1\nput key 2\nput key 3\n").unwrap();
    }
    // What was changed just now is not kept.
    thread::sleep(Duration::from_secs(3));
    let batch = |kv: &Sandbox, options: &[&str]| {
        let mut command = strace(kv, &["batch"], options);
        command.stdin(fs::File::open(kv.path("commands")).unwrap());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    Ran::of(&mut batch(&kvs[0], &[])).ends(Exit::Success);
    let mut counts = std::collections::HashMap::new();
    let mut calls = Vec::new();
    for line in fs::read_to_string(kvs[0].path("trace")).unwrap().lines() {
        let call = line.split_whitespace().nth(1).unwrap_or("");
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        let n = *counts
            .entry(name.to_owned())
            .and_modify(|n| *n += 1)
            .or_insert(1);
        if counts.get("renameat") == Some(&2) && !["renameat", "close", "fcntl"].contains(&name) {
            calls.push((name.to_owned(), n));
        }
    }
    // From the draft to the look at the path.
    let look = calls.iter().position(|(name, _)| name == "newfstatat");
    calls.truncate(look.unwrap() + 1);
    assert_eq!(calls.len(), 7, "{calls:?}");
    for ((name, n), kv) in calls.iter().zip(&kvs[1..]) {
        let delay = format!("inject={name}:delay_enter=600000:when={n}");
        let mut command = batch(kv, &["-e", &delay]);
        let child = command.spawn().unwrap();
        thread::sleep(Duration::from_millis(300));
        fs::rename(kv.store().join("default"), kv.store().join("moved")).unwrap();
        let ran = Ran::with(&command, child.wait_with_output().unwrap());
        ran.ends(Exit::Success).prints("0 0\n\n".repeat(3));
        kv.holds("key", "3");
        assert_eq!(kv.litter(), [""; 0], "{name} {n}");
    }
}

/// Runs a command that is delayed at one call after the other, and demands one of these statuses.
#[track_caller]
fn goes_on(args: &[&str], statuses: &[i32]) {
    if !can_inject() {
        return cannot_run("strace, which delays a system call, does not work here");
    }
    let kv = Sandbox::in_memory();
    let fill = || {
        for key in ["key", "other"] {
            kv.run(["put", key, "old", "--sync", "off"])
                .ends(Exit::Success);
        }
    };
    fill();
    let calls = calls_on_the_store(&kv, args);
    assert!(calls.len() > 3, "{calls:?}");
    for (name, n) in &calls {
        fill();
        let delay = format!("inject={name}:delay_enter={}:when={n}", DELAY.as_micros());
        let mut command = strace(&kv, args, &["-e", &delay]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        thread::sleep(DELAY / 3);
        // Where the command holds a lock, the removal waits; where it made no namespace anew,
        // there is none.
        let removal = kv.run(["namespaces", "--remove", "default"]);
        let ended = removal.status().code();
        assert!(matches!(ended, Some(0 | 1)), "{}", removal.report());
        let ran = Ran::with(&command, child.wait_with_output().unwrap());
        let is_fine = ran.status().code().is_some_and(|s| statuses.contains(&s));
        assert!(is_fine, "{name} {n}: {}", ran.report());
        assert_eq!(ran.stderr_text(), "", "{name} {n}");
        if args[0] == "fsck" {
            assert_eq!(ran.stdout_text(), "", "{name} {n}");
        }
        let left = names_in(&kv.store());
        assert!(left.iter().all(|n| n == "default"), "{name} {n}: {left:?}");
        assert_eq!(kv.litter(), [""; 0], "{name} {n}");
    }
    tell_count(&format!("removed at each of {} system calls", calls.len()));
}

fn strace(kv: &Sandbox, args: &[&str], options: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "trace"]).args(options);
    command.arg(KV).args(args).current_dir(kv.root());
    command
        .env_clear()
        .env("KV_STORE", kv.store())
        .env("KV_SYNC", "off")
        .stdin(Stdio::null());
    command
}

/// Returns the calls from the one that opens the store on that something can come of: each by its
/// name and its number among those of that name. Of a long row of a kind, a few.
fn calls_on_the_store(kv: &Sandbox, args: &[&str]) -> Vec<(String, usize)> {
    Ran::of(&mut strace(kv, args, &[])).ends(Exit::Success);
    let text = fs::read_to_string(kv.path("trace")).unwrap();
    let mut counts = std::collections::HashMap::new();
    let mut is_at_store = false;
    let store = format!("\"{}\"", kv.store().display());
    let mut calls = Vec::new();
    for line in text.lines() {
        let call = line.split_whitespace().nth(1).unwrap_or("");
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        let n = counts.entry(name.to_owned()).or_insert(0);
        *n += 1;
        is_at_store |= line.contains(&store) && !line.contains("execve(");
        let harmless = [
            "close",
            "fcntl",
            "exit_group",
            "munmap",
            "sigaltstack",
            "futex",
        ];
        if is_at_store && !harmless.contains(&name) {
            calls.push((name.to_owned(), *n));
        }
    }
    // There is a lock for each of 256 shards.
    calls.retain(|(name, n)| counts[name] < 200 || *n < 6 || *n % 97 == 0);
    calls
}
