//! What is left when servers die, stop, and pass their slots on, under the load of eight writers.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use super::cases::On;
use super::servers::{Cluster, NODE, Server, last_node};
use crate::harness::{tell_count, until};
use crate::process::{Started, sockets};

const WRITERS: u64 = 8;
/// Keys that each writer writes again and again.
const KEYS: u64 = 5;

/// What was written to a key: the last value that was acknowledged, and those that were tried since.
#[derive(Clone, Debug, Default)]
struct Written {
    acknowledged: Option<u64>,
    since: Vec<u64>,
}

#[derive(Default)]
struct Load {
    written: Mutex<HashMap<String, Written>>,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    is_over: AtomicBool,
    /// How many increments were acknowledged, and how many more may have been carried out.
    sums: AtomicU64,
    unsure: AtomicU64,
}

impl Load {
    /// Writes until it is over: values of its own keys, and increments of a number of all.
    fn write(&self, store: &str, writer: u64) {
        let on = On::new(store.to_owned());
        let mut value = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            value += 1;
            let key = format!("w{writer}-{}", value % KEYS);
            self.written
                .lock()
                .unwrap()
                .entry(key.clone())
                .or_default()
                .since
                .push(value);
            let ran = on.run(&["put", &key, &value.to_string()]);
            let is_done = ran.status().code() == Some(0);
            if is_done {
                let mut written = self.written.lock().unwrap();
                let of_key = written.get_mut(&key).unwrap();
                *of_key = Written {
                    acknowledged: Some(value),
                    since: Vec::new(),
                };
            } else {
                // It says that it could not, and what it could not.
                _ = ran.ends(Exit::Failure).complains(&[]);
            }
            self.count(is_done);
            let ran = on.run(&["incr", "sum"]);
            let is_done = ran.status().code() == Some(0);
            let counter = if is_done {
                &self.sums
            } else {
                _ = ran.ends(Exit::Failure).complains(&[]);
                &self.unsure
            };
            self.count(is_done);
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self, is_done: bool) {
        let counter = if is_done {
            &self.acknowledged
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until so many more writes were acknowledged.
    #[track_caller]
    fn go_on(&self, more: u64) {
        let wanted = self.acknowledged.load(Ordering::Relaxed) + more;
        until("writes are acknowledged", || {
            self.acknowledged.load(Ordering::Relaxed) >= wanted
        });
    }

    /// Demands that each key holds what was acknowledged last, or what was tried since.
    #[track_caller]
    fn settle(&self, on: &On, what: &str) {
        let written = self.written.lock().unwrap();
        let mut lost = Vec::new();
        for (key, known) in written.iter() {
            let ran = on.run(&["get", "--", key]);
            let held: Option<u64> = match ran.status().code() {
                Some(0) => Some(ran.stdout_text().parse().unwrap()),
                Some(1) => None,
                _ => panic!("{}", ran.report()),
            };
            let is_tried = held.is_some_and(|held| known.since.contains(&held));
            if held != known.acknowledged && !is_tried {
                lost.push(format!("{key}: {held:?}, not {known:?}"));
            }
        }
        let sum = on
            .run(&["get", "sum"])
            .stdout_text()
            .parse::<u64>()
            .unwrap();
        let sums = self.sums.load(Ordering::Relaxed);
        let most = sums + self.unsure.load(Ordering::Relaxed);
        let told = format!(
            "{what}: {} writes acknowledged, {} refused, of {} keys {} wrong; \
             {sums} to {most} increments, sum {sum}",
            self.acknowledged.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
            written.len(),
            lost.len()
        );
        tell_count(&told);
        assert!(lost.is_empty(), "{lost:#?}");
        assert!((sums..=most).contains(&sum), "{told}");
        let keys = written.len() + 1;
        on.run(&["ls", "--count"])
            .ends(Exit::Success)
            .prints(format!("{keys}\n"));
        on.run(&["fsck"]).ends(Exit::Success);
    }
}

/// Lets eight writers write while something is done to the cluster.
#[track_caller]
fn under_load(cluster: &mut Cluster, what: &str, harm: impl FnOnce(&mut Cluster, &Load)) {
    let store = cluster.store();
    under_load_of(&store, cluster, what, harm);
}

#[track_caller]
fn under_load_of(
    store: &str,
    cluster: &mut Cluster,
    what: &str,
    harm: impl FnOnce(&mut Cluster, &Load),
) {
    let load = Load::default();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let load = &load;
            scope.spawn(move || load.write(store, writer));
        }
        // Also where the harm fails: the writers must not go on for ever.
        let over = Over(&load.is_over);
        load.go_on(100);
        harm(cluster, &load);
        drop(over);
    });
    cluster.settle();
    load.settle(&On::new(store.to_owned()), what);
}

/// Tells those who go on until it is over that it is, however that comes.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_was_acknowledged_survives_every_master_a_stop_and_a_move() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    under_load(
        &mut cluster,
        "each master killed in turn",
        |cluster, load| {
            for master in cluster.masters() {
                let dead = cluster.nodes.remove(master);
                dead.signal("-KILL");
                // Its replica takes its place, and nobody had to be told.
                until("a replica was promoted", || {
                    let first = &cluster.nodes[0];
                    let state = first.cli(&["cluster", "info"]);
                    state.contains("cluster_state:ok") && cluster.masters().len() == 3
                });
                cluster.nodes.insert(master, dead.restart(&NODE));
                cluster.settle();
                load.go_on(50);
            }
        },
    );
    under_load(&mut cluster, "a replica stopped", |cluster, load| {
        let masters = cluster.masters();
        let replica = (0..6).find(|number| !masters.contains(number)).unwrap();
        cluster.nodes[replica].signal("-STOP");
        thread::sleep(Duration::from_secs(4));
        cluster.nodes[replica].signal("-CONT");
        cluster.settle();
        load.go_on(50);
    });
    under_load(&mut cluster, "4096 slots moved", |cluster, load| {
        let masters = cluster.masters();
        let id = |number: usize| cluster.nodes[number].cli(&["cluster", "myid"]);
        let (from, to) = (id(masters[0]), id(masters[1]));
        let first = format!("127.0.0.1:{}", cluster.nodes[0].port);
        let told = cluster.nodes[0].cli(&[
            "--cluster",
            "reshard",
            &first,
            "--cluster-from",
            &from,
            "--cluster-to",
            &to,
            "--cluster-slots",
            "4096",
            "--cluster-yes",
        ]);
        assert!(told.contains("Moving slot"), "{told}");
        load.go_on(50);
    });
}

