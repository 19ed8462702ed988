//! What an acknowledgement promises, and what kv finds out before it gives one.

use kv::exit::Exit;

use super::cases::On;
use super::servers::{Cluster, Server, start_lone, until_served};
use crate::harness::until;
use crate::process::{Started, sockets};

/// Starts a server and a replica of it, and waits until that is in step.
pub fn pair() -> Option<(Server, Server)> {
    let master = Server::start(&["--repl-diskless-sync-delay", "0"])?;
    let port = master.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port])?;
    let replication = || replica.cli(&["info", "replication"]);
    until("the replica is in step", || {
        replication().contains("master_link_status:up")
            && master
                .cli(&["info", "replication"])
                .contains("state=online")
    });
    Some((master, replica))
}

#[test]
fn a_replica_that_died_is_missed() {
    let Some((master, replica)) = pair() else {
        return;
    };
    let on = On::new(master.store());
    on.put("k", "v");
    replica.signal("-KILL");
    until("the master has noticed", || {
        master
            .cli(&["info", "replication"])
            .contains("connected_slaves:0")
    });
    on.run(&["put", "k", "w", "--busy-timeout", "200ms"])
        .ends(Exit::Failure)
        .complains(&["0 of 1 replicas had it", "may be lost"]);
    // Whoever knows that there is none any more says so.
    let alone = On::new(format!("{}&replicas=0", on.store));
    alone.put("k", "x");
}

#[test]
fn a_replica_does_not_answer_for_its_master() {
    let Some((master, replica)) = pair() else {
        return;
    };
    let store = format!(
        "redis://127.0.0.1:{},127.0.0.1:{}",
        master.port, replica.port
    );
    let on = On::new(store);
    on.put("k", "v");
    master.signal("-KILL");
    // It comes back with nothing.
    let port = master.port.to_string();
    let replica = replica.restart(&["--replicaof", "127.0.0.1", &port]);
    for args in [
        &["get", "k"][..],
        &["ls"],
        &["export", "--all"],
        &["has", "k"],
        &["put", "k", "w", "--if-absent"],
        &["wait", "k", "--gone", "--timeout", "10s"],
    ] {
        on.run_within("200ms", args)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["it is a replica", "read=replica"]);
    }
    let any = On::new(format!("{}?read=replica", on.store));
    any.run(&["get", "k"]).ends(Exit::No);
    // Promoted it is a master like any other, and a write waits for that.
    let put = Started::new(any.command(&["put", "k", "new", "--busy-timeout", "60s"]));
    until("it has asked", || sockets(put.pid()) > 0);
    replica.cli(&["config", "set", "repl-backlog-ttl", "1"]);
    replica.cli(&["replicaof", "no", "one"]);
    put.end().ends(Exit::Success);
    on.holds("k", "new");
}

/// Also where it would take it: what its master does not have is lost with the next word from that.
#[test]
fn a_replica_that_may_answer_is_not_written_to() {
    let Some((master, replica)) = pair() else {
        return;
    };
    replica.cli(&["config", "set", "replica-read-only", "no"]);
    let on = On::new(master.store());
    on.put("k", "v");
    let store = on.by(master.port, replica.port).store;
    for more in ["", "&replicas=0"] {
        let any = On::new(format!("{store}&read=replica{more}"));
        any.holds("k", "v");
        let run = |args: &[&str]| any.run_within("100ms", args);
        for args in [
            &["put", "k", "w"][..],
            &["put", "k", "w", "--sync", "off"],
            &["incr", "n"],
            &["push", "l", "x"],
            &["remove", "k"],
        ] {
            run(args)
                .ends(Exit::Failure)
                .complains(&["it is a replica", "only a master"]);
        }
        run(&["lock", "L", "--", "echo", "locked"])
            .ends(Exit::Program(125))
            .prints("")
            .complains(&["only a master"]);
    }
    on.holds("k", "v");
    on.run(&["ls"]).prints("k\n");
}

