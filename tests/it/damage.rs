//! Entries that are not what was written: told apart, named, and never answered from.

use std::fs;

use kv::exit::Exit;

use crate::harness::Sandbox;

type Damage = fn(Vec<u8>) -> Vec<u8>;

/// Ways to damage the entry file of a small value.
const DAMAGES: [(&str, Damage); 6] = [
    ("a bit of the header", |mut bytes| {
        bytes[10] ^= 1;
        bytes
    }),
    ("a bit of the value", |mut bytes| {
        *bytes.last_mut().unwrap() ^= 0x80;
        bytes
    }),
    ("a short file", |mut bytes| {
        bytes.pop();
        bytes
    }),
    ("a long file", |mut bytes| {
        bytes.push(b'x');
        bytes
    }),
    ("garbage", |bytes| vec![0xA5; bytes.len()]),
    ("nothing", |_| Vec::new()),
];

fn damaged(damage: Damage) -> Sandbox {
    let kv = Sandbox::new();
    kv.put("k", "value");
    kv.put("sound", "still here");
    let path = kv.file_of(b"k");
    fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
    kv
}

#[test]
fn damage_is_told_by_every_reader_of_the_value() {
    for (what, damage) in DAMAGES {
        let kv = damaged(damage);
        let before = fs::read(kv.file_of(b"k")).unwrap();
        for args in [
            &["get", "k"][..],
            &["get", "k", "--default", "d"],
            &["get", "k", "--remove"],
            &["expire", "k", "1h"],
            &["put", "k", "w", "--if-value", "value"],
        ] {
            let ran = kv.run(args);
            assert!(ran.status().code() == Some(4), "{what}: {}", ran.report());
            ran.prints("").complains(&["is damaged", "objects/"]);
        }
        assert_eq!(fs::read(kv.file_of(b"k")).unwrap(), before, "{what}");
        assert_eq!(kv.litter(), [""; 0]);
        kv.holds("sound", "still here");
    }
}

#[test]
fn a_listing_reports_damage_and_lists_the_others() {
    for (what, damage) in DAMAGES {
        let kv = damaged(damage);
        let ran = kv.run(["ls", "--values", "sound"]);
        // A listing trusts a header that holds, and reads values only where it prints them.
        assert_eq!(ran.stdout(), b"sound\tstill here\n", "{what}");
        let ran = kv.run(["ls", "--values"]).ends(Exit::Damaged);
        assert_eq!(ran.stdout(), b"sound\tstill here\n", "{what}");
        ran.complains(&["is damaged"]);
    }
}

#[test]
fn of_thousands_that_several_threads_read_all_damage_is_told_and_all_others_are_listed() {
    let kv = Sandbox::new();
    let puts: String = (0..5_000)
        .map(|n| format!("put k{n:04} v{n} --ttl 52w\n"))
        .collect();
    kv.feed(["batch", "--sync", "off"], puts.as_bytes())
        .ends(Exit::Success);
    let list = |keep: fn(usize) -> bool| -> String {
        let kept = (0..5_000).filter(|&n| keep(n));
        kept.map(|n| format!("k{n:04}\n")).collect()
    };
    kv.run(["ls"]).ends(Exit::Success).prints(list(|_| true));
    let of_50 = |n: usize| n.is_multiple_of(50);
    for n in (0..5_000).filter(|&n| of_50(n)) {
        fs::write(kv.file_of(format!("k{n:04}").as_bytes()), "garbage").unwrap();
    }
    let ran = kv.run(["ls"]).ends(Exit::Damaged);
    assert_eq!(ran.stdout_text(), list(|n| !n.is_multiple_of(50)));
    ran.complains(&["is damaged"]);
    kv.run(["ls", "--count", "k49*"])
        .ends(Exit::Damaged)
        .prints("98\n");
}

