//! Every row of the exit table, by driving the binary into it.

use std::fs::OpenOptions;

use kv::exit::Exit;

use crate::files::flip_last;
use crate::harness::{Ran, Sandbox};

#[test]
fn the_binary_ends_in_every_row_of_the_table() {
    for exit in Exit::ALL {
        let ran = drive(exit).ends(exit);
        match exit {
            Exit::Success | Exit::No => drop(ran.is_silent()),
            _ => drop(ran.prints("").complains(&[])),
        }
    }
}

/// Brings about the one state of affairs that each row stands for.
fn drive(exit: Exit) -> Ran {
    let kv = Sandbox::new();
    kv.put("k", "v");
    match exit {
        Exit::Success => kv.run(["has", "k"]),
        Exit::No => kv.run(["has", "absent"]),
        Exit::Usage => kv.run(["has"]),
        Exit::Busy => {
            let shard = kv.file_of(b"k");
            let shard = shard.parent().unwrap().file_name().unwrap();
            let lock = kv.space().join("locks").join(shard);
            let lock = OpenOptions::new().write(true).open(lock).unwrap();
            fs2::FileExt::lock_exclusive(&lock).unwrap();
            let ran = kv.run(["put", "k", "w", "--busy-timeout", "100ms"]);
            kv.holds("k", "v");
            assert_eq!(kv.litter(), [""; 0]);
            ran
        }
        Exit::Damaged => {
            let path = kv.file_of(b"k");
            flip_last(&path);
            kv.run(["get", "k"])
        }
        Exit::Failure => kv.run(["put", "k", "--file", "missing"]),
        Exit::Program(_) | Exit::Signal(_) => unreachable!("it is no row of the table"),
    }
}

#[test]
fn the_numbers_are_those_that_shipped() {
    let numbers = Exit::ALL.map(|exit| exit.row().0);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn busy_zero_is_one_try() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    for args in [
        &["put", "k", "w"][..],
        &["remove", "k"],
        &["get", "k", "--remove"],
        &["expire", "k", "1h"],
        &["namespaces", "--remove", "default"],
    ] {
        let held = lock_all(&kv);
        kv.run(["--busy-timeout", "0"].iter().chain(args))
            .ends(Exit::Busy)
            .prints("")
            .complains(&["in use"]);
        drop(held);
    }
    // A reader waits for nobody.
    let _held = lock_all(&kv);
    kv.holds("k", "v");
    kv.run(["ls"]).ends(Exit::Success).prints("k\n");
}

fn lock_all(kv: &Sandbox) -> Vec<std::fs::File> {
    let names = kv.names_in("locks");
    let open = |name: &String| {
        let path = kv.space().join("locks").join(name);
        let file = OpenOptions::new().write(true).open(path).unwrap();
        fs2::FileExt::lock_exclusive(&file).unwrap();
        file
    };
    names.iter().map(open).collect()
}

#[test]
fn a_wrong_command_line_is_one_line() {
    let kv = Sandbox::new();
    for args in [
        &["-n", "app"][..],
        &["nonsense"],
        &["gte", "k"],
        &["get"],
        &["get", ""],
        &["get", "a", "b"],
        &["put"],
        &["put", "k", "v", "--ttl"],
        &["put", "k", "v", "--ttl", "a\nb"],
        &["put", "k\nl", "v", "--nonsense\nmore"],
        &["ls", "--limit", "many"],
        &["stat", "k", "--field", "x"],
        &["--sync", "maybe", "ls"],
        &["completions", "tcsh"],
        &["help", "nonsense"],
    ] {
        kv.run(args).ends(Exit::Usage).prints("").complains(&[]);
    }
    assert!(!kv.store().exists());
}

#[test]
fn what_is_wrong_with_a_number_or_a_name_is_told_in_plain_words() {
    let kv = Sandbox::new();
    for (args, why) in [
        (&["ls", "--limit", "x"][..], "`x`: use a whole number"),
        (&["ls", "--limit=-1"], "`-1`: use a whole number"),
        (&["incr", "k", "--by", "1.5"], "`1.5`: use a whole number"),
        (&["gc", "--max-entries", "1e3"], "`1e3`: use a whole number"),
    ] {
        kv.run(args).ends(Exit::Usage).complains(&[why]);
    }
    kv.run(["lock", "", "--", "true"])
        .ends(Exit::Program(125))
        .complains(&["the name of a lock cannot be empty"]);
    kv.run(["ls"]).ends(Exit::Success);
    for (name, why) in [("HOME", "HOME"), ("KV_STORE", "~user")] {
        let mut command = kv.kv(["put", "k", "v"]);
        command.env_remove("KV_STORE").env(name, "~user/kv");
        Ran::of(&mut command).ends(Exit::Usage).complains(&[why]);
    }
}
