//! Power cuts around `kv fsck --repair`: what was damaged stays so or is repaired, and no value that
//! was replaced comes back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use walkdir::WalkDir;

use kv::store::{Clock as _, Entry, Key, StoreError};

use super::judge::{Judge, Now, Opened, Values, with_expiry};
use super::prepare::{pack, put};
use super::{Scenario, Spare, Step};
use crate::harness::{KV, Sandbox};

/// What is moved to lost/ leaves one directory and comes into the other in one step.
const ONE_OF_TWO: &str = "the sync of the other directory makes the same rename last";
/// Whoever takes the maintenance lock syncs first what its last holder may not have synced.
const LAST_HOLDER: &[Spare] = &[
    ("store/default/packs", 1, "its last holder was not killed"),
    ("store/default", 1, "its last holder was not killed"),
    ("store", 1, "its last holder was not killed"),
];
const OF_ENTRY: &[Spare] = &[
    ("store/default/lost", 1, ONE_OF_TWO),
    ("store/default/objects/a6", 1, ONE_OF_TWO),
];
const OF_PACK: &[Spare] = &[
    ("store/default/lost", 1, ONE_OF_TWO),
    ("store/default/packs", 4, ONE_OF_TWO),
];

/// What a key is taken to hold that cannot be read.
const DAMAGED: &[u8] = b"(damaged)";

impl Opened {
    /// Reads these keys, one by one.
    pub fn look(&self, keys: &BTreeSet<String>) -> Result<Values, String> {
        let mut values = Values::new();
        for name in keys {
            let key = Key::new(name.as_bytes().to_vec()).unwrap();
            let read = |entry: Entry| Ok(with_expiry(entry.value.into_vec()?, entry.meta));
            let got = self.store.get(&self.namespace, &key, Now.now());
            match got.and_then(|entry| entry.map(read).transpose()) {
                Ok(Some(value)) => _ = values.insert(name.clone(), value),
                Ok(None) => {}
                Err(StoreError::Damaged { .. }) => {
                    values.insert(name.clone(), DAMAGED.to_vec());
                }
                Err(err) => return Err(format!("get {name}: {err:?}")),
            }
        }
        Ok(values)
    }
}

impl Judge {
    /// Repairs the store, and demands that it is one that has been repaired.
    pub fn repair(&self, dir: &Path, opened: &Opened) -> Result<Values, String> {
        for args in [&["fsck", "--repair"][..], &["fsck"]] {
            let output = Command::new(KV)
                .args(args)
                .env_clear()
                .env("KV_STORE", dir.join(self.store))
                .output()
                .unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            let is_damaged = args.len() == 1 && told.contains("damage: ");
            if !output.status.success() || is_damaged {
                return Err(format!("{args:?}: {output:?}"));
            }
        }
        let values = opened.values(&self.keys())?;
        self.allow(&values, self.commands.len())?;
        Ok(values)
    }
}

impl Judge {
    /// Demands that what is damaged is still somewhere.
    pub fn keeps_damage(&self, dir: &Path) -> Result<(), String> {
        let is_it = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes == self.damaged);
        let mut files = WalkDir::new(dir.join(self.store)).into_iter();
        match !self.is_repair || files.any(|file| is_it(file.unwrap().path())) {
            true => Ok(()),
            false => Err("what was damaged is gone".to_owned()),
        }
    }
}

impl Scenario {
    /// A repair of what these commands have prepared.
    fn repair(prepare: fn(&Sandbox), step: Step) -> Self {
        Self {
            is_repair: true,
            ..Self::new(prepare, [step])
        }
    }

    /// Returns the bytes of what is damaged: the entry of `key`, or the only pack.
    pub fn damaged(&self, kv: &Sandbox) -> Vec<u8> {
        let pack = || {
            let names = kv.names_in("packs").into_iter();
            let mut packs = names.filter(|name| name.starts_with("pack-"));
            packs.next().map(|name| kv.space().join("packs").join(name))
        };
        let loose = Some(kv.file_of(b"key")).filter(|path| path.exists());
        let path = loose.or_else(pack).filter(|_| self.is_repair);
        path.map_or(Vec::new(), |path| fs::read(path).unwrap())
    }

    /// Returns the keys that can be named before anything is recorded, where not all can be listed.
    pub fn named(&self) -> BTreeSet<String> {
        if !self.is_repair {
            return BTreeSet::new();
        }
        let written = self.steps.iter().flat_map(|step| &step.writes);
        let written = written.map(|(key, _)| key.clone());
        written.chain(["other".to_owned()]).collect()
    }
}

fn repair() -> Step {
    Step::new(&["fsck", "--repair"])
}

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The last byte of the value of a key is another.
fn loose(kv: &Sandbox) {
    put(kv, "key", "value");
    put(kv, "other", "other");
    flip(&kv.file_of(b"key"), |len| len - 1);
}

/// A pack has an older value of it.
fn over_a_packed_one(kv: &Sandbox) {
    put(kv, "key", "older");
    pack(kv);
    loose(kv);
}

/// Whose entry it was can only be told by its place.
fn without_its_key(kv: &Sandbox) {
    over_a_packed_one(kv);
    fs::write(kv.file_of(b"key"), "garbage").unwrap();
}

fn damaged_pack(kv: &Sandbox, at: impl Fn(usize) -> usize) {
    put(kv, "key", "value");
    put(kv, "other", "other");
    pack(kv);
    let names = kv.names_in("packs");
    let name = names.iter().find(|name| *name != "MANIFEST").unwrap();
    flip(&kv.space().join("packs").join(name), at);
}

#[test]
fn of_an_entry() {
    Scenario::repair(loose, repair().removes("key"))
        .spare(OF_ENTRY)
        .survives();
}

#[test]
fn of_an_entry_over_a_packed_one() {
    for prepare in [over_a_packed_one, without_its_key] {
        Scenario::repair(prepare, repair().removes("key"))
            .spare(LAST_HOLDER)
            .spare(OF_ENTRY)
            .survives();
    }
}

/// Not every file system can swap two names. There is no moment either in which an older value shows.
#[test]
fn of_an_entry_over_a_packed_one_where_names_cannot_be_swapped() {
    for fault in ["renameat2:error=EINVAL", "renameat2:error=ENOSYS"] {
        Scenario::repair(over_a_packed_one, repair().removes("key").without(fault))
            .spare(LAST_HOLDER)
            .spare(&[
                ("store/default/lost", 2, ONE_OF_TWO),
                ("store/default/objects/a6", 1, ONE_OF_TWO),
            ])
            .survives();
    }
}

/// The key and the value of both records are whole, and what leads to them is not.
#[test]
fn of_a_pack_whose_footer_is_damaged() {
    let prepare = |kv: &Sandbox| damaged_pack(kv, |len| len - 20);
    let step = repair().puts("key", "value").puts("other", "other");
    Scenario::repair(prepare, step)
        .spare(LAST_HOLDER)
        .spare(OF_PACK)
        .survives();
}

#[test]
fn of_a_pack_of_which_a_record_is_lost() {
    // The first record, behind the header of the pack.
    let prepare = |kv: &Sandbox| damaged_pack(kv, |_| 16 + 24);
    let step = repair().puts("key", DAMAGED).puts("other", "other");
    Scenario::repair(prepare, step)
        .spare(LAST_HOLDER)
        .spare(OF_PACK)
        .survives();
}
