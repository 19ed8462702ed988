//! Damage: no answer comes from it, and a check tells it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use kv::engine::Sync;
use kv::exit::Exit;
use kv::store::{Clock as _, Key, Namespace, Selection, Store};

use super::files::until_it_waits;
use super::{database, number, sandbox};
use crate::fsck::flips::is_refusal;
use crate::harness::{Engine, Sandbox, tell_count};
use crate::library::{Now, open};
use crate::process::Started;

/// Changes the database behind the store's back.
#[track_caller]
fn change(kv: &Sandbox, sql: &str) {
    let sql = sql.replace("KEY", "key = x'6b'");
    assert_ne!(database(kv).execute(&sql, []).unwrap(), 0, "{sql}");
}

#[test]
fn what_a_row_says_is_believed_by_no_command() {
    for sql in [
        "UPDATE entry SET expires = 99999999999999 WHERE KEY",
        "UPDATE entry SET expires = 1 WHERE KEY",
        "UPDATE entry SET expires = -1 WHERE KEY",
        "UPDATE entry SET etag = etag + 1 WHERE KEY",
        "UPDATE entry SET size = -5 WHERE KEY",
        "UPDATE entry SET modified = modified + 1 WHERE KEY",
        "UPDATE entry SET sum = sum + 1 WHERE KEY",
        "UPDATE entry SET large = 5 WHERE KEY",
    ] {
        let kv = sandbox();
        kv.put("j", "v");
        kv.put("k", "v");
        change(&kv, sql);
        let etag = kv.field("etag", "j");
        for args in [
            &["get", "k"][..],
            &["stat", "k"],
            &["has", "k"],
            &["ttl", "k"],
            &["put", "k", "w", "--if-absent"],
            &["put", "k", "w", "--if-exists"],
            &["put", "k", "w", "--if-etag", &etag],
            &["put", "k", "w", "--keep-ttl"],
            &["remove", "k", "--if-etag", &etag],
            &["expire", "k", "1h"],
            &["ls", "--long"],
            &["ls", "--prefix", "k"],
            &["info"],
        ] {
            kv.run(args).ends(Exit::Damaged).complains(&["damaged"]);
        }
        let told = kv.run(["export"]).ends(Exit::Damaged).stderr_text();
        assert!(told.contains("`k`"), "{told}");
        kv.run(["gc"]).ends(Exit::Success);
        kv.run(["fsck"]).ends(Exit::Damaged);
        // What is written in its place, or taken away, is not damaged any more.
        kv.put("k", "new");
        kv.holds("k", "new");
        change(&kv, sql);
        kv.run(["remove", "k"]).ends(Exit::Success).is_silent();
        kv.lacks("k");
        _ = kv.run(["fsck", "--repair"]).status();
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        kv.run(["ls"]).ends(Exit::Success).prints("j\n");
    }
}

#[test]
fn a_listing_tells_what_it_lacks() {
    let had = "the namespace `default` had";
    for (sql, listed, what) in [
        ("DELETE FROM entry WHERE KEY", "j\nl\n", had),
        ("UPDATE entry SET key = x'6d' WHERE KEY", "j\nl\nm\n", had),
        // Of a row that is wrong the number is wrong, perhaps, by which its entries are found.
        (
            "UPDATE namespace SET entries = 4",
            "",
            "the row of the namespace",
        ),
    ] {
        let kv = sandbox();
        for key in ["j", "k", "l"] {
            kv.put(key, "v");
        }
        change(&kv, sql);
        for args in [&["ls"][..], &["ls", "[j-m]"], &["export"]] {
            let told = kv.run(args).ends(Exit::Damaged).stderr_text();
            assert!(told.contains(what), "{told}");
        }
        // Behind all that there is.
        kv.run(["ls"]).ends(Exit::Damaged).prints(listed);
        kv.run(["fsck"]).ends(Exit::Damaged);
        _ = kv.run(["fsck", "--repair"]).status();
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        let listed = match listed {
            "" => "j\nk\nl\n",
            _ => "j\nl\n",
        };
        kv.run(["ls"]).ends(Exit::Success).prints(listed);
    }
}

#[test]
fn a_row_whose_key_is_another_is_told_by_a_listing_of_a_part() {
    let kv = sandbox();
    (10..40).for_each(|n| kv.put(&format!("key{n}"), "v"));
    let file = kv.store();
    let bytes = fs::read(&file).unwrap();
    // Where it stands first is the row, behind that is the index.
    let at = bytes.windows(5).position(|part| part == b"key17").unwrap();
    for flipped in [at + 2, at + 3, at + 4] {
        let mut bytes = bytes.clone();
        bytes[flipped] ^= 4;
        fs::write(&file, bytes).unwrap();
        for args in [
            &["ls", "--prefix", "key1"][..],
            &["ls", "key1[0-9]"],
            &["ls", "--count", "key1*"],
            &["ls", "--from", "key15", "--to", "key19", "--reverse"],
            &["export", "key1*"],
        ] {
            kv.run(args).ends(Exit::Damaged).complains(&["damaged"]);
        }
    }
}

