//! Users who may not do everything, and keys that other programs made: nothing is done and told as failed.

use std::process::Command;

use kv::exit::Exit;

use super::cases::{On, each};
use super::servers::{Cluster, Server};
use crate::harness::{Ran, until};
use crate::process::Started;

/// Prepares a command of a user.
fn as_user(on: &On, user: &str, args: &[&str]) -> Command {
    let store = on.store.replace("//", &format!("//{user}@"));
    let mut command = on.command(args);
    command.env("KV_STORE", store).env("KV_PASSWORD", "hush");
    command
}

fn run_as(on: &On, user: &str, args: &[&str]) -> Ran {
    Ran::of(&mut as_user(on, user, args))
}

/// Makes a user by a line of `redis-cli`.
fn make_user(server: &Server, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(server.cli(&words), "OK", "{line}");
}

/// What every command of a script may need.
fn does_everything(run: &dyn Fn(&[&str]) -> Ran) {
    run(&["put", "k", "v"]).ends(Exit::Success).is_silent();
    run(&["put", "t", "v", "--ttl", "1h"]).ends(Exit::Success);
    run(&["get", "k"]).ends(Exit::Success).prints("v");
    run(&["incr", "n"]).ends(Exit::Success).prints("1\n");
    run(&["incr", "n"]).ends(Exit::Success).prints("2\n");
    run(&["append", "k", "w"]).ends(Exit::Success);
    run(&["expire", "k", "1h"]).ends(Exit::Success);
    run(&["expire", "k", "never"]).ends(Exit::Success);
    run(&["push", "jobs", "x"]).ends(Exit::Success);
    run(&["pop", "jobs"]).ends(Exit::Success).prints("x");
    run(&["lock", "job", "--", "true"]).ends(Exit::Success);
    run(&["ls"]).ends(Exit::Success).prints("k\nn\nt\n");
    run(&["rm", "k"]).ends(Exit::Success).is_silent();
    run(&["gc"]).ends(Exit::Success);
    run(&["info"]).ends(Exit::Success);
    run(&["fsck", "--repair"]).ends(Exit::Success);
    run(&["export", "--all"]).ends(Exit::Success);
    run(&["namespaces", "--remove", "default"]).ends(Exit::Success);
    run(&["ls"]).ends(Exit::Success).prints("");
}

#[test]
fn the_user_of_the_page_may_do_all_that_is_needed() {
    let line = crate::manpage::source::named_code("server-user");
    let line = line
        .trim_start_matches("redis-cli ")
        .replace("PASSWORD", "hush")
        .replace(['\'', '\\'], "");
    if let Some(server) = Server::start(&[]) {
        make_user(&server, &line);
        let on = On::new(format!("redis://127.0.0.1:{}", server.port));
        does_everything(&|args| run_as(&on, "kv", args));
        let waited = run_as(&on, "kv", &["pop", "jobs", "--wait", "10ms"]);
        waited.ends(Exit::No).is_silent();
        // And nothing else.
        let denied = server.cli(&["--user", "kv", "--pass", "hush", "SET", "other", "x"]);
        assert!(denied.contains("NOPERM"), "{denied}");
    }
    if let Some(cluster) = Cluster::start() {
        for node in &cluster.nodes {
            make_user(node, &line);
        }
        let on = On::new(format!("redis://127.0.0.1:{}", cluster.nodes[0].port));
        does_everything(&|args| run_as(&on, "kv", args));
    }
}

#[test]
fn who_may_not_publish_changes_the_store_all_the_same() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    // What Redis makes of a user who may do all with all keys: there is no channel among them.
    make_user(&server, "ACL SETUSER mute on >hush ~* +@all resetchannels");
    let on = On::new(server.store());
    does_everything(&|args| run_as(&on, "mute", args));
    // It can wait as well, as it looks again and again.
    let waiting = Started::new(as_user(&on, "mute", &["wait", "k", "--timeout", "60s"]));
    until("it waits", || {
        server.cli(&["client", "list"]).contains("user=mute")
    });
    on.put("k", "v");
    waiting.end().ends(Exit::Success).is_silent();
}

