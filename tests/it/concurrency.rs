//! Many real processes at work in one store at the same time.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::dice::Dice;
use crate::harness::{Ran, Sandbox, names_in, tell_count};
use crate::history::{History, KEYS};

/// Runs `work` in eight threads at once, each with dice of its own: what is done is the same in each run, and only the order
/// in which it happens is not.
fn in_eight(work: impl Fn(&mut Dice) + Sync) {
    thread::scope(|scope| {
        for thread in 0..8 {
            let work = &work;
            scope.spawn(move || work(&mut Dice(thread)));
        }
    });
}

#[track_caller]
fn no_litter(kv: &Sandbox) {
    assert_eq!(kv.litter(), [""; 0]);
    let names = names_in(&kv.store());
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}

/// Does all that can be done to a key, and some of it killed half-way.
fn anything(history: &History<'_>, dice: &mut Dice, with_kills: bool) {
    let key = dice.pick(KEYS.len());
    match dice.pick(if with_kills { 20 } else { 18 }) {
        0..=2 => history.put(key, &[]),
        3 => history.put(key, &["--ttl", "1h"]),
        4..=6 => _ = history.get(key),
        7..=8 => history.remove(key),
        9..=10 => history.put_if_absent(key),
        11..=13 => {
            if let Some(seen) = history.get(key) {
                history.put_if_value(key, seen);
            }
        }
        14..=15 => history.put_if_etag(key),
        16..=17 => history.take(key),
        18 => history.kill_put(key, Duration::from_micros(dice.roll(4000))),
        _ => history.kill_remove(key, Duration::from_micros(dice.roll(4000))),
    }
}

fn is_linearizable(sync: &str, each: usize) {
    let kv = Sandbox::new();
    let history = History::new(&kv, sync);
    in_eight(|dice| {
        for _ in 0..each {
            anything(&history, dice, true);
        }
    });
    let (count, killed) = history.check();
    tell_count(&format!(
        "{count} operations on {} keys, {killed} of them killed",
        KEYS.len()
    ));
}

#[test]
pub fn what_happens_to_a_key_happened_in_some_order() {
    is_linearizable("off", 400);
}

#[test]
fn what_happens_to_a_key_happened_in_some_order_with_syncs() {
    is_linearizable("full", 40);
}

#[test]
pub fn nobody_unkilled_leaves_litter() {
    let kv = Sandbox::new();
    let history = History::new(&kv, "off");
    in_eight(|dice| {
        for _ in 0..60 {
            anything(&history, dice, false);
        }
    });
    history.check();
    no_litter(&kv);
}

#[test]
pub fn a_change_of_expiry_loses_no_put() {
    let kv = Sandbox::new();
    let history = History::new(&kv, "off");
    in_eight(|dice| {
        for _ in 0..120 {
            let key = dice.pick(2);
            match dice.pick(8) {
                0..=1 => history.put(key, &["--keep-ttl"]),
                2 => history.put(key, &[]),
                3..=4 => history.expire(key, "1h"),
                5 => history.expire(key, "never"),
                _ => _ = history.get(key),
            }
        }
    });
    let (count, _) = history.check();
    no_litter(&kv);
    tell_count(&format!("{count} operations"));
}

#[test]
pub fn a_namespace_can_be_removed_beside_its_writers() {
    let kv = Sandbox::new();
    let history = History::new(&kv, "off");
    in_eight(|dice| {
        for _ in 0..80 {
            match dice.pick(16) {
                0 => history.clear(),
                _ => anything(&history, dice, false),
            }
        }
    });
    let (count, _) = history.check();
    let names = names_in(&kv.store());
    assert!(names.iter().all(|name| name == "default"), "{names:?}");
    kv.run(["put", "one", "later"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["get", "one"]).ends(Exit::Success).prints("later");
    no_litter(&kv);
    tell_count(&format!("{count} operations"));
}

#[test]
fn many_can_be_the_first_to_write() {
    let rounds = 12;
    for round in 0..rounds {
        let kv = Sandbox::new();
        let sync = if round % 4 == 0 { "full" } else { "off" };
        let start = Barrier::new(28);
        thread::scope(|scope| {
            for writer in 0..20 {
                let (kv, start) = (&kv, &start);
                scope.spawn(move || {
                    start.wait();
                    let name = writer.to_string();
                    kv.run(["put", &name, &name, "--sync", sync])
                        .ends(Exit::Success)
                        .is_silent();
                });
            }
            for _ in 0..8 {
                let (kv, start) = (&kv, &start);
                scope.spawn(move || {
                    start.wait();
                    for key in ["0", "7", "19"] {
                        let ran = kv.run(["get", key]);
                        assert!(
                            matches!(ran.status().code(), Some(0 | 1)),
                            "{}",
                            ran.report()
                        );
                        kv.run(["namespaces"]).ends(Exit::Success);
                        kv.run(["ls"]).ends(Exit::Success);
                    }
                });
            }
        });
        assert_eq!(names_in(&kv.store()), ["default"]);
        no_litter(&kv);
        for writer in 0..20 {
            let name = writer.to_string();
            kv.run(["get", &name]).ends(Exit::Success).prints(&name);
        }
    }
    tell_count(&format!("{rounds} new stores, 20 first writers each"));
}

/// Starts `kv put KEY …` and leaves it waiting for its value.
fn start_put(kv: &Sandbox, args: &[&str]) -> Child {
    let mut command = kv.kv(args);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn of_many_with_one_condition_one_wins() {
    let kv = Sandbox::new();
    for round in 0..6 {
        let key = round.to_string();
        let etag;
        let condition = match round % 3 {
            0 => vec!["--if-absent"],
            1 => {
                kv.run(["put", &key, "old"]).ends(Exit::Success);
                vec!["--if-value", "old"]
            }
            _ => {
                etag = kv.run(["put", &key, "old", "--print-etag"]).stdout_text();
                vec!["--if-etag", etag.trim_end()]
            }
        };
        let args = [&["put", &key, "--sync", "off"], &condition[..]].concat();
        let mut waiting: Vec<_> = (0..50).map(|_| start_put(&kv, &args)).collect();
        // Each has found that the condition holds, and has made its draft.
        while kv.litter().len() < waiting.len() {
            thread::sleep(Duration::from_millis(1));
        }
        for child in &mut waiting {
            drop(child.stdin.take());
        }
        let statuses = waiting.into_iter().map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.stderr.is_empty(), "{output:?}");
            output.status.code().unwrap()
        });
        let mut statuses: Vec<_> = statuses.collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [&[0], &[1; 49][..]].concat(), "{condition:?}");
        no_litter(&kv);
    }
}