#[test]
fn a_listing_of_many_steps_tells_what_it_lacks_though_others_write() {
    let kv = sandbox();
    let lines: String = (0..12_000).map(|n| format!("k{n}\tv\n")).collect();
    let import = kv.feed(["import", "--tsv"], lines.as_bytes());
    import.ends(Exit::Success);
    let store = open(kv.location(), Sync::Off, 10);
    let namespace: Namespace = "default".parse().unwrap();
    let list = |keys_only, other: &str| {
        let selection = Selection {
            keys_only,
            ..Selection::default()
        };
        let mut listing = store.scan(&namespace, &selection, Now.now()).unwrap();
        let mut count = 0;
        while let Some(listed) = listing.next() {
            match listed {
                Ok(_) => count += 1,
                Err(err) => return (count, Err(err)),
            }
            if count == 1 {
                kv.put(other, "v");
            }
        }
        (count, Ok(()))
    };
    for (number, keys_only) in [false, true].into_iter().enumerate() {
        let (count, done) = list(keys_only, &format!("z{number}"));
        assert!(done.is_ok());
        assert_eq!(count, 12_001 + number);
    }
    change(&kv, "DELETE FROM entry WHERE key = x'6b3737'");
    for (number, keys_only) in [false, true].into_iter().enumerate() {
        let (count, done) = list(keys_only, &format!("zz{number}"));
        let err = done.unwrap_err();
        assert!(is_refusal(&err), "{err}");
        // What has been listed before is right.
        assert!(count >= 5_000, "{count}");
    }
}

#[test]
fn a_check_finds_what_has_no_namespace_and_no_key() {
    let kv = sandbox();
    kv.put("k", "v");
    kv.run(["push", "jobs", "v"]).ends(Exit::Success);
    change(&kv, "DELETE FROM namespace WHERE name = 'jobs'");
    change(&kv, "UPDATE entry SET key = x'' WHERE KEY");
    let found = kv.run(["fsck"]).ends(Exit::Damaged).stdout_text();
    for what in ["namespace that is not there", "empty"] {
        assert!(found.contains(what), "{found}");
    }
    _ = kv.run(["fsck", "--repair"]).status();
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
    assert_eq!(number(&kv, "SELECT count(*) FROM lost"), 2);
    // With no namespace at all there is nothing to go through, and no silence about it.
    kv.put("k", "v");
    change(&kv, "DELETE FROM namespace");
    for args in [
        &["fsck"][..],
        &["namespaces"],
        &["export", "--all"],
        &["ls"],
        &["get", "k"],
        &["has", "k"],
        &["put", "k", "w", "--if-absent"],
        &["-n", "other", "put", "k", "w"],
        &["remove", "k"],
        &["pop", "jobs"],
    ] {
        kv.run(args).ends(Exit::Damaged).complains(&["namespace"]);
    }
}

#[test]
fn a_repair_leaves_what_was_put_since_it_judged() {
    let kv = sandbox();
    kv.put("k", "v");
    change(&kv, "UPDATE entry SET etag = etag + 1 WHERE KEY");
    let other = database(&kv);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let fsck = Started::new(kv.kv(["fsck", "--repair"]));
    until_it_waits(&fsck);
    let mended = "UPDATE entry SET etag = etag - 1 WHERE key = x'6b'";
    assert_eq!(other.execute(mended, []).unwrap(), 1);
    other.execute_batch("COMMIT").unwrap();
    fsck.end().ends(Exit::Success).is_silent();
    kv.holds("k", "v");
}

#[test]
fn tables_of_the_version_before_are_read_and_brought_to_this_one_by_a_write() {
    let kv = sandbox();
    kv.put("k", "v");
    kv.run(["put", "brief", "v", "--ttl", "1h"])
        .ends(Exit::Success);
    kv.run(["push", "jobs", "a"]).ends(Exit::Success);
    database(&kv)
        .execute_batch(
            "DROP INDEX entry_key; ALTER TABLE entry DROP COLUMN head;
             ALTER TABLE namespace DROP COLUMN changes; ALTER TABLE namespace DROP COLUMN entries;
             ALTER TABLE namespace DROP COLUMN total; ALTER TABLE namespace DROP COLUMN sum;
             PRAGMA user_version = 1",
        )
        .unwrap();
    let reads = || {
        kv.holds("k", "v");
        kv.lacks("absent");
        kv.run(["ls"]).ends(Exit::Success).prints("brief\nk\n");
        kv.run(["ls", "b*"]).ends(Exit::Success).prints("brief\n");
        kv.run(["items", "jobs"]).ends(Exit::Success).prints("a\n");
        let listed = kv.run(["namespaces"]).ends(Exit::Success);
        listed.prints("default\njobs\n");
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        kv.run(["info"]).ends(Exit::Success);
    };
    let version = || number(&kv, "PRAGMA user_version");
    reads();
    kv.run(["put", "k", "w", "--if-absent"]).ends(Exit::No);
    assert_eq!(version(), 1);
    kv.run(["expire", "k", "2h"]).ends(Exit::Success);
    assert_eq!(version(), 2);
    reads();
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("a");
    change(&kv, "DELETE FROM entry WHERE KEY");
    kv.run(["ls"]).ends(Exit::Damaged);
}

