//! A check of a store in use tells nothing that is not so, and a repair that is killed does no harm.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::engine;
use kv::exit::Exit;
use kv::store::{Clock as _, Key, Namespace};

use super::flips::is_refusal;
use super::{expected, file_of, flip, gc, names, small, space};
use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::{can_inject, kill_at, renew, trace};
use crate::library::{Now, open};

#[test]
fn what_others_do_meanwhile_is_no_damage() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let is_over = AtomicBool::new(false);
    let lines: String = (0..1_200).map(|n| format!("i{n}\tvalue {n}\n")).collect();
    let others: [&(dyn Fn(usize) + Sync); 5] = [
        &|n| {
            let key = format!("k{}", n % 20);
            kv.put(&key, &"x".repeat(n % 5_000));
            _ = kv.run(["remove", &format!("k{}", (n + 7) % 20)]);
        },
        &|n| {
            let key = format!("t{}", n % 10);
            let args = ["put", "--sync", "off", &key, "v", "--ttl", "50ms"];
            kv.run(args).ends(Exit::Success);
        },
        &|_| _ = kv.run(["gc"]).ends(Exit::Success),
        &|n| {
            kv.run(["push", "jobs", &n.to_string()]).ends(Exit::Success);
            _ = kv.run(["pop", "jobs"]).ends(Exit::Success);
        },
        &|_| {
            let args = ["import", "--tsv", "--sync", "off"];
            _ = kv.feed(args, lines.as_bytes()).ends(Exit::Success);
        },
    ];
    let checks = thread::scope(|scope| {
        let is_over = &is_over;
        let running = others.map(|other| {
            scope.spawn(move || {
                let mut n = 0;
                while !is_over.load(Ordering::Relaxed) {
                    other(n);
                    n += 1;
                }
            })
        });
        let begun = Instant::now();
        let mut checks = 0;
        let is_sound = |checks: usize| {
            let ran = kv.run(["fsck"]);
            assert!(
                ran.status().success() && ran.stdout().is_empty(),
                "check {checks}: {}",
                ran.report()
            );
        };
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while begun.elapsed() < Duration::from_secs(5) {
                is_sound(checks);
                checks += 1;
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        for other in running {
            other.join().unwrap();
        }
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
        checks
    });
    assert!(checks > 0);
    tell_count(&format!("{checks} checks of a store in use"));
}

#[test]
fn a_repair_that_is_killed_brings_nothing_back() {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    let template = small();
    fs::write(file_of(&template, "over"), "garbage").unwrap();
    let loose = file_of(&template, "loose");
    let last = fs::read(&loose).unwrap().len() - 1;
    flip(&loose, last);
    let mut packs = names(&template, "packs");
    packs.retain(|name| name != "MANIFEST");
    for pack in packs {
        let path = space(&template).join("packs").join(pack);
        // The first record.
        flip(&path, 30);
    }
    let args = ["fsck", "--repair"];
    let kv = Sandbox::in_memory();
    renew(&kv, &template);
    let jobs: Namespace = "jobs".parse().unwrap();
    let telling = ["over", "loose", "both", "old0", "gone packed", "gone twice"];
    let wanted = expected().into_iter();
    let wanted = wanted.filter(|(key, _)| telling.contains(&&**key));
    let wanted: Vec<_> = wanted
        .map(|(key, want)| (key.into_bytes(), want.map(String::into_bytes)))
        .collect();
    let calls = trace(&kv, &args, b"");
    let changing = [
        "rename", "link", "unlink", "mkdir", "fsync", "write", "openat2", "flock",
    ];
    let points: Vec<_> = calls
        .iter()
        .filter(|(name, _)| changing.iter().any(|part| name.contains(part)))
        .collect();
    for point in &points {
        renew(&kv, &template);
        kill_at(&kv, &args, b"", point);
        let store = open(kv.location(), engine::Sync::Off, 10);
        for round in 0..2 {
            for (key, want) in &wanted {
                let read = store.get(&jobs, &Key::new(key.clone()).unwrap(), Now.now());
                let read = read.and_then(|entry| entry.map(|e| e.value.into_vec()).transpose());
                match read {
                    Ok(Some(value)) => {
                        assert_eq!(Some(&value), want.as_ref(), "{point:?}, {round}: {key:?}");
                    }
                    Ok(None) => assert!(
                        want.is_none() || key == b"over" || key == b"loose",
                        "{point:?}, {round}: {key:?}"
                    ),
                    Err(err) => assert!(is_refusal(&err), "{point:?}, {round}: {err}"),
                }
            }
            // What was begun is brought to its end.
            kv.run(args).ends(Exit::Success);
        }
        gc(&kv);
    }
    tell_count(&format!("killed at each of {} system calls", points.len()));
}
