//! What `kv gc` does to a store, and that no answer tells whether it has run.

mod beside;
mod damage;
mod evict;
mod rest;
mod sealed;
mod verbs;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kv::exit::Exit;
use serde_json::Value;
use walkdir::WalkDir;

use crate::dated::date_file;
use crate::harness::{Sandbox, until};
use crate::sweep::age;

/// How long ago everything was written that is to be packed: longer than anything is warm.
const LONG_AGO: Duration = Duration::from_secs(30 * 86_400);

/// The largest value that goes into a pack.
const LARGEST: u64 = 16 * 1024;

/// The fields that matter here of an entry that has a file of its own.
struct Loose {
    path: PathBuf,
    modified: Duration,
    expires: bool,
    size: u64,
}

/// Returns the entries of a store that have files of their own.
fn loose(kv: &Sandbox) -> Vec<Loose> {
    let is_entry = |path: &Path| path.ancestors().nth(2).unwrap().ends_with("objects");
    files(&kv.store())
        .into_iter()
        .filter(|(path, _)| is_entry(path))
        .map(|(path, bytes)| {
            let line = String::from_utf8(bytes[..120].to_vec()).unwrap();
            let field = |n: usize| line.split(' ').nth(n).unwrap().parse::<u64>().unwrap();
            Loose {
                path,
                modified: Duration::from_nanos(field(2)),
                expires: field(3) != 0,
                size: field(6),
            }
        })
        .collect()
}

/// Returns what is in all files below a directory.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = WalkDir::new(dir).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| (entry.path().to_owned(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Returns what is in a store, but for lock files, which are made on demand.
fn contents(kv: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(&kv.store());
    files.retain(|path, _| !path.components().any(|part| part.as_os_str() == "locks"));
    files
}

/// Makes all entries that have files of their own older by a month, so that they are cold.
fn cool(kv: &Sandbox) {
    for entry in loose(kv) {
        let then = SystemTime::now() - LONG_AGO;
        let written = UNIX_EPOCH + entry.modified;
        // What a test has made old already stays as it is.
        if written > then {
            date_file(&entry.path, written - LONG_AGO);
        }
    }
}

#[track_caller]
fn gc(kv: &Sandbox) {
    kv.run(["gc"]).ends(Exit::Success).is_silent();
}

/// Moves everything into packs that can go there: what expires soon need not.
#[track_caller]
pub fn pack(kv: &Sandbox) {
    cool(kv);
    gc(kv);
    let mut left = loose(kv);
    left.retain(|entry| entry.size <= LARGEST && !entry.expires);
    let paths: Vec<_> = left.iter().map(|entry| &entry.path).collect();
    assert!(paths.is_empty(), "still in files of their own: {paths:?}");
}

/// Names the packs of the usual namespace.
fn packs(kv: &Sandbox) -> Vec<String> {
    let mut names = kv.names_in("packs");
    names.retain(|name| name.starts_with("pack-"));
    names
}

#[track_caller]
fn ls(kv: &Sandbox, args: &[&str]) -> String {
    let ran = kv.run(["ls"].iter().chain(args));
    ran.ends(Exit::Success).warns("").stdout_text()
}

/// Returns what `kv info` tells of the usual namespace.
#[track_caller]
fn info(kv: &Sandbox) -> Value {
    let ran = kv.run(["-n", "default", "info", "--json"]);
    serde_json::from_str(&ran.ends(Exit::Success).warns("").line()).unwrap()
}

