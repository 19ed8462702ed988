//! `kv remove`: one key, several, or all that a pattern or a pipe names.

use kv::exit::Exit;

use crate::harness::Sandbox;

fn with(keys: &[&str]) -> Sandbox {
    let kv = Sandbox::new();
    keys.iter().for_each(|key| kv.put(key, key));
    kv
}

#[test]
pub fn removes_in_silence_and_says_no_to_what_is_absent() {
    let kv = with(&["a"]);
    kv.run(["remove", "a"]).ends(Exit::Success).is_silent();
    kv.lacks("a");
    kv.run(["remove", "a"]).ends(Exit::No).is_silent();
    assert!(!kv.file_of(b"a").exists());
}

#[test]
pub fn of_a_store_that_does_not_exist_nothing_is_made() {
    let kv = Sandbox::new();
    kv.run(["remove", "a"]).ends(Exit::No).is_silent();
    kv.run(["remove", "-f", "a"])
        .ends(Exit::Success)
        .is_silent();
    assert!(!kv.store().exists());
}

#[test]
pub fn of_several_keys_all_that_are_there_go() {
    let kv = with(&["a", "b", "c"]);
    kv.run(["remove", "a", "absent", "b"])
        .ends(Exit::No)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).prints("c\n");
    kv.run(["remove", "--force", "absent", "c"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn rm_del_and_delete_are_other_names() {
    for name in ["rm", "del", "delete"] {
        let kv = with(&["a"]);
        kv.run([name, "a"]).ends(Exit::Success).is_silent();
        kv.lacks("a");
    }
}

#[test]
fn force_does_not_hide_damage() {
    let kv = with(&["a", "b"]);
    std::fs::copy(kv.file_of(b"b"), kv.file_of(b"a")).unwrap();
    kv.run(["remove", "-f", "a", "b"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["another key"]);
    kv.lacks("b");
}

#[test]
pub fn conditions_are_decided_on_the_entry() {
    let kv = with(&["a"]);
    let etag = kv.field("etag", "a");
    for (option, other, right) in [
        ("--if-value", "b", "a"),
        ("--if-etag", "0123456789abcdef", &*etag),
    ] {
        for force in [&[][..], &["-f"]] {
            kv.run(["remove", "a", option, other].iter().chain(force))
                .ends(Exit::No)
                .is_silent();
        }
        kv.run(["remove", "a", option, right, "--dry-run"])
            .ends(Exit::Success)
            .prints("a\n");
    }
    kv.run(["remove", "a", "--if-etag", &etag])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["remove", "a", "--if-value", "a"])
        .ends(Exit::No)
        .is_silent();
    kv.run(["remove", "-f", "a", "--if-value", "a"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn what_does_not_go_together_is_refused_and_nothing_removed() {
    let kv = with(&["a", "b"]);
    for bad in [
        &[][..],
        &["a", "b", "--if-value", "a"],
        &["a", "b", "--if-etag", "0123456789abcdef"],
        &["a", "--if-value", "a", "--if-etag", "0123456789abcdef"],
        &["--glob", "*", "--if-value", "a"],
        &["--glob", "*", "a"],
        &["--glob", "*", "--stdin"],
        &["--stdin", "a"],
        &["a", "--null"],
        &["--glob", "["],
        &[""],
    ] {
        kv.run(["remove"].iter().chain(bad))
            .ends(Exit::Usage)
            .prints("")
            .complains(&[]);
    }
    kv.run(["ls"]).ends(Exit::Success).prints("a\nb\n");
}

#[test]
pub fn dry_run_prints_what_would_go_and_removes_nothing() {
    let kv = with(&["a1", "a2", "b"]);
    kv.run(["remove", "--glob", "a*", "--dry-run"])
        .ends(Exit::Success)
        .prints("a1\na2\n");
    kv.run(["remove", "--glob", "a*", "--dry-run", "-0"])
        .ends(Exit::Success)
        .prints("a1\0a2\0");
    kv.run(["remove", "b", "absent", "--dry-run"])
        .ends(Exit::No)
        .prints("b\n");
    kv.run(["ls"]).ends(Exit::Success).prints("a1\na2\nb\n");
}

#[test]
pub fn a_glob_removes_what_ls_lists() {
    let kv = with(&["a1", "a2", "b"]);
    kv.run(["remove", "--glob", "a?"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).prints("b\n");
    kv.run(["remove", "--glob", "a?"])
        .ends(Exit::No)
        .is_silent();
    kv.run(["remove", "-f", "--glob", "a?"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn keys_are_read_from_standard_input() {
    let kv = with(&["a", "b", "c", "d e"]);
    kv.feed(["remove", "--stdin"], b"a\nd e")
        .ends(Exit::Success)
        .is_silent();
    kv.feed(["remove", "--stdin"], b"b\nabsent\n")
        .ends(Exit::No)
        .is_silent();
    kv.feed(["remove", "--stdin"], b"")
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).prints("c\n");
}

#[test]
pub fn null_reads_keys_that_hold_newlines() {
    let kv = with(&["a\nb", "a", "-0"]);
    kv.feed(["remove", "-0", "--stdin"], b"a\nb\0")
        .ends(Exit::Success)
        .is_silent();
    kv.shell("sh", "kv ls -0 | kv remove --stdin --null")
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn a_bad_line_removes_nothing() {
    let kv = with(&["a", "b"]);
    let long = format!("a\n{}\nb\n", "k".repeat(65_536));
    for input in [&b"a\n\nb\n"[..], b"a\nx\0y\n", long.as_bytes()] {
        kv.feed(["remove", "--stdin"], input)
            .ends(Exit::Usage)
            .prints("")
            .complains(&["line 2", "nothing was removed"]);
    }
    kv.run(["ls"]).ends(Exit::Success).prints("a\nb\n");
}

/// A store with 2,500 keys, which is more than are removed one by one.
fn with_many() -> (Sandbox, Vec<String>) {
    let kv = Sandbox::new();
    let keys: Vec<String> = (0..2_500).map(|n| format!("many/{n:04}")).collect();
    let lines: String = keys.iter().map(|key| format!("{key}\tvalue\n")).collect();
    kv.feed(["import", "--tsv", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Success);
    (kv, keys)
}

#[test]
pub fn many_keys_go_together_and_are_answered_as_few_are() {
    let (kv, keys) = with_many();
    kv.put("other", "stays");
    let (first, second) = (keys[..1_200].join("\n"), keys[1_100..].join("\n"));
    kv.feed(["remove", "--stdin", "--dry-run"], first.as_bytes())
        .ends(Exit::Success)
        .prints(format!("{first}\n"));
    let remove = ["remove", "--stdin", "--sync", "off"];
    kv.feed(remove, first.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--count"]).prints("1301\n");
    // A hundred of these are absent.
    kv.feed(remove, second.as_bytes())
        .ends(Exit::No)
        .is_silent();
    kv.run(["ls"]).prints("other\n");
    kv.feed(remove, second.as_bytes())
        .ends(Exit::No)
        .is_silent();
    let force = remove.iter().chain(&["--force"]);
    kv.feed(force, second.as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn a_key_that_is_named_twice_is_absent_the_second_time() {
    let (kv, mut keys) = with_many();
    let few = [&keys[0], &keys[1], &keys[0]]
        .map(String::as_str)
        .join("\n");
    kv.feed(["remove", "--stdin"], few.as_bytes())
        .ends(Exit::No)
        .is_silent();
    let mut many = keys.split_off(2);
    many.push(many[7].clone());
    let remove = ["remove", "--stdin", "--sync", "off"];
    kv.feed(remove, many.join("\n").as_bytes())
        .ends(Exit::No)
        .is_silent();
    kv.run(["ls"]).ends(Exit::Success).is_silent();
}

#[test]
pub fn many_keys_that_match_go_together() {
    let (kv, keys) = with_many();
    kv.put("other", "stays");
    kv.run(["remove", "--glob", "many/*", "--dry-run"])
        .ends(Exit::Success)
        .prints(format!("{}\n", keys.join("\n")));
    kv.run(["remove", "--glob", "many/*", "--sync", "off"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"]).prints("other\n");
}

#[test]
fn of_many_keys_those_that_cannot_go_are_told() {
    let (kv, mut keys) = with_many();
    for key in ["a", "b", "c"] {
        kv.put(key, key);
        keys.push(key.to_owned());
    }
    for key in [b"a", b"b"] {
        std::fs::copy(kv.file_of(b"c"), kv.file_of(key)).unwrap();
    }
    let remove = ["remove", "--stdin", "-f", "--sync", "off"];
    let ran = kv.feed(remove, keys.join("\n").as_bytes());
    let told = ran.ends(Exit::Damaged).prints("").stderr_text();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(told.matches("another key").count(), 2, "{told}");
    kv.run(["ls"]).ends(Exit::Damaged).prints("");
}

/// Two different texts of one SHA-1 (shattered.io). They hold NUL bytes, so they are no keys, and
/// their common place cannot be reached.
#[test]
pub fn the_published_collision_is_refused() {
    let kv = with(&["a"]);
    for digits in [
        include_str!("data/shattered-1.hex"),
        include_str!("data/shattered-2.hex"),
    ] {
        let bytes = hex::decode(digits.replace(char::is_whitespace, "")).unwrap();
        kv.feed(["remove", "--stdin"], &bytes)
            .ends(Exit::Usage)
            .prints("")
            .complains(&["invalid key", "nothing was removed"]);
    }
    kv.holds("a", "a");
}

/// What is longer than any key is not read to its end, and a line on standard error has 4 KiB at most.
#[test]
fn what_is_too_long_is_neither_read_nor_shown_whole() {
    let kv = with(&["a"]);
    let long = vec![b'x'; 8 * 1024 * 1024];
    kv.feed(["remove", "--stdin"], &long)
        .ends(Exit::Usage)
        .complains(&["invalid key in line 1", "nothing was removed"]);
    let ran = kv.feed(["batch"], &[&long[..100_000], b"\n"].concat());
    let told = ran.ends(Exit::Usage).stderr_text();
    assert!((1..=4096).contains(&told.len()), "{}", told.len());
    assert!(told.contains(" … "));
}
