//! All commands at once, in one store: every history is linearizable, each element of a list comes
//! out once, nobody shares a lock, and a remembered command has run once.
//!
//! Here for so many operations; `tests/stress SECONDS` goes on for as long as is said, by
//! `KV_TEST_SECONDS`.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;

use crate::dice::Dice;
use crate::harness::{Ran, Sandbox, tell_count};
use crate::history::History;
use crate::pack_races::{Hand, bulk, collect_seldom, kill_bulk, kill_collect, single};

/// So many things does each hand do, unless it is told for how long to go on.
const EACH: usize = 60;

/// What is at work besides the histories of single keys.
struct Others<'a> {
    kv: &'a Sandbox,
    next: AtomicUsize,
    pushed: Mutex<BTreeSet<String>>,
    /// Whose pushing was killed: they may be there or not.
    unsure: Mutex<BTreeSet<String>>,
    popped: Mutex<Vec<String>>,
    locked: AtomicUsize,
    remembered: AtomicUsize,
}

impl Others<'_> {
    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.kv.kv(args);
        command.env("KV_SYNC", "off").env("KV_BUSY_TIMEOUT", "5m");
        Ran::of(&mut command)
    }

    fn push_or_pop(&self, dice: &mut Dice) {
        let element = format!("e{}", self.next.fetch_add(1, Ordering::Relaxed));
        match dice.roll(9) {
            0..4 => {
                self.run(&["push", "jobs", &element]).ends(Exit::Success);
                self.pushed.lock().unwrap().insert(element);
            }
            4 => {
                let mut command = self.kv.kv(["push", "jobs", &element, "--sync", "off"]);
                let mut child = command.spawn().unwrap();
                thread::sleep(dice.moment() / 10);
                child.kill().unwrap();
                match child.wait().unwrap().success() {
                    true => self.pushed.lock().unwrap().insert(element),
                    false => self.unsure.lock().unwrap().insert(element),
                };
            }
            _ => {
                let ran = self.run(&["pop", "jobs"]);
                if ran.status().code() != Some(1) {
                    let element = ran.ends(Exit::Success).stdout_text();
                    self.popped.lock().unwrap().push(element);
                }
            }
        }
    }

    /// Whoever holds the lock alone can make the directory.
    fn lock(&self) {
        let alone = "mkdir alone && rmdir alone";
        let args = ["lock", "name", "--", "sh", "-c", alone];
        self.run(&args).ends(Exit::Success).is_silent();
        self.locked.fetch_add(1, Ordering::Relaxed);
    }

    fn memo(&self, dice: &mut Dice) {
        let key = format!("answer {}", dice.roll(6));
        let run = format!("echo x >> '{key}'; echo '{key}'");
        let args = ["memo", &key, "--ttl", "1h", "--", "sh", "-c", &run];
        let ran = self.run(&args).ends(Exit::Success);
        assert_eq!(ran.line(), key);
        assert_eq!(fs::read(self.kv.path(&key)).unwrap(), b"x\n", "{key}");
        self.remembered.fetch_add(1, Ordering::Relaxed);
    }

    /// Demands that each element that was pushed comes out once.
    #[track_caller]
    fn check(self) -> String {
        let left = self.run(&["items", "jobs"]).ends(Exit::Success);
        let (pushed, unsure) = (
            self.pushed.into_inner().unwrap(),
            self.unsure.into_inner().unwrap(),
        );
        let mut all = self.popped.into_inner().unwrap();
        let popped = all.len();
        all.extend(left.stdout_text().lines().map(str::to_owned));
        let once: BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!(once.len(), all.len(), "an element came out twice");
        let lost: Vec<_> = pushed.difference(&once).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let known: BTreeSet<_> = pushed.union(&unsure).cloned().collect();
        assert!(once.is_subset(&known), "nobody pushed what came out");
        format!(
            "{} elements pushed, {popped} popped, {} pushes killed, {} locks, {} answers remembered",
            pushed.len(),
            unsure.len(),
            self.locked.into_inner(),
            self.remembered.into_inner()
        )
    }
}

/// Besides what [`single`] does to a key: what changes it in other ways, and what shows them all.
fn more(history: &History<'_>, dice: &mut Dice) {
    let key = dice.key();
    match dice.roll(12) {
        0 => history.append(key, dice.roll(10)),
        1 => history.batch(),
        2..5 => history.list(),
        5 => history.kill_put(key, dice.moment() / 10),
        6 => history.kill_remove(key, dice.moment() / 10),
        7 => {
            if let Some(seen) = history.get(key) {
                history.put_if_value(key, seen);
            }
        }
        8 => history.put(key, &["--ttl", "1h"]),
        9 => history.put(key, &["--keep-ttl"]),
        _ => single(history, dice),
    }
}

#[test]
fn all_commands_at_once() {
    let seconds = std::env::var("KV_TEST_SECONDS").ok();
    let time = seconds.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let (began, seed) = (Instant::now(), time.map_or(0, |time| time.as_secs()));
    let goes_on = |done: usize| match time {
        Some(time) => began.elapsed() < time,
        None => done < EACH,
    };

    let kv = Sandbox::new();
    let history = History::new(&kv, "off");
    let others = Others {
        kv: &kv,
        next: AtomicUsize::new(0),
        pushed: Mutex::default(),
        unsure: Mutex::default(),
        popped: Mutex::default(),
        locked: AtomicUsize::new(0),
        remembered: AtomicUsize::new(0),
    };
    let on_keys: [Hand<'_, '_>; 8] = [
        &more,
        &more,
        &more,
        &single,
        &bulk,
        &kill_bulk,
        &kill_collect,
        &collect_seldom,
    ];
    thread::scope(|scope| {
        for (number, hand) in (1_u64..).zip(on_keys) {
            let (history, goes_on) = (&history, &goes_on);
            scope.spawn(move || {
                let mut dice = Dice(number + 100 * seed);
                for done in 0.. {
                    // The slow ones do less.
                    let weight = if number > 4 { 4 } else { 1 };
                    if !goes_on(done * weight) {
                        return;
                    }
                    hand(history, &mut dice);
                }
            });
        }
        for number in 0..4_u64 {
            let (others, goes_on) = (&others, &goes_on);
            scope.spawn(move || {
                let mut dice = Dice(number);
                for done in 0.. {
                    if !goes_on(done) {
                        return;
                    }
                    match number {
                        0 | 1 => others.push_or_pop(&mut dice),
                        2 => others.lock(),
                        _ => others.memo(&mut dice),
                    }
                    thread::sleep(dice.moment() / 4);
                }
            });
        }
    });
    let told = others.check();
    let (count, killed) = history.check();
    let ran = kv.run(["fsck"]).ends(Exit::Success);
    assert!(!ran.stdout_text().contains("damage: "), "{}", ran.report());
    tell_count(&format!(
        "{count} operations on keys, {killed} commands killed, {told}"
    ));
}
