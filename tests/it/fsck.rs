//! `kv fsck`: what is damaged is found, what is sound is never told, and a repair brings nothing back.

mod beside;
pub mod flips;
mod kinds;
mod odd;
mod packs;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use kv::exit::Exit;
use serde_json::Value;
use walkdir::WalkDir;

use crate::dated::date;
use crate::files::flip;
use crate::harness::{Ran, Sandbox};

const MONTH: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

/// What the keys of [`small`] hold. Whatever begins with `gone` was removed, or never was.
pub fn expected() -> BTreeMap<String, Option<String>> {
    let mut keys: BTreeMap<_, _> = (0..3)
        .map(|n| (format!("old{n}"), Some(format!("packed first {n}"))))
        .collect();
    for n in 0..2 {
        keys.insert(format!("new{n}"), Some(format!("packed later {n}")));
    }
    for key in ["gone packed", "gone twice", "gone loose", "gone never"] {
        keys.insert(key.to_owned(), None);
    }
    keys.insert("loose".to_owned(), Some("in a file".to_owned()));
    keys.insert("over".to_owned(), Some("over a packed one".to_owned()));
    keys.insert("both".to_owned(), Some("in both packs, new".to_owned()));
    keys.insert("a %\n".to_owned(), Some("odd".to_owned()));
    keys.insert("ttl".to_owned(), Some("for a while".to_owned()));
    keys.insert("00000000000000000001".to_owned(), Some("one".to_owned()));
    keys.insert("00000000000000000002".to_owned(), Some("two".to_owned()));
    keys
}

/// Makes a small store with two packs, entries and tombstones beside them, hints and the ends of a
/// list, all in the namespace `jobs`.
pub fn small() -> Sandbox {
    let kv = Sandbox::new();
    let put = |key: &str, value: &str| {
        let args = ["-n", "jobs", "put", "--sync", "off", "--", key, value];
        kv.run(args).ends(Exit::Success).is_silent();
    };
    let remove = |key: &str| {
        let ran = kv.run(["-n", "jobs", "remove", key]);
        ran.ends(Exit::Success).is_silent();
    };
    // More values of the first pack than the later one, so that they are not merged.
    for n in 0..3 {
        put(&format!("old{n}"), &format!("packed first {n}"));
    }
    for n in 0..70 {
        put(&format!("fill{n}"), &"x".repeat(600));
    }
    for key in ["gone packed", "gone twice", "over", "both"] {
        put(key, "of old");
    }
    gc(&kv);
    for n in 0..2 {
        put(&format!("new{n}"), &format!("packed later {n}"));
    }
    put("both", "in both packs, new");
    remove("gone twice");
    gc(&kv);
    put("loose", "in a file");
    put("over", "over a packed one");
    put("a %\n", "odd");
    put("gone loose", "x");
    remove("gone loose");
    remove("gone packed");
    let ttl = ["-n", "jobs", "put", "ttl", "for a while", "--ttl", "9h"];
    kv.run(ttl).ends(Exit::Success).is_silent();
    for value in ["one", "two"] {
        kv.run(["push", "jobs", value]).ends(Exit::Success);
    }
    let packs = names(&kv, "packs");
    assert_eq!(packs.len(), 3, "two packs and MANIFEST: {packs:?}");
    kv
}

pub fn space(kv: &Sandbox) -> PathBuf {
    kv.store().join("jobs")
}

pub fn names(kv: &Sandbox, below: &str) -> Vec<String> {
    crate::harness::names_in(&space(kv).join(below))
}

#[track_caller]
pub fn gc(kv: &Sandbox) {
    kv.run(["gc"]).ends(Exit::Success).is_silent();
}

/// Returns the path of the file of a key in `jobs`.
pub fn file_of(kv: &Sandbox, key: &str) -> PathBuf {
    let path = kv.file_of(key.as_bytes());
    space(kv).join(path.strip_prefix(kv.space()).unwrap())
}

/// Makes `kv`'s store a copy of another.
pub fn copy(template: &Sandbox) -> Sandbox {
    let kv = Sandbox::in_memory();
    let status = Command::new("cp")
        .arg("-a")
        .arg(template.store())
        .arg(kv.store())
        .status();
    assert!(status.unwrap().success());
    kv
}

/// What is at each path below a store, but for lock files, which are made on demand.
pub fn contents(kv: &Sandbox) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let walk = WalkDir::new(kv.store()).into_iter().map(Result::unwrap);
    walk.filter(|entry| !entry.path().components().any(|c| c.as_os_str() == "locks"))
        .map(|entry| {
            let meta = entry.path().symlink_metadata().unwrap();
            let bytes = match meta.is_file() {
                true => fs::read(entry.path()).unwrap(),
                false => Vec::new(),
            };
            (entry.path().to_owned(), (meta.mode(), bytes))
        })
        .collect()
}

/// Runs a check and returns what it found, one object each.
pub fn findings(kv: &Sandbox, args: &[&str]) -> (Ran, Vec<Value>) {
    let ran = kv.run(["fsck", "--json"].iter().chain(args));
    let lines = ran.stdout_text();
    let found = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let found = found.collect();
    (ran, found)
}

