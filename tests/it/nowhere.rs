//! Links that lead nowhere, such as to a disk that is not plugged in.

use std::os::unix::fs::symlink;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox};

#[test]
fn a_store_behind_a_link_to_nothing_cannot_be_made() {
    let kv = Sandbox::new();
    symlink(kv.path("nowhere"), kv.path("link")).unwrap();
    for store in [
        "link",
        "link/",
        "link/below/it",
        "sqlite:link",
        "sqlite:link/file",
    ] {
        let at = |args: &[&str]| Ran::of(kv.kv(args).env("KV_STORE", store));
        for args in [
            &["put", "k", "v"][..],
            &["put", "k", "v", "--if-absent"],
            &["push", "list", "v"],
            &["incr", "k"],
        ] {
            at(args).ends(Exit::Failure).prints("").complains(&[
                "symbolic link",
                "nowhere",
                "does not exist",
            ]);
        }
        let locked = at(&["lock", "k", "--", "true"]);
        assert_eq!(locked.status().code(), Some(125), "{}", locked.report());
        // A link onto a disk that is not mounted must not read as an empty store.
        for args in [&["get", "k"][..], &["ls"], &["export"], &["gc"]] {
            at(args).ends(Exit::Failure).complains(&["does not exist"]);
        }
    }
    assert!(!kv.path("nowhere").exists());
}

#[test]
fn the_users_own_store_may_be_such_a_link() {
    let kv = Sandbox::new();
    std::fs::create_dir_all(kv.path(".local/share")).unwrap();
    symlink("/nowhere/at/all", kv.path(".local/share/kv")).unwrap();
    Ran::of(kv.kv(["put", "k", "v"]).env_remove("KV_STORE"))
        .ends(Exit::Failure)
        .complains(&["symbolic link to `/nowhere/at/all`"]);
}
