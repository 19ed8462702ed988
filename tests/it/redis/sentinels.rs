//! Sentinels, and what they do to a master that has died, or that is to make room.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use kv::exit::Exit;

use super::cases::On;
use super::failover::Over;
use super::promises::pair;
use super::servers::{Server, free_port};
use crate::harness::{Sandbox, tell_count, until};
use crate::process::Started;

/// Starts a sentinel that watches a master, as `mine`.
fn watch(master: &Server) -> Option<Server> {
    let dir = Sandbox::new();
    let config = dir.path("sentinel.conf");
    let text = format!(
        "sentinel monitor mine 127.0.0.1 {} 1\nsentinel down-after-milliseconds mine 500\n\
         sentinel failover-timeout mine 2000\n",
        master.port
    );
    fs::write(&config, text).unwrap();
    let sentinel = Server::start_sentinel(&config)?;
    // It writes down what it learns.
    std::mem::forget(dir);
    Some(sentinel)
}

fn store_of(sentinels: &[u16]) -> String {
    let hosts = sentinels.iter().map(|port| format!("127.0.0.1:{port}"));
    format!(
        "redis+sentinel://{}/mine",
        hosts.collect::<Vec<_>>().join(",")
    )
}

#[track_caller]
fn until_knows(sentinel: &Server, replica: &Server) {
    until("the sentinel knows the replica", || {
        let known = sentinel.cli(&["sentinel", "replicas", "mine"]);
        known.contains(&replica.port.to_string())
    });
}

/// Starts a master with two replicas and a sentinel that knows them all.
fn watched() -> Option<(Server, [Server; 2], Server)> {
    let (master, replica) = pair()?;
    let of = master.port.to_string();
    let other = Server::start(&["--replicaof", "127.0.0.1", &of])?;
    let sentinel = watch(&master)?;
    until_knows(&sentinel, &replica);
    until_knows(&sentinel, &other);
    Some((master, [replica, other], sentinel))
}

fn is_master(server: &Server) -> bool {
    server.cli(&["info", "replication"]).contains("role:master")
}

/// The replica that takes the place is taken off its master a second before anybody is told, and the other
/// says meanwhile that it has what is written.
#[test]
fn a_master_that_is_well_makes_room_and_nothing_is_lost() {
    let Some((master, [replica, other], sentinel)) = watched() else {
        return;
    };
    let on = On::new(store_of(&[sentinel.port]));
    let (is_over, done) = (AtomicBool::new(false), [0; 3].map(AtomicU64::new));
    let wait_for = |more: u64| {
        let wanted: Vec<u64> = done
            .iter()
            .map(|done| done.load(Ordering::Relaxed) + more)
            .collect();
        until("writes are acknowledged", || {
            done.iter()
                .zip(&wanted)
                .all(|(done, wanted)| done.load(Ordering::Relaxed) >= *wanted)
        });
    };
    thread::scope(|scope| {
        for (number, done) in done.iter().enumerate() {
            let (on, is_over, name) = (&on, &is_over, format!("n{number}"));
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    on.run(&["incr", &name, "--busy-timeout", "60s"])
                        .ends(Exit::Success);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // However this ends, so do they.
        let _over = Over(&is_over);
        wait_for(10);
        // A replica of which the sentinel has not heard for a moment is none that it takes.
        until("the sentinel begins to change the master", || {
            sentinel.cli(&["sentinel", "failover", "mine"]) == "OK"
        });
        until("a replica has taken the place", || {
            is_master(&replica) || is_master(&other)
        });
        until("the sentinel says so", || {
            let named = sentinel.cli(&["sentinel", "get-master-addr-by-name", "mine"]);
            !named.ends_with(&master.port.to_string())
        });
        wait_for(10);
    });
    for (number, done) in done.iter().enumerate() {
        let done = done.load(Ordering::Relaxed);
        tell_count(&format!("{done} increments through a change of the master"));
        on.holds(&format!("n{number}"), done.to_string());
    }
}

/// What cannot be known is not assumed: it may be on its way to the master's place.
#[test]
fn a_replica_that_is_silent_and_held_for_up_is_waited_for() {
    let Some((_master, [_replica, other], sentinel)) = watched() else {
        return;
    };
    let slow = [
        "sentinel",
        "set",
        "mine",
        "down-after-milliseconds",
        "60000",
    ];
    assert_eq!(sentinel.cli(&slow), "OK");
    let on = On::new(store_of(&[sentinel.port]));
    on.run(&["put", "k", "v"]).ends(Exit::Success);
    other.signal("-STOP");
    on.run(&["put", "k", "w", "--busy-timeout", "1s"])
        .ends(Exit::Failure)
        .complains(&["1 of 2 replicas had it", "may be lost"]);
    other.signal("-CONT");
    on.run(&["put", "k", "x"]).ends(Exit::Success);
}

#[test]
fn a_change_that_waits_goes_to_the_master_that_sentinels_name_meanwhile() {
    let (Some((master, replica)), Some(other)) = (pair(), Server::start(&[])) else {
        return;
    };
    let Some(sentinel) = watch(&master) else {
        return;
    };
    until_knows(&sentinel, &replica);
    let on = On::new(store_of(&[sentinel.port]));
    on.run(&["push", "l", "a"]).ends(Exit::Success);
    on.run(&["incr", "n"]).ends(Exit::Success).prints("1\n");
    replica.signal("-STOP");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| on.run(&["incr", "n", "--busy-timeout", "20s"]));
        until("the master has carried it out", || {
            master.cli(&["client", "list"]).contains("cmd=wait")
        });
        // Whoever has named a list is told of the list.
        on.run(&["pop", "l", "--busy-timeout", "300ms"])
            .ends(Exit::Failure)
            .prints("a")
            .complains(&["the change of `l`", "0 of 1 replicas had it", "may be lost"]);
        let port = other.port.to_string();
        for args in [
            &["remove", "mine"][..],
            &["monitor", "mine", "127.0.0.1", &port, "1"],
        ] {
            assert_eq!(sentinel.cli(&[&["sentinel"], args].concat()), "OK");
        }
        waiting.join().unwrap().ends(Exit::Success).prints("1\n");
    });
    on.holds("n", "1");
}