#[test]
fn a_server_that_drops_entries_is_not_written_to() {
    let Some(server) = Server::start(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"])
    else {
        return;
    };
    let on = On::new(server.store());
    for args in [&["put", "k", "v"][..], &["incr", "n"], &["push", "l", "x"]] {
        on.run(args).ends(Exit::Failure).complains(&[
            "allkeys-lru",
            "noeviction",
            "?eviction=allowed",
        ]);
    }
    on.run(&["ls"]).ends(Exit::Success).is_silent();
    let allowed = On::new(format!("{}&eviction=allowed", on.store));
    allowed.put("k", "v");
    let info = on.run(&["info"]).ends(Exit::Success).stdout_text();
    assert!(info.contains("evicts: yes"), "{info}");
    let found = on.run(&["fsck"]).stdout_text();
    assert!(found.contains("allkeys-lru"), "{found}");
    server.cli(&["config", "set", "maxmemory-policy", "noeviction"]);
    on.put("k", "w");
    let info = on.run(&["info"]).ends(Exit::Success).stdout_text();
    assert!(info.contains("evicts: no"), "{info}");
}

#[test]
fn a_master_that_drops_entries_is_not_written_to() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let on = On::new(cluster.store());
    let set = |name: &str, value: &str| {
        for node in &cluster.nodes {
            assert_eq!(node.cli(&["config", "set", name, value]), "OK");
        }
    };
    set("maxmemory", "64mb");
    set("maxmemory-policy", "allkeys-lru");
    for args in [&["put", "k", "v"][..], &["incr", "n"], &["push", "l", "x"]] {
        on.run(args)
            .ends(Exit::Failure)
            .complains(&["allkeys-lru", "?eviction=allowed"]);
    }
    on.run(&["ls"]).ends(Exit::Success).is_silent();
    On::new(format!("{}&eviction=allowed", on.store)).put("k", "v");
    set("maxmemory-policy", "noeviction");
    on.put("k", "w");
}

#[test]
fn what_frees_memory_works_when_it_is_full() {
    if let Some(server) = Server::start(&[]) {
        frees_memory(&On::new(server.store()), std::slice::from_ref(&server));
    }
    if let Some(cluster) = Cluster::start() {
        frees_memory(&On::new(cluster.store()), &cluster.nodes);
    }
}

fn frees_memory(on: &On, nodes: &[Server]) {
    for key in ["a", "b", "c", "d"] {
        on.put(key, "v");
    }
    on.run(&["put", "t", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    on.run(&["push", "l", "x"]).ends(Exit::Success);
    for node in nodes {
        node.cli(&["config", "set", "maxmemory", "1"]);
    }
    let full = on.run(&["put", "e", "v"]).ends(Exit::Failure);
    full.complains(&["cannot use `redis://", "memory is full", "`kv gc`"]);
    on.run(&["lock", "job", "--", "true"]).ends(Exit::Success);
    on.run(&["rm", "a"]).ends(Exit::Success);
    on.run(&["pop", "l"]).ends(Exit::Success).prints("x");
    on.run(&["gc"]).ends(Exit::Success);
    on.run(&["-n", "default", "gc", "--max-entries", "2"])
        .ends(Exit::Success);
    on.run(&["ls", "--count"]).prints("2\n");
    on.feed(&["rm", "--stdin", "-f"], b"b\nc\nd\n")
        .ends(Exit::Success);
    on.run(&["ls"]).ends(Exit::Success).is_silent();
}

#[test]
fn a_token_is_larger_than_all_before_though_the_server_has_lost_them() {
    if let Some(server) = Server::start(&[]) {
        tokens_grow(server, &[]);
    }
    if let Some(lone) = start_lone() {
        lone.cli(&["cluster", "addslotsrange", "0", "16383"]);
        until_served(Some(&lone));
        tokens_grow(lone, &["--cluster-enabled", "yes"]);
    }
}

fn tokens_grow(mut server: Server, args: &[&str]) {
    let on = On::new(format!("redis://127.0.0.1:{}", server.port));
    let mut last = 0;
    for _ in 0..3 {
        for _ in 0..2 {
            let ran = on
                .run(&["lock", "job", "--", "sh", "-c", "echo $KV_LOCK_TOKEN"])
                .ends(Exit::Success);
            let token: u64 = ran.line().parse().unwrap();
            assert!(token > last, "{token} after {last}");
            last = token;
        }
        server = server.restart(args);
        if !args.is_empty() {
            until_served(Some(&server));
        }
    }
}

#[test]
fn a_socket_and_the_names_of_valkey_lead_to_a_server() {
    let dir = crate::harness::Sandbox::new();
    let socket = dir.path("r.sock");
    let socket = socket.to_str().unwrap();
    let Some(server) = Server::start(&["--unixsocket", socket]) else {
        return;
    };
    let valkey = On::new(format!("valkey://127.0.0.1:{}/2", server.port));
    valkey.put("k", "v");
    let unix = On::new(format!("redis+unix:{socket}?db=2"));
    unix.holds("k", "v");
    unix.put("k", "w");
    valkey.holds("k", "w");
    let info = unix.run(&["info"]).ends(Exit::Success).stdout_text();
    assert!(
        info.contains(&format!("redis+unix:{socket}?db=2")),
        "{info}"
    );
    let none = On::new("redis+unix:none".to_owned());
    none.run_within("50ms", &["get", "k"])
        .ends(Exit::Failure)
        .complains(&["redis+unix:none", "No such file"]);
}