#[test]
pub fn each_value_is_taken_once() {
    let kv = Sandbox::new();
    let many = 120;
    let taken = AtomicUsize::new(0);
    let values = thread::scope(|scope| {
        for producer in 0..4 {
            let kv = &kv;
            scope.spawn(move || {
                for number in (producer..many).step_by(4) {
                    let value = number.to_string();
                    let args = ["put", "slot", &value, "--if-absent", "--sync", "off"];
                    while kv.run(args).status().code() == Some(1) {}
                }
            });
        }
        let takers = [(); 4].map(|()| {
            let (kv, taken) = (&kv, &taken);
            scope.spawn(move || {
                let mut values = Vec::new();
                while taken.load(Ordering::Relaxed) < many {
                    let ran = kv.run(["get", "slot", "--remove", "--sync", "off"]);
                    match ran.status().code() {
                        Some(0) => {
                            taken.fetch_add(1, Ordering::Relaxed);
                            values.push(ran.stdout_text().parse().unwrap());
                        }
                        Some(1) => {}
                        _ => panic!("{}", ran.report()),
                    }
                }
                values
            })
        });
        let values = takers.into_iter().flat_map(|taker| taker.join().unwrap());
        values.collect::<Vec<usize>>()
    });
    assert_eq!(values.len(), many, "{values:?}");
    assert_eq!(BTreeSet::from_iter(values), BTreeSet::from_iter(0..many));
    kv.run(["get", "slot"]).ends(Exit::No).is_silent();
    no_litter(&kv);
    tell_count(&format!("{many} values handed on"));
}

/// 100 KiB, each word of which tells whose they are.
fn large_value(id: u64) -> Vec<u8> {
    let mut dice = Dice(id);
    let words = (0..12_800).map(|word| if word == 0 { id } else { dice.roll(u64::MAX) });
    words.flat_map(u64::to_le_bytes).collect()
}

#[test]
pub fn readers_beside_writers_see_whole_values() {
    let kv = Sandbox::new();
    let keys = ["a", "b", "c"];
    for key in keys {
        kv.feed(["put", key], &large_value(0)).ends(Exit::Success);
    }
    let reads = AtomicUsize::new(0);
    let read = |key: &str| {
        let ran = kv.run(["get", key]).ends(Exit::Success).warns("");
        let id = u64::from_le_bytes(ran.stdout()[..8].try_into().unwrap());
        assert!(ran.stdout() == large_value(id), "a torn value of {id}");
        reads.fetch_add(1, Ordering::Relaxed);
    };
    let (writers, is_over) = (AtomicUsize::new(50), AtomicBool::new(false));
    thread::scope(|scope| {
        for writer in 0..50_u64 {
            let (kv, writers, is_over) = (&kv, &writers, &is_over);
            scope.spawn(move || {
                for round in 0..8 {
                    let key = keys[usize::try_from(writer + round).unwrap() % keys.len()];
                    let value = large_value(1 + writer * 100 + round);
                    kv.feed(["put", key, "--sync", "off"], &value)
                        .ends(Exit::Success)
                        .is_silent();
                }
                if writers.fetch_sub(1, Ordering::Relaxed) == 1 {
                    is_over.store(true, Ordering::Relaxed);
                }
            });
        }
        for reader in 0..50 {
            let (read, is_over) = (&read, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    read(keys[reader % keys.len()]);
                }
            });
        }
    });
    no_litter(&kv);
    let reads = reads.into_inner();
    assert!(reads > 0);
    tell_count(&format!("400 writes, {reads} reads"));
}

#[test]
fn a_reader_is_not_kept_by_who_holds_the_lock() {
    let kv = Sandbox::new();
    kv.run(["put", "key", "value"]).ends(Exit::Success);
    let file = kv.file_of(b"key");
    let shard = file.parent().unwrap().file_name().unwrap();
    let lock = std::fs::File::open(kv.space().join("locks").join(shard)).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    kv.run(["get", "key"]).ends(Exit::Success).prints("value");
    kv.run(["has", "key"]).ends(Exit::Success);
    kv.run(["ls"]).ends(Exit::Success).prints("key\n");
    let waited = Ran::of(&mut kv.kv(["put", "key", "x", "--busy-timeout", "50ms"]));
    waited.ends(Exit::Busy).complains(&["is in use"]);
    kv.run(["remove", "key", "--busy-timeout", "50ms"])
        .ends(Exit::Busy)
        .complains(&["is in use"]);
    no_litter(&kv);
    drop(lock);
    kv.run(["get", "key"]).ends(Exit::Success).prints("value");
}
