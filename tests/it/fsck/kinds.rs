//! A table of what can happen to a file, and to each file of a small store: it is found, repaired
//! where that can be done, and no old value ever comes back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kv::exit::Exit;

use super::{contents, copy, expected, file_of, findings, names, small, space};
use crate::harness::{Sandbox, tell_count};

type Damage = fn(&Path, &Path);

/// What happens to a file; the second path is one outside of the store.
const KINDS: [(&str, Damage); 12] = [
    ("nothing is left", |path, _| fs::write(path, "").unwrap()),
    ("half is left", |path, _| {
        change(path, |b| b.truncate(b.len() / 2))
    }),
    ("the last byte is gone", |path, _| {
        change(path, |b| b.truncate(b.len().max(1) - 1))
    }),
    ("a byte more", |path, _| change(path, |b| b.push(b'x'))),
    ("a page more", |path, _| {
        change(path, |b| b.extend([0; 4096]))
    }),
    ("garbage", |path, _| change(path, |b| b.fill(0xA5))),
    ("zeros", |path, _| change(path, |b| b.fill(0))),
    ("one flip in the middle", |path, _| {
        change(path, |b| {
            let middle = b.len() / 2;
            if let Some(byte) = b.get_mut(middle) {
                *byte ^= 0x10;
            }
        });
    }),
    ("a link", |path, outside| {
        fs::copy(path, outside).unwrap();
        fs::remove_file(path).unwrap();
        symlink(outside, path).unwrap();
    }),
    ("a pipe", |path, _| {
        fs::remove_file(path).unwrap();
        let status = Command::new("mkfifo").arg(path).status();
        assert!(status.unwrap().success());
    }),
    ("a directory", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
        fs::write(path.join("in it"), "x").unwrap();
    }),
    ("gone", |path, _| fs::remove_file(path).unwrap()),
];

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    how(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// What a file is to the store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// The entry, or the tombstone, of this key.
    Entry(&'static str),
    Pack,
    Manifest,
    Format,
    Aside,
}

fn files(kv: &Sandbox) -> Vec<(PathBuf, Role)> {
    let mut files = Vec::new();
    for key in [
        "loose",
        "over",
        "gone packed",
        "a %\n",
        "ttl",
        "00000000000000000001",
    ] {
        files.push((file_of(kv, key), Role::Entry(key)));
    }
    for name in names(kv, "packs") {
        let role = if name == "MANIFEST" {
            Role::Manifest
        } else {
            Role::Pack
        };
        files.push((space(kv).join("packs").join(name), role));
    }
    files.push((space(kv).join("format"), Role::Format));
    for name in names(kv, "expiry").into_iter().take(1) {
        files.push((space(kv).join("expiry").join(name), Role::Aside));
    }
    for name in ["locks/gc", "locks/list", "spare/1"] {
        files.push((space(kv).join(name), Role::Aside));
    }
    let shard = file_of(kv, "loose");
    let shard = shard.parent().unwrap().file_name().unwrap();
    files.push((space(kv).join("locks").join(shard), Role::Aside));
    files
}

/// Reads all keys: each holds what it ought to, or cannot be read, or, if it is the key of the
/// damaged entry, may be absent. Returns those that cannot be read.
#[track_caller]
fn read_all(
    kv: &Sandbox,
    want: &BTreeMap<String, Option<String>>,
    unsure: Option<&str>,
    what: &str,
) -> Vec<String> {
    let mut unread = Vec::new();
    for (key, want) in want {
        let ran = kv.run(["-n", "jobs", "get", "--", key]);
        let report = format!("{what}: {key}: {}", ran.report());
        match (ran.status().code(), want) {
            (Some(0), Some(want)) => assert_eq!(ran.stdout(), want.as_bytes(), "{report}"),
            (Some(1), None) => {}
            (Some(1), Some(_)) => assert_eq!(Some(&**key), unsure, "{report}"),
            (Some(4), _) => {
                assert!(ran.stdout().is_empty(), "{report}");
                unread.push(key.clone());
            }
            _ => panic!("{report}"),
        }
    }
    check_export(kv, want, what);
    unread
}

/// Demands that what is exported is right, of the keys that are wanted.
#[track_caller]
fn check_export(kv: &Sandbox, want: &BTreeMap<String, Option<String>>, what: &str) {
    let listed = kv.run(["-n", "jobs", "export"]);
    assert!([Some(0), Some(4)].contains(&listed.status().code()));
    for line in listed.stdout_text().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let key = entry["key"].as_str().unwrap();
        let value = entry["value"].as_str().unwrap();
        match want.get(key) {
            Some(want) => assert_eq!(Some(value), want.as_deref(), "{what}: exported {key}"),
            // The entry that is gone without a trace, or what only fills a pack.
            None => assert!(
                !key.starts_with("fill") || value == "x".repeat(600),
                "{what}"
            ),
        }
    }
}