#[test]
fn every_key_is_what_it_was() {
    let kv = Sandbox::new();
    let long = vec![b'k'; 65_535];
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (b"empty".to_vec(), Vec::new()),
        (b"a\xff\nb".to_vec(), (0..=255).collect()),
        (b" ".to_vec(), b"\0\n\0".to_vec()),
        (long, b"of a long key".to_vec()),
        (b"largest".to_vec(), vec![b'x'; 16_384]),
        (b"larger".to_vec(), vec![b'x'; 16_385]),
        (b"large".to_vec(), vec![b'x'; 100_000]),
    ];
    all.extend((0..60_u8).map(|n| {
        (
            format!("k{n:02}").into_bytes(),
            vec![n; usize::from(n) * 37],
        )
    }));
    for (key, value) in &all {
        let args = ["put", "--sync", "off", "--"].map(OsStr::new);
        kv.feed(args.iter().copied().chain([OsStr::from_bytes(key)]), value)
            .ends(Exit::Success)
            .is_silent();
    }
    kv.run(["expire", "k07", "500w"]).ends(Exit::Success);
    cool(&kv);
    let before = ls(&kv, &["--json", "--values"]);
    // The second finds nothing to do, and does it.
    for _ in 0..2 {
        gc(&kv);
        assert_eq!(ls(&kv, &["--json", "--values"]), before);
        for (key, value) in &all {
            let args = ["get", "--"].map(OsStr::new);
            kv.run(args.iter().copied().chain([OsStr::from_bytes(key)]))
                .ends(Exit::Success)
                .prints(value)
                .warns("");
        }
        let mut sizes: Vec<_> = loose(&kv).iter().map(|entry| entry.size).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [16_385, 100_000]);
        assert!(!packs(&kv).is_empty());
    }
}

#[test]
fn a_store_lives_on_between_collections() {
    let kv = Sandbox::new();
    let mut model = BTreeMap::new();
    for round in 0..6 {
        for n in (round % 3..40).step_by(3) {
            let (key, value) = (format!("k{n:02}"), format!("{round}.{n}"));
            kv.put(&key, &value);
            model.insert(key, value);
        }
        for n in (round..40).step_by(7) {
            let key = format!("k{n:02}");
            let exit = model.remove(&key).map_or(Exit::No, |_| Exit::Success);
            kv.run(["remove", &key]).ends(exit).is_silent();
        }
        let want: String = model.iter().map(|(k, v)| format!("{k}\t{v}\n")).collect();
        assert_eq!(ls(&kv, &["--values"]), want, "before gc {round}");
        pack(&kv);
        assert_eq!(ls(&kv, &["--values"]), want, "after gc {round}");
        assert_eq!(info(&kv)["entries"], model.len());
    }
    for n in 0..40 {
        let key = format!("k{n:02}");
        match model.get(&key) {
            Some(value) => kv.holds(&key, value),
            None => kv.lacks(&key),
        }
    }
}

#[test]
fn a_removed_key_stays_removed() {
    let kv = Sandbox::new();
    for n in 0..10 {
        kv.put(&format!("k{n}"), "first");
    }
    pack(&kv);
    // One version in a pack, another in a newer one, and a third in a file of its own.
    kv.put("k1", "second");
    pack(&kv);
    kv.put("k2", "second");
    for key in ["k0", "k1", "k2"] {
        kv.run(["remove", key]).ends(Exit::Success).is_silent();
        kv.run(["remove", key]).ends(Exit::No).is_silent();
    }
    assert_eq!(info(&kv)["tombstones"], 3);
    for _ in 0..4 {
        for key in ["k0", "k1", "k2"] {
            kv.lacks(key);
        }
        assert_eq!(ls(&kv, &["--count"]), "7\n");
        pack(&kv);
    }
    kv.run(["put", "k0", "again", "--if-absent"])
        .ends(Exit::Success);
    pack(&kv);
    kv.holds("k0", "again");
}

#[test]
fn an_expired_entry_is_absent_packed_or_not_and_goes() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.run(["put", "soon", "v", "--ttl", "1s"])
        .ends(Exit::Success);
    cool(&kv);
    gc(&kv);
    until("it expires", || !kv.run(["has", "soon"]).status().success());
    for _ in 0..2 {
        kv.lacks("soon");
        kv.run(["ttl", "soon"]).ends(Exit::No).is_silent();
        kv.run(["remove", "soon"]).ends(Exit::No).is_silent();
        assert_eq!(ls(&kv, &[]), "k\n");
        assert_eq!(info(&kv)["entries"], 1);
        gc(&kv);
    }
    assert!(!kv.file_of(b"soon").exists());
    kv.run(["put", "soon", "new", "--if-absent"])
        .ends(Exit::Success);
    kv.holds("soon", "new");
}

