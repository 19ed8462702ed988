//! What is put in the place of a store's files: links are not followed, and nothing hangs.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;
use std::process::Command;

use kv::exit::Exit;

use crate::files::image;
use crate::harness::{Sandbox, cannot_run};

/// Moves something out of the store and leaves a link to it.
fn link_out(kv: &Sandbox, path: &Path) -> std::path::PathBuf {
    let outside = kv.path("outside");
    fs::rename(path, &outside).unwrap();
    symlink(&outside, path).unwrap();
    outside
}

#[test]
fn a_linked_shard_is_not_followed() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let outside = link_out(&kv, kv.file_of(b"k").parent().unwrap());
    let before = image(&outside);
    for args in [
        &["get", "k"][..],
        &["has", "k"],
        &["put", "k", "w"],
        &["remove", "k"],
        &["get", "k", "--remove"],
        &["expire", "k", "1h"],
        &["ls"],
    ] {
        kv.run(args)
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["symbolic link"]);
    }
    assert_eq!(image(&outside), before);
}

#[test]
fn a_linked_entry_is_not_followed_and_can_be_replaced() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let outside = link_out(&kv, &kv.file_of(b"k"));
    let before = image(&outside);
    for args in [&["get", "k"][..], &["expire", "k", "1h"], &["ls"]] {
        kv.run(args)
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["symbolic link"]);
    }
    kv.put("k", "new");
    kv.holds("k", "new");
    assert_eq!(image(&outside), before);
}

#[test]
fn linked_rooms_are_not_written_through() {
    for room in ["tmp", "locks", "objects", "format", ""] {
        let kv = Sandbox::new();
        kv.put("k", "v");
        let outside = link_out(
            &kv,
            &kv.space()
                .join(room)
                .components()
                .collect::<std::path::PathBuf>(),
        );
        let before = image(&outside);
        kv.run(["put", "k", "w", "--ttl", "1h"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["symbolic link"]);
        assert_eq!(image(&outside), before, "{room}");
    }
}

#[test]
fn a_linked_room_of_hints_costs_the_hint_alone() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let outside = link_out(&kv, &kv.space().join("expiry"));
    kv.run(["put", "k", "w", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(image(&outside).len(), 1);
}

#[test]
fn pipes_directories_devices_and_sockets_are_damage_and_make_nobody_wait() {
    for kind in ["pipe", "directory", "device", "socket"] {
        let kv = Sandbox::new();
        kv.put("k", "v");
        let path = kv.file_of(b"k");
        fs::remove_file(&path).unwrap();
        let made = match kind {
            "pipe" => Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success(),
            "directory" => fs::create_dir(&path).is_ok(),
            "device" => {
                let mut mknod = Command::new("mknod");
                mknod.arg(&path).args(["c", "1", "5"]);
                mknod.output().unwrap().status.success()
            }
            // A socket's path may not have more than about 100 bytes, so it is bound elsewhere.
            _ => {
                let short = std::env::temp_dir().join(format!("kv-socket-{}", std::process::id()));
                _ = fs::remove_file(&short);
                let bound = std::os::unix::net::UnixListener::bind(&short).is_ok();
                bound && {
                    let moved = fs::rename(&short, &path).is_ok();
                    _ = fs::remove_file(&short);
                    moved && path.symlink_metadata().unwrap().file_type().is_socket()
                }
            }
        };
        if !made {
            cannot_run(&format!("a {kind} cannot be made here"));
            continue;
        }
        for args in [
            &["get", "k"][..],
            &["has", "k"],
            &["ls"],
            &["put", "k", "w", "--if-absent"],
            &["get", "k", "--remove"],
        ] {
            kv.run(args)
                .ends(Exit::Damaged)
                .prints("")
                .complains(&["is damaged"]);
        }
    }
}

#[test]
fn a_linked_namespace_is_listed_and_not_followed() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    std::os::unix::fs::symlink("default", kv.store().join("linked")).unwrap();
    // Whoever goes through all of them is told, as whoever names it is.
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("default\nlinked\n");
    for args in [
        &["-n", "linked", "get", "k"][..],
        &["-n", "linked", "put", "k", "w"],
    ] {
        kv.run(args)
            .ends(Exit::Damaged)
            .complains(&["linked", "symbolic link"]);
    }
    kv.run(["gc"]).ends(Exit::Damaged);
    kv.holds("k", "v");
}
