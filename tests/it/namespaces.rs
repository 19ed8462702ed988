//! `kv namespaces`, and what a namespace can be called.

use kv::exit::Exit;

use crate::harness::{Sandbox, names_in};

fn with(names: &[&str]) -> Sandbox {
    let kv = Sandbox::new();
    for name in names {
        kv.run(["-n", name, "put", "k", name])
            .ends(Exit::Success)
            .is_silent();
    }
    kv
}

#[test]
pub fn lists_names_in_byte_order() {
    let kv = with(&["b", "a b", "B", "ä"]);
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("B\na b\nb\nä\n")
        .warns("");
    kv.run(["namespaces", "-0"])
        .ends(Exit::Success)
        .prints("B\0a b\0b\0ä\0");
}

#[test]
pub fn a_store_that_does_not_exist_has_none() {
    let kv = Sandbox::new();
    kv.run(["namespaces"]).ends(Exit::Success).is_silent();
    kv.run(["namespaces", "--remove", "a"])
        .ends(Exit::No)
        .is_silent();
    assert!(!kv.store().exists());
}

#[test]
fn what_else_lies_in_the_directory_is_passed_over() {
    let kv = with(&["a"]);
    std::fs::create_dir(kv.store().join("lost+found")).unwrap();
    std::fs::write(kv.store().join("README"), "hello").unwrap();
    kv.run(["namespaces"]).ends(Exit::Success).prints("a\n");
}

#[test]
pub fn namespaces_do_not_see_each_other() {
    let kv = with(&["a", "b"]);
    kv.run(["-n", "a", "get", "k"])
        .ends(Exit::Success)
        .prints("a");
    kv.run(["-n", "a", "remove", "k"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["get", "k", "--namespace", "b"])
        .ends(Exit::Success)
        .prints("b");
    kv.lacks("k");
}

#[test]
fn remove_takes_one_namespace_with_all_it_holds() {
    let kv = with(&["a", "b"]);
    kv.run(["namespaces", "--remove", "a", "--dry-run"])
        .ends(Exit::Success)
        .prints("k\n");
    kv.run(["namespaces", "--remove", "a"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(names_in(&kv.store()), ["b"]);
    for options in [&[][..], &["--dry-run"]] {
        kv.run(["namespaces", "--remove", "a"].iter().chain(options))
            .ends(Exit::No)
            .is_silent();
    }
    kv.run(["-n", "a", "put", "k", "new"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["-n", "a", "get", "k"])
        .ends(Exit::Success)
        .prints("new");
}

#[test]
pub fn dry_run_needs_something_to_remove() {
    let kv = with(&["a"]);
    kv.run(["namespaces", "--dry-run"])
        .ends(Exit::Usage)
        .complains(&["--remove"]);
}

#[test]
pub fn a_name_is_a_name_and_no_path() {
    let kv = Sandbox::new();
    let long = "n".repeat(256);
    for bad in ["", ".", "..", ".x", "a/b", "/a", "a\nb", "a\x1bb", &long] {
        kv.run(["-n", bad, "put", "k", "v"])
            .ends(Exit::Usage)
            .complains(&["--namespace"]);
        kv.run(["namespaces", "--remove", bad])
            .ends(Exit::Usage)
            .complains(&["--remove"]);
    }
    assert!(!kv.store().exists());
    for good in ["a.b", "-", "häuser", " ", &long[1..]] {
        kv.run(["--namespace", good, "put", "k", "v"])
            .ends(Exit::Success)
            .is_silent();
    }
}
