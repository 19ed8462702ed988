//! Runs of `kv` by several hands at once, recorded for [`crate::linearize`].

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Ran, Sandbox};
use crate::linearize::{Event, NEVER, check};
use crate::register::{Op, Value};

pub const KEYS: [&str; 4] = ["one", "two", "three", "four"];

/// What was done so far to each of [`KEYS`].
pub struct History<'a> {
    kv: &'a Sandbox,
    sync: &'a str,
    began: Instant,
    values: AtomicU64,
    events: [Mutex<Vec<Event<Op>>>; KEYS.len()],
    killed: AtomicU64,
}

impl<'a> History<'a> {
    pub fn new(kv: &'a Sandbox, sync: &'a str) -> Self {
        Self {
            kv,
            sync,
            began: Instant::now(),
            values: AtomicU64::new(1),
            events: Default::default(),
            killed: AtomicU64::new(0),
        }
    }

    /// Returns a value that no other write of this history has.
    fn value(&self) -> Value {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    fn record(&self, key: usize, op: Op, start: u64, answered: bool) {
        self.record_until(key, op, start, self.now(), answered);
    }

    fn record_until(&self, key: usize, op: Op, start: u64, end: u64, answered: bool) {
        let event = Event {
            op,
            start,
            end,
            answered,
        };
        self.events[key].lock().unwrap().push(event);
    }

    fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = self.kv.kv(args);
        command.env("KV_SYNC", self.sync);
        command
    }

    /// Runs a command that must say yes or no, and records what it did; returns what it printed,
    /// if it said yes.
    fn run<A: AsRef<OsStr>>(
        &self,
        key: usize,
        args: &[A],
        op: impl Fn(Option<&str>) -> Op,
    ) -> Option<String> {
        let start = self.now();
        let said = said(&Ran::of(&mut self.command(args)));
        self.record(key, op(said.as_deref()), start, true);
        said
    }

    /// Runs a command and kills it after a while, if it is not done by then. What it did in that
    /// case is `effect`, or nothing.
    fn kill<A: AsRef<OsStr>>(
        &self,
        key: usize,
        args: &[A],
        op: impl Fn(Option<&str>) -> Op,
        effect: Op,
        after: Duration,
    ) {
        let start = self.now();
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        thread::sleep(after);
        child.kill().unwrap();
        let ran = Ran::with(&command, child.wait_with_output().unwrap());
        if ran.status().code().is_some() {
            self.record(key, op(said(&ran).as_deref()), start, true);
        } else {
            self.killed.fetch_add(1, Ordering::Relaxed);
            // What the dead have sent to a server is carried out whenever that comes to it.
            let end = match self.kv.has_server() {
                true => NEVER,
                false => self.now(),
            };
            self.record_until(key, effect, start, end, false);
        }
    }

    pub fn get(&self, key: usize) -> Option<Value> {
        let got = |said: Option<&str>| Op::Get(said.map(number));
        let said = self.run(key, &["get", KEYS[key]], got);
        said.as_deref().map(number)
    }

    pub fn put(&self, key: usize, options: &[&str]) {
        let value = self.value();
        self.run(key, &put_args(key, value, options), |said| {
            let etag = said.and_then(etag);
            Op::Put { value, etag }
        });
    }

    pub fn put_if_absent(&self, key: usize) {
        let value = self.value();
        let args = put_args(key, value, &["--if-absent"]);
        self.run(key, &args, |said| Op::PutIfAbsent {
            value,
            etag: said.and_then(etag),
            done: said.is_some(),
        });
    }

    pub fn put_if_value(&self, key: usize, wanted: Value) {
        let value = self.value();
        let options = ["--if-value", &wanted.to_string()];
        self.run(key, &put_args(key, value, &options), |said| {
            Op::PutIfValue {
                wanted,
                value,
                etag: said.and_then(etag),
                done: said.is_some(),
            }
        });
    }

    /// Asks for the etag, then puts if it is still the same.
    pub fn put_if_etag(&self, key: usize) {
        let args = ["stat", KEYS[key], "--field", "etag"];
        let seen = self.run(key, &args, |said| Op::Etag(said.and_then(etag)));
        let Some(wanted) = seen.as_deref().and_then(etag) else {
            return;
        };
        let value = self.value();
        let options = ["--if-etag", seen.as_deref().unwrap().trim_end()];
        self.run(key, &put_args(key, value, &options), |said| Op::PutIfEtag {
            wanted,
            value,
            etag: said.and_then(etag),
            done: said.is_some(),
        });
    }