const KEYS: usize = 60;
const FLIPS: usize = 120;

fn key(n: usize) -> Vec<u8> {
    format!("user:{n:02}:{}", "x".repeat(n * 37 % 60)).into_bytes()
}

fn value(n: usize) -> Vec<u8> {
    format!("{n}-{}", "y".repeat(n * 71 % 400)).into_bytes()
}

/// What each key is to show: its size, its etag, and whether it expires.
type Told = BTreeMap<Vec<u8>, (u64, u64, bool)>;

/// Reads everything in every way, and returns whether all was told as it is or refused, and whether
/// anything was refused.
fn look(store: &dyn Store, want: &Told) -> (bool, bool) {
    let namespace: Namespace = "default".parse().unwrap();
    let (now, mut is_right, mut is_refused) = (Now.now(), true, false);
    let mut judge = |done: Result<bool, kv::store::StoreError>| match done {
        Ok(done) => is_right &= done,
        Err(err) => {
            // Some damage makes it another program's, or none.
            is_right &= is_refusal(&err) || matches!(err, kv::store::StoreError::Io { .. });
            is_refused = true;
        }
    };
    for (n, (name, told)) in want.iter().enumerate() {
        let key = Key::new(name.clone()).unwrap();
        judge(store.stat(&namespace, &key, now).map(|meta| {
            meta.is_some_and(|meta| (meta.size, meta.etag.0, meta.expires.is_some()) == *told)
        }));
        let entry = store.get(&namespace, &key, now);
        let read = entry.and_then(|entry| entry.map(|entry| entry.value.into_vec()).transpose());
        judge(read.map(|read| read == Some(value(n))));
    }
    for (prefix, keys_only) in [("", true), ("", false), ("user:3", true), ("user:3", false)] {
        let selection = Selection {
            prefix: prefix.into(),
            keys_only,
            ..Selection::default()
        };
        let list = || {
            let mut keys = Vec::new();
            let mut listing = store.scan(&namespace, &selection, now)?;
            while let Some(listed) = listing.next() {
                keys.push(listed?.key.to_vec());
            }
            Ok(keys)
        };
        let wanted = want.keys().filter(|key| key.starts_with(prefix.as_bytes()));
        judge(list().map(|keys| keys.iter().eq(wanted)));
    }
    (is_right, is_refused)
}

#[test]
fn no_flip_of_a_bit_makes_an_answer_wrong() {
    for (engine, brief) in [(Engine::Sqlite, 5), (Engine::Sqlite, 1), (Engine::Tree, 5)] {
        let kv = Sandbox::on(engine);
        let lines: String = (0..KEYS)
            .map(|n| {
                let ttl = if n % brief == 1 { "--ttl 1d" } else { "" };
                let [key, value] = [key(n), value(n)].map(|text| String::from_utf8(text).unwrap());
                format!("put {key} {value} {ttl}\n")
            })
            .collect();
        kv.feed(["batch"], lines.as_bytes()).ends(Exit::Success);
        let open = || open(kv.location(), Sync::Off, 10);
        let namespace: Namespace = "default".parse().unwrap();
        let told = (0..KEYS).map(|n| {
            let name = Key::new(key(n)).unwrap();
            let meta = open().stat(&namespace, &name, Now.now()).unwrap().unwrap();
            (key(n), (meta.size, meta.etag.0, meta.expires.is_some()))
        });
        let want: Told = told.collect();
        assert_eq!(look(&*open(), &want), (true, false));
        let walk = walkdir::WalkDir::new(kv.store()).sort_by_file_name();
        let files: Vec<(PathBuf, Vec<u8>)> = walk
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let (mut wrong, mut refused) = (Vec::new(), 0);
        for flip in 0..FLIPS {
            // Evenly over all that there is, and each time another bit.
            let mut at = flip * all / FLIPS + flip * 7919 % (all / FLIPS);
            let (path, bytes) = files
                .iter()
                .find(|(_, bytes)| {
                    let is_here = at < bytes.len();
                    at -= if is_here { 0 } else { bytes.len() };
                    is_here
                })
                .unwrap();
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (flip % 8);
            fs::write(path, bad).unwrap();
            let (is_right, is_refused) = look(&*open(), &want);
            refused += u32::from(is_refused);
            if !is_right {
                wrong.push((path, at, flip % 8));
            }
            fs::write(path, bytes).unwrap();
        }
        assert!(wrong.is_empty(), "{engine:?}: {wrong:?}");
        assert!(refused > 10, "{engine:?}: {refused} were refused");
        tell_count(&format!("{engine:?}: {FLIPS} bits, {refused} refused"));
    }
}

#[test]
fn a_check_tells_once_that_a_file_is_cut_short() {
    let kv = sandbox();
    kv.put("k", &"v".repeat(100_000));
    let file = fs::OpenOptions::new().write(true).open(kv.store());
    file.unwrap().set_len(4096).unwrap();
    let ran = kv.run(["fsck"]).ends(Exit::Damaged);
    assert_eq!(ran.stderr_text().lines().count(), 1, "{}", ran.report());
}