#[test]
fn an_expiry_goes_into_the_pack() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "v", "--ttl", "500w"])
        .ends(Exit::Success);
    cool(&kv);
    let before = kv.field("expires", "k");
    pack(&kv);
    assert!(!kv.file_of(b"k").exists());
    assert_eq!(kv.field("expires", "k"), before);
    kv.run(["put", "k", "w", "--keep-ttl"]).ends(Exit::Success);
    assert_eq!(kv.field("expires", "k"), before);
}

/// Returns the bytes of the blocks, and the inodes, of the usual namespace, as du(1) counts them.
fn disk(kv: &Sandbox) -> (u64, u64) {
    let mut sum = (0, 0);
    for entry in WalkDir::new(kv.space()) {
        let meta = entry.unwrap().metadata().unwrap();
        sum = (sum.0 + meta.blocks() * 512, sum.1 + 1);
    }
    sum
}

fn told_disk(told: &Value) -> (u64, u64) {
    let number = |name: &str| told[name].as_u64().unwrap();
    (number("disk_bytes"), number("inodes"))
}

#[test]
fn info_adds_up() {
    let kv = Sandbox::new();
    for n in 0..20 {
        kv.put(&format!("k{n:02}"), &"x".repeat(n));
    }
    kv.put("large", &"x".repeat(20_000));
    let fresh = info(&kv);
    assert_eq!(disk(&kv), told_disk(&fresh));
    assert_eq!((&fresh["loose"], &fresh["packed"]), (&21.into(), &0.into()));
    assert_eq!(
        (&fresh["packs"], &fresh["tombstones"]),
        (&0.into(), &0.into())
    );
    assert!(fresh["last_gc"].is_null());
    assert_eq!(fresh["format"], 1);

    pack(&kv);
    let packed = info(&kv);
    for same in ["entries", "bytes", "expired", "damaged", "sizes", "format"] {
        assert_eq!(packed[same], fresh[same], "{same}");
    }
    assert_eq!(packed["bytes"], 20 * 3 + 190 + 5 + 20_000);
    assert_eq!(
        (&packed["loose"], &packed["packed"]),
        (&1.into(), &20.into())
    );
    assert_eq!(packed["packs"], packs(&kv).len());
    assert!(packed["last_gc"].as_str().unwrap().starts_with("20"));
    assert_eq!(packed["gc_pays"], false);
    assert_eq!(disk(&kv), told_disk(&packed));

    kv.put("k00", "new");
    kv.run(["remove", "k01"]).ends(Exit::Success);
    let later = info(&kv);
    assert_eq!(
        (&later["entries"], &later["tombstones"]),
        (&20.into(), &1.into())
    );
    assert_eq!((&later["loose"], &later["packed"]), (&3.into(), &20.into()));
    assert_eq!(later["last_gc"], packed["last_gc"]);
}

#[test]
fn dead_drafts_go_and_living_ones_stay() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let draft = |name: &str| {
        let path = kv.space().join("tmp").join(name);
        fs::write(&path, "half").unwrap();
        path
    };
    let (dead, fresh, held) = (draft("dead"), draft("fresh"), draft("held"));
    age(&dead, Duration::from_secs(120));
    age(&held, Duration::from_secs(120));
    let holder = fs::File::open(&held).unwrap();
    fs2::FileExt::lock_exclusive(&holder).unwrap();
    gc(&kv);
    assert_eq!(
        [dead, fresh, held].map(|path| path.exists()),
        [false, true, true]
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let kv = Sandbox::new();
    for n in 0..10 {
        kv.put(&format!("k{n}"), "v");
    }
    kv.run(["put", "due", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    cool(&kv);
    let before = contents(&kv);
    kv.run(["gc", "--dry-run"]).ends(Exit::Success).is_silent();
    assert_eq!(contents(&kv), before);
}
