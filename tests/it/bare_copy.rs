//! Copies of a store without its empty directories, as git, rclone and `rsync -m` make them.

use kv::exit::Exit;

use crate::harness::Sandbox;

/// A store of which everything is packed, and then all that is empty removed.
fn bare() -> Sandbox {
    let kv = Sandbox::new();
    kv.put("key", "value");
    kv.run(["gc", "--sync", "full"]).ends(Exit::Success);
    let drop = "find store -type d -empty -delete; ls store/default";
    let ran = kv.shell("sh", drop).ends(Exit::Success);
    assert!(!ran.stdout_text().contains("tmp"), "{}", ran.report());
    kv
}

#[test]
fn every_command_makes_what_it_needs() {
    for args in [
        &["put", "new", "v", "--ttl", "1h"][..],
        &["ls"],
        &["get", "key"],
        &["gc"],
        &["remove", "key"],
        &["incr", "n"],
        &["lock", "l", "--", "true"],
        &["push", "jobs", "x"],
        &["import", "--tsv"],
        &["remove", "--glob", "*"],
        &["get", "key", "--remove"],
        &["info"],
        &["export"],
        &["namespaces", "--remove", "default"],
    ] {
        let kv = bare();
        kv.feed(args, b"a\tb\n").ends(Exit::Success).warns("");
    }
}

#[test]
fn even_without_its_locks() {
    for gone in ["locks", "objects", "tmp", "expiry", "spare", "named"] {
        let kv = bare();
        let remove = format!("rm -rf store/default/{gone}");
        kv.shell("sh", &remove).ends(Exit::Success);
        kv.put("new", "v");
        kv.holds("new", "v");
        kv.holds("key", "value");
        kv.run(["put", "brief", "v", "--ttl", "1h"])
            .ends(Exit::Success);
        kv.run(["gc"]).ends(Exit::Success).is_silent();
        kv.run(["ls"])
            .ends(Exit::Success)
            .prints("brief\nkey\nnew\n");
    }
}

/// A process that looks and puts many has the namespace open, and `tmp` in it.
#[test]
fn who_has_the_namespace_open_makes_them_too() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    // What was changed just now is not kept.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let script = "(echo put k 1; echo put k 2; sleep 1; find store -type d -empty -delete
        echo put k 3; echo get k; echo put k 4; echo get k) | kv batch";
    let ran = kv.shell("sh", script).ends(Exit::Success);
    ran.prints("0 0\n\n0 0\n\n0 0\n\n0 1\n3\n0 0\n\n0 1\n4\n");
    let script = "rmdir store/default/tmp && touch store/default/tmp && sleep 3
        (echo get k; echo get k; echo get k) | kv batch";
    let ran = kv.shell("sh", script).ends(Exit::Success);
    ran.prints("0 1\n4\n".repeat(3));
}

/// The copy has a copy of the draft, of the same name.
#[test]
fn a_value_that_comes_while_a_copy_takes_the_place_is_whole() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let script = "(printf before; sleep 2; printf behind) | kv put slow & sleep 1
        cp -a store/default store/.copy && mv store/default moved && mv store/.copy store/default
        wait $!";
    kv.shell("sh", script).ends(Exit::Success);
    kv.holds("slow", "beforebehind");
    kv.holds("k", "v");
}

#[test]
fn a_repair_makes_them() {
    let kv = bare();
    let ran = kv.run(["fsck"]).ends(Exit::Damaged);
    assert!(ran.stdout_text().contains("objects"), "{}", ran.report());
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
    kv.holds("key", "value");
}
