//! A sync that fails: what was to be written, taken or removed is there or was handed over.

use std::fs;
use std::process::{Command, Stdio};

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};

use crate::harness::{KV, Ran, Sandbox, cannot_run, until};
use crate::kills::can_inject;
use crate::process::{Started, pid_in};

/// Runs kv and lets some of its syncs fail.
fn failing(kv: &Sandbox, when: &str, args: &[&str]) -> Ran {
    let mut command = Command::new("strace");
    let fault = format!("inject=fsync:error=EIO:when={when}");
    command.args(["-f", "-o", "trace", "-e", &fault, KV]);
    command.args(args).current_dir(kv.root()).env_clear();
    command.env("KV_STORE", kv.store()).stdin(Stdio::null());
    Ran::of(&mut command)
}

#[test]
fn what_is_taken_is_handed_over() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    for args in [
        &["get", "key", "--remove"][..],
        &["pop", "jobs"],
        &["pop", "jobs", "--last"],
    ] {
        let kv = Sandbox::new();
        kv.run(["put", "key", "value"]).ends(Exit::Success);
        kv.run(["push", "jobs", "value"]).ends(Exit::Success);
        failing(&kv, "1+", args)
            .ends(Exit::Failure)
            .prints("value")
            .complains(&["sync", "the change is made, but a power cut may undo it"]);
        kv.run(args).ends(Exit::No).is_silent();
    }
}

/// Also by a service, whose own sync fails: it tells so behind the value.
#[test]
fn what_is_taken_from_a_service_is_handed_over() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    for size in [5, 300_000] {
        let kv = Sandbox::new();
        let value = "v".repeat(size);
        kv.feed(["put", "key"], value.as_bytes())
            .ends(Exit::Success);
        kv.feed(["push", "jobs"], value.as_bytes())
            .ends(Exit::Success);
        let mut service = Command::new("strace");
        service.args(["-f", "-o", "trace", "-e", "inject=fsync:error=EIO"]);
        let script = format!("echo $$ >pid; exec {KV} serve --listen unix:s 2>log");
        service.args(["/bin/sh", "-c", &script]);
        service.current_dir(kv.root()).env_clear();
        service.env("KV_STORE", kv.store());
        let service = Started::new(service);
        // The file is there a moment before anybody can connect.
        until("it listens", || {
            fs::read_to_string(kv.path("log")).is_ok_and(|log| log.contains("listening"))
        });
        for args in [
            &["get", "key", "--remove"][..],
            &["pop", "jobs", "--wait", "1s"],
        ] {
            let run = || Ran::of(kv.kv(args).env("KV_STORE", "http+unix:s"));
            run().ends(Exit::Failure).prints(&value).complains(&[
                "`sync` failed",
                "the change is made, but a power cut may undo it",
            ]);
            assert_eq!(run().status().code(), Some(1));
        }
        kill(pid_in(&kv.path("pid")), Signal::SIGTERM).unwrap();
        _ = service.end();
    }
}

#[test]
fn what_is_removed_may_be_gone() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    let kv = Sandbox::new();
    kv.run(["put", "key", "value"]).ends(Exit::Success);
    failing(&kv, "1+", &["remove", "key"])
        .ends(Exit::Failure)
        .complains(&["sync", "the change is made, but a power cut may undo it"]);
    kv.lacks("key");
}

/// So are those above a database.
#[test]
fn what_is_above_a_database_is_synced_again() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    let kv = Sandbox::new();
    let store = format!("sqlite:{}", kv.path("new/above/store").display());
    let put = ["--store", &store, "put", "key", "value"];
    for _ in 0..2 {
        failing(&kv, "2", &put)
            .ends(Exit::Failure)
            .complains(&["cannot sync", "/new"]);
        assert!(kv.path("new/above").exists() && !kv.path("new/above/store").exists());
    }
    failing(&kv, "1000", &put).ends(Exit::Success);
}

/// The directories above a store are synced once, when its first namespace is made.
#[test]
fn what_is_above_a_store_is_synced_again() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    let kv = Sandbox::new();
    let store = kv.path("new/above/store");
    let store = store.to_str().unwrap();
    // Behind those of `format`, of the namespace and of the store.
    failing(&kv, "4", &["--store", store, "put", "key", "value"])
        .ends(Exit::Failure)
        .complains(&["sync", "new/above"]);
    failing(&kv, "4", &["--store", store, "put", "key", "value"])
        .ends(Exit::Failure)
        .complains(&["sync", "new/above"]);
    let ran = failing(&kv, "1000", &["--store", store, "put", "key", "value"]);
    ran.ends(Exit::Success);
    kv.run(["--store", store, "get", "key"])
        .ends(Exit::Success)
        .prints("value");
}
