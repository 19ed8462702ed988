//! Packs: what is saved of a damaged one, what is not, and what marks of the rest do.

use std::fs;

use kv::exit::Exit;

use super::{findings, flip, gc, is_clean, small, space};
use crate::harness::Sandbox;

/// Makes a store with an older and a newer pack; the key `both` is in each.
fn two_packs() -> Sandbox {
    let kv = Sandbox::new();
    let mut lines = String::new();
    for n in 0..2_000 {
        lines.push_str(&format!("k{n:04}\tolder {n}\n"));
    }
    lines.push_str("both\tolder\n");
    kv.feed(["import", "--tsv"], lines.as_bytes())
        .ends(Exit::Success);
    kv.put("both", "newer");
    for n in 0..20 {
        kv.put(&format!("n{n:02}"), &format!("later {n}"));
    }
    gc(&kv);
    assert_eq!(packs(&kv).len(), 2);
    kv
}

/// Names the packs, the newest first.
fn packs(kv: &Sandbox) -> Vec<String> {
    let manifest = fs::read_to_string(kv.space().join("packs/MANIFEST")).unwrap();
    let lines = manifest.lines().filter(|line| line.starts_with("pack "));
    lines
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .collect()
}

/// Flips a bit of the only record that has this text in its value.
#[track_caller]
fn damage_record(kv: &Sandbox, pack: &str, text: &str) {
    let path = kv.space().join("packs").join(pack);
    let bytes = fs::read(&path).unwrap();
    let mut found = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes());
    let at = found.next().unwrap().0;
    flip(&path, at);
}

#[test]
fn a_lost_record_answers_4_until_it_is_written_or_removed() {
    let kv = two_packs();
    damage_record(&kv, &packs(&kv)[0], "newer");
    damage_record(&kv, &packs(&kv)[1], "older 77");
    kv.run(["fsck"]).ends(Exit::Damaged);
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    let (ran, found) = findings(&kv, &[]);
    ran.ends(Exit::Success);
    assert_eq!(found.len(), 2);
    for key in ["both", "k0077"] {
        for verb in ["get", "has", "stat"] {
            kv.run([verb, key]).ends(Exit::Damaged).prints("");
        }
        kv.run(["put", key, "v", "--if-absent"]).ends(Exit::Damaged);
    }
    kv.lacks("absent");
    kv.holds("k0078", "older 78");
    kv.run(["ls", "--count", "n*"])
        .ends(Exit::Success)
        .prints("20\n");
    // The older value of a key is not listed in the place of one that was lost.
    let listed = kv.run(["ls", "--values", "both"]).ends(Exit::Damaged);
    listed.prints("");
    gc(&kv);
    kv.run(["get", "both"]).ends(Exit::Damaged);

    kv.run(["remove", "both"]).ends(Exit::Success).is_silent();
    kv.put("k0077", "again");
    for _ in 0..3 {
        kv.lacks("both");
        kv.holds("k0077", "again");
        gc(&kv);
    }
    kv.run(["remove", "k0077"]).ends(Exit::Success).is_silent();
    for _ in 0..2 {
        kv.lacks("k0077");
        gc(&kv);
    }
    assert!(
        findings(&kv, &[])
            .1
            .iter()
            .all(|f| f["severity"] == "warning")
    );
}

#[test]
fn bulk_verbs_know_of_lost_records() {
    let kv = two_packs();
    damage_record(&kv, &packs(&kv)[1], "older 77");
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    let keys: String = (0..1_500).map(|n| format!("k{n:04}\n")).collect();
    let lines: String = (0..1_500).map(|n| format!("k{n:04}\tnew\n")).collect();
    for how in ["--if-absent", "--merge"] {
        kv.feed(["import", "--tsv", how], lines.as_bytes())
            .ends(Exit::Success);
        // What it was nobody knows, and it is not absent.
        kv.run(["get", "k0077"]).ends(Exit::Damaged);
    }
    kv.feed(["remove", "--stdin"], keys.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.lacks("k0077");
    kv.run(["ls", "--count", "k*"])
        .ends(Exit::Success)
        .prints("500\n");
    gc(&kv);
    kv.lacks("k0077");
    kv.feed(["import", "--tsv"], lines.as_bytes())
        .ends(Exit::Success);
    kv.holds("k0077", "new");

    // An export and an import leave the marks behind.
    let all = kv.run(["export"]).ends(Exit::Success);
    kv.feed(["import", "--replace"], all.stdout())
        .ends(Exit::Success);
    is_clean(&kv);
    kv.holds("k0077", "new");
    kv.lacks("absent");
}

#[test]
fn all_records_are_saved_where_only_what_leads_to_them_is_damaged() {
    let template = two_packs();
    let pack = packs(&template).remove(1);
    let size = fs::metadata(template.space().join("packs").join(&pack))
        .unwrap()
        .len();
    let size = usize::try_from(size).unwrap();
    let line = fs::read_to_string(template.space().join("packs/MANIFEST")).unwrap();
    let line = line.lines().find(|line| line.contains(&pack)).unwrap();
    let number = |n: usize| line.split(' ').nth(n).unwrap().parse::<usize>().unwrap();
    let (index_at, pages_at) = (number(7), number(11));
    for (what, from, to) in [
        ("the magic", 0, 8),
        ("the base", 8, 16),
        ("the index", index_at, index_at + 12),
        ("a page", pages_at, pages_at + 4096),
        ("all pages", pages_at, size - 200),
        ("the footer", size - 100, size),
        ("all but the records", index_at, size),
    ] {
        let kv = super::copy(&template);
        let path = kv.space().join("packs").join(&pack);
        let mut bytes = fs::read(&path).unwrap();
        bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(&path, bytes).unwrap();
        kv.run(["fsck"]).ends(Exit::Damaged);
        kv.run(["fsck", "--repair"]).ends(Exit::Success);
        is_clean(&kv);
        let listed = kv.run(["ls", "--count"]).ends(Exit::Success);
        listed.prints("2021\n");
        kv.holds("k0000", "older 0");
        kv.holds("k1999", "older 1999");
        kv.holds("both", "newer");
        kv.lacks("absent");
        let lost = kv.names_in("lost");
        assert!(
            lost.len() == 1 && lost[0].starts_with(&pack),
            "{what}: {lost:?}"
        );
    }
}

#[test]
fn what_cannot_be_told_is_not_taken_for_absent() {
    let kv = two_packs();
    let pack = packs(&kv).remove(1);
    let path = kv.space().join("packs").join(&pack);
    let mut bytes = fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 4);
    fs::write(&path, bytes).unwrap();
    kv.run(["fsck"]).ends(Exit::Damaged);
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    let (ran, found) = findings(&kv, &[]);
    ran.ends(Exit::Success);
    assert!(
        found.len() == 1 && found[0]["severity"] == "warning",
        "{found:?}"
    );
    kv.holds("both", "newer");
    kv.holds("n07", "later 7");
    kv.holds("k0000", "older 0");
    for key in ["k1999", "absent"] {
        kv.run(["get", key]).ends(Exit::Damaged).prints("");
    }
    kv.put("k1999", "again");
    kv.run(["remove", "absent"]).ends(Exit::Success).is_silent();
    gc(&kv);
    kv.holds("k1999", "again");
    kv.lacks("absent");
}

