//! Packs as kv-format(5) describes them: a store of the first version that has them is read for ever,
//! and what is written today is what the page says.

mod reader;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kv::exit::Exit;
use serde_json::Value;
use walkdir::WalkDir;

use crate::harness::{Sandbox, tell_count};
use crate::pack_bulk::import;

use self::reader::{Reader, Said};

/// The first moment of the year 9000.
const YEAR_9000: u64 = 221_845_392_000_000;
const NO_TEXT: &[u8] = b"bytes \xc3( %\t";

/// Copies the store that was committed when packs came, and makes the rooms that git does not keep.
pub fn fixture() -> Sandbox {
    let kv = Sandbox::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/store-1");
    for entry in WalkDir::new(&from) {
        let entry = entry.unwrap();
        let to = kv.store().join(entry.path().strip_prefix(&from).unwrap());
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(&to).unwrap(),
            false => _ = fs::copy(entry.path(), &to).unwrap(),
        }
    }
    for namespace in ["default", "list"] {
        for room in ["objects", "locks", "tmp", "expiry", "spare"] {
            fs::create_dir_all(kv.store().join(namespace).join(room)).unwrap();
        }
    }
    set_modes(&kv, 0o700, 0o600);
    kv
}

fn set_modes(kv: &Sandbox, dirs: u32, files: u32) {
    for entry in WalkDir::new(kv.store()).contents_first(true) {
        let entry = entry.unwrap();
        let mode = if entry.file_type().is_dir() {
            dirs
        } else {
            files
        };
        fs::set_permissions(entry.path(), Permissions::from_mode(mode)).unwrap();
    }
}

