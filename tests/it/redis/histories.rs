//! Histories of eight writers while masters die, stop, and are replaced in every way that there is.
//!
//! Redis replicates behind its answers: a reader may see a write that is not acknowledged yet and that
//! goes with its master, and an old master answers until it hears of the new one. So of each history all
//! that changed something must be linearizable, with the answers to it; and how many are not with all
//! that was only read is told.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::engine::Sync;
use kv::store::{Clock, Condition, Key, Namespace, Put, Store, StoreError};

use super::failover::Over;
use super::servers::{Cluster, NODE};
use crate::harness::{tell_count, until};
use crate::history::forget_unseen;
use crate::library::{Now, open};
use crate::linearize::{Event, NEVER, check};
use crate::register::Op;

const WRITERS: u64 = 8;
/// Operations of each kind of harm, unless `KV_TEST_ROUNDS` says how many times that.
const OPERATIONS: u64 = 3_000;
/// Keys that are in use at once, and operations after which others are.
const KEYS: u64 = 8;
const AT_ONCE: u64 = 1_000;

struct Recorder {
    began: Instant,
    count: AtomicU64,
    failed: AtomicU64,
    values: AtomicU64,
    is_over: AtomicBool,
    events: Mutex<HashMap<String, Vec<Event<Op>>>>,
}

impl Recorder {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    /// Does one thing after the other until it is over.
    fn write(&self, place: &str, writer: u64) {
        let store = open(place, Sync::Full, 3);
        let mut dice = writer.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while !self.is_over.load(Ordering::Relaxed) {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            let count = self.count.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{}", count / AT_ONCE, dice / 7 % KEYS);
            self.operate(&*store, &name, dice % 100);
        }
    }

    fn operate(&self, store: &dyn Store, name: &str, choice: u64) {
        let namespace: Namespace = "default".parse().unwrap();
        let key = Key::new(name.as_bytes().to_vec()).unwrap();
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let start = self.now();
        let put = |condition| {
            let text = value.to_string();
            let mut value = text.as_bytes();
            let put = Put::new(&mut value, condition);
            let put = store.put(&namespace, &key, put, &Now);
            put.map(|etag| etag.map(|etag| etag.0))
        };
        let number = |entry: kv::store::Entry| {
            let bytes = entry.value.into_vec().unwrap();
            String::from_utf8(bytes).unwrap().parse::<u64>().unwrap()
        };
        // What it did, or may have done.
        let (done, unsure): (Result<Op, StoreError>, Option<Op>) = match choice {
            0..35 => (
                put(Condition::Always).map(|etag| Op::Put { value, etag }),
                Some(Op::Put { value, etag: None }),
            ),
            35..50 => (
                put(Condition::Absent).map(|etag| {
                    let done = etag.is_some();
                    Op::PutIfAbsent { value, etag, done }
                }),
                Some(Op::PutIfUnsure { value }),
            ),
            50..60 => (
                store
                    .remove(&namespace, &key, &Condition::Always, &Now)
                    .map(Op::Remove),
                Some(Op::Clear),
            ),
            60..70 => (
                store
                    .take(&namespace, &key, &Now)
                    .map(|entry| Op::Take(entry.map(number))),
                Some(Op::Clear),
            ),
            _ => (
                store
                    .get(&namespace, &key, Now.now())
                    .map(|entry| Op::Get(entry.map(number))),
                None,
            ),
        };
        let (op, end, answered) = match (done, unsure) {
            (Ok(op), _) => (op, self.now(), true),
            (Err(StoreError::Io { .. } | StoreError::Unreplicated { .. }), unsure) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                match unsure {
                    Some(op) => (op, NEVER, false),
                    None => return,
                }
            }
            (Err(err), _) => panic!("{err}"),
        };
        let event = Event {
            op,
            start,
            end,
            answered,
        };
        let mut events = self.events.lock().unwrap();
        events.entry(name.to_owned()).or_default().push(event);
    }
}

