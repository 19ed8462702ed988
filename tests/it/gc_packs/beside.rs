//! `kv gc` beside others, where it may not write, and killed on its way.

use std::fs::{self, OpenOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use super::{contents, cool, files, gc, ls, pack, packs};
use crate::harness::{Sandbox, cannot_run, has_program, tell_count, until};
use crate::kills::{can_inject, kill_at, renew, trace};
use crate::machine::Mount;
use crate::sweep::age;

#[test]
fn a_second_collection_is_silent_and_does_nothing() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    cool(&kv);
    let path = kv.space().join("locks/gc");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    let lock = lock.unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let before = contents(&kv);
    for args in [&["gc"][..], &["-n", "default", "gc", "--max-entries", "0"]] {
        kv.run(args).ends(Exit::Success).is_silent();
        assert!(contents(&kv) == before);
    }
    // Other namespaces are not concerned.
    kv.run(["-n", "other", "put", "k", "v"]).ends(Exit::Success);
    cool(&kv);
    gc(&kv);
    assert!(!files(&kv.store().join("other/packs")).is_empty());
    drop(lock);
    pack(&kv);
    kv.holds("k", "v");
}

#[test]
fn a_store_that_cannot_be_written_is_an_error() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=4m") else {
        return;
    };
    disk.run(&kv, ["put", "k", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    disk.run(&kv, ["put", "old", "v"]).ends(Exit::Success);
    disk.make_read_only();
    disk.run(&kv, ["gc"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["cannot ", "Read-only file system"]);
    disk.run(&kv, ["get", "old"])
        .ends(Exit::Success)
        .prints("v");
}

#[test]
fn readers_and_writers_go_on() {
    let kv = Sandbox::new();
    for n in 0..30 {
        kv.put(&format!("k{n:02}"), "before");
    }
    // What is written over, removed and read lies in a pack.
    pack(&kv);
    let is_over = AtomicBool::new(false);
    let looks = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0_usize;
            while !is_over.load(Ordering::Relaxed) || looks == 0 {
                kv.holds(&format!("k{:02}", 10 + looks % 20), "before");
                kv.lacks("absent");
                assert_eq!(ls(&kv, &["--count", "k1*"]), "10\n");
                looks += 1;
            }
            looks
        });
        let writer = scope.spawn(|| {
            for n in 0..60 {
                let key = format!("k{:02}", n % 10);
                kv.put(&key, &format!("{n}"));
                kv.holds(&key, format!("{n}"));
                kv.run(["remove", &key]).ends(Exit::Success).is_silent();
                kv.lacks(&key);
                let add = ["put", &key, "again", "--if-absent", "--sync", "off"];
                kv.run(add).ends(Exit::Success).is_silent();
            }
        });
        while !writer.is_finished() {
            gc(&kv);
        }
        writer.join().unwrap();
        is_over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    tell_count(&format!("{looks} looks beside gc"));
    pack(&kv);
    let all: String = (0..30)
        .map(|n| format!("k{n:02}\t{}\n", if n < 10 { "again" } else { "before" }))
        .collect();
    assert_eq!(ls(&kv, &["--values"]), all);
}

/// System calls that change a disk: killed between two of them is killed before the second.
fn changes(call: &str) -> bool {
    let names = [
        "write",
        "pwrite",
        "rename",
        "unlink",
        "mkdir",
        "link",
        "fsync",
        "fdatasync",
    ];
    let more = ["ftruncate", "fallocate", "copy_file", "fchmod", "sendfile"];
    names.iter().chain(&more).any(|name| call.starts_with(name))
}