/// One sentinel that has slept through a change is not believed, whichever is named first.
#[test]
fn of_sentinels_who_disagree_the_latest_is_believed() {
    let (Some(before), Some((master, replica))) = (Server::start(&[]), pair()) else {
        return;
    };
    let (Some(behind), Some(sentinel)) = (watch(&before), watch(&master)) else {
        return;
    };
    until_knows(&sentinel, &replica);
    let on = On::new(store_of(&[behind.port, sentinel.port]));
    for args in [&["get", "k"][..], &["put", "k", "v"]] {
        on.run_within("300ms", args)
            .ends(Exit::Failure)
            .complains(&[
                "it says that the master is",
                "compare what `SENTINEL MASTER mine` says",
            ]);
    }
    assert_eq!(sentinel.cli(&["sentinel", "failover", "mine"]), "OK");
    until("the sentinel names the replica", || {
        let named = sentinel.cli(&["sentinel", "get-master-addr-by-name", "mine"]);
        named.ends_with(&replica.port.to_string())
    });
    let on = On::new(format!("{}?replicas=0", on.store));
    on.put("k", "v");
    assert_eq!(before.cli(&["dbsize"]), "0");
    on.holds("k", "v");
}

#[test]
fn sentinels_tell_who_is_the_master() {
    let Some((master, replica)) = pair() else {
        return;
    };
    let Some(sentinel) = watch(&master) else {
        return;
    };
    let port = sentinel.port;
    let on = On::new(store_of(&[free_port(), port]));
    on.put("k", "v");
    let server = On::new(format!("redis://127.0.0.1:{port}"));
    // What asking again does not mend is told at once.
    Started::new(server.command(&["get", "k", "--busy-timeout", "10m"]))
        .end()
        .ends(Exit::Failure)
        .complains(&["redis+sentinel://HOST:PORT/NAME"]);
    let unknown = On::new(format!("redis+sentinel://127.0.0.1:{port}/other"));
    unknown
        .run_within("50ms", &["get", "k"])
        .ends(Exit::Failure)
        .complains(&["knows no master `other`"]);
    until_knows(&sentinel, &replica);
    // A master that knows of no replica, as one does that was just started: the sentinel does.
    let of_master = |field: &str| master.cli(&["info", "replication"]).contains(field);
    master.cli(&["config", "set", "repl-backlog-ttl", "1"]);
    replica.cli(&["replicaof", "no", "one"]);
    until("the master has forgotten its replica", || {
        of_master("connected_slaves:0") && of_master("repl_backlog_active:0")
    });
    on.run_within("1s", &["put", "k", "lost"])
        .ends(Exit::Failure)
        .complains(&["0 of 1 replicas"]);
    let port = master.port.to_string();
    replica.cli(&["replicaof", "127.0.0.1", &port]);
    until("it has it back", || of_master("state=online"));
    on.put("k", "v");
    master.signal("-KILL");
    let ran = on.run_within("60s", &["get", "k"]);
    ran.ends(Exit::Success).prints("v");
    let alone = On::new(format!("{}?replicas=0", on.store));
    let ran = alone.run_within("60s", &["put", "k", "w"]);
    ran.ends(Exit::Success);
    assert!(is_master(&replica));
}