/// Tells whether an operation has only looked.
fn has_looked(op: &Op) -> bool {
    matches!(
        op,
        Op::Get(_) | Op::Etag(_) | Op::Remove(false) | Op::Take(None)
    ) || matches!(op, Op::PutIfAbsent { done: false, .. })
}

/// Lets eight writers write while something is done to the cluster again and again.
#[track_caller]
fn history(cluster: &mut Cluster, what: &str, mut harm: impl FnMut(&mut Cluster)) {
    let place = cluster.store();
    let times = std::env::var("KV_TEST_ROUNDS").map_or(1, |times| times.parse().unwrap());
    let recorder = Recorder {
        began: Instant::now(),
        count: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        values: AtomicU64::new(1),
        is_over: AtomicBool::new(false),
        events: Mutex::default(),
    };
    let mut harms = 0;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (recorder, place) = (&recorder, &place);
            scope.spawn(move || recorder.write(place, writer + 1));
        }
        // Also where the harm fails: the writers must not go on for ever.
        let _over = Over(&recorder.is_over);
        while recorder.count.load(Ordering::Relaxed) < OPERATIONS * times {
            thread::sleep(Duration::from_millis(300));
            harm(cluster);
            cluster.settle();
            harms += 1;
        }
    });
    let events = recorder.events.into_inner().unwrap();
    let (mut all, mut with_reads) = (0, 0);
    for (key, mut events) in events {
        all += 1;
        forget_unseen(&mut events);
        if check(events.clone()).is_err() {
            with_reads += 1;
            events.retain(|event| !has_looked(&event.op));
            forget_unseen(&mut events);
            if let Err(why) = check(events) {
                panic!("{what}: {key}: {why}");
            }
        }
    }
    let count = recorder.count.into_inner();
    let failed = recorder.failed.into_inner();
    tell_count(&format!(
        "{what}, {harms} times: {count} operations, {failed} failed; of {all} registers all writes \
         are linearizable, and {with_reads} are not with what was only read"
    ));
    // Of what is not answered nothing can be wrong.
    assert!(failed < count / 2, "{failed} of {count} failed");
}

/// Returns the numbers of the nodes that are replicas now.
fn replicas(cluster: &Cluster) -> Vec<usize> {
    let masters = cluster.masters();
    (0..6).filter(|number| !masters.contains(number)).collect()
}

#[test]
fn writes_are_linearizable_whatever_becomes_of_masters() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let mut turn = 0;
    history(&mut cluster, "a master killed", |cluster| {
        turn += 1;
        let masters = cluster.masters();
        let dead = masters[turn % masters.len()];
        let dead = (dead, cluster.nodes.remove(dead));
        dead.1.signal("-KILL");
        until("a replica was promoted", || cluster.masters().len() == 3);
        cluster.nodes.insert(dead.0, dead.1.restart(&NODE));
    });
    history(&mut cluster, "a master stopped", |cluster| {
        let stopped = cluster.masters()[0];
        cluster.nodes[stopped].signal("-STOP");
        // Longer than the time after which the others give it up.
        thread::sleep(Duration::from_secs(5));
        cluster.nodes[stopped].signal("-CONT");
    });
    history(&mut cluster, "all clients killed", |cluster| {
        for node in &cluster.nodes {
            node.cli(&["client", "kill", "type", "normal"]);
        }
    });
    for how in ["", "force", "takeover"] {
        history(&mut cluster, &format!("failover {how}"), |cluster| {
            let replicas = replicas(cluster);
            turn += 1;
            let replica = &cluster.nodes[replicas[turn % replicas.len()]];
            let words = ["cluster", "failover", how];
            let words = &words[..2 + usize::from(!how.is_empty())];
            // The servers give it up after 5 s where too few masters vote: they do not vote twice within
            // some seconds, and a busy machine is late. Then it is asked for anew.
            let mut asked: Option<Instant> = None;
            until("it has become a master", || {
                if asked.is_none_or(|asked| asked.elapsed() > Duration::from_secs(6)) {
                    replica.cli(words);
                    asked = Some(Instant::now());
                }
                replica
                    .cli(&["info", "replication"])
                    .contains("role:master")
            });
        });
    }
}