    pub fn remove(&self, key: usize) {
        let removed = |said: Option<&str>| Op::Remove(said.is_some());
        self.run(key, &["remove", KEYS[key]], removed);
    }

    pub fn take(&self, key: usize) {
        let taken = |said: Option<&str>| Op::Take(said.map(number));
        self.run(key, &["get", KEYS[key], "--remove"], taken);
    }

    pub fn incr(&self, key: usize) {
        self.run(key, &["incr", KEYS[key]], |said| {
            Op::Incr(number(said.unwrap().trim_end()))
        });
    }

    pub fn append(&self, key: usize, digit: u64) {
        let args = ["append", KEYS[key], &digit.to_string()];
        self.run(key, &args, |_| Op::Append(digit));
    }

    /// Lists all keys: what it shows of each is what the key held at some moment in between.
    pub fn list(&self) {
        let start = self.now();
        let said = said(&Ran::of(&mut self.command(&["ls", "--values"])));
        let text = said.unwrap();
        for (place, key) in KEYS.iter().enumerate() {
            let lines = text.lines().filter_map(|line| line.split_once('\t'));
            let mut held = lines.filter(|(name, _)| name == key);
            let held = held.next().map(|(_, value)| number(value));
            self.record(place, Op::Get(held), start, true);
        }
    }

    /// Puts one value under each key, in one process.
    pub fn batch(&self) {
        let values: Vec<Value> = KEYS.iter().map(|_| self.value()).collect();
        let pairs = || KEYS.iter().zip(&values);
        let lines: String = pairs().map(|(k, v)| format!("put {k} {v}\n")).collect();
        let start = self.now();
        let answered = self.feed(&["batch"], &lines, None);
        for (key, value) in values.into_iter().enumerate() {
            self.record(key, Op::Put { value, etag: None }, start, answered);
        }
    }

    pub fn expire(&self, key: usize, expiry: &str) {
        let expired = |said: Option<&str>| Op::Expire(said.is_some());
        self.run(key, &["expire", KEYS[key], expiry], expired);
    }

    /// Removes the namespace, which concerns every key.
    pub fn clear(&self) {
        let start = self.now();
        let args = ["namespaces", "--remove", "default"];
        let done = said(&Ran::of(&mut self.command(&args))).is_some();
        for key in 0..KEYS.len() {
            let op = if done { Op::Clear } else { Op::Get(None) };
            self.record(key, op, start, true);
        }
    }

    pub fn kill_put(&self, key: usize, after: Duration) {
        let value = self.value();
        let put = |etag| Op::Put { value, etag };
        let done = |said: Option<&str>| put(said.and_then(etag));
        self.kill(key, &put_args(key, value, &[]), done, put(None), after);
    }

    pub fn kill_remove(&self, key: usize, after: Duration) {
        let removed = |said: Option<&str>| Op::Remove(said.is_some());
        // Whether there was something to remove nobody knows: it made the key absent.
        self.kill(key, &["remove", KEYS[key]], removed, Op::Clear, after);
    }

    /// Imports one value under each key, among others enough for a bulk import.
    pub fn import(&self, options: &[&str]) {
        self.bulk(options, None);
    }

    pub fn kill_import(&self, options: &[&str], after: Duration) {
        self.bulk(options, Some(after));
    }

    fn bulk(&self, options: &[&str], kill_after: Option<Duration>) {
        let values: Vec<Value> = KEYS.iter().map(|_| self.value()).collect();
        let mut lines: String = (0..1_001).map(|n| format!("filler {n}\tx\n")).collect();
        for (key, value) in KEYS.iter().zip(&values) {
            lines += &format!("{key}\t{value}\n");
        }
        let args: Vec<_> = ["import", "--tsv"].iter().chain(options).collect();
        let start = self.now();
        let answered = self.feed(&args, &lines, kill_after);
        for (key, value) in values.into_iter().enumerate() {
            let op = match options {
                ["--if-absent"] => Op::PutIfUnsure { value },
                _ => Op::Put { value, etag: None },
            };
            self.record(key, op, start, answered);
        }
    }

