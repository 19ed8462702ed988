//! Keys of a store that are no entries and that others have written to: they are told, and made anew.

use kv::exit::Exit;

use super::cases::{On, each};
use super::servers::server;

/// What somebody does to a key, as `redis-cli` takes it behind the name.
const LIST: &[&str] = &["rpush", "mine"];
const TEXT: &[&str] = &["set", "mine"];

/// Writes to a key of a store, whatever it was before, on a server and on a cluster, and has a case see.
#[track_caller]
fn with_foreign(name: &str, how: &[&str], case: fn(&On, &str)) {
    for (server, on) in each() {
        on.put("k", "v");
        on.run(&["put", "j", "v", "--namespace", "other"])
            .ends(Exit::Success);
        for value in ["a", "b"] {
            on.run(&["push", "jobs", value]).ends(Exit::Success);
        }
        on.run(&["gc"]).ends(Exit::Success);
        on.run(&["lock", "job", "--", "true"]).ends(Exit::Success);
        let name = name.replace("PREFIX", on.prefix());
        server.cli(&["-c", "del", &name]);
        server.cli(&["-c", how[0], &name, how[1]]);
        case(&on, &name);
        // A repair is told what it has moved, and all is as it was.
        let told = on.run(&["fsck"]).ends(Exit::Damaged).stdout_text();
        assert!(told.contains(&format!("damage: {name}: ")), "{told}");
        let dry = on.run(&["fsck", "--repair", "--dry-run"]).stdout_text();
        assert!(dry.contains("moved to"), "{dry}");
        let mended = on.run(&["fsck", "--repair"]).ends(Exit::Success);
        let aside = format!("{}y", &name[..name.len() - 1]);
        let moved = format!("moved to `{aside}`");
        assert!(mended.stdout_text().contains(&moved), "{}", mended.report());
        assert_eq!(server.cli(&["-c", "exists", &aside]), "1");
        on.run(&["fsck"]).ends(Exit::Success).is_silent();
        on.run(&["namespaces"])
            .ends(Exit::Success)
            .prints("default\njobs\nother\n");
        on.run(&["put", "new", "v", "--namespace", "more"])
            .ends(Exit::Success);
        on.run(&["push", "jobs", "c"]).ends(Exit::Success);
        on.run(&["items", "jobs"])
            .ends(Exit::Success)
            .prints("a\nb\nc\n");
        on.run(&["gc"]).ends(Exit::Success);
        on.run(&["lock", "job", "--", "true"]).ends(Exit::Success);
    }
}

#[test]
fn the_names_of_the_namespaces() {
    with_foreign("{PREFIX}n", TEXT, |on, name| {
        for args in [
            &["namespaces"][..],
            &["info"],
            &["put", "j", "v", "--namespace", "new"],
        ] {
            on.run(args).ends(Exit::Damaged).complains(&[
                name,
                "another program made",
                "kv fsck --repair",
            ]);
        }
        on.put("k", "v");
        on.holds("k", "v");
    });
}

#[test]
fn the_times_of_collections() {
    with_foreign("{PREFIX}g", LIST, |on, name| {
        on.run(&["-n", "default", "gc"])
            .ends(Exit::Damaged)
            .complains(&[name, "kv fsck --repair"]);
        on.run(&["-n", "default", "info"]).ends(Exit::Success);
    });
}

#[test]
fn the_counter_of_a_list() {
    with_foreign("{PREFIX:jobs:list}c", LIST, |on, name| {
        for args in [&["push", "jobs", "c"][..], &["pop", "jobs"]] {
            on.run(args)
                .ends(Exit::Damaged)
                .complains(&[name, "type list", "kv fsck --repair"]);
        }
        on.run(&["items", "jobs"])
            .ends(Exit::Success)
            .prints("a\nb\n");
    });
}

