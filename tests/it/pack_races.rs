//! All that changes a key, at once, on the same few keys, while packs are written, merged and
//! replaced: each history is linearizable. The protocols' model, on the binary.

use std::thread;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::harness::{Sandbox, tell_count};
use crate::history::{History, KEYS};

/// For how long everybody goes on.
const TIME: Duration = Duration::from_secs(6);

impl Dice {
    pub fn key(&mut self) -> usize {
        self.pick(KEYS.len())
    }

    /// A time after which a command of some milliseconds is killed, or is done.
    pub fn moment(&mut self) -> Duration {
        Duration::from_micros(self.roll(60_000))
    }
}

/// One of those who act at the same time.
pub type Hand<'a, 'b> = &'b (dyn Fn(&History<'a>, &mut Dice) + Sync);

/// Runs some hands at once until the time is over, each with dice of its own, and judges. Returns how many
/// operations were killed.
#[track_caller]
fn race<'a>(kv: &'a Sandbox, hands: &[Hand<'a, '_>]) -> u64 {
    let history = History::new(kv, "off");
    let began = Instant::now();
    thread::scope(|scope| {
        for (number, hand) in (1..).zip(hands) {
            let history = &history;
            scope.spawn(move || {
                let mut dice = Dice(number);
                // A slow machine takes longer until there was enough to judge.
                while began.elapsed() < TIME || history.count() <= 30 {
                    hand(history, &mut dice);
                }
            });
        }
    });
    let (count, killed) = history.check();
    tell_count(&format!("{count} operations, {killed} killed"));
    killed
}

/// What single keys go through.
pub fn single(history: &History<'_>, dice: &mut Dice) {
    let key = dice.key();
    match dice.roll(15) {
        0 | 1 => history.put(key, &[]),
        2 => history.put_if_absent(key),
        3 | 12 => history.remove(key),
        13 | 14 => thread::sleep(dice.moment()),
        4 => history.take(key),
        5 => history.put_if_etag(key),
        6 => history.expire(key, "never"),
        7 => history.incr(key),
        _ => _ = history.get(key),
    }
}

/// What concerns all of the keys at once.
pub fn bulk(history: &History<'_>, dice: &mut Dice) {
    match dice.roll(8) {
        0 | 1 => history.import(&[]),
        2..6 => history.import(&["--if-absent"]),
        6 => history.import(&["--replace"]),
        _ => history.remove_bulk(),
    }
    // Long enough for keys to be removed, and to be left alone for a while.
    thread::sleep(dice.moment() * 2);
}

fn collect(history: &History<'_>, _: &mut Dice) {
    history.gc(None);
    // So that others have a processor too.
    thread::sleep(Duration::from_millis(20));
}

/// So seldom that a tombstone lies before the record that it hides for a while.
pub fn collect_seldom(history: &History<'_>, dice: &mut Dice) {
    history.gc(None);
    thread::sleep(dice.moment() * 10);
}

pub fn kill_collect(history: &History<'_>, dice: &mut Dice) {
    history.gc(Some(dice.moment()));
}

pub fn kill_bulk(history: &History<'_>, dice: &mut Dice) {
    let after = dice.moment() * 4;
    match dice.roll(3) {
        0 => history.kill_import(&[], after),
        1 => history.kill_import(&["--replace"], after),
        _ => history.kill_remove_bulk(after),
    }
}

#[test]
fn beside_collections() {
    let kv = Sandbox::new();
    race(&kv, &[&single, &single, &single, &single, &collect]);
}

#[test]
fn beside_collections_that_are_killed() {
    let kv = Sandbox::new();
    let hands: [Hand<'_, '_>; 6] = [
        &single,
        &single,
        &single,
        &kill_collect,
        &kill_collect,
        &collect,
    ];
    assert!(race(&kv, &hands) > 0);
}

#[test]
fn beside_bulk_changes() {
    let kv = Sandbox::new();
    race(&kv, &[&single, &single, &single, &bulk, &collect_seldom]);
}

#[test]
fn beside_bulk_changes_that_are_killed() {
    let kv = Sandbox::new();
    let hands: [Hand<'_, '_>; 6] = [
        &single,
        &single,
        &single,
        &bulk,
        &kill_bulk,
        &collect_seldom,
    ];
    assert!(race(&kv, &hands) > 0);
}

#[test]
fn beside_evictions() {
    let kv = Sandbox::new();
    // What is evicted nobody tells: a key may be gone, once each time.
    let evict = |history: &History<'_>, dice: &mut Dice| {
        history.evict(dice.roll(3));
        thread::sleep(dice.moment());
    };
    race(&kv, &[&single, &single, &single, &bulk, &collect, &evict]);
}