#[test]
fn put_replaces_and_remove_removes_a_damaged_entry() {
    for (_, damage) in DAMAGES {
        let kv = damaged(damage);
        kv.put("k", "new");
        kv.holds("k", "new");
        let kv = damaged(damage);
        kv.run(["remove", "k"]).ends(Exit::Success).is_silent();
        kv.lacks("k");
    }
}

#[test]
fn a_condition_is_not_decided_on_a_damaged_header() {
    let kv = damaged(DAMAGES[0].1);
    for condition in [
        &["--if-absent"][..],
        &["--if-exists"],
        &["--keep-ttl"],
        &["--if-etag", "0123456789abcdef"],
    ] {
        kv.run(["put", "k", "w"].iter().chain(condition))
            .ends(Exit::Damaged)
            .complains(&["is damaged"]);
    }
}

#[test]
fn a_large_value_streams_and_then_tells_its_damage() {
    let kv = Sandbox::new();
    let value = vec![b'x'; 1_000_000];
    kv.feed(["put", "k"], &value)
        .ends(Exit::Success)
        .is_silent();
    let path = kv.file_of(b"k");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() = b'y';
    fs::write(&path, bytes).unwrap();
    let ran = kv.run(["get", "k"]).ends(Exit::Damaged);
    // Its last bytes are given to nobody who may take them for its end.
    assert!(ran.stdout().len() < value.len());
    ran.complains(&["the checksum of its value"]);
}

#[test]
fn a_listing_goes_on_behind_a_large_damaged_value() {
    let kv = Sandbox::new();
    for (key, len) in [("a", 100_000), ("b", 3_000_000)] {
        kv.feed(["put", key], &vec![b'x'; len])
            .ends(Exit::Success)
            .is_silent();
        let path = kv.file_of(key.as_bytes());
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() = b'y';
        fs::write(&path, bytes).unwrap();
    }
    kv.put("c", "sound");
    let ran = kv.run(["ls", "--values"]).ends(Exit::Damaged);
    let text = ran.stdout_text();
    let keys: Vec<_> = text.lines().map(|line| &line[..2]).collect();
    assert_eq!(keys, ["a\t", "b\t", "c\t"]);
    ran.complains(&["the checksum of its value"]);

    let ran = kv.run(["ls", "--values", "--json"]).ends(Exit::Damaged);
    assert!(ran.line().starts_with("{\"key\":\"c\""), "{}", ran.report());
    ran.complains(&["the checksum of its value"]);
}

#[test]
fn an_entry_of_another_key_is_neither_answered_nor_overwritten() {
    let kv = Sandbox::new();
    kv.put("k", "mine");
    kv.put("other", "its value");
    fs::copy(kv.file_of(b"other"), kv.file_of(b"k")).unwrap();
    let planted = fs::read(kv.file_of(b"k")).unwrap();
    for args in [
        &["get", "k"][..],
        &["get", "k", "--remove"],
        &["has", "k"],
        &["stat", "k"],
        &["ttl", "k"],
        &["put", "k", "v"],
        &["put", "k", "v", "--if-absent"],
        &["expire", "k", "1h"],
        &["remove", "k"],
        &["remove", "-f", "k"],
    ] {
        kv.run(args)
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["holds the entry of another key"]);
    }
    assert_eq!(fs::read(kv.file_of(b"k")).unwrap(), planted);
    assert_eq!(kv.litter(), [""; 0]);
    kv.run(["ls"])
        .ends(Exit::Damaged)
        .prints("other\n")
        .complains(&["another key"]);
}