/// One replica may die with its master where two have each write.
#[test]
fn what_two_replicas_have_survives_a_master_and_one_of_them() {
    let Some(mut cluster) = Cluster::start_with_two_replicas() else {
        return;
    };
    let store = format!("{}&replicas=2", cluster.store());
    under_load_of(
        &store,
        &mut cluster,
        "a master and a replica killed",
        |cluster, load| {
            for replica in [3, 4] {
                let masters = cluster.masters();
                let master = *masters
                    .iter()
                    .find(|number| ![1, 2].contains(*number))
                    .unwrap();
                let replica = if replica == master { 0 } else { replica };
                let both = [master.max(replica), master.min(replica)];
                let dead = both.map(|number| cluster.nodes.remove(number));
                for server in &dead {
                    server.signal("-KILL");
                }
                until("the other replica was promoted", || {
                    let state = cluster.nodes[0].cli(&["cluster", "info"]);
                    state.contains("cluster_state:ok") && cluster.masters().len() == 3
                });
                for (number, dead) in both.into_iter().zip(dead).rev() {
                    cluster.nodes.insert(number, dead.restart(&last_node()));
                }
                cluster.settle();
                load.go_on(50);
            }
        },
    );
    // With one of them alone it is stored, and not acknowledged.
    let masters = cluster.masters();
    let replica = (0..5)
        .rev()
        .find(|number| !masters.contains(number))
        .unwrap();
    cluster.nodes[replica].signal("-STOP");
    let on = On::new(store);
    // The second of them is the first in its namespace, whose name comes first.
    for namespace in ["default", "another"] {
        for (change, holds) in [(["put", "k", "v"], "v"), (["incr", "n", "--by=7"], "7")] {
            let args = [&["-n", namespace, "--busy-timeout", "200ms"], &change[..]].concat();
            on.run(&args).ends(Exit::Failure).prints("").complains(&[
                "of `redis://",
                "but 1 of 2",
                "may be lost",
            ]);
            on.run(&["-n", namespace, "get", change[1]])
                .ends(Exit::Success)
                .prints(holds);
        }
    }
    on.run(&["incr", "k", "--busy-timeout", "200ms"])
        .ends(Exit::Failure)
        .complains(&["decimal number"]);
    cluster.nodes[replica].signal("-CONT");
}

#[test]
fn what_no_replica_has_is_not_acknowledged() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let on = On::new(cluster.store());
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    for key in &keys {
        on.put(key, "old");
    }
    let masters = cluster.masters();
    let replicas: Vec<usize> = (0..6).filter(|number| !masters.contains(number)).collect();
    let mut replicas: Vec<Server> = {
        let remove = |number: &usize| cluster.nodes.remove(*number);
        replicas.iter().rev().map(remove).collect()
    };
    for replica in &replicas {
        replica.signal("-KILL");
    }
    for key in &keys {
        let ran = on.run_within("200ms", &["put", key, "new"]);
        let told = ["of `redis://", "but 0 of 1", "may be lost"];
        ran.ends(Exit::Failure).prints("").complains(&told);
    }
    // What changes nothing has nothing to wait for.
    on.run_within("200ms", &["put", "k0", "new", "--if-absent"])
        .ends(Exit::No)
        .is_silent();
    on.run_within("200ms", &["put", "k0", "new", "--sync", "off"])
        .ends(Exit::Success)
        .is_silent();
    let none = On::new(format!("{}&replicas=0", on.store));
    none.put("k1", "new");
    on.holds("k1", "new");

    // Now the masters go, and the replicas come back with what they had.
    cluster.nodes.clear();
    replicas = replicas
        .into_iter()
        .map(|replica| replica.restart(&NODE))
        .collect();
    cluster.nodes = replicas;
    until("all replicas were promoted", || {
        for replica in &cluster.nodes {
            replica.cli(&["cluster", "failover", "takeover"]);
        }
        cluster.masters().len() == 3
    });
    let one = On::new(format!(
        "redis://127.0.0.1:{}?prefix={}&replicas=0",
        cluster.nodes[0].port,
        on.prefix()
    ));
    let mut gone = 0;
    for key in &keys {
        let ran = one.run_within("30s", &["get", key]);
        let held = ran.ends(Exit::Success).stdout_text();
        assert!(held == "old" || held == "new", "{key}: {held}");
        gone += u32::from(held == "old");
    }
    tell_count(&format!(
        "of {} writes that were not acknowledged {gone} are gone with the masters",
        keys.len()
    ));
    assert!(gone > 0);
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let on = On::new(server.store());
    on.put("k", "v");
    server.signal("-STOP");
    on.run_within("600ms", &["get", "k"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["cannot reach", "does not answer"]);
    let put = Started::new(on.command(&["put", "k", "w", "--busy-timeout", "10m"]));
    until("it has asked", || sockets(put.pid()) > 0);
    server.signal("-CONT");
    put.end().ends(Exit::Success).is_silent();
    on.holds("k", "w");
}
