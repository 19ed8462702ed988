//! Readers beside collections of garbage and bulk imports: an entry that moves between a file of its
//! own and packs is always there, and always whole, however slow its reader is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::dice::Dice;
use crate::harness::{Ran, Sandbox, tell_count};
use crate::pack_bulk::import;

/// For how long everybody goes on.
const TIME: Duration = Duration::from_secs(4);
/// Or longer, where the machine is slow; but not where nobody reads any more, as something was wrong.
const AT_MOST: Duration = Duration::from_secs(120);
/// Keys that are always there, each with its value.
const KEYS: usize = 24;

fn key(n: usize) -> String {
    format!("k{n:02}")
}

fn value(n: usize) -> String {
    format!("value {n} ").repeat(n + 1)
}

/// The commands of a batch that looks for each key, and one that is not there, three times.
const GETS: &str = "gets";
const TIMES: usize = 3;

/// Runs a command that reads; with `stops`, it is stopped for a while at some moment.
fn read(kv: &Sandbox, args: &[&str], dice: &mut Dice, stops: bool) -> Ran {
    let mut command = kv.kv(args);
    if args == ["batch"] {
        command.stdin(File::open(kv.path(GETS)).unwrap());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    if stops {
        let pid = Pid::from_raw(child.id().cast_signed());
        thread::sleep(Duration::from_micros(dice.roll(12_000)));
        // Nobody has waited for it, so that it is still this process, or what is left of it.
        kill(pid, Signal::SIGSTOP).unwrap();
        thread::sleep(Duration::from_millis(10 + dice.roll(50)));
        kill(pid, Signal::SIGCONT).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    Ran::with(&command, output)
}

/// Reads in one of the ways that there are, and judges what was read.
fn read_and_judge(kv: &Sandbox, dice: &mut Dice, stops: bool) {
    let n = dice.pick(KEYS);
    match dice.pick(5) {
        0 | 1 => {
            let ran = read(kv, &["get", &key(n)], dice, stops);
            ran.ends(Exit::Success).prints(value(n)).warns("");
        }
        2 => {
            let ran = read(kv, &["ls", "--values", "--prefix", "k"], dice, stops);
            let want: String = (0..KEYS)
                .map(|n| format!("{}\t{}\n", key(n), value(n)))
                .collect();
            ran.ends(Exit::Success).prints(want).warns("");
        }
        3 => {
            let answer = |n| format!("0 {}\n{}\n", value(n).len(), value(n));
            let want: String = (0..KEYS)
                .map(answer)
                .chain(["1 0\n\n".to_owned()])
                .collect();
            let ran = read(kv, &["batch"], dice, stops);
            ran.ends(Exit::No).prints(want.repeat(TIMES)).warns("");
        }
        _ => {
            let ran = read(kv, &["export"], dice, stops);
            let text = ran.ends(Exit::Success).warns("").stdout_text();
            let mut found = BTreeMap::new();
            for line in text.lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let [key, value] =
                    ["key", "value"].map(|name| line[name].as_str().unwrap().to_owned());
                assert_ne!(key, "removed", "it came back");
                assert!(found.insert(key, value).is_none(), "listed twice");
            }
            for n in 0..KEYS {
                assert_eq!(found.get(&key(n)), Some(&value(n)));
            }
        }
    }
}

/// Reads beside all that moves entries, and writes the same values over and over.
fn race(stops: bool) {
    let kv = Sandbox::new();
    for n in 0..KEYS {
        kv.put(&key(n), &value(n));
    }
    // A tombstone hides it for ever, loose or in one pack or another.
    kv.put("removed", "must not come back");
    import(&kv, &[], "");
    kv.run(["gc"]).ends(Exit::Success);
    kv.run(["remove", "removed"]).ends(Exit::Success);
    let gets = (0..KEYS).map(|n| format!("get {}\n", key(n)));
    let gets: String = gets.chain(["get removed\n".to_owned()]).collect();
    fs::write(kv.path(GETS), gets.repeat(TIMES)).unwrap();
    let lines: String = (0..KEYS)
        .step_by(2)
        .map(|n| format!("{{\"key\":\"{}\",\"value\":\"{}\"}}\n", key(n), value(n)))
        .collect();
    let began = Instant::now();
    let [reads, moves] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|scope| {
        let (kv, lines, reads, moves) = (&kv, &lines, &reads, &moves);
        // A slow machine takes longer until there was enough to see.
        let goes_on = move || {
            let [reads, moves] = [reads, moves].map(|count| count.load(Ordering::Relaxed));
            let enough = reads > 20 && moves > 5;
            began.elapsed() < TIME || !enough && began.elapsed() < AT_MOST
        };
        for number in 0..3 {
            scope.spawn(move || {
                let mut dice = Dice(number);
                while goes_on() {
                    read_and_judge(kv, &mut dice, stops);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(move || {
            let mut dice = Dice(70);
            while goes_on() {
                for _ in 0..4 {
                    let n = dice.pick(KEYS);
                    kv.put(&key(n), &value(n));
                }
                kv.run(["gc"]).ends(Exit::Success).is_silent();
                moves.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(move || {
            while goes_on() {
                import(kv, &[], lines);
                moves.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    let (reads, moves) = (reads.into_inner(), moves.into_inner());
    tell_count(&format!("{reads} reads beside {moves} moves"));
}

#[test]
fn what_is_always_there_is_always_found() {
    race(false);
}

#[test]
fn a_reader_that_is_stopped_finds_it_too() {
    race(true);
}