#[test]
fn a_damaged_entry_does_not_bring_an_older_value_back() {
    let kv = small();
    // The key cannot be read; a pack knows it, and holds an older value.
    fs::write(super::file_of(&kv, "over"), "garbage").unwrap();
    fs::write(super::file_of(&kv, "gone packed"), "garbage").unwrap();
    fs::write(super::file_of(&kv, "loose"), "garbage").unwrap();
    let ran = kv.run(["fsck", "--repair"]).ends(Exit::Success);
    assert_eq!(ran.stdout_text().matches("the key is removed").count(), 2);
    for _ in 0..2 {
        for key in ["over", "gone packed", "loose"] {
            let ran = kv.run(["-n", "jobs", "get", key]);
            ran.ends(Exit::No).is_silent();
        }
        is_clean(&kv);
        gc(&kv);
    }
    let lost = super::names(&kv, "lost");
    assert_eq!(lost.len(), 3);
    for name in lost {
        assert_eq!(
            fs::read(space(&kv).join("lost").join(name)).unwrap(),
            b"garbage"
        );
    }
}

#[test]
fn an_entry_stays_where_nobody_can_tell_what_it_hides() {
    let kv = small();
    let manifest = space(&kv).join("packs/MANIFEST");
    let good = fs::read(&manifest).unwrap();
    fs::write(&manifest, "garbage").unwrap();
    let (over, loose) = (super::file_of(&kv, "over"), super::file_of(&kv, "loose"));
    fs::write(&over, "garbage").unwrap();
    let last = fs::read(&loose).unwrap().len() - 1;
    flip(&loose, last);
    kv.run(["fsck", "--repair"]).ends(Exit::Damaged);
    assert_eq!(fs::read(&over).unwrap(), b"garbage");
    // Its key is known: a tombstone is right whatever the packs say.
    assert_eq!(fs::read(&loose).unwrap().len(), 120 + "loose\n".len());
    fs::write(&manifest, good).unwrap();
    kv.run(["-n", "jobs", "get", "over"]).ends(Exit::Damaged);
    kv.run(["fsck", "--repair"]).ends(Exit::Success);
    for key in ["over", "loose"] {
        let ran = kv.run(["-n", "jobs", "get", key]);
        ran.ends(Exit::No).is_silent();
    }
    is_clean(&kv);
}

#[test]
fn a_stray_pack_is_moved_and_never_adopted() {
    let kv = small();
    let dir = space(&kv).join("packs");
    let old = super::names(&kv, "packs").pop().unwrap();
    fs::copy(dir.join(&old), dir.join("pack-0000000000000001")).unwrap();
    fs::write(dir.join("junk"), "x").unwrap();
    let ran = kv.run(["fsck"]).ends(Exit::Success);
    assert_eq!(ran.stdout_text().matches("note: ").count(), 2);
    let ran = kv.run(["fsck", "--repair"]).ends(Exit::Success);
    assert_eq!(ran.stdout_text().lines().count(), 2);
    is_clean(&kv);
    let lost = super::names(&kv, "lost");
    assert_eq!(lost.len(), 2, "{lost:?}");
    // While somebody holds the lock, a pack may have its name before the list knows it.
    fs::write(dir.join("pack-0000000000000002"), "x").unwrap();
    let lock = fs::OpenOptions::new()
        .write(true)
        .open(space(&kv).join("locks/gc"))
        .unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    is_clean(&kv);
}