#[test]
fn each_kind_of_damage_to_each_file() {
    let template = small();
    let numbers = 0..files(&template).len();
    let count = std::thread::scope(|scope| {
        // Two at a time.
        let halves = [0, 1].map(|half| {
            let (template, numbers) = (&template, numbers.clone());
            scope.spawn(move || {
                let numbers = numbers.filter(|number| number % 2 == half);
                numbers
                    .map(|number| try_all(template, number))
                    .sum::<usize>()
            })
        });
        halves
            .into_iter()
            .map(|half| half.join().unwrap())
            .sum::<usize>()
    });
    tell_count(&format!("{count} kinds of damage"));
}

/// Tries each kind of damage on one file, each time in a store that is otherwise sound.
fn try_all(template: &Sandbox, number: usize) -> usize {
    let want = expected();
    let mut count = 0;
    for (kind, damage) in KINDS {
        let kv = copy(template);
        let (path, role) = files(&kv).swap_remove(number);
        let below = path.strip_prefix(space(&kv)).unwrap().to_owned();
        let what = format!("{kind}: {} ({role:?})", below.display());
        let good = fs::read(&path).unwrap();
        let outside = kv.path("outside");
        damage(&path, &outside);
        let is_same = path.symlink_metadata().is_ok_and(|meta| meta.is_file())
            && fs::read(&path).unwrap() == good;
        if is_same {
            continue;
        }
        // Nothing tells that there ever was an entry.
        let mut want = want.clone();
        if let (Role::Entry(key), "gone") = (role, kind) {
            want.remove(key);
        }
        try_one(&kv, &want, role, kind, &what);
        if outside.exists() {
            let after = fs::read(&outside).unwrap();
            assert!(after == good, "{what}: a link was followed");
        }
        count += 1;
    }
    count
}

#[track_caller]
fn try_one(
    kv: &Sandbox,
    want: &BTreeMap<String, Option<String>>,
    role: Role,
    kind: &str,
    what: &str,
) {
    let unsure = match role {
        Role::Entry(key) => Some(key),
        _ => None,
    };
    // What was damaged is no reason to be absent before somebody has decided so.
    let unread = read_all(kv, want, None, what);
    let (ran, found) = findings(kv, &[]);
    let status = ran.status().code();
    assert!(
        [Some(0), Some(4)].contains(&status),
        "{what}: {}",
        ran.report()
    );
    let is_damage = |found: &serde_json::Value| found["severity"] == "damage";
    let told_newer = found.iter().any(|f| f["severity"] == "warning") || status == Some(4);
    assert!(
        unread.is_empty() || status == Some(4) || told_newer,
        "{what}: {}",
        ran.report()
    );
    let told = findings(kv, &["--repair", "--dry-run"]).1;
    assert_eq!(told.len(), found.len(), "{what}: {told:?}");

    let untouched = contents(kv);
    _ = findings(kv, &["--repair", "--dry-run"]);
    assert!(
        contents(kv) == untouched,
        "{what}: a dry run changed the store"
    );

    let ran = kv.run(["fsck", "--repair"]);
    let repaired = ran.status().code() == Some(0);
    let is_whole_pack = role == Role::Pack
        && [
            "nothing is left",
            "garbage",
            "zeros",
            "a link",
            "a pipe",
            "a directory",
            "gone",
        ]
        .contains(&kind);
    // What is whole and says something else may be of a newer kv.
    let may_be_newer = role == Role::Format && ran.stderr_text().contains("newer kv");
    assert!(
        repaired || is_whole_pack || may_be_newer || role == Role::Manifest,
        "{what}: {}",
        ran.report()
    );
    read_all(kv, want, unsure, what);
    let (again, found) = findings(kv, &[]);
    let is_sound = again.status().success() && !found.iter().any(is_damage);
    assert_eq!(repaired, is_sound, "{what}: {}", again.report());
    let settled = contents(kv);
    _ = findings(kv, &["--repair"]);
    assert!(
        contents(kv) == settled,
        "{what}: a second repair changed the store"
    );
    if repaired {
        is_usable(kv, want, unsure, what);
    }
}

