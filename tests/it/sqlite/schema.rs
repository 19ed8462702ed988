//! Tables, indexes and triggers that somebody took away, or that are somebody's own.

use std::fs;

use kv::exit::Exit;

use super::{LARGE, database, large, number, sandbox};
use crate::harness::Ran;

/// Demands that all of these are printed.
#[track_caller]
fn tells(ran: &Ran, wanted: &[&str]) {
    let told = ran.stdout_text();
    assert!(
        wanted.iter().all(|want| told.contains(want)),
        "{}",
        ran.report()
    );
}

#[test]
fn what_is_not_there_is_told_and_made_anew() {
    for what in [
        "INDEX entry_key",
        "INDEX entry_expires",
        "TRIGGER entry_deleted",
        "TRIGGER entry_replaced",
        "TABLE part",
        "TABLE lost",
    ] {
        let kv = sandbox();
        kv.put("k", "v");
        let drop = format!("DROP {what}");
        database(&kv).execute_batch(&drop).unwrap();
        let (kind, name) = what.split_once(' ').unwrap();
        let told = format!("the {} `{name}` is not there", kind.to_lowercase());
        tells(&kv.run(["fsck"]).ends(Exit::Damaged), &[&told]);
        let dry = kv.run(["fsck", "--repair", "--dry-run"]);
        tells(&dry.ends(Exit::Success), &[&told, "made anew"]);
        let mended = kv.run(["fsck", "--repair"]).ends(Exit::Success);
        tells(&mended, &[&told, "made anew"]);
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        kv.put("new", "v");
        let put = kv.feed(["put", "large"], &large());
        put.ends(Exit::Success);
        kv.run(["ls"]).ends(Exit::Success).prints("k\nlarge\nnew\n");
    }
}

#[test]
fn entries_whose_namespaces_are_gone_are_kept_as_lost() {
    for gone in ["DROP TABLE namespace", "DELETE FROM namespace"] {
        let kv = sandbox();
        kv.put("k", "v");
        database(&kv).execute_batch(gone).unwrap();
        let told = kv.run(["fsck"]);
        assert_eq!(told.status().code(), Some(4), "{}", told.report());
        tells(&told, &["damage"]);
        let mended = kv.run(["fsck", "--repair"]).ends(Exit::Success);
        tells(
            &mended,
            &["a namespace that is not there", "moved to the table `lost`"],
        );
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        let lost = number(&kv, "SELECT count(*) FROM lost WHERE key = x'6b'");
        assert_eq!(lost, 1);
        // No new namespace takes them for its own.
        kv.put("new", "w");
        kv.run(["ls", "--values"])
            .ends(Exit::Success)
            .prints("new\tw\n");
    }
}

#[test]
fn what_was_in_a_namespace_that_is_lost_is_not_absent() {
    for lost in [
        "DELETE FROM namespace WHERE name = 'default'",
        "UPDATE namespace SET name = 'other' WHERE name = 'default'",
    ] {
        let kv = sandbox();
        kv.put("k", "v");
        kv.run(["push", "jobs", "v"]).ends(Exit::Success);
        database(&kv).execute_batch(lost).unwrap();
        for args in [
            &["get", "k"][..],
            &["has", "k"],
            &["ls"],
            &["export"],
            &["put", "k", "w", "--if-absent"],
            &["remove", "k"],
        ] {
            kv.run(args).ends(Exit::Damaged).complains(&["namespace"]);
        }
        kv.run(["items", "jobs"]).ends(Exit::Success).prints("v\n");
        kv.run(["-n", "default", "fsck"]).ends(Exit::Damaged);
        // Who looks at all of them is told behind what there is.
        let all = kv.run(["export", "--all"]).ends(Exit::Damaged);
        assert!(all.stdout_text().contains("jobs"), "{}", all.report());
        kv.run(["namespaces"]).ends(Exit::Damaged);
    }
}

#[test]
fn a_value_beside_its_parts_is_told() {
    let kv = sandbox();
    kv.feed(["put", "k"], &large()).ends(Exit::Success);
    database(&kv)
        .execute_batch("UPDATE entry SET value = x'00'")
        .unwrap();
    kv.run(["get", "k"]).ends(Exit::Damaged);
    tells(&kv.run(["fsck"]).ends(Exit::Damaged), &["parts"]);
    let mended = kv.run(["fsck", "--repair"]).ends(Exit::Success);
    tells(&mended, &["moved to the table `lost`"]);
    kv.lacks("k");
}

#[test]
fn a_column_of_another_name_is_told() {
    let kv = sandbox();
    kv.put("k", "v");
    let rename = "ALTER TABLE lost RENAME COLUMN large TO laroe";
    database(&kv).execute_batch(rename).unwrap();
    let want = "the table `lost` has no column `large`";
    tells(&kv.run(["fsck"]).ends(Exit::Damaged), &[want]);
    let repair = kv.run(["fsck", "--repair"]).ends(Exit::Damaged);
    tells(&repair, &[want]);
}

#[test]
fn a_version_that_was_set_back_is_set_right_by_a_write() {
    let kv = sandbox();
    kv.put("k", "v");
    let back = "PRAGMA user_version = 1";
    database(&kv).execute_batch(back).unwrap();
    kv.holds("k", "v");
    kv.put("l", "v");
    kv.run(["ls"]).ends(Exit::Success).prints("k\nl\n");
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}

#[test]
fn what_a_key_cannot_be_stored_without_says_what_helps() {
    let kv = sandbox();
    kv.put("k", "v");
    database(&kv).execute_batch("DROP INDEX entry_key").unwrap();
    let ran = kv.run(["put", "new", "v"]).ends(Exit::Damaged);
    ran.complains(&["entry_key", "kv fsck --repair"]);
}

