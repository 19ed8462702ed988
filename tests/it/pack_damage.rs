//! Packs that are damaged in every place: what is printed with status 0 is right, what was removed
//! or replaced stays hidden, and `kv gc` deletes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use kv::exit::Exit;

use crate::files::flip;
use crate::harness::{Sandbox, tell_count};

/// How many tests of one kind go on at once.
const HANDS: usize = 4;

/// Names the packs of the usual namespace, the newest first.
fn packs(kv: &Sandbox) -> Vec<PathBuf> {
    let text = fs::read_to_string(kv.space().join("packs/MANIFEST")).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("pack "));
    let names = names.map(|line| line.split(' ').next().unwrap());
    names
        .map(|name| kv.space().join("packs").join(name))
        .collect()
}

/// Packs what has a file of its own. A footer that does not match keeps gc from merging packs, so
/// that there is one more.
#[track_caller]
fn add_pack(kv: &Sandbox) {
    let had = match kv.space().join("packs").exists() {
        true => packs(kv),
        false => vec![],
    };
    let footer = had
        .last()
        .map(|path| (path, fs::read(path).unwrap().len() - 1));
    if let Some((path, at)) = footer {
        flip(path, at);
        kv.run(["gc"]).ends(Exit::Damaged).prints("");
        flip(path, at);
    } else {
        kv.run(["gc"]).ends(Exit::Success).is_silent();
    }
    assert_eq!(packs(kv).len(), had.len() + 1);
}

/// A store, and what is to be read there.
struct Store {
    kv: Sandbox,
    live: BTreeMap<String, String>,
    /// What older packs still hold of these must never be seen.
    removed: Vec<String>,
    exported: Vec<String>,
}

impl Store {
    /// Makes a store with two packs of the same keys: some have a value in both, some a tombstone in
    /// the newer, and some a value in one of them alone.
    fn new() -> Self {
        let kv = Sandbox::in_memory();
        let (mut live, mut removed) = (BTreeMap::new(), Vec::new());
        let put = |key: &str, value: &str, live: &mut BTreeMap<_, _>| {
            kv.put(key, value);
            live.insert(key.to_owned(), value.to_owned());
        };
        for n in 0..12 {
            put(&format!("k{n:02}"), &format!("older {n}"), &mut live);
        }
        add_pack(&kv);
        for n in 0..12 {
            let key = format!("k{n:02}");
            match n % 3 {
                0 => put(&key, &format!("newer {n}"), &mut live),
                1 => {
                    kv.run(["remove", &key]).ends(Exit::Success).is_silent();
                    live.remove(&key);
                    removed.push(key);
                }
                _ => {}
            }
        }
        put("new", "newer", &mut live);
        add_pack(&kv);
        let exported = kv.run(["export"]).ends(Exit::Success).stdout_text();
        Self {
            exported: exported.lines().map(str::to_owned).collect(),
            kv,
            live,
            removed,
        }
    }

    /// Demands that nothing wrong is read, and returns whether damage was told.
    #[track_caller]
    fn nothing_wrong_is_read(&self, what: &str) -> bool {
        let told = self.answers_are_right(what);
        let values = self
            .live
            .iter()
            .map(|(key, value)| format!("{key}\t{value}"));
        let values: Vec<String> = values.collect();
        let listed = self.lists_right(&["ls", "--values"], &values, what);
        let exported = self.lists_right(&["export"], &self.exported, what);
        assert_eq!(listed, exported, "{what}");
        let backward: Vec<String> = values.into_iter().rev().collect();
        let reversed = ["ls", "--values", "--reverse"];
        let reversed = self.lists_right(&reversed, &backward, what);
        assert_eq!(listed, reversed, "{what}");
        told || listed
    }

    /// Demands that `get` gives the value of a key or status 4.
    #[track_caller]
    fn answers_are_right(&self, what: &str) -> bool {
        let absent = "absent".to_owned();
        let dead = self.removed.iter().chain([&absent]);
        let asked: Vec<(&String, Option<&String>)> = self
            .live
            .iter()
            .map(|(key, value)| (key, Some(value)))
            .chain(dead.map(|key| (key, None)))
            .collect();
        let lines: String = asked
            .iter()
            .map(|(key, _)| format!("get {key}\n"))
            .collect();
        let ran = self.kv.feed(["batch"], lines.as_bytes());
        let text = ran.stdout_text();
        let mut replies = text.as_str();
        let mut told = false;
        for (key, value) in asked {
            let (head, rest) = replies.split_once('\n').unwrap();
            let (status, len) = head.split_once(' ').unwrap();
            let (printed, rest) = rest.split_at(len.parse().unwrap());
            replies = rest.strip_prefix('\n').unwrap();
            match (status, value) {
                ("0", Some(value)) => assert_eq!(printed, value, "{what}: {key}"),
                ("1", None) | ("4", _) => assert_eq!(printed, "", "{what}: {key}"),
                _ => panic!("{what}: {key}: status {status}, {printed:?}"),
            }
            told |= status == "4";
        }
        assert_eq!(replies, "");
        told
    }

