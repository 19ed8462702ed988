//! The first write: a store comes to its place whole, or not at all.

use std::fs;
use std::process::{Command, Stdio};

use kv::exit::Exit;

use super::{reader, sandbox};
use crate::harness::{KV, Ran, cannot_run, names_in, tell_count};
use crate::kills::{can_inject, kill_at, trace};
use crate::process::Started;

#[test]
fn a_first_put_that_is_killed_leaves_a_store_or_nothing() {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    let put = ["put", "k", "v"];
    let calls = trace(&sandbox(), &put, &[]);
    let changing = [
        "open",
        "openat",
        "write",
        "pwrite64",
        "fchmod",
        "fsync",
        "fdatasync",
        "linkat",
        "fcntl",
        "close",
        "ftruncate",
        "unlink",
        "mmap",
    ];
    let steps = calls
        .iter()
        .filter(|(name, _)| changing.contains(&name.as_str()));
    let (mut none, mut made) = (0, 0);
    for step in steps {
        let kv = sandbox();
        kill_at(&kv, &put, &[], step);
        let is_made = kv.store().exists();
        for args in [&["get", "k"][..], &["ls"], &["fsck"], &["info"]] {
            let ran = kv.run(args);
            let code = ran.status().code();
            assert!(matches!(code, Some(0 | 1)), "{step:?}: {}", ran.report());
            assert_eq!(ran.stderr_text(), "", "{step:?}");
        }
        let names = names_in(kv.root());
        let left: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with("store") || name.starts_with('.'))
            .collect();
        match is_made {
            true => made += 1,
            false => {
                assert_eq!(left, Vec::<&String>::new(), "{step:?}");
                none += 1;
            }
        }
        kv.put("k", "w");
        kv.holds("k", "w");
    }
    assert!(
        none > 5 && made > 10,
        "{none} without a store, {made} with one"
    );
    tell_count(&format!("killed at each of {} system calls", none + made));
}

#[test]
fn of_several_first_writers_each_stores_and_no_reader_sees_half_a_store() {
    for _ in 0..5 {
        let kv = sandbox();
        let begin = |args: &[&str]| Started::new(kv.kv(args));
        let writers: Vec<_> = (0..8)
            .map(|n| {
                (
                    begin(&["put", &format!("k{n}"), "v"]),
                    begin(&["has", "other"]),
                )
            })
            .collect();
        for (writer, reader) in writers {
            writer.end().ends(Exit::Success).is_silent();
            reader.end().ends(Exit::No).is_silent();
        }
        let ran = kv.run(["ls", "--count"]).ends(Exit::Success);
        ran.prints("8\n");
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
}

#[test]
fn a_log_that_is_left_of_another_store_is_none_of_a_new_one() {
    let kv = sandbox();
    kv.put("old", "v");
    let open = reader(&kv.store());
    kv.put("older", "v");
    let log = fs::read(kv.path("store-wal")).unwrap();
    assert!(!log.is_empty());
    drop(open);
    fs::remove_file(kv.store()).unwrap();
    fs::write(kv.path("store-wal"), log).unwrap();
    kv.put("k", "v");
    kv.run(["ls"]).ends(Exit::Success).prints("k\n");
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}

#[test]
fn a_file_system_without_files_that_have_no_name_will_do() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    for error in ["EOPNOTSUPP", "EPERM", "ENOENT"] {
        let kv = sandbox();
        let inject = format!("inject=linkat:error={error}");
        let mut command = Command::new("strace");
        command.args(["-f", "-o", "trace", "-e", &inject, KV, "put", "k", "v"]);
        command
            .current_dir(kv.root())
            .env_clear()
            .env("HOME", kv.root());
        command.env("KV_STORE", kv.location()).stdin(Stdio::null());
        Ran::of(&mut command).ends(Exit::Success).is_silent();
        let calls = fs::read_to_string(kv.path("trace")).unwrap();
        assert!(calls.contains("INJECTED"), "{calls}");
        kv.holds("k", "v");
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
}

#[test]
fn an_empty_file_becomes_a_store() {
    let kv = sandbox();
    fs::write(kv.store(), "").unwrap();
    // It may have been a store that somebody has emptied.
    for args in [
        &["get", "k"][..],
        &["has", "k"],
        &["ls"],
        &["remove", "k"],
        &["fsck"],
        &["info"],
    ] {
        let ran = kv.run(args).ends(Exit::Failure).prints("");
        ran.complains(&["cannot open", "it is empty"]);
    }
    kv.put("k", "v");
    kv.holds("k", "v");
    for args in [
        &["incr", "k"][..],
        &["append", "k", "v"],
        &["update", "k", "--", "echo"],
        &["memo", "--ttl", "1h", "--", "echo"],
        &["push", "jobs", "v"],
    ] {
        fs::write(kv.store(), "").unwrap();
        let made = kv.run(args);
        assert_eq!(made.status().code(), Some(0), "{}", made.report());
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
}
