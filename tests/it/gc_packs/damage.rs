//! Packs that are not what was written, and what `kv gc` leaves alone because of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kv::exit::Exit;

use super::{contents, cool, gc, info, ls, pack, packs};
use crate::harness::{KV, Sandbox, cannot_run, names_in, until};
use crate::kills::can_inject;
use crate::process::Started;

type Damage = fn(Vec<u8>) -> Vec<u8>;

/// Ways to damage a file as a whole.
const DAMAGES: [(&str, Damage); 3] = [
    ("nothing is left", |_| Vec::new()),
    ("half is left", |bytes| bytes[..bytes.len() / 2].to_vec()),
    ("garbage", |bytes| vec![0xA5; bytes.len()]),
];

/// Makes a store with one pack, and entries beside it that have files of their own.
fn packed() -> Sandbox {
    let kv = Sandbox::new();
    for n in 0..50 {
        kv.put(&format!("packed {n}"), &format!("value number {n}"));
    }
    kv.put("hidden", "old");
    pack(&kv);
    assert_eq!(packs(&kv).len(), 1);
    kv.put("hidden", "new");
    kv.put("loose", "here");
    kv
}

fn the_pack(kv: &Sandbox) -> PathBuf {
    kv.space().join("packs").join(&packs(kv)[0])
}

/// Demands that whoever needs the pack is told, and nobody else.
#[track_caller]
fn only_the_pack_is_lost(kv: &Sandbox, name: &str, what: &str) {
    kv.holds("loose", "here");
    kv.holds("hidden", "new");
    for args in [
        &["get", "packed 7"][..],
        &["get", "packed 7", "--default", "d"],
        &["get", "packed 7", "--remove"],
        // Whether it is there cannot be told.
        &["get", "absent"],
        &["has", "absent"],
        &["put", "packed 7", "w", "--if-absent"],
        &["append", "packed 7", "w"],
    ] {
        let ran = kv.run(args);
        assert_eq!(ran.status().code(), Some(4), "{what}: {}", ran.report());
        ran.prints("").complains(&[name]);
    }
    let ran = kv.run(["ls"]);
    assert_eq!(ran.status().code(), Some(4), "{what}: {}", ran.report());
    // What needs no pack is listed all the same.
    let listed = ran.stdout_text();
    assert_eq!(listed, "hidden\nloose\n", "{what}");
    // A write that asks nothing needs nothing.
    kv.put("packed 7", "written again");
    kv.holds("packed 7", "written again");
}

#[test]
fn a_damaged_pack_is_told_by_whoever_needs_it() {
    for (what, damage) in DAMAGES {
        let kv = packed();
        let path = the_pack(&kv);
        fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
        only_the_pack_is_lost(&kv, &packs(&kv)[0], what);
    }
}

#[test]
fn a_missing_pack_is_told_by_whoever_needs_it() {
    let kv = packed();
    let name = packs(&kv).remove(0);
    fs::remove_file(the_pack(&kv)).unwrap();
    only_the_pack_is_lost(&kv, &name, "it is gone");
}

