//! What some systems forbid: changing modes, watching directories.

use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{Engine, KV, Ran, Sandbox, cannot_run, until};
use crate::kills::can_inject;

/// Prepares a command whose system calls of a kind fail.
fn without(kv: &Sandbox, call: &str, error: &str, args: &[&str]) -> Command {
    let mut command = Command::new("strace");
    let inject = format!("inject={call}:error={error}");
    command
        .args(["-f", "-o", "trace", "-e", &inject, KV])
        .args(args)
        .current_dir(kv.root())
        .env_clear()
        .env("HOME", kv.root())
        .env("KV_STORE", kv.location())
        .stdin(Stdio::null());
    command
}

#[test]
fn a_file_system_that_keeps_its_modes_will_do() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    for error in ["EPERM", "EOPNOTSUPP", "EACCES"] {
        let kv = Sandbox::new();
        for args in [
            &["put", "k", "v"][..],
            &["put", "k", "w", "--ttl", "1h"],
            &["push", "list", "v"],
            &["lock", "k", "--", "true"],
            &["gc"],
            &["fsck"],
        ] {
            let mut command = without(&kv, "fchmod", error, args);
            Ran::of(&mut command).ends(Exit::Success).is_silent();
        }
        kv.holds("k", "w");
    }
}

#[test]
fn what_cannot_be_watched_is_looked_at_again() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    for engine in [Engine::Tree, Engine::Sqlite] {
        for (call, error) in [
            ("inotify_init1", "EMFILE"),
            ("inotify_init1", "ENOSYS"),
            ("inotify_add_watch", "ENOSPC"),
            ("inotify_add_watch", "EACCES"),
            ("inotify_add_watch", "EPERM"),
            ("inotify_add_watch", "ENOSYS"),
        ] {
            let kv = Sandbox::on(engine);
            kv.put("other", "v");
            for (args, ends_it) in [
                (&["wait", "k"][..], &["put", "k", "v"]),
                (&["pop", "list", "--wait", "1h"], &["push", "list", "v"]),
            ] {
                let mut command = without(&kv, call, error, args);
                let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
                let child = child.spawn().unwrap();
                until("it tries to watch", || {
                    std::fs::read_to_string(kv.path("trace"))
                        .is_ok_and(|text| text.contains("INJECTED"))
                });
                kv.run(ends_it).ends(Exit::Success);
                let ran = Ran::with(&command, child.wait_with_output().unwrap());
                ran.ends(Exit::Success).warns("");
                std::fs::remove_file(kv.path("trace")).unwrap();
            }
        }
    }
}
