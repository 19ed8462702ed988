//! What is in a store before anything is recorded, and commands that many scenarios have.

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use kv::store::Expiry;
use sha1::Digest as _;

use super::Step;
use super::judge::{Now, Opened, Then};
use crate::harness::Sandbox;

/// Stores a value that is there, durably, before anything is recorded.
pub fn put(kv: &Sandbox, key: &str, value: &str) {
    let opened = Opened::at(&kv.store(), "default");
    opened
        .put_at(key, value.as_bytes(), Expiry::Never, &Now)
        .unwrap();
}

/// Stores an entry that expired a week ago, and is swept by its hint.
pub fn put_expired(kv: &Sandbox, key: &str) {
    let then = SystemTime::now() - Duration::from_secs(8 * 86_400);
    let expiry = Expiry::After(Duration::from_secs(60));
    let opened = Opened::at(&kv.store(), "default");
    opened.put_at(key, b"expired", expiry, &Then(then)).unwrap();
}

/// Moves everything into packs that can go there.
pub fn pack(kv: &Sandbox) {
    Opened::at(&kv.store(), "default").gc().unwrap();
}

/// So many lines make an import one of many, however few keys they name.
pub const MANY: usize = 1001;

/// Removes these keys, along with so many that are not there, in few shards, that they are many.
pub fn removal(keys: &[&str]) -> Step {
    static ABSENT: OnceLock<Vec<String>> = OnceLock::new();
    let absent = ABSENT.get_or_init(|| {
        let names = (0..).map(|n| format!("absent{n}"));
        let is_near = |name: &String| sha1::Sha1::digest(name.as_bytes())[0] < 8;
        names.filter(is_near).take(MANY).collect()
    });
    let named = keys
        .iter()
        .copied()
        .chain(absent.iter().map(String::as_str));
    let lines: String = named.map(|key| format!("{key}\n")).collect();
    // It says that some were not there.
    let step = Step::new(&["remove", "--stdin"]).fed(lines).exits(1);
    keys.iter().fold(step, |step, key| step.removes(key))
}

/// Makes the lock files of all shards: none is ever synced, and whether one is there is of no
/// consequence but for the number of states.
pub fn every_lock(kv: &Sandbox) {
    for shard in 0..256 {
        let path = kv.space().join(format!("locks/{shard:02x}"));
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        drop(file.unwrap());
    }
}