/// Demands that a repaired store can be used like any other.
#[track_caller]
fn is_usable(
    kv: &Sandbox,
    want: &BTreeMap<String, Option<String>>,
    unsure: Option<&str>,
    what: &str,
) {
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    let unread = read_all(kv, want, unsure, what);
    let mut changed = BTreeMap::new();
    for (key, value) in [("added", "v"), ("old0", "w"), ("gone packed", "x")] {
        kv.run(["-n", "jobs", "put", "--", key, value])
            .ends(Exit::Success);
        changed.insert(key.to_owned(), Some(value.to_owned()));
    }
    let removed = unread.iter().take(2).map(String::as_str);
    for key in removed.chain(["old1", "loose"]) {
        let ran = kv.run(["-n", "jobs", "remove", "--force", "--", key]);
        ran.ends(Exit::Success).is_silent();
        changed.insert(key.to_owned(), None);
    }
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    let unread = read_all(kv, &changed, None, what);
    assert!(unread.is_empty(), "{what}: {unread:?}");
    let mut want = want.clone();
    want.extend(changed);
    check_export(kv, &want, what);
    let (_, found) = findings(kv, &[]);
    let is_damage = |found: &&serde_json::Value| found["severity"] == "damage";
    assert_eq!(found.iter().find(is_damage), None, "{what}");
}

#[test]
fn files_that_swapped_their_places() {
    let template = small();
    let want = expected();
    for (a, b) in [("loose", "over"), ("over", "gone packed"), ("ttl", "a %\n")] {
        let kv = copy(&template);
        let (a_path, b_path, aside) = (file_of(&kv, a), file_of(&kv, b), kv.path("aside"));
        fs::rename(&a_path, &aside).unwrap();
        fs::rename(&b_path, &a_path).unwrap();
        fs::rename(&aside, &b_path).unwrap();
        let (ran, found) = findings(&kv, &[]);
        ran.ends(Exit::Damaged);
        assert_eq!(found.len(), 2, "{found:?}");
        read_all(&kv, &want, None, "swapped");
        kv.run(["fsck", "--repair"]).ends(Exit::Success);
        let mut want = want.clone();
        for key in [a, b] {
            want.insert(key.to_owned(), None);
        }
        assert!(read_all(&kv, &want, None, "swapped").is_empty());
        super::is_clean(&kv);
        is_usable(&kv, &want, None, "swapped");
    }
    // Two packs under each other's names.
    let kv = copy(&template);
    let mut packs = names(&kv, "packs");
    packs.retain(|name| name != "MANIFEST");
    let dir = space(&kv).join("packs");
    fs::rename(dir.join(&packs[0]), dir.join("x")).unwrap();
    fs::rename(dir.join(&packs[1]), dir.join(&packs[0])).unwrap();
    fs::rename(dir.join("x"), dir.join(&packs[1])).unwrap();
    kv.run(["fsck"]).ends(Exit::Damaged);
    read_all(&kv, &want, None, "swapped packs");
    _ = findings(&kv, &["--repair"]);
    read_all(&kv, &want, None, "swapped packs");
}
