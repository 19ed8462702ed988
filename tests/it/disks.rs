//! Disks that are full, out of inodes, or not to be written.

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in};
use crate::machine::Mount;

#[test]
fn a_value_too_large_for_the_disk_leaves_the_old_one_and_no_litter() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    disk.run(&kv, ["put", "k", "old"]).ends(Exit::Success);
    let before = disk.names();
    let large = vec![b'x'; 5_000_000];
    Ran::fed(&mut disk.kv(&kv, ["put", "k"]), &large)
        .ends(Exit::Failure)
        .prints("")
        .complains(&["cannot write", "tmp/", "No space left on device"]);
    std::fs::write(kv.path("file"), &large).unwrap();
    disk.run(&kv, ["put", "k", "--file", "file"])
        .ends(Exit::Failure)
        .complains(&["No space left on device"]);
    disk.run(&kv, ["get", "k"])
        .ends(Exit::Success)
        .prints("old");
    assert_eq!(disk.names(), before);
}

#[test]
fn a_disk_that_is_full_to_the_last_page_can_be_read_and_emptied() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=256k") else {
        return;
    };
    let mut stored = 0;
    let last = loop {
        let ran = disk.run(&kv, ["put", &format!("k{stored}"), "value", "--ttl", "1h"]);
        if !ran.status().success() {
            break ran;
        }
        stored += 1;
    };
    last.ends(Exit::Failure)
        .complains(&["No space left on device"]);
    assert_eq!(names_in(&disk.store().join("default/tmp")), [""; 0]);
    disk.run(&kv, ["ls", "--count"])
        .ends(Exit::Success)
        .prints(format!("{stored}\n"));
    for n in 0..stored {
        disk.run(&kv, ["get", &format!("k{n}")])
            .ends(Exit::Success)
            .prints("value");
    }
    // Removing takes no space, and gives some back.
    disk.run(&kv, ["remove", "k0"])
        .ends(Exit::Success)
        .is_silent();
    disk.run(&kv, ["get", "k1", "--remove"])
        .ends(Exit::Success)
        .prints("value");
    disk.run(&kv, ["put", "k2", "again"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
fn out_of_inodes_is_said_at_whatever_step_it_happens() {
    let kv = Sandbox::new();
    // From too few for a namespace to enough for a few keys; a put needs up to three.
    for inodes in 2..24 {
        let Some(disk) = Mount::tmpfs(&kv, &format!("nr_inodes={inodes}")) else {
            return;
        };
        let mut stored = 0;
        let last = loop {
            let ran = disk.run(&kv, ["put", &format!("k{stored}"), "value"]);
            if !ran.status().success() {
                break ran;
            }
            stored += 1;
        };
        last.ends(Exit::Failure)
            .prints("")
            .complains(&["cannot ", "out of inodes", "df -i"]);
        assert_eq!(names_in(&disk.store().join("default/tmp")), [""; 0]);
        let rooms = names_in(&disk.store());
        assert!(
            rooms.iter().all(|name| name == "default"),
            "{inodes}: {rooms:?}"
        );
        for n in 0..stored {
            disk.run(&kv, ["get", &format!("k{n}")])
                .ends(Exit::Success)
                .prints("value");
        }
        if stored > 0 {
            disk.run(&kv, ["remove", "k0"])
                .ends(Exit::Success)
                .is_silent();
        }
    }
}

#[test]
fn a_read_only_file_system_is_read_and_says_so_when_written() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    disk.run(&kv, ["put", "k", "v"]).ends(Exit::Success);
    disk.make_read_only();
    for (args, want) in [
        (&["get", "k"][..], "v"),
        (&["ls"], "k\n"),
        (&["has", "k"], ""),
        (&["ttl", "k"], "never\n"),
        (&["stat", "k", "--field", "size"], "1\n"),
        (&["namespaces"], "default\n"),
    ] {
        disk.run(&kv, args)
            .ends(Exit::Success)
            .prints(want)
            .warns("");
    }
    // The answer "no" writes nothing.
    for args in [
        &["remove", "absent"][..],
        &["expire", "absent", "1h"],
        &["put", "k", "w", "--if-absent"],
        &["get", "absent", "--remove"],
    ] {
        disk.run(&kv, args).ends(Exit::No).is_silent();
    }
    for args in [
        &["put", "k", "w"][..],
        &["put", "new", "w"],
        &["remove", "k"],
        &["get", "k", "--remove"],
        &["expire", "k", "1h"],
        &["namespaces", "--remove", "default"],
        &["-n", "new", "put", "k", "v"],
    ] {
        disk.run(&kv, args)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["cannot ", "Read-only file system"]);
    }
}

#[test]
fn a_program_without_an_end_ends_when_its_output_finds_no_room() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    disk.run(&kv, ["put", "k", "old"]).ends(Exit::Success);
    for words in [&["yes"][..], &["sh", "-c", "yes; exit 3"]] {
        let args = [&["update", "k", "--"], words].concat();
        disk.run(&kv, args)
            .ends(Exit::Program(125))
            .complains(&["No space left on device"]);
        disk.run(&kv, ["get", "k"])
            .ends(Exit::Success)
            .prints("old");
    }
}

#[test]
fn what_keeps_many_keys_from_being_removed_is_told_once() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    let puts: String = (0..40).map(|n| format!("put k{n} v\n")).collect();
    let mut batch = disk.kv(&kv, ["batch", "--sync", "off"]);
    Ran::fed(&mut batch, puts.as_bytes()).ends(Exit::Success);
    disk.run(&kv, ["gc"]).ends(Exit::Success);
    // Not a byte is left for marks that hide what is packed.
    let full = std::fs::write(disk.store().with_file_name("filler"), vec![1; 1 << 20]);
    assert!(full.is_err());
    let ran = disk.run(&kv, ["remove", "--glob", "k*"]);
    let told = ran.ends(Exit::Failure).stderr_text();
    let lines: Vec<_> = told.lines().collect();
    assert!(lines.len() == 2, "{told}");
    assert!(lines[0].contains("No space left on device"), "{told}");
    assert_eq!(lines[1], "kv: the same 39 times more");
}
