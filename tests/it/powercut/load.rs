//! What goes on while the power is cut, and what is known of it afterwards.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::dice::Dice;
use crate::harness::{Ran, Sandbox};

/// A value, or that there is none.
pub type Held = Option<String>;

/// What is known of a key.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What the last command that was acknowledged made of it.
    pub acknowledged: Held,
    /// What a command would have made of it of whom nobody was told.
    pub pending: Vec<Held>,
    /// All that it may ever have held.
    pub ever: Vec<Held>,
}

impl Known {
    pub fn allows(&self, held: &Held) -> bool {
        *held == self.acknowledged || self.pending.contains(held)
    }
}

/// What is known of all keys; one that is not in it was never written.
pub type Ledger = BTreeMap<String, Known>;

/// So many lines make an import a bulk one.
const BULK: usize = 1_001;
/// How many keys each hand has, beside those of its bulk imports.
const KEYS: u64 = 8;

/// One who writes; no other writes the same keys, so that the order of its writes is known.
pub struct Hand<'a> {
    pub kv: &'a Sandbox,
    /// Where the store is, on the disk whose power is cut.
    pub store: &'a std::path::Path,
    pub sync: &'a str,
    pub number: usize,
    pub dice: Dice,
    pub ledger: Ledger,
    pub count: &'a AtomicUsize,
    pub is_over: &'a AtomicBool,
}

impl Hand<'_> {
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.kv.kv(args);
        // What is above a store on that disk is gone with it.
        command.env("KV_STORE", self.store);
        command.env("KV_SYNC", self.sync);
        command.env("KV_BUSY_TIMEOUT", "1m");
        command
    }

    /// Writes until the power is cut; returns what it knows.
    pub fn work(mut self) -> Ledger {
        while self.step() && !self.is_over.load(Ordering::Relaxed) {}
        self.ledger
    }

    /// Does one thing; false if that failed, as everything will from then on.
    fn step(&mut self) -> bool {
        let (number, dice) = (self.number, &mut self.dice);
        let key = format!("{number}:{}", dice.roll(KEYS));
        let id = dice.roll(u64::from(u32::MAX));
        match dice.roll(20) {
            0..8 => {
                let value = value(&key, id, self.dice.roll(300));
                let args = ["put", &key, &value];
                self.run(&args, "", &[(&key, Some(&value))])
            }
            8 => {
                let value = value(&key, id, 20_000 + self.dice.roll(80_000));
                self.run(&["put", &key], &value, &[(&key, Some(&value))])
            }
            9..13 => self.run(&["remove", "--force", &key], "", &[(&key, None)]),
            13 | 14 => {
                let value = value(&key, id, 50);
                let other = format!("{number}:batch");
                let lines = format!("put {key} {value}\nput {other} {value}\n");
                let writes = [(&*key, Some(&*value)), (&other, Some(&value))];
                self.run(&["batch"], &lines, &writes)
            }
            15 => {
                let keys: Vec<_> = (0..BULK).map(|n| format!("{number}:bulk:{n}")).collect();
                let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
                let writes: Vec<_> = keys.iter().map(|key| (&**key, None)).collect();
                self.run(&["remove", "--stdin", "--force"], &lines, &writes)
            }
            _ => {
                let mut keys: Vec<_> = (0..BULK).map(|n| format!("{number}:bulk:{n}")).collect();
                keys.push(key);
                let value = |key: &str| value(key, id, 20);
                let values: Vec<_> = keys.iter().map(|key| value(key)).collect();
                let pairs = || keys.iter().zip(&values);
                let lines: String = pairs().map(|(k, v)| format!("{k}\t{v}\n")).collect();
                let writes: Vec<_> = pairs().map(|(k, v)| (&**k, Some(&**v))).collect();
                self.run(&["import", "--tsv"], &lines, &writes)
            }
        }
    }

    /// Runs a command and notes in the ledger what is known of it then.
    fn run(&mut self, args: &[&str], input: &str, writes: &[(&str, Option<&str>)]) -> bool {
        let ran = match input {
            "" => Ran::of(&mut self.command(args)),
            _ => Ran::fed(&mut self.command(args), input.as_bytes()),
        };
        let is_done = ran.status().success();
        for (key, value) in writes {
            let known = self.ledger.entry((*key).to_owned()).or_default();
            let value = value.map(str::to_owned);
            known.ever.push(value.clone());
            if is_done {
                known.pending.clear();
                known.acknowledged = value;
            } else {
                known.pending.push(value);
            }
        }
        if is_done {
            self.count.fetch_add(writes.len(), Ordering::Relaxed);
        } else {
            // It says that it failed, and nothing else: not that a key is absent, or damaged.
            let is_cut = ran.status().code() == Some(5);
            assert!(is_cut, "{}", &ran.report()[..ran.report().len().min(3_000)]);
        }
        is_done
    }
}

/// Collects garbage until the power is cut.
pub fn collect(hand: Hand<'_>) {
    while !hand.is_over.load(Ordering::Relaxed) {
        let ran = Ran::of(&mut hand.command(&["gc"]));
        if !ran.status().success() {
            // A disk that is gone may look like one that was damaged.
            assert!(ran.status().code().is_some(), "{}", ran.report());
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Returns a value that tells whose it is, of about this length.
fn value(key: &str, id: u64, len: u64) -> String {
    let word = format!("{key}={id};");
    let times = 1 + usize::try_from(len).unwrap() / word.len();
    word.repeat(times)
}