#[test]
fn who_lacks_a_right_changes_nothing() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let on = On::new(server.store());
    on.put("k", "old");
    on.run(&["push", "jobs", "x"]).ends(Exit::Success);
    for (right, args) in [
        ("unlink", &["rm", "k"][..]),
        ("zrem", &["pop", "jobs"]),
        ("zadd", &["put", "k", "new"]),
        ("pexpireat", &["put", "k", "new"]),
        ("time", &["put", "k", "new"]),
        ("evalsha", &["put", "k", "new"]),
        ("setrange", &["expire", "k", "1h"]),
        ("incrby", &["incr", "n"]),
        ("info", &["put", "k", "new"]),
    ] {
        let user = format!("ACL SETUSER less on >hush ~* &* +@all -{right}");
        make_user(&server, &user);
        run_as(&on, "less", args)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["NOPERM", right, "kv-format(5)"]);
        on.holds("k", "old");
        on.run(&["items", "jobs"]).ends(Exit::Success).prints("x\n");
        on.run(&["get", "n"]).ends(Exit::No);
        make_user(&server, "ACL SETUSER less reset");
    }
    // What a script meets before it has looked is told in words of the server.
    make_user(&server, "ACL SETUSER less on >hush ~* &* +@all -type");
    let ran = run_as(&on, "less", &["put", "k", "new"]).ends(Exit::Failure);
    ran.complains(&["kv-format(5)", "run"]);
    on.holds("k", "old");
}

#[test]
fn what_is_not_told_of_replicas_is_not_assumed() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let on = On::new(cluster.store());
    for right in ["cluster|nodes", "wait"] {
        for node in &cluster.nodes {
            make_user(node, "ACL SETUSER less reset");
            let user = format!("ACL SETUSER less on >hush ~* &* +@all -{right}");
            make_user(node, &user);
        }
        run_as(&on, "less", &["put", "k", "v"])
            .ends(Exit::Failure)
            .complains(&["NOPERM"]);
        on.run(&["get", "k"]).ends(Exit::No);
        run_as(&on, "less", &["get", "k"]).ends(Exit::No);
        let none = On::new(format!("{}&replicas=0", on.store));
        run_as(&none, "less", &["put", "other", "v"]).ends(Exit::Success);
    }
}

#[test]
fn what_is_not_told_of_a_log_is_not_assumed() {
    let Some(server) = Server::start(&["--appendonly", "yes"]) else {
        return;
    };
    let on = On::new(format!("{}&replicas=0", server.store()));
    let user = server.cli(&[
        "acl", "setuser", "less", "on", ">hush", "~*", "&*", "+@all", "-waitaof",
    ]);
    if user != "OK" {
        // Redis 7.0 knows no such command, and `tests/run` tries Valkey as well, which does.
        assert!(user.contains("Unknown command"), "{user}");
        return;
    }
    run_as(&on, "less", &["put", "k", "v"])
        .ends(Exit::Failure)
        .complains(&["NOPERM", "waitaof"]);
    run_as(&on, "less", &["put", "k", "v", "--sync", "off"]).ends(Exit::Success);
}

#[test]
fn who_has_no_password_is_nobody_else() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    make_user(&server, "ACL SETUSER noeval on >hush ~* &* +@all -evalsha");
    make_user(&server, "ACL SETUSER open on nopass ~* &* +@all");
    let on = On::new(server.store().replace("//", "//noeval@"));
    for args in [&["put", "k", "v"][..], &["get", "k"]] {
        on.run(args)
            .ends(Exit::Failure)
            .complains(&["`noeval` needs a password", "KV_PASSWORD"]);
    }
    let open = On::new(on.store.replace("noeval", "open"));
    open.put("k", "v");
}

#[test]
fn a_key_of_another_program_is_one_finding() {
    for (server, on) in each() {
        for key in ["a", "b", "c"] {
            on.put(key, key);
        }
        let (index, entry) = (format!("{}i", on.tag("a")), format!("{}e:b", on.tag("b")));
        server.cli(&["-c", "del", &index]);
        server.cli(&["-c", "set", &index, "mine"]);
        server.cli(&["-c", "del", &entry]);
        server.cli(&["-c", "rpush", &entry, "mine"]);
        // Nothing of a change that fails is done.
        on.run(&["put", "a", "new"])
            .ends(Exit::Damaged)
            .complains(&[&index, "string"]);
        on.holds("a", "a");
        on.run(&["get", "b"])
            .ends(Exit::Damaged)
            .complains(&[&entry]);
        let listed = on.run(&["ls"]).ends(Exit::Damaged);
        assert!(listed.stdout_text().contains("c\n"), "{}", listed.report());
        let found = on.run(&["fsck"]).ends(Exit::Damaged).stdout_text();
        let told = |name: &str| found.lines().filter(|line| line.contains(name)).count();
        assert_eq!((told(&index), told(&entry)), (1, 1), "{found}");
        on.run(&["info"]).ends(Exit::Damaged);
        let repaired = on.run(&["fsck", "--repair"]).stdout_text();
        assert!(repaired.contains("added to its index"), "{repaired}");
        on.run(&["fsck"]).ends(Exit::Success);
        on.run(&["ls"]).ends(Exit::Success).prints("a\nc\n");
        // It is moved away, and not lost.
        let aside = format!("{}y", on.tag("a"));
        assert_eq!(server.cli(&["-c", "get", &aside]), "mine");
        on.put("b", "over it");
    }
}
