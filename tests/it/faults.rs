//! What else goes wrong: places that are no stores, and writers that are killed.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::Sandbox;

#[test]
fn a_store_that_is_a_file_is_named() {
    let kv = Sandbox::new();
    fs::write(kv.store(), "precious").unwrap();
    let below = kv.store().join("below");
    for store in [kv.store(), below] {
        let store = store.to_str().unwrap();
        for args in [
            &["get", "k"][..],
            &["put", "k", "v"],
            &["remove", "k"],
            &["ls"],
            &["namespaces"],
        ] {
            kv.run(["-s", store].iter().chain(args))
                .ends(Exit::Failure)
                .prints("")
                .complains(&[store, "Not a directory"]);
        }
    }
    assert_eq!(fs::read(kv.store()).unwrap(), b"precious");
}

#[test]
fn a_directory_of_other_things_is_no_namespace() {
    let kv = Sandbox::new();
    fs::create_dir_all(kv.space()).unwrap();
    fs::write(kv.space().join("diary"), "precious").unwrap();
    for args in [
        &["get", "k"][..],
        &["put", "k", "v"],
        &["ls"],
        &["namespaces", "--remove", "default"],
    ] {
        kv.run(args).ends(Exit::Failure).prints("").complains(&[
            "default`",
            "no file `format`",
            "not kv's",
        ]);
    }
    assert_eq!(crate::harness::names_in(&kv.space()), ["diary"]);
    assert_eq!(crate::harness::names_in(&kv.store()), ["default"]);
}

#[test]
fn a_format_that_is_garbage_is_damage() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for garbage in [&b""[..], b"kv", b"\xff\xfe", b"kv one\n", &[b'x'; 5000]] {
        fs::write(kv.space().join("format"), garbage).unwrap();
        for args in [&["get", "k"][..], &["put", "k", "w"], &["ls"]] {
            kv.run(args)
                .ends(Exit::Damaged)
                .prints("")
                .complains(&["format` is damaged"]);
        }
    }
}

#[test]
fn a_killed_put_leaves_the_old_value() {
    for (signal, number) in [("KILL", 9), ("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let kv = Sandbox::new();
        kv.put("k", "old");
        let mut command = kv.kv(["put", "k"]);
        let mut put = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = put.stdin.take().unwrap();
        stdin.write_all(&vec![b'x'; 1_000_000]).unwrap();
        // The draft is there, and the value has not come to its end.
        while kv.litter().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        let id = put.id().to_string();
        let kill = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(kill.unwrap().success());
        assert_eq!(put.wait().unwrap().signal(), Some(number));
        drop(stdin);
        kv.holds("k", "old");
        kv.put("k", "new");
        kv.holds("k", "new");
        kv.run(["ls"]).ends(Exit::Success).prints("k\n");
    }
}

#[test]
fn a_value_that_breaks_off_with_an_error_is_not_stored() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    // Standard input that is a directory opens, and fails when it is read.
    kv.shell("sh", "kv put k < .")
        .ends(Exit::Failure)
        .prints("")
        .complains(&["cannot read `standard input`", "Is a directory"]);
    kv.holds("k", "old");
    assert_eq!(kv.litter(), [""; 0]);
}
