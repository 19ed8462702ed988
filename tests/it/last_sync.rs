//! A sync that fails: what was to be written, taken or removed is there or was handed over.

use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run};
use crate::kills::can_inject;

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
            .complains(&["sync"]);
        kv.run(args).ends(Exit::No).is_silent();
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
        .complains(&["sync"]);
    kv.lacks("key");
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