#[test]
fn an_entry_of_a_newer_version_is_left_alone() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let path = kv.file_of(b"k");
    let mut newer = fs::read(&path).unwrap();
    newer[2] = b'2';
    // Its sum is another, as it covers the version.
    newer[103] = if newer[103] == b'0' { b'1' } else { b'0' };
    fs::write(&path, &newer).unwrap();
    for args in [
        &["get", "k"][..],
        &["put", "k", "w"],
        &["remove", "k"],
        &["expire", "k", "1h"],
        &["ls"],
    ] {
        kv.run(args)
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["newer kv"]);
    }
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[test]
fn a_flipped_bit_of_the_version_is_damage() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let path = kv.file_of(b"k");
    let mut flipped = fs::read(&path).unwrap();
    flipped[2] = b'3';
    fs::write(&path, &flipped).unwrap();
    kv.run(["get", "k"]).ends(Exit::Damaged).prints("");
    kv.run(["fsck"]).ends(Exit::Damaged);
    kv.put("k", "w");
    kv.holds("k", "w");
    kv.run(["fsck"]).ends(Exit::Success);
}

#[test]
fn a_namespace_of_a_newer_version_is_refused_and_not_changed() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let all = [
        &["get", "k"][..],
        &["put", "k", "w"],
        &["remove", "k"],
        &["has", "absent"],
        &["ls"],
        &["expire", "k", "1h"],
        &["namespaces", "--remove", "default"],
    ];
    let format = kv.space().join("format");
    let old = fs::read(&format).unwrap();
    fs::write(&format, "kv 2\nmore\n").unwrap();
    for args in all {
        kv.run(args)
            .ends(Exit::Damaged)
            .prints("")
            .complains(&["newer kv", "its format is 2"]);
    }
    fs::write(&format, old).unwrap();
    assert_eq!(kv.litter(), [""; 0]);
    kv.holds("k", "v");
}

#[test]
fn a_damaged_format_is_told_from_a_newer_one_and_written_anew() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let format = kv.space().join("format");
    let sound = fs::read(&format).unwrap();
    let mut damaged = vec![sound[..9].to_vec(), [&sound[..], &[0; 7]].concat()];
    damaged.extend((0..sound.len() * 8).map(|bit| {
        let mut flipped = sound.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    }));
    for bytes in &damaged {
        fs::write(&format, bytes).unwrap();
        let ran = kv.run(["get", "k"]).ends(Exit::Damaged).prints("");
        let text = ran.complains(&["format"]).stderr_text();
        assert!(!text.contains("newer"), "{text}");
    }
    for bytes in damaged.iter().step_by(20) {
        fs::write(&format, bytes).unwrap();
        kv.run(["fsck"]).ends(Exit::Damaged);
        kv.run(["fsck", "--repair"]).ends(Exit::Success);
        assert_eq!(fs::read(&format).unwrap(), sound);
        kv.holds("k", "v");
    }
    // Where what is stored is of another version, nobody says that it is of this one.
    let entry = kv.file_of(b"k");
    let mut newer = fs::read(&entry).unwrap();
    newer[2] = b'2';
    newer[103] = if newer[103] == b'0' { b'1' } else { b'0' };
    fs::write(&entry, newer).unwrap();
    fs::write(&format, &damaged[1]).unwrap();
    kv.run(["fsck", "--repair"]).ends(Exit::Damaged);
    assert_eq!(fs::read(&format).unwrap(), damaged[1]);
}

#[test]
fn a_removal_by_pattern_tells_what_it_could_not_judge() {
    let kv = damaged(|bytes| vec![0xA5; bytes.len()]);
    for (args, printed) in [
        (&["remove", "--glob", "*", "--dry-run"][..], "sound\n"),
        (&["remove", "--glob", "*"], ""),
    ] {
        let path = kv.file_of(b"k");
        kv.run(args)
            .ends(Exit::Damaged)
            .prints(printed)
            .complains(&[path.to_str().unwrap(), "damaged"]);
    }
    kv.run(["has", "sound"]).ends(Exit::No);
}

#[test]
fn what_is_no_file_cannot_be_removed_and_is_damage() {
    let kv = damaged(|bytes| bytes);
    let path = kv.file_of(b"k");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    kv.run(["remove", "k"])
        .ends(Exit::Damaged)
        .complains(&[path.to_str().unwrap()]);
}