#[test]
fn a_counter_that_holds_no_number() {
    with_foreign("{PREFIX:jobs:list}c", TEXT, |_, _| ());
    // Who changes the list before the repair writes it anew.
    for garbage in ["0abc", "zzz", "00000000000000000z99"] {
        let Some(server) = server() else {
            return;
        };
        let on = On::new(server.store());
        let name = format!("{{{}:jobs:list}}c", on.prefix());
        for value in ["a", "b"] {
            on.run(&["push", "jobs", value]).ends(Exit::Success);
        }
        server.cli(&["set", &name, garbage]);
        on.run(&["pop", "jobs", "--last"])
            .ends(Exit::Success)
            .prints("b");
        assert_eq!(server.cli(&["get", &name]), "00000000000000000002");
        on.run(&["push", "jobs", "c"]).ends(Exit::Success);
        let keys = on.run(&["ls", "--namespace", "jobs"]).stdout_text();
        assert_eq!(keys, "00000000000000000001\n00000000000000000003\n");
        on.run(&["fsck"]).ends(Exit::Success).is_silent();
    }
}

#[test]
fn the_last_token_of_a_lock() {
    let bucket = xxhash_rust::xxh3::xxh3_64(b"job") & 0x3f;
    let name = format!("{{PREFIX:default:{bucket:02x}}}t");
    with_foreign(&name, LIST, |on, _| {
        on.run(&["lock", "job", "--", "true"])
            .ends(Exit::Program(125))
            .complains(&["type list"]);
        on.put("k", "w");
    });
}

#[test]
fn the_holders_of_a_lock() {
    let Some(server) = server() else {
        return;
    };
    let on = On::new(server.store());
    let name = format!("{}l:job", on.tag("job"));
    server.cli(&["set", &name, "mine"]);
    for args in [
        &["lock", "job", "--", "true"][..],
        &["lock", "job", "--show"],
    ] {
        let told = [&name[..], "which another program made: delete it"];
        on.run(args).ends(Exit::Program(125)).complains(&told);
    }
    server.cli(&["del", &name]);
    on.run(&["lock", "job", "--", "true"]).ends(Exit::Success);
}

#[test]
fn a_list_of_the_namespaces_that_is_gone_is_no_empty_store() {
    for (number, (server, on)) in each().enumerate() {
        on.run(&["namespaces"]).ends(Exit::Success).prints("");
        on.put("k", "v");
        on.run(&["put", "j", "v", "--namespace", "other"])
            .ends(Exit::Success);
        on.run(&["push", "jobs", "a"]).ends(Exit::Success);
        let name = format!("{{{}}}n", on.prefix());
        server.cli(&["-c", "del", &name]);
        for args in [
            &["namespaces"][..],
            &["export", "--all"],
            &["gc"],
            &["info"],
        ] {
            on.run(args).ends(Exit::Damaged).complains(&[
                &name,
                "names no namespace",
                "kv fsck --repair",
            ]);
        }
        let one = on.run(&["export", "--namespace", "other"]);
        assert_eq!(one.ends(Exit::Success).stdout_text().lines().count(), 1);
        on.run(&["info", "--namespace", "other"])
            .ends(Exit::Success);
        let told = on.run(&["fsck"]).ends(Exit::Damaged).stdout_text();
        assert_eq!(told.matches("does not name the namespace").count(), 3);
        let mend = || {
            let mended = on.run(&["fsck", "--repair"]).ends(Exit::Success);
            assert!(mended.stdout_text().contains("listed again"));
            on.run(&["fsck"]).ends(Exit::Success).is_silent();
            on.run(&["namespaces"])
                .ends(Exit::Success)
                .prints("default\njobs\nother\n");
        };
        mend();
        // One that is gone from the list is found as well.
        server.cli(&["-c", "hdel", &name, "other"]);
        let told = on.run(&["fsck"]).ends(Exit::Damaged).stdout_text();
        assert!(told.contains("`other`"), "{told}");
        mend();
        if number == 0 {
            // What is written over an entry lists its namespace again.
            server.cli(&["del", &name]);
            on.put("k", "w");
            on.run(&["push", "jobs", "b"]).ends(Exit::Success);
            on.run(&["namespaces"])
                .ends(Exit::Success)
                .prints("default\njobs\n");
            mend();
        }
    }
}