/// Returns what is in the committed store, and the keys that were removed from it.
pub fn expected() -> (BTreeMap<Vec<u8>, Vec<u8>>, [&'static str; 2]) {
    let mut all = BTreeMap::new();
    for n in 0..40 {
        let value = match n {
            1 => "a newer value 1".to_owned(),
            2 => "a loose value 2".to_owned(),
            n => format!("value {n} of the older pack"),
        };
        all.insert(format!("key {n}").into_bytes(), value.into_bytes());
    }
    let mut put = |key: &[u8], value: &[u8]| _ = all.insert(key.to_vec(), value.to_vec());
    put(NO_TEXT, b"\xff\x01\n");
    put(b"empty", b"");
    put(b"longer", &[b'x'; 300]);
    put(b"year 9000", b"later");
    put(b"loose", b"here");
    put(b"large-loose", &[b'y'; 16_385]);
    (all, ["removed-in-pack", "removed-loose"])
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = WalkDir::new(dir).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| (entry.path().to_owned(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Demands that every reading command gives what is expected of the committed store.
#[track_caller]
fn all_is_there(kv: &Sandbox) {
    let (all, removed) = expected();
    for (key, value) in &all {
        let key = std::ffi::OsStr::from_bytes(key);
        let ran = kv.run(["get".as_ref(), "--".as_ref(), key]);
        ran.ends(Exit::Success).prints(value).warns("");
    }
    for key in removed.iter().chain(&["absent"]) {
        kv.lacks(key);
    }
    let keys: Vec<u8> = all
        .keys()
        .flat_map(|key| [key.as_slice(), b"\0"].concat())
        .collect();
    let ran = kv.run(["ls", "-0"]).ends(Exit::Success).warns("");
    ran.prints(keys);
    let exported = kv.run(["export"]).ends(Exit::Success).warns("");
    assert_eq!(exported.stdout_text().lines().count(), all.len());
    let copy = Sandbox::new();
    copy.feed(["import", "--sync", "off"], exported.stdout())
        .ends(Exit::Success);
    let values = ["ls", "-0", "--values"];
    let want = kv.run(values).ends(Exit::Success).stdout().to_vec();
    copy.run(values).ends(Exit::Success).prints(want);
    assert_eq!(kv.field("expires", "year 9000"), "9000-01-01T00:00:00.000Z");
    kv.run(["items", "list"])
        .ends(Exit::Success)
        .prints("two\nthree\n");
}

#[test]
fn a_store_of_the_first_version_is_read_without_a_change() {
    let kv = fixture();
    set_modes(&kv, 0o500, 0o400);
    let before = files(&kv.store());
    all_is_there(&kv);
    let info = kv.run(["-n", "default", "info", "--json"]);
    let info: Value = serde_json::from_str(&info.ends(Exit::Success).line()).unwrap();
    let (all, _) = expected();
    let bytes: usize = all.iter().map(|(key, value)| key.len() + value.len()).sum();
    for (name, want) in [
        ("format", Value::from(1)),
        ("entries", all.len().into()),
        ("bytes", bytes.into()),
        ("loose", 4.into()),
        ("packed", 48.into()),
        ("packs", 2.into()),
        ("tombstones", 2.into()),
        ("expired", 0.into()),
        ("damaged", 0.into()),
        ("last_gc", "2026-11-21T08:15:58.940381961Z".into()),
    ] {
        assert_eq!(info[name], want, "{name}");
    }
    assert!(files(&kv.store()) == before, "a reader wrote");
    set_modes(&kv, 0o700, 0o600);
}

#[test]
fn a_store_of_the_first_version_lives_on() {
    let kv = fixture();
    for _ in 0..2 {
        kv.run(["gc"]).ends(Exit::Success).is_silent();
        all_is_there(&kv);
    }
    kv.put("removed-in-pack", "again");
    kv.holds("removed-in-pack", "again");
    kv.run(["remove", "removed-in-pack"]).ends(Exit::Success);
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    all_is_there(&kv);
    assert_eq!(kv.names_in("spare"), ["1", "2"]);
}

#[test]
fn the_page_is_enough_to_read_that_store() {
    let kv = fixture();
    let reader = Reader::open(&kv.space());
    let (all, removed) = expected();
    for (key, value) in &all {
        let said = reader.find(key).unwrap();
        assert!(!said.tombstone && said.value == *value, "{key:?}: {said:?}");
        let expires = if key == b"year 9000" { YEAR_9000 } else { 0 };
        assert_eq!(said.expires, expires);
    }
    for key in removed {
        let said = reader.find(key.as_bytes()).unwrap();
        assert!(said.tombstone && said.value.is_empty(), "{key}: {said:?}");
    }
    assert_eq!(reader.find(b"absent"), None);
    let counts: Vec<_> = reader
        .packs
        .iter()
        .map(|pack| pack.verified().len())
        .collect();
    assert_eq!(counts, [3, 45]);
}

/// Packs with many pages and many blocks, a tombstone, expiries and long keys and values.
#[test]
fn the_page_is_enough_to_read_what_is_written_today() {
    let kv = Sandbox::new();
    let mut lines: String = (0..3_000)
        .map(|n| {
            format!(
                "{{\"key\":\"user:{n}\",\"value\":\"{}\"}}\n",
                "v".repeat(n % 90)
            )
        })
        .collect();
    let long = "k".repeat(30_000);
    lines += &format!(
        "{{\"key\":\"{long}\",\"value\":\"{}\"}}\n",
        "w".repeat(16_384)
    );
    lines += "{\"key\":\"due\",\"value\":\"\",\"expires\":\"9000-01-01T00:00:00Z\"}\n";
    import(&kv, &[], &lines);
    kv.run(["remove", "user:7"]).ends(Exit::Success);
    kv.put("user:8", "loose before it is packed");
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    kv.put("user:9", "loose");
    kv.run(["remove", "user:10"]).ends(Exit::Success);

    let reader = Reader::open(&kv.space());
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let (mut pages, mut blocks) = (0, 0);
    for pack in &reader.packs {
        let (more_pages, more_blocks) = pack.pages_and_blocks();
        (pages, blocks) = (pages + more_pages, blocks + more_blocks);
        keys.extend(pack.verified().into_iter().map(|(key, _)| key));
    }
    assert_eq!(reader.packs.len(), 2);
    assert!(pages > 10 && blocks > 10, "{pages} pages, {blocks} blocks");
    tell_count(&format!("{pages} pages, {blocks} blocks"));
    keys.sort_unstable();
    keys.dedup();

    let mut said: Vec<(Vec<u8>, Said)> = keys
        .into_iter()
        .map(|key| (reader.find(&key).unwrap(), key))
        .map(|(said, key)| (key, said))
        .collect();
    said.retain(|(_, said)| !said.tombstone);
    let listed = kv.run(["export"]).ends(Exit::Success).stdout_text();
    assert_eq!(said.len(), listed.lines().count());
    for ((key, said), line) in said.iter().zip(listed.lines()) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["key"].as_str().unwrap().as_bytes(), key);
        assert_eq!(line["value"].as_str().unwrap().as_bytes(), said.value);
        assert_eq!(line["etag"], format!("{:016x}", said.etag));
        let nanos = format!("{:09}Z", said.modified % 1_000_000_000);
        assert!(line["modified"].as_str().unwrap().ends_with(&nanos));
        assert_eq!(line["expires"].is_null(), said.expires == 0);
    }
}
