//! `kv lock --show`: who holds a lock.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime};

use kv::exit::Exit;
use nix::sys::signal::Signal;

use crate::harness::Sandbox;
use crate::process::{Started, until_there};

const SHOW: [&str; 3] = ["lock", "--show", "job"];

fn hold(kv: &Sandbox, args: &[&str]) -> Started {
    _ = fs::remove_file(kv.path("ready"));
    let started = Started::script(kv, args, "echo >ready; exec sleep 600");
    until_there(&kv.path("ready"));
    started
}

#[test]
fn tells_who_holds_it_since_when() {
    let kv = Sandbox::new();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for (options, shared) in [(&[][..], "no"), (&["--shared"], "yes")] {
        let before = SystemTime::now();
        let holder = hold(&kv, &[&["lock", "job"], options].concat());
        let shown = kv.run(SHOW).ends(Exit::Success).warns("").stdout_text();
        let lines: Vec<_> = shown.lines().collect();
        let [pid, at, since, how] = lines[..] else {
            panic!("{shown}");
        };
        assert_eq!(pid, format!("pid: {}", holder.pid()));
        assert_eq!(at, format!("host: {}", host.trim_end()));
        assert_eq!(how, format!("shared: {shared}"));
        let since = since.strip_prefix("since: ").unwrap();
        let since = humantime::parse_rfc3339(since).unwrap();
        // A clock may be read in coarser steps than it is written.
        assert!(since + Duration::from_millis(10) >= before && since <= SystemTime::now());
    }
}

#[test]
fn nobody_is_an_answer() {
    let kv = Sandbox::new();
    kv.run(SHOW).ends(Exit::No).is_silent();
    assert!(!kv.store().exists());
    kv.put("job", "a key, not a lock");
    kv.run(SHOW).ends(Exit::No).is_silent();
    for options in [&[][..], &["--shared"]] {
        kv.run([&["lock", "job"], options, &["--", "true"]].concat())
            .ends(Exit::Success)
            .is_silent();
        kv.run(SHOW).ends(Exit::No).is_silent();
        // Who was killed has not said that it is gone.
        let holder = hold(&kv, &[&["lock", "job"], options].concat());
        holder.signal(Signal::SIGKILL);
        _ = holder.end();
        kv.run(SHOW).ends(Exit::No).is_silent();
    }
    kv.run(["-n", "other", "lock", "--show", "job"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
fn of_several_it_names_one() {
    let kv = Sandbox::new();
    let (first, second) = (
        hold(&kv, &["lock", "job", "--shared"]),
        hold(&kv, &["lock", "job", "--shared"]),
    );
    let pids = [first.pid(), second.pid()];
    let shown = kv.run(SHOW).ends(Exit::Success).stdout_text();
    assert!(
        pids.iter()
            .any(|pid| shown.starts_with(&format!("pid: {pid}\n"))),
        "{shown}"
    );
    drop(first);
    kv.run(SHOW).ends(Exit::Success).warns("");
}

#[test]
fn who_looks_keeps_nobody_from_the_lock() {
    let kv = Sandbox::new();
    let look = "for i in $(seq 150); do kv lock --show job >/dev/null; [ $? -lt 2 ] || exit; done";
    let run = "for i in $(seq 100); do kv lock --no-wait job -- true || exit; done";
    thread::scope(|scope| {
        for script in [look, look, run] {
            let kv = &kv;
            scope.spawn(move || kv.shell("sh", script).ends(Exit::Success).is_silent());
        }
    });
}

#[test]
fn those_who_look_do_not_take_each_other_for_holders() {
    let kv = Sandbox::new();
    kv.run(["lock", "--shared", "job", "--", "true"])
        .ends(Exit::Success)
        .is_silent();
    let look = "for i in $(seq 150); do kv lock --show job && exit 9; done; true";
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| kv.shell("sh", look).ends(Exit::Success).is_silent());
        }
    });
}

#[test]
fn show_runs_nothing() {
    let kv = Sandbox::new();
    for more in [
        &["--", "touch", "ran"][..],
        &["--no-wait"],
        &["--wait", "1"],
        &["--shared"],
    ] {
        kv.run(SHOW.iter().chain(more))
            .ends(Exit::Program(125))
            .prints("")
            .complains(&["--show"]);
    }
    assert!(!kv.path("ran").exists());
}