    /// Removes all keys at once, among others enough for a bulk removal.
    pub fn remove_bulk(&self) {
        self.remove_all(None);
    }

    pub fn kill_remove_bulk(&self, after: Duration) {
        self.remove_all(Some(after));
    }

    fn remove_all(&self, kill_after: Option<Duration>) {
        let fillers = (0..1_001).map(|n| format!("filler {n}\n"));
        let keys = KEYS.iter().map(|key| format!("{key}\n"));
        let lines: String = fillers.chain(keys).collect();
        let start = self.now();
        let answered = self.feed(&["remove", "--stdin", "--force"], &lines, kill_after);
        for key in 0..KEYS.len() {
            self.record(key, Op::Clear, start, answered);
        }
    }

    /// Collects garbage, which no history shows.
    pub fn gc(&self, kill_after: Option<Duration>) {
        self.feed(&["gc"], "", kill_after);
    }

    /// Keeps so many entries; of the rest nobody is told which they were.
    pub fn evict(&self, most: u64) {
        let start = self.now();
        let most = most.to_string();
        self.feed(&["-n", "default", "gc", "--max-entries", &most], "", None);
        for key in 0..KEYS.len() {
            // As of a removal that was killed: it may have taken place.
            self.record(key, Op::Clear, start, false);
        }
    }

    /// Runs a command with these lines on its standard input, and kills it after a while, if it is
    /// not done by then. Tells whether it was done.
    fn feed<A: AsRef<OsStr>>(&self, args: &[A], lines: &str, kill_after: Option<Duration>) -> bool {
        let mut command = self.command(args);
        // Some hands may be unlucky for long, on a machine that has few.
        command.env("KV_BUSY_TIMEOUT", "5m");
        // A file, as it is all there at once.
        let number = self.value();
        let path = self.kv.path(&format!("input {number}"));
        fs::write(&path, lines).unwrap();
        command.stdin(File::open(&path).unwrap());
        fs::remove_file(path).unwrap();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if let Some(after) = kill_after {
            thread::sleep(after);
            child.kill().unwrap();
        }
        let ran = Ran::with(&command, child.wait_with_output().unwrap());
        match ran.status().code() {
            Some(0) => true,
            None => {
                self.killed.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => panic!("{}", ran.report()),
        }
    }

    /// Returns how many operations there have been so far.
    pub fn count(&self) -> usize {
        let len = |events: &Mutex<Vec<Event<Op>>>| events.lock().unwrap().len();
        self.events.iter().map(len).sum()
    }

    /// Checks what was recorded for each key; returns how many operations that were, and how many
    /// of them were killed.
    #[track_caller]
    pub fn check(self) -> (usize, u64) {
        let mut count = 0;
        for (key, events) in KEYS.iter().zip(self.events) {
            let mut events = events.into_inner().unwrap();
            count += events.len();
            forget_unseen(&mut events);
            if let Err(why) = check(events) {
                panic!("{key}: {why}");
            }
        }
        (count, self.killed.into_inner())
    }
}

/// Makes puts alike that were lost and whose values nobody saw: all that they may have done is to
/// replace what was there.
pub fn forget_unseen(events: &mut [Event<Op>]) {
    /// No put of a history has this one.
    const UNSEEN: Value = 0;
    let seen: HashSet<Value> = events.iter().filter_map(|event| event.op.seen()).collect();
    let lost = events.iter_mut().filter(|event| event.end == NEVER);
    for event in lost {
        if let Op::Put { value, .. } = &mut event.op
            && !seen.contains(value)
        {
            *value = UNSEEN;
        }
    }
}

fn put_args(key: usize, value: Value, options: &[&str]) -> Vec<String> {
    let value = value.to_string();
    let args = ["put", KEYS[key], &value, "--print-etag"];
    args.iter()
        .chain(options)
        .map(|arg| (*arg).to_owned())
        .collect()
}

/// Returns what a command printed that said yes; `None` if it said no. Anything else is a failure.
#[track_caller]
fn said(ran: &Ran) -> Option<String> {
    match ran.status().code() {
        Some(0) => Some(ran.stdout_text()),
        Some(1) => None,
        _ => panic!("{}", ran.report()),
    }
}

fn number(text: &str) -> Value {
    text.parse().unwrap()
}

fn etag(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim_end(), 16).ok()
}