#[test]
fn what_is_another_is_told_and_made_anew() {
    let kv = sandbox();
    kv.put("k", "v");
    let other = "DROP INDEX entry_key; CREATE INDEX entry_key ON entry (key);
                 DROP TRIGGER entry_deleted;
                 CREATE TRIGGER entry_deleted AFTER DELETE ON entry BEGIN SELECT 1; END";
    database(&kv).execute_batch(other).unwrap();
    let told = ["`entry_key` is another", "`entry_deleted` is another"];
    tells(&kv.run(["fsck"]).ends(Exit::Damaged), &told);
    tells(&kv.run(["fsck", "--repair"]).ends(Exit::Success), &told);
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}

#[test]
fn what_is_somebodys_own_is_told_where_it_touches_the_stores() {
    let kv = sandbox();
    kv.put("k", "v");
    let own = "CREATE TABLE own (a); CREATE INDEX own_a ON own (a); ANALYZE";
    database(&kv).execute_batch(own).unwrap();
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
    let trigger = "CREATE TRIGGER mine AFTER INSERT ON entry BEGIN INSERT INTO own VALUES (1); END";
    database(&kv).execute_batch(trigger).unwrap();
    for args in [&["fsck"][..], &["fsck", "--repair"]] {
        let ran = kv.run(args).ends(Exit::Success);
        tells(
            &ran,
            &["warning", "the trigger `mine` on the table `entry`"],
        );
    }
}

#[test]
fn parts_of_no_entry_are_told_and_freed() {
    for free in [&["gc"][..], &["fsck", "--repair"]] {
        let kv = sandbox();
        kv.put("k", "v");
        kv.feed(["put", "large"], &large()).ends(Exit::Success);
        kv.feed(["put", "kept"], &large()).ends(Exit::Success);
        let strays = "INSERT INTO part SELECT large + 1, number, bytes FROM part";
        database(&kv).execute_batch(strays).unwrap();
        let ran = kv.run(["fsck"]).ends(Exit::Success);
        tells(&ran, &["warning", "belong to no entry: 2"]);
        _ = kv.run(free).ends(Exit::Success);
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        let left = number(&kv, "SELECT sum(length(bytes)) FROM part");
        assert_eq!(usize::try_from(left), Ok(2 * LARGE));
        kv.holds("large", large());
    }
}

#[test]
fn a_file_that_is_cut_off_says_what_saves_the_rest() {
    let kv = sandbox();
    for n in 0..200 {
        kv.put(&format!("k{n}"), &"v".repeat(100));
    }
    let file = fs::OpenOptions::new().write(true).open(kv.store()).unwrap();
    file.set_len(file.metadata().unwrap().len() / 4096 / 2 * 4096)
        .unwrap();
    let ran = kv.run(["ls"]).ends(Exit::Damaged);
    ran.complains(&["damaged", ".recover"]);
}

#[test]
fn nothing_is_written_while_a_trigger_of_another_program_is_there() {
    let again = "namespace, OLD.key, OLD.etag, OLD.modified, OLD.expires, OLD.size, OLD.sum,
                 OLD.head, OLD.large, OLD.value";
    let again = format!("INSERT INTO entry VALUES (OLD.{again})");
    for (on, does) in [
        ("BEFORE INSERT ON entry", "SELECT raise(ignore)"),
        ("BEFORE INSERT ON namespace", "SELECT raise(ignore)"),
        ("BEFORE UPDATE ON namespace", "SELECT raise(ignore)"),
        (
            "BEFORE DELETE ON entry WHEN OLD.key = x'6b'",
            "SELECT raise(ignore)",
        ),
        ("BEFORE INSERT ON entry", "SELECT raise(abort, 'no')"),
        (
            "AFTER INSERT ON Entry",
            "DELETE FROM entry WHERE key = NEW.key",
        ),
        (
            "AFTER UPDATE ON entry",
            "UPDATE entry SET value = x'00' WHERE key = NEW.key",
        ),
        ("AFTER DELETE ON entry", &again),
        (
            "AFTER INSERT ON part",
            "DELETE FROM part WHERE number = NEW.number",
        ),
    ] {
        let kv = sandbox();
        kv.put("k", "v");
        kv.put("l", "v");
        let trigger = format!("CREATE TRIGGER mine {on} BEGIN {does}; END");
        database(&kv).execute_batch(&trigger).unwrap();
        for args in [
            &["put", "m", "w"][..],
            &["put", "k", "w"],
            &["push", "jobs", "w"],
            &["expire", "k", "1h"],
            &["remove", "k"],
            &["get", "k", "--remove"],
            &["namespaces", "--remove", "default"],
            &["-n", "default", "gc", "--max-entries", "1"],
        ] {
            let ran = kv.run(args).ends(Exit::Failure).prints("");
            ran.complains(&["cannot change", "trigger `mine` of another program"]);
        }
        let replace = kv.feed(["import", "--replace", "--tsv"], b"m\tw\n");
        _ = replace.ends(Exit::Failure);
        let rest = || {
            let ran = kv.run(["ls", "--values"]).ends(Exit::Success);
            ran.prints("k\tv\nl\tv\n");
        };
        rest();
        tells(
            &kv.run(["fsck"]).ends(Exit::Success),
            &["warning", "trigger `mine`"],
        );
        database(&kv).execute_batch("DROP TRIGGER mine").unwrap();
        rest();
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
}