#[test]
fn killed_anywhere_it_loses_nothing_and_brings_nothing_back() {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    // Two packs, entries that hide packed ones, tombstones, and what has to be swept.
    let template = Sandbox::in_memory();
    for key in ["a", "b", "c", "d"] {
        template.put(key, "first");
    }
    pack(&template);
    template.put("b", "second");
    template.run(["remove", "c"]).ends(Exit::Success);
    pack(&template);
    template.put("d", "third");
    template.put("e", "third");
    template.run(["remove", "a"]).ends(Exit::Success);
    template
        .run(["put", "due", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    until("it has expired", || {
        template.run(["has", "due"]).status().code() == Some(1)
    });
    let draft = template.space().join("tmp/dead");
    fs::write(&draft, "half").unwrap();
    cool(&template);
    age(&draft, Duration::from_secs(120));
    let want = ls(&template, &["--values"]);
    assert_eq!(want, "b\tsecond\nd\tthird\ne\tthird\n");

    for args in [&["gc"][..], &["-n", "default", "gc", "--max-entries", "3"]] {
        let kv = Sandbox::in_memory();
        renew(&kv, &template);
        let mut calls = trace(&kv, args, b"");
        assert_eq!(ls(&kv, &["--values"]), want);
        calls.retain(|(name, _)| changes(name));
        assert!(calls.len() > 10, "{calls:?}");
        for point in &calls {
            renew(&kv, &template);
            kill_at(&kv, args, b"", point);
            for _ in 0..2 {
                assert_eq!(ls(&kv, &["--values"]), want, "{point:?}");
                for key in ["a", "c", "due"] {
                    kv.lacks(key);
                }
                gc(&kv);
            }
            for path in files(&kv.space().join("packs")).keys() {
                let name = path.file_name().unwrap().to_str().unwrap();
                let is_known = name == "MANIFEST" || packs(&kv).contains(&name.to_owned());
                assert!(is_known, "{point:?} left {name}");
            }
        }
        tell_count(&format!("killed at each of {} changes", calls.len()));
    }
}

#[test]
fn a_bar_is_shown_to_nobody_but_a_person() {
    if !has_program("script") {
        return cannot_run("there is no script(1) to make a terminal with");
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    cool(&kv);
    // Whatever was drawn on the way, nothing of it is left.
    let shown = kv.shell("sh", "sleep 0.2 | script -qec 'kv gc' /dev/null");
    let shown = shown.ends(Exit::Success).stdout_text();
    let last = shown.rsplit("\r\x1b[K").next().unwrap();
    assert_eq!(last, "", "{shown:?}");
    assert!(!kv.file_of(b"k").exists());
}

#[test]
fn thousands_are_unlinked_at_once_and_what_changes_meanwhile_stays() {
    // From 4,096 on several threads unlink them.
    const COUNT: usize = 6_000;
    let kv = Sandbox::new();
    let puts: String = (0..COUNT)
        .map(|n| format!("put k{n} v{n} --ttl 52w\n"))
        .collect();
    kv.feed(["batch", "--sync", "off"], puts.as_bytes())
        .ends(Exit::Success);
    let is_done = AtomicBool::new(false);
    let changed = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut changed = Vec::new();
            while !is_done.load(Ordering::SeqCst) {
                let n = changed.len() * 37 % COUNT;
                kv.put(&format!("k{n}"), "new");
                changed.push(n);
            }
            changed
        });
        gc(&kv);
        is_done.store(true, Ordering::SeqCst);
        writer.join().unwrap()
    });
    let mut want: Vec<String> = (0..COUNT)
        .map(|n| match changed.contains(&n) {
            true => format!("k{n}\tnew\n"),
            false => format!("k{n}\tv{n}\n"),
        })
        .collect();
    want.sort();
    let listed = kv.run(["ls", "--values"]).ends(Exit::Success);
    listed.prints(want.concat()).warns("");
    let loose: usize = kv
        .names_in("objects")
        .iter()
        .map(|shard| kv.names_in(&format!("objects/{shard}")).len())
        .sum();
    assert!(!changed.is_empty());
    assert!(loose <= changed.len(), "{loose} of {}", changed.len());
    tell_count(&format!("{} changed beside", changed.len()));
}