/// Demands that there is nothing to tell.
#[track_caller]
pub fn is_clean(kv: &Sandbox) {
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}

#[test]
fn a_sound_store_is_silent() {
    let kv = Sandbox::new();
    is_clean(&kv);
    assert!(!kv.store().exists());
    kv.put("k", "v");
    is_clean(&kv);
    kv.run(["lock", "x", "--", "true"]).ends(Exit::Success);
    kv.feed(["put", "large"], &vec![7; 3_000_000])
        .ends(Exit::Success);
    is_clean(&kv);
    let kv = small();
    is_clean(&kv);
    kv.run(["fsck", "--repair"]).ends(Exit::Success).is_silent();
    kv.run(["fsck", "--repair", "--dry-run", "--json"])
        .ends(Exit::Success)
        .is_silent();
    assert!(!space(&kv).join("lost").exists());
    kv.put("k", "v");
    date(&kv, "k", MONTH);
    gc(&kv);
    is_clean(&kv);
}

#[test]
fn a_finding_is_a_line_with_the_key() {
    let kv = Sandbox::new();
    kv.put("a\nb", "value");
    let path = kv.file_of(b"a\nb");
    let len = fs::read(&path).unwrap().len();
    flip(&path, len - 1);
    let want = format!(
        "damage: {}: the checksum of its value does not match (key `a\\nb`)\n",
        path.display()
    );
    kv.run(["fsck"]).ends(Exit::Damaged).prints(want).warns("");
    let (ran, found) = findings(&kv, &[]);
    ran.ends(Exit::Damaged);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["severity"], "damage");
    assert_eq!(found[0]["namespace"], "default");
    assert_eq!(found[0]["path"], path.to_str().unwrap());
    assert_eq!(found[0]["key"], "a\nb");
    assert!(found[0]["repair"].is_null());
}

#[test]
fn one_namespace_or_all() {
    let kv = Sandbox::new();
    for name in ["a", "b"] {
        kv.run(["-n", name, "put", "k", "v"]).ends(Exit::Success);
    }
    let path = kv.store().join("a/strange");
    fs::write(&path, "nonsense").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    kv.run(["-n", "b", "fsck"]).ends(Exit::Success).is_silent();
    for args in [&["fsck"][..], &["-n", "a", "fsck"]] {
        let ran = kv.run(args).ends(Exit::Success);
        assert!(ran.line().starts_with("warning: "), "{}", ran.report());
    }
    // A misspelt name is not sound.
    kv.run(["-n", "c", "fsck"]).ends(Exit::No).is_silent();
    assert!(!kv.store().join("c").exists());
    kv.run(["fsck", "--dry-run"])
        .ends(Exit::Usage)
        .complains(&["--repair"]);
}

#[test]
fn a_namespace_without_its_format_is_not_passed_over() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    fs::remove_file(kv.space().join("format")).unwrap();
    for args in [&["export", "--all"][..], &["gc"], &["info"]] {
        let ran = kv.run(args).ends(Exit::Damaged);
        ran.complains(&["format"]);
    }
    kv.run(["fsck"]).ends(Exit::Damaged);
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    kv.holds("k", "v");
    is_clean(&kv);
    // What is not ours is no namespace, whatever it lacks.
    fs::create_dir(kv.store().join("lost+found")).unwrap();
    fs::write(kv.store().join("lost+found/x"), "").unwrap();
    is_clean(&kv);
    for args in [&["fsck", "--repair"][..], &["ls"], &["put", "k", "v"]] {
        kv.run([&["-n", "lost+found"], args].concat())
            .ends(Exit::Failure)
            .complains(&["lost+found", "no file `format`"]);
    }
    assert_eq!(
        crate::harness::names_in(&kv.store().join("lost+found")),
        ["x"]
    );
}

#[test]
fn newer_data_is_told_and_left_alone() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let path = kv.file_of(b"k");
    let mut bytes = fs::read(&path).unwrap();
    bytes[2] = b'2';
    // Its sum is another, as it covers the version.
    bytes[103] = if bytes[103] == b'0' { b'1' } else { b'0' };
    fs::write(&path, &bytes).unwrap();
    for args in [&["fsck"][..], &["fsck", "--repair"]] {
        let ran = kv.run(args).ends(Exit::Success);
        assert!(ran.line().starts_with("warning: "), "{}", ran.report());
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::write(kv.space().join("format"), "kv 2\nhash sha1\nshards 256\n").unwrap();
    for args in [&["fsck"][..], &["fsck", "--repair"]] {
        kv.run(args)
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["newer"]);
    }
}

#[test]
fn a_repair_waits_for_others_as_long_as_is_said() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let lock = fs::OpenOptions::new()
        .write(true)
        .open(kv.space().join("locks/gc"))
        .unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    is_clean(&kv);
    kv.run(["fsck", "--repair", "--dry-run"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["--busy-timeout", "50ms", "fsck", "--repair"])
        .ends(Exit::Busy)
        .complains(&["in use"]);
}
