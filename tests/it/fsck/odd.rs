//! Names that are none of kv's, modes and owners, and what dead processes left.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kv::exit::Exit;

use super::{contents, copy, findings, flip, gc, is_clean, small, space};
use crate::files::image;
use crate::harness::Sandbox;
use crate::machine::{is_root, mode_and_group};
use crate::range::{note, range};
use crate::sweep::age;

#[track_caller]
fn told(kv: &Sandbox, severity: &str, path: &Path) {
    let (ran, found) = findings(kv, &[]);
    let is_it = |f: &&serde_json::Value| f["path"] == path.to_str().unwrap();
    let it = found.iter().find(is_it);
    let it = it.unwrap_or_else(|| panic!("not told: {}: {}", path.display(), ran.report()));
    assert_eq!(it["severity"], severity, "{it}");
    let want = if severity == "damage" { 4 } else { 0 };
    assert_eq!(ran.status().code(), Some(want), "{}", ran.report());
}

#[test]
fn names_that_kv_does_not_know_are_told_and_stay() {
    let template = small();
    for (below, severity) in [
        ("README", "warning"),
        ("objects/x", "warning"),
        ("objects/AB", "damage"),
        ("objects/ab/short", "warning"),
        ("tmp/old", "note"),
        ("expiry/1", "warning"),
        ("spare/3", "warning"),
        ("locks/AB", "warning"),
        ("locks/xyz", "warning"),
        ("named/zz", "warning"),
        // A listing complains of it.
        (
            "objects/ab/ABCDEF78901234567890123456789012345678",
            "damage",
        ),
    ] {
        let kv = copy(&template);
        let path = space(&kv).join(below);
        let parent = path.parent().unwrap();
        if !parent.exists() {
            fs::create_dir(parent).unwrap();
            fs::set_permissions(parent, Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        age(&path, Duration::from_secs(120));
        told(&kv, severity, &path);
        let ls = kv.run(["-n", "jobs", "ls"]).status().code();
        assert_eq!(
            ls,
            Some(if severity == "damage" { 4 } else { 0 }),
            "{below}"
        );
        kv.run(["fsck", "--repair"]).ends(Exit::Success);
        assert_eq!(path.exists(), severity != "damage", "{below}");
    }
}

#[test]
fn a_link_in_the_place_of_a_directory_is_not_followed() {
    let template = small();
    let shard = super::file_of(&template, "loose");
    let shard = shard.parent().unwrap().file_name().unwrap();
    let shard = Path::new("objects").join(shard);
    for below in ["objects", "locks", "tmp", "expiry", "spare", "packs"]
        .map(Path::new)
        .into_iter()
        .chain([&*shard])
    {
        let kv = copy(&template);
        let outside = kv.path("outside");
        let path = space(&kv).join(below);
        fs::rename(&path, &outside).unwrap();
        symlink(&outside, &path).unwrap();
        let before = image(&outside);
        told(&kv, "damage", &path);
        // What it holds decides over older values, and nobody knows what it held.
        let ran = kv.run(["fsck", "--repair"]);
        let stays = below.starts_with("objects") || below == Path::new("packs");
        let want = if stays { 4 } else { 0 };
        assert_eq!(ran.status().code(), Some(want), "{}", ran.report());
        assert_eq!(path.is_symlink(), stays, "{}", below.display());
        assert!(image(&outside) == before, "{}", below.display());
        if !stays {
            let (ran, _) = findings(&kv, &[]);
            ran.ends(Exit::Success);
            let args = ["-n", "jobs", "put", "k", "v", "--ttl", "1h"];
            kv.run(args).ends(Exit::Success);
            gc(&kv);
        }
    }
}

#[test]
fn a_directory_that_is_missing_is_made() {
    for (below, is_repaired) in [
        ("objects", true),
        ("locks", true),
        ("tmp", true),
        ("expiry", true),
        ("expiry", false),
    ] {
        let kv = Sandbox::new();
        kv.put("k", "v");
        fs::remove_dir_all(kv.space().join(below)).unwrap();
        // No command fails for that.
        told(&kv, "note", &kv.space().join(below));
        let mender = match is_repaired {
            true => kv.run(["fsck", "--repair"]),
            false => kv.run(["put", "k", "w", "--ttl", "1h"]),
        };
        mender.ends(Exit::Success);
        is_clean(&kv);
        assert_eq!(mode_and_group(&kv.space().join(below)).0, 0o700);
        kv.run(["put", "k", "w", "--ttl", "1h"]).ends(Exit::Success);
        kv.holds("k", "w");
    }
}

#[test]
fn modes_and_owners_are_those_of_the_store() {
    let template = Sandbox::new();
    template.put("k", "v");
    let file = template.file_of(b"k");
    let file = file.strip_prefix(template.store()).unwrap();
    let shard = file.parent().unwrap();
    let gc = Path::new("default/locks/gc");
    for (below, mode) in [(file, 0o644), (file, 0o700), (shard, 0o755), (gc, 0o400)] {
        let kv = copy(&template);
        let path = kv.store().join(below);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        told(&kv, "warning", &path);
        kv.run(["fsck", "--repair"]).ends(Exit::Success);
        assert_eq!(mode_and_group(&path).0, mode, "a repair changes no modes");
    }
    let kv = copy(&template);
    for n in 0..30 {
        kv.put(&format!("k{n}"), "v");
    }
    fs::set_permissions(kv.store(), Permissions::from_mode(0o2770)).unwrap();
    let ran = kv.run(["fsck"]).ends(Exit::Success);
    assert_eq!(ran.stdout_text().lines().count(), 11, "{}", ran.report());
    assert!(
        ran.stdout_text()
            .contains(" more files in it have another mode")
    );
    if is_root() {
        let kv = copy(&template);
        let path = kv.store().join(file);
        let status = Command::new("chown").arg("12345").arg(&path).status();
        assert!(status.unwrap().success());
        told(&kv, "warning", &path);
    }
}

#[test]
fn what_a_dead_writer_left_is_a_note_and_a_living_one_is_nothing() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let draft = |name: &str| {
        let path = kv.space().join("tmp").join(name);
        fs::write(&path, "half").unwrap();
        path
    };
    let (dead, _fresh, held) = (draft("dead"), draft("fresh"), draft("held"));
    age(&dead, Duration::from_secs(120));
    age(&held, Duration::from_secs(120));
    let holder = fs::File::open(&held).unwrap();
    fs2::FileExt::lock_exclusive(&holder).unwrap();
    let (_, found) = findings(&kv, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    told(&kv, "note", &dead);
    gc(&kv);
    is_clean(&kv);
}

#[test]
fn a_range_of_a_list_that_leaves_an_element_out() {
    let kv = Sandbox::new();
    for value in ["one", "two", "three"] {
        kv.run(["push", "jobs", value]).ends(Exit::Success);
    }
    let list = space(&kv).join("list");
    let narrower = list.join(format!("{:020}-{:020}", 2, 65));
    fs::rename(range(&kv), narrower).unwrap();
    // Nobody believes it as long as it is not noted.
    is_clean(&kv);
    note(&space(&kv));
    told(&kv, "damage", &list);
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    is_clean(&kv);
    for value in ["one", "two", "three"] {
        kv.run(["pop", "jobs"]).ends(Exit::Success).prints(value);
    }
    kv.run(["pop", "jobs"]).ends(Exit::No);
}

#[test]
fn what_is_no_range_is_told() {
    let kv = Sandbox::new();
    kv.run(["push", "jobs", "one"]).ends(Exit::Success);
    let path = space(&kv).join("list/1-65");
    fs::write(&path, "").unwrap();
    told(&kv, "warning", &path);
    fs::remove_file(&path).unwrap();
    let lock = space(&kv).join("locks/list");
    fs::write(&lock, "nonsense").unwrap();
    told(&kv, "warning", &lock);
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("one");
    is_clean(&kv);
}

#[test]
fn hints_that_are_none_are_a_warning() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "v", "--ttl", "1h"]).ends(Exit::Success);
    is_clean(&kv);
    let name = kv.names_in("expiry").remove(0);
    let path = kv.space().join("expiry").join(name);
    let good = fs::read(&path).unwrap();
    for bad in [&b"x\n"[..], &good[..20], &[b'a'; 100_000]] {
        fs::write(&path, [&good, bad].concat()).unwrap();
        age(&path, Duration::from_secs(120));
        told(&kv, "warning", &path);
    }
    kv.holds("k", "v");
}

