//! `kv wait`.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use crate::harness::{KV, Sandbox, can_trace, until};
use crate::process::{Started, sockets, state, ticks};

/// Starts `kv wait …` and waits until it has nothing to do but wait.
fn start(kv: &Sandbox, args: &[&str]) -> Started {
    let started = Started::new(kv.kv(["wait"].iter().chain(args)));
    let fds = format!("/proc/{}/fd", started.pid());
    until("it watches and sleeps", || {
        let open = fs::read_dir(&fds).into_iter().flatten().flatten();
        let watches = open
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|to| to.to_string_lossy().contains("inotify"));
        // Over the network there is one connection that looks, and two to watch.
        let watches = watches || sockets(started.pid()) >= 3;
        // Through a service it has one, and the service watches.
        let watches = watches || kv.waiting().is_some_and(|waiting| waiting > 0);
        watches && state(started.pid()) == Some('S')
    });
    started
}

/// Waits in the background while something is done that does not end it, and then what does.
fn ends_with(kv: &Sandbox, args: &[&str], not_yet: &[&[&str]], then: &[&str]) {
    let mut waiter = start(kv, args);
    for act in not_yet {
        kv.run(*act).ends(Exit::Success);
    }
    thread::sleep(Duration::from_millis(20));
    assert!(waiter.is_running(), "{args:?} ended before {then:?}");
    kv.run(then).ends(Exit::Success);
    waiter.end().ends(Exit::Success).is_silent();
}

/// Returns a key in the same directory as `k`, so that its changes are seen by who waits for `k`.
fn neighbour(kv: &Sandbox) -> String {
    let shard = |key: &str| kv.file_of(key.as_bytes()).parent().unwrap().to_owned();
    let mut keys = (0..).map(|n| format!("key{n}"));
    keys.find(|key| shard(key) == shard("k")).unwrap()
}

#[test]
fn what_holds_already_is_not_waited_for() {
    let kv = Sandbox::new();
    for args in [
        &["wait", "k", "--gone"][..],
        &["wait", "k", "--changed", "0123456789abcdef"],
    ] {
        kv.run(args).ends(Exit::Success).is_silent();
    }
    assert!(!kv.store().exists());
    kv.put("k", "v");
    let etag = kv.field("etag", "k");
    kv.run(["wait", "k"]).ends(Exit::Success).is_silent();
    kv.put("k", "v");
    kv.run(["wait", "k", "--changed", &etag])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn a_timeout_is_no_in_silence() {
    let kv = Sandbox::new();
    for timeout in ["0", "1ms", "50ms"] {
        kv.run(["wait", "k", "--timeout", timeout])
            .ends(Exit::No)
            .is_silent();
    }
    assert!(!kv.store().exists());
    kv.put("k", "v");
    let etag = kv.field("etag", "k");
    for args in [&["--gone"][..], &["--changed", &etag]] {
        for timeout in ["0", "50ms"] {
            kv.run(["wait", "k", "--timeout", timeout].iter().chain(args))
                .ends(Exit::No)
                .is_silent();
        }
    }
    kv.run(["wait", "k", "--timeout", "0"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
fn wakes_when_the_key_comes() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["remove", "k"]).ends(Exit::Success).is_silent();
    let near = neighbour(&kv);
    ends_with(
        &kv,
        &["k"],
        &[&["put", &near, "1"], &["remove", &near]],
        &["put", "k", "v"],
    );
}

#[test]
fn wakes_when_the_shard_the_namespace_or_the_store_was_not_there() {
    let kv = Sandbox::new();
    let put = ["put", "k", "v"];
    ends_with(&kv, &["k"], &[&["-n", "other", "put", "k", "v"]], &put);
    let kv = Sandbox::new();
    ends_with(&kv, &["k"], &[], &put);
    let kv = Sandbox::new();
    kv.put("another shard", "v");
    ends_with(&kv, &["k"], &[], &put);
    // Not even the directories above the store.
    let args = ["k", "--store", "a/b/c"];
    let put = ["put", "k", "v", "--store", "a/b/c"];
    ends_with(&kv, &args, &[&["put", "k", "v", "--store", "a/x"]], &put);
}

#[test]
fn wakes_when_the_key_goes() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let near = neighbour(&kv);
    ends_with(
        &kv,
        &["k", "--gone"],
        &[
            &["put", "k", "w"],
            &["put", &near, "1"],
            &["expire", "k", "1h"],
        ],
        &["remove", "k"],
    );
    kv.put("k", "v");
    ends_with(&kv, &["k", "--gone"], &[], &["get", "k", "--remove"]);
    kv.put("k", "v");
    let remove = ["namespaces", "--remove", "default"];
    ends_with(&kv, &["k", "--gone"], &[], &remove);
}

#[test]
fn wakes_when_the_entry_changes() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let near = neighbour(&kv);
    for act in [
        &["put", "k", "v"][..],
        &["append", "k", "more"],
        &["expire", "k", "1h"],
        &["remove", "k"],
    ] {
        let etag = kv.field("etag", "k");
        ends_with(
            &kv,
            &["k", "--changed", &etag],
            &[&["put", &near, "1"]],
            act,
        );
    }
}