#[test]
fn a_damaged_record_is_told_and_the_others_are_read() {
    let kv = packed();
    let path = the_pack(&kv);
    let mut bytes = fs::read(&path).unwrap();
    let value = b"value number 23";
    let at: Vec<_> = bytes
        .windows(value.len())
        .enumerate()
        .filter(|(_, w)| w == value)
        .collect();
    let [(at, _)] = at[..] else {
        panic!("values stand in a pack as they are, once: {at:?}");
    };
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let name = &packs(&kv)[0];
    kv.run(["get", "packed 23"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&[name]);
    for n in (0..50).filter(|n| *n != 23) {
        kv.holds(&format!("packed {n}"), format!("value number {n}"));
    }
    kv.lacks("absent");
    kv.put("packed 23", "again");
    kv.holds("packed 23", "again");
    cool(&kv);
    // The pack is due to be merged, which would lose what cannot be read.
    kv.run(["gc"]).ends(Exit::Damaged).complains(&[name]);
    assert!(path.exists());
    kv.holds("packed 23", "again");
}

#[test]
fn gc_tells_of_a_damaged_pack_and_loses_nothing_that_is_sound() {
    for (what, damage) in DAMAGES {
        let kv = packed();
        let path = the_pack(&kv);
        let broken = damage(fs::read(&path).unwrap());
        fs::write(&path, &broken).unwrap();
        cool(&kv);
        for _ in 0..2 {
            // It may have nothing to do with that pack, and then need not look at it.
            let ran = kv.run(["gc"]).prints("");
            assert!(
                [Some(0), Some(4)].contains(&ran.status().code()),
                "{what}: {}",
                ran.report()
            );
            assert!(
                fs::read(&path).is_ok_and(|bytes| bytes == broken),
                "{what}: evidence is gone"
            );
            kv.holds("loose", "here");
            kv.holds("hidden", "new");
        }
    }
}

#[test]
fn without_its_list_of_packs_gc_deletes_nothing() {
    for damage in DAMAGES
        .map(|(what, damage)| (what, Some(damage)))
        .into_iter()
        .chain([("it is gone", None)])
    {
        let (what, damage) = damage;
        let kv = packed();
        let manifest = kv.space().join("packs/MANIFEST");
        match damage {
            Some(damage) => fs::write(&manifest, damage(fs::read(&manifest).unwrap())).unwrap(),
            None => fs::remove_file(&manifest).unwrap(),
        }
        fs::write(
            kv.space().join("packs/pack-00000000000000ff"),
            "not ours to judge",
        )
        .unwrap();
        cool(&kv);
        let before = contents(&kv);
        for args in [&["gc"][..], &["-n", "default", "gc", "--max-entries", "0"]] {
            let ran = kv.run(args);
            assert_eq!(ran.status().code(), Some(4), "{what}: {}", ran.report());
            ran.prints("").complains(&["MANIFEST"]);
            assert!(contents(&kv) == before, "{what}: gc changed the store");
        }
        // What is loose decides; for the rest the list is needed.
        kv.holds("loose", "here");
        kv.run(["get", "packed 7"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["MANIFEST"]);
        kv.run(["get", "absent"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["MANIFEST"]);
    }
}

#[test]
fn a_file_that_the_list_does_not_name_goes_and_is_never_adopted() {
    let kv = packed();
    let dir = kv.space().join("packs");
    let old = fs::read(the_pack(&kv)).unwrap();
    kv.run(["remove", "packed 7"]).ends(Exit::Success);
    // A pack from before the removal, as a gc that was killed may leave it.
    for name in ["pack-0000000000000001", "pack-ffffffffffffffff", "junk"] {
        fs::write(dir.join(name), &old).unwrap();
    }
    kv.lacks("packed 7");
    let before = ls(&kv, &["--values"]);
    pack(&kv);
    kv.lacks("packed 7");
    assert_eq!(ls(&kv, &["--values"]), before);
    let names = names_in(&dir);
    assert!(!names.iter().any(|name| name == "junk"), "{names:?}");
    for name in ["pack-0000000000000001", "pack-ffffffffffffffff"] {
        assert!(!dir.join(name).exists(), "{names:?}");
    }
}

#[test]
fn a_damaged_entry_beside_packs_stays_and_is_told() {
    let kv = packed();
    cool(&kv);
    fs::write(kv.file_of(b"hidden"), "garbage").unwrap();
    for _ in 0..2 {
        let ran = kv.run(["gc"]).ends(Exit::Damaged).prints("");
        ran.complains(&["objects/", "is damaged"]);
        // It never gives way to the older value behind it.
        kv.run(["get", "hidden"])
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["is damaged"]);
    }
    assert_eq!(fs::read(kv.file_of(b"hidden")).unwrap(), b"garbage");
    assert!(
        !kv.file_of(b"loose").exists(),
        "it was not moved into a pack"
    );
    kv.holds("loose", "here");
    kv.run(["remove", "hidden"]).ends(Exit::Success).is_silent();
    for _ in 0..2 {
        kv.lacks("hidden");
        pack(&kv);
    }
    gc(&kv);
    assert_eq!(info(&kv)["damaged"], 0);
}

/// Tells whether any process has a pack of this name open.
fn is_open(name: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut files = processes.flat_map(|process| fs::read_dir(process.path().join("fd")));
    files.any(|mut files| {
        files.any(|file| {
            let target = file.and_then(|file| fs::read_link(file.path()));
            target.is_ok_and(|target| target.ends_with(name))
        })
    })
}

/// By a program that heeds no lock: rsync, say, or whoever restores a backup into a store in use.
#[test]
fn a_manifest_that_is_replaced_meanwhile_is_told() {
    if !can_inject() {
        return cannot_run("strace, which delays a system call, does not work here");
    }
    let kv = Sandbox::new();
    kv.put("a", "1");
    pack(&kv);
    let manifest = kv.space().join("packs/MANIFEST");
    let older = fs::read(&manifest).unwrap();
    let only = packs(&kv).remove(0);
    kv.put("b", "2");
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "trace", "-P", &format!("default/packs/{only}")]);
    command.args([
        "-e",
        "inject=openat2:delay_enter=1500000",
        KV,
        "gc",
        "--now",
    ]);
    command
        .current_dir(kv.root())
        .env_clear()
        .env("KV_STORE", kv.store());
    let gc = Started::new(command);
    // Of the two packs that are merged the newer is opened first.
    until("the newer pack is open, and the older is to be", || {
        let text = fs::read_to_string(&manifest).unwrap();
        let newer = packs(&kv).into_iter().find(|name| *name != only);
        text.matches("pack ").count() == 2 && newer.is_some_and(|name| is_open(&name))
    });
    fs::write(kv.path("older"), older).unwrap();
    fs::rename(kv.path("older"), &manifest).unwrap();
    fs::remove_file(kv.space().join("packs").join(only)).unwrap();
    gc.end()
        .ends(Exit::Failure)
        .complains(&["MANIFEST", "heeds no lock"]);
}

#[test]
fn one_namespace_that_fails_keeps_no_other_from_being_collected() {
    let kv = Sandbox::new();
    for name in ["a", "newer", "z"] {
        kv.run(["-n", name, "put", "k", "v"]).ends(Exit::Success);
    }
    cool(&kv);
    let format = kv.store().join("newer/format");
    fs::write(format, "kv 2\nhash sha1\nshards 256\n").unwrap();
    kv.run(["gc"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["newer"]);
    for (name, left) in [("a", 0), ("newer", 1), ("z", 0)] {
        let objects = kv.store().join(name).join("objects");
        let entries = super::files(&objects);
        assert_eq!(entries.len(), left, "{name}: {entries:?}");
    }
}