    /// Demands that a listing has all lines, or ends with status 4 and has no others.
    #[track_caller]
    fn lists_right(&self, args: &[&str], wanted: &[String], what: &str) -> bool {
        let ran = self.kv.run(args);
        let text = ran.stdout_text();
        let lines: Vec<&str> = text.lines().collect();
        match ran.status().code() {
            Some(0) => assert_eq!(lines, wanted, "{what}"),
            Some(4) => {
                for line in &lines {
                    let is_right = wanted.iter().any(|wanted| wanted == line);
                    assert!(is_right, "{what}: {args:?} shows {line}");
                }
            }
            _ => panic!("{what}: {}", ran.report()),
        }
        ran.status().code() == Some(4)
    }
}

/// Tries each damage to a file of a store of its own.
fn try_all(
    of: impl Fn(&Store) -> PathBuf + Sync,
    places: impl Fn(usize) -> Vec<usize> + Sync,
    damage: impl Fn(&mut Vec<u8>, usize) + Sync,
) {
    let told: usize = thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS)
            .map(|hand| {
                let (of, places, damage) = (&of, &places, &damage);
                scope.spawn(move || {
                    let store = Store::new();
                    let path = of(&store);
                    let good = fs::read(&path).unwrap();
                    let mut told = 0;
                    for place in places(good.len()).into_iter().skip(hand).step_by(HANDS) {
                        let mut bytes = good.clone();
                        damage(&mut bytes, place);
                        fs::write(&path, bytes).unwrap();
                        told += usize::from(store.nothing_wrong_is_read(&format!("at {place}")));
                    }
                    fs::write(&path, good).unwrap();
                    assert!(!store.nothing_wrong_is_read("restored"));
                    told
                })
            })
            .collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).sum()
    });
    assert!(told > 10, "damage was told only {told} times");
    tell_count(&format!("damage was told {told} times"));
}

/// Returns the places of a pack at which a flip is tried: zeros that nobody reads are many.
fn every_seventh(len: usize) -> Vec<usize> {
    (0..len).step_by(7).collect()
}

fn flip_one(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1 << (at % 8);
}

#[test]
fn no_flip_in_the_newer_pack_is_believed() {
    try_all(
        |store| packs(&store.kv).remove(0),
        every_seventh,
        |bytes, at| flip_one(bytes, at),
    );
}

#[test]
fn no_flip_in_the_older_pack_is_believed() {
    let places = |len| every_seventh(len).into_iter().step_by(3).collect();
    try_all(
        |store| packs(&store.kv).remove(1),
        places,
        |bytes, at| flip_one(bytes, at),
    );
}

#[test]
fn no_flip_in_the_list_of_packs_is_believed() {
    let manifest = |store: &Store| store.kv.space().join("packs/MANIFEST");
    try_all(
        manifest,
        |len| (0..len).collect(),
        |bytes, at| flip_one(bytes, at),
    );
}

#[test]
fn beside_a_damaged_record_all_others_are_listed() {
    let kv = Sandbox::new();
    let lines = |keep: &dyn Fn(usize) -> bool| -> Vec<String> {
        let kept = (0..3_000).filter(|&n| keep(n));
        kept.map(|n| format!("k{n:04}\tvalue {n:04}.\n")).collect()
    };
    let import = || {
        let all = lines(&|_| true).concat();
        kv.feed(["import", "--tsv", "--sync", "off"], all.as_bytes())
            .ends(Exit::Success);
    };
    import();
    let pack = packs(&kv).remove(0);
    let bytes = fs::read(&pack).unwrap();
    let place =
        |n: usize| memchr::memmem::find(&bytes, format!("value {n:04}.").as_bytes()).unwrap();
    for damaged in [&[1_500][..], &[0, 2_999], &[700, 701, 702, 704]] {
        for &n in damaged {
            // Its value, or what is in front of its key: where it ends nobody knows then.
            flip(&pack, place(n) - if n % 2 == 0 { 0 } else { 20 });
        }
        let mut want = lines(&|n| !damaged.contains(&n));
        let listed = kv.run(["ls", "--values"]).ends(Exit::Damaged);
        listed.prints(want.concat()).complains(&["is damaged"]);
        want.reverse();
        let listed = kv.run(["ls", "--values", "--reverse"]).ends(Exit::Damaged);
        listed.prints(want.concat());
        let ran = kv.run(["export"]).ends(Exit::Damaged);
        assert_eq!(ran.stdout_text().lines().count(), want.len());
        fs::write(&pack, &bytes).unwrap();
    }
}