#[test]
fn an_expiry_needs_nobody_to_do_anything() {
    let kv = Sandbox::new();
    let put = ["put", "k", "v", "--ttl", "300ms", "--print-etag"];
    kv.run(put).ends(Exit::Success);
    kv.run(["wait", "k", "--gone"])
        .ends(Exit::Success)
        .is_silent();
    kv.lacks("k");
    let etag = kv.run(put).ends(Exit::Success).line();
    kv.run(["wait", "k", "--changed", &etag])
        .ends(Exit::Success)
        .is_silent();
    // An expired key is not there, though its file is.
    assert!(kv.file_of(b"k").exists());
    kv.run(["wait", "k", "--timeout", "20ms"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
fn an_expiry_that_moves_is_followed() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "v", "--ttl", "500ms"])
        .ends(Exit::Success)
        .is_silent();
    let mut waiter = start(&kv, &["k", "--gone"]);
    kv.run(["expire", "k", "never"])
        .ends(Exit::Success)
        .is_silent();
    thread::sleep(Duration::from_millis(700));
    assert!(waiter.is_running());
    kv.run(["expire", "k", "10ms"])
        .ends(Exit::Success)
        .is_silent();
    waiter.end().ends(Exit::Success).is_silent();
}

#[test]
pub fn a_namespace_that_goes_and_comes_again_is_still_watched() {
    let kv = Sandbox::new();
    kv.put("other", "v");
    ends_with(
        &kv,
        &["k"],
        &[
            &["namespaces", "--remove", "default"],
            &["put", "other", "v"],
        ],
        &["put", "k", "v"],
    );
}

#[test]
fn waiting_takes_no_processor_time() {
    let kv = Sandbox::new();
    kv.put("other", "v");
    let mut waiter = start(&kv, &["k"]);
    let before = ticks(waiter.pid());
    thread::sleep(Duration::from_millis(500));
    assert!(waiter.is_running());
    // One who looks again and again would have used most of fifty.
    assert!(ticks(waiter.pid()) <= before + 1);
}

#[test]
fn it_is_woken_and_does_not_look_now_and_then() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("other", "v");
    let mut strace = Command::new("strace");
    let trace = kv.path("trace");
    strace.args([
        "-qq",
        "-e",
        "trace=poll,ppoll,nanosleep,clock_nanosleep",
        "-o",
    ]);
    strace.arg(&trace).args([KV, "wait", "k"]);
    strace.current_dir(kv.root()).env("KV_STORE", kv.store());
    let waiter = Started::new(strace);
    until("it waits", || {
        fs::read_to_string(&trace).is_ok_and(|text| text.contains("ppoll(["))
    });
    kv.put("k", "v");
    waiter.end().ends(Exit::Success).is_silent();
    let trace = fs::read_to_string(trace).unwrap();
    let idle = |line: &str| line.contains("sleep(") || line.contains("Timeout");
    assert!(!trace.lines().any(idle), "{trace}");
}

#[test]
pub fn a_waiter_can_be_killed() {
    let kv = Sandbox::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let waiter = start(&kv, &["k"]);
        waiter.signal(signal);
        let ran = waiter.end();
        assert_eq!(
            ran.status().signal(),
            Some(signal as i32),
            "{}",
            ran.report()
        );
    }
}

#[test]
pub fn a_wrong_command_line_is_refused() {
    let kv = Sandbox::new();
    for args in [
        &["wait"][..],
        &["wait", ""],
        &["wait", "a", "b"],
        &["wait", "k", "--gone", "--changed", "0123456789abcdef"],
        &["wait", "k", "--changed", "nonsense"],
        &["wait", "k", "--changed"],
        &["wait", "k", "--timeout", "-1"],
        &["wait", "k", "--timeout", "soon"],
        &["wait", "k", "--", "touch", "ran"],
    ] {
        kv.run(args).ends(Exit::Usage).prints("").complains(&[]);
    }
}

#[test]
fn each_of_many_waiters_is_woken() {
    let kv = Sandbox::new();
    kv.put("other", "v");
    let waiters: Vec<_> = (0..10).map(|_| start(&kv, &["k"])).collect();
    kv.put("k", "v");
    for waiter in waiters {
        waiter.end().ends(Exit::Success).is_silent();
    }
}
