//! Stores that must exist: `--existing` and `KV_EXISTING`.

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};

/// Commands with the status that they end with where nothing is found.
const COMMANDS: &[&[&str]] = &[
    &["put", "k", "v"],
    &["get", "k"],
    &["get", "k", "--remove"],
    &["remove", "k"],
    &["remove", "-f", "k"],
    &["ls"],
    &["has", "k"],
    &["stat", "k"],
    &["expire", "k", "1h"],
    &["ttl", "k"],
    &["incr", "k"],
    &["append", "k", "v"],
    &["push", "list", "v"],
    &["pop", "list"],
    &["items", "list"],
    &["wait", "k", "--gone"],
    &["export"],
    &["export", "--all"],
    &["gc"],
    &["fsck"],
    &["info"],
    &["namespaces"],
    &["namespaces", "--remove", "app"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["mount", "--foreground", "."],
];

#[test]
pub fn a_store_that_must_exist_is_not_made() {
    let kv = Sandbox::new();
    for args in COMMANDS {
        let at_end = args.iter().chain(&["--existing"]);
        kv.run(at_end)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["--existing"]);
    }
    for args in [&["batch"][..], &["import", "--tsv"]] {
        let mut command = kv.kv(["--existing"].iter().chain(args));
        Ran::fed(&mut command, b"a\tb\n")
            .ends(Exit::Failure)
            .prints("");
    }
    for args in [
        &["update", "k", "--", "cat"][..],
        &["lock", "k", "--", "true"],
        &["memo", "--ttl", "1h", "--", "true"],
    ] {
        let ran = Ran::of(kv.kv(args).env("KV_EXISTING", "1"));
        assert_eq!(ran.status().code(), Some(125), "{}", ran.report());
    }
    kv.run(["namespaces"]).ends(Exit::Success).is_silent();
    if !kv.has_server() {
        assert!(!kv.store().exists());
    }
}

#[test]
fn a_directory_that_is_mistyped_is_made_only_where_a_store_may_be() {
    let kv = Sandbox::new();
    for store in ["no/such/store", "sqlite:no/such/database"] {
        let at = |args: &[&str]| Ran::of(kv.kv(args).env("KV_STORE", store));
        for args in [&["put", "k", "v"][..], &["mount", "."], &["serve"]] {
            at(&[&["--existing"], args].concat())
                .ends(Exit::Failure)
                .complains(&["--existing"]);
            assert!(!kv.path("no").exists(), "{args:?}");
        }
        at(&["put", "k", "v"]).ends(Exit::Success).is_silent();
        std::fs::remove_dir_all(kv.path("no")).unwrap();
    }
}

#[test]
pub fn a_store_with_a_namespace_exists() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["--existing", "get", "k"])
        .ends(Exit::Success)
        .prints("v");
    // In another namespace nothing has been stored so far.
    kv.run(["-n", "app", "get", "k", "--existing"])
        .ends(Exit::No)
        .is_silent();
    Ran::of(
        kv.kv(["-n", "app", "put", "k", "w"])
            .env("KV_EXISTING", "1"),
    )
    .ends(Exit::Success)
    .is_silent();
    for value in ["0", ""] {
        Ran::of(kv.kv(["get", "k"]).env("KV_EXISTING", value)).ends(Exit::Success);
    }
    Ran::of(kv.kv(["get", "k"]).env("KV_EXISTING", "yes"))
        .ends(Exit::Usage)
        .complains(&["invalid KV_EXISTING"]);
}

#[test]
fn a_store_that_is_taken_away_is_not_made_by_who_has_begun() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let script = "{ echo get k; until [ -s out ]; do sleep 0.01; done; mv store gone; echo put k w; echo get k; } \
                  | kv --existing batch > out; echo $?; cat out; ls";
    let ran = kv.shell("sh", script).ends(Exit::Success);
    assert_eq!(
        ran.stdout_text(),
        "5\n0 1\nv\n5 0\n\n5 0\n\ngone\nout\n",
        "{}",
        ran.report()
    );
}