#[test]
fn no_part_of_a_pack_is_taken_for_the_whole() {
    let lens = |len: usize| {
        let ends = [0, 1, 8, 15, 16, 17, len - 113, len - 112, len - 8, len - 1];
        ends.into_iter().chain((20..len).step_by(131)).collect()
    };
    let cut = |bytes: &mut Vec<u8>, len| bytes.truncate(len);
    try_all(|store| packs(&store.kv).remove(0), lens, cut);
}

#[test]
fn no_part_of_the_list_of_packs_is_taken_for_the_whole() {
    let manifest = |store: &Store| store.kv.space().join("packs/MANIFEST");
    let cut = |bytes: &mut Vec<u8>, len| bytes.truncate(len);
    try_all(manifest, |len| (0..len).collect(), cut);
}

/// Swapped packs have the right size, and every record in them is whole.
#[test]
fn packs_that_were_swapped_are_not_believed() {
    let kv = Sandbox::in_memory();
    for which in ["older", "newer"] {
        for n in 0..30 {
            kv.put(&format!("k{n:02}"), &format!("{which} {n}"));
        }
        add_pack(&kv);
    }
    let [newer, older] = &packs(&kv)[..] else {
        panic!("not two packs");
    };
    let (one, other) = (fs::read(newer).unwrap(), fs::read(older).unwrap());
    assert_eq!(one.len(), other.len());
    fs::write(newer, other).unwrap();
    fs::write(older, one).unwrap();
    for n in 0..30 {
        let ran = kv.run(["get", &format!("k{n:02}")]).ends(Exit::Damaged);
        ran.prints("").complains(&["packs/pack-", "is damaged"]);
    }
    for args in [&["ls", "--values"][..], &["ls"], &["export"]] {
        kv.run(args).ends(Exit::Damaged).prints("");
    }
}

/// Returns what is in `packs`, but for MANIFEST.
fn pack_files(kv: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    let dir = kv.space().join("packs");
    let mut names = kv.names_in("packs");
    names.retain(|name| name != "MANIFEST");
    names
        .into_iter()
        .map(|name| (name.clone(), fs::read(dir.join(name)).unwrap()))
        .collect()
}

/// Demands that gc tells what is wrong, and that all packs that were there are there.
#[track_caller]
fn gc_deletes_nothing(store: &Store, what: &str) {
    let before = pack_files(&store.kv);
    for _ in 0..2 {
        store.kv.run(["gc"]).ends(Exit::Damaged).prints("");
        let after = pack_files(&store.kv);
        for (name, bytes) in &before {
            assert!(after.get(name) == Some(bytes), "{what}: gc took {name}");
        }
        assert!(store.nothing_wrong_is_read(what), "{what}");
    }
}

/// Gives a pack another name.
fn rename(path: &Path) {
    fs::rename(path, path.with_file_name("pack-00000000000000ff")).unwrap();
}

/// Takes a pack away.
fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[test]
fn without_its_newest_pack_nothing_older_is_shown() {
    for take in [rename, remove] {
        let store = Store::new();
        take(&packs(&store.kv)[0]);
        assert!(store.nothing_wrong_is_read("the newest is gone"));
        store.kv.run(["ls"]).ends(Exit::Damaged).prints("");
        for key in &store.removed {
            store.kv.run(["get", key]).ends(Exit::Damaged).prints("");
        }
    }
}

#[test]
fn gc_beside_a_missing_pack_deletes_nothing() {
    for place in [0, 1] {
        let store = Store::new();
        remove(&packs(&store.kv)[place]);
        gc_deletes_nothing(&store, "a pack is gone");
    }
}

#[test]
fn gc_beside_a_pack_with_a_wrong_name_deletes_nothing() {
    for place in [0, 1] {
        let store = Store::new();
        rename(&packs(&store.kv)[place]);
        gc_deletes_nothing(&store, "a pack has a wrong name");
    }
}

#[test]
fn gc_beside_a_damaged_pack_deletes_nothing() {
    for place in [0, 1] {
        for at in [20, 4096 + 100, 8303] {
            let store = Store::new();
            flip(&packs(&store.kv)[place], at);
            let before = pack_files(&store.kv);
            store.kv.run(["gc"]).prints("");
            let after = pack_files(&store.kv);
            // Hash pages are written anew from the records, which are whole.
            let is_merged = at == 4096 + 100 && after.len() == 1;
            assert!(is_merged || before == after, "at {at}: gc took something");
            store.nothing_wrong_is_read("after gc");
        }
    }
}