#[test]
fn huge_lengths_are_damage_and_cost_nothing() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let path = kv.file_of(b"k");
    let mut bytes = fs::read(&path).unwrap();
    for (from, to) in [(66, 85), (60, 65)] {
        bytes[from..to].fill(b'9');
        let summed = [&bytes[..102], b"k"].concat();
        let sum = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&summed));
        bytes[103..119].copy_from_slice(sum.as_bytes());
        fs::write(&path, &bytes).unwrap();
        told(&kv, "damage", &path);
        kv.run(["get", "k"]).ends(Exit::Damaged);
    }
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    kv.lacks("k");
    is_clean(&kv);
}

#[test]
fn an_entry_of_no_key_is_damage() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let line = fs::read(kv.file_of(b"k")).unwrap();
    for (key, text, len) in [(&b""[..], "", 0), (b"a\0", "a%00", 2)] {
        let mut bytes = line[..120].to_vec();
        bytes[60..65].copy_from_slice(format!("{len:05}").as_bytes());
        let summed = [&bytes[..102], text.as_bytes()].concat();
        let sum = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&summed));
        bytes[103..119].copy_from_slice(sum.as_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(b"\nv");
        let path = kv.file_of(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
        told(&kv, "damage", &path);
        kv.run(["ls"]).ends(Exit::Damaged).prints("k\n");
        let before = contents(&kv);
        kv.run(["gc"]).ends(Exit::Damaged);
        assert_eq!(contents(&kv).get(&path), before.get(&path));
        kv.run(["fsck", "--repair"]).ends(Exit::Success);
        assert!(!path.exists());
    }
}

#[test]
fn what_cannot_be_looked_at_is_status_5_and_the_rest_is_told() {
    let Some(commons) = crate::machine::Commons::new() else {
        return;
    };
    let user = (12_345, 12_345);
    let kv = &commons.kv;
    fs::create_dir(kv.store()).unwrap();
    fs::set_permissions(kv.store(), Permissions::from_mode(0o777)).unwrap();
    for key in ["a", "b"] {
        commons.run_as(user, ["put", key, "v"]).ends(Exit::Success);
    }
    let path = kv.file_of(b"a");
    let len = fs::read(&path).unwrap().len();
    flip(&path, len - 1);
    fs::set_permissions(kv.file_of(b"b"), Permissions::from_mode(0o000)).unwrap();
    let ran = commons.run_as((12_346, 12_346), ["fsck"]);
    let ran = ran.ends(Exit::Failure);
    assert!(ran.stdout_text().contains("damage: "), "{}", ran.report());
    ran.complains(&["cannot open"]);
}
