//! The range of a list: believed only if it is the one that was noted, and no element is outside.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in};
use crate::pop::file_of;
use crate::push::has_items;

fn list(kv: &Sandbox) -> PathBuf {
    kv.store().join("jobs/list")
}

/// Returns the file of the range, the only one.
#[track_caller]
pub fn range(kv: &Sandbox) -> PathBuf {
    let names = names_in(&list(kv));
    assert_eq!(names.len(), 1, "{names:?}");
    list(kv).join(&names[0])
}

fn name(first: u64, end: u64) -> String {
    format!("{first:020}-{end:020}")
}

/// Notes the file of a list's range as kv does, if there is one and no other.
pub fn note(space: &Path) {
    let names: Vec<_> = fs::read_dir(space.join("list"))
        .into_iter()
        .flatten()
        .collect();
    let [Ok(file)] = &names[..] else {
        return;
    };
    let meta = file.metadata().unwrap();
    let changed = meta.ctime() * 1_000_000_000 + meta.ctime_nsec();
    let lock = space.join("locks/list");
    if !space.join("locks").is_dir() {
        return;
    }
    let old = fs::read(&lock).unwrap_or_default();
    let mut note = format!("{:020} {changed:020} ", meta.ino()).into_bytes();
    note.extend(old.get(note.len()..).unwrap_or_default());
    fs::write(&lock, note).unwrap();
}

/// A list of b to e, which had elements before and behind them.
fn jobs() -> Sandbox {
    let kv = Sandbox::new();
    push(&kv, "abcdef");
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("a");
    kv.run(["pop", "--last", "jobs"])
        .ends(Exit::Success)
        .prints("f");
    kv
}

#[track_caller]
fn push(kv: &Sandbox, elements: &str) {
    let lines: String = elements.chars().flat_map(|c| [c, '\n']).collect();
    let args = ["push", "jobs", "--lines", "--sync", "off"];
    kv.feed(args, lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

/// Takes all there is from the front and the back in turn.
fn drain(kv: &Sandbox) -> String {
    let mut taken = String::new();
    for round in 0.. {
        let last = (round % 2 == 1).then_some("--last");
        let ran: Ran = kv.run(["pop", "jobs", "--sync", "off"].into_iter().chain(last));
        match ran.status().code() {
            Some(0) => taken.push_str(&ran.stdout_text()),
            Some(1) => break,
            _ => panic!("{}", ran.report()),
        }
    }
    taken
}

/// Gives the range another name, with which no element would be found.
fn narrow(kv: &Sandbox) {
    fs::rename(range(kv), list(kv).join(name(2, 2))).unwrap();
}

/// Does something to the range.
type Wrong = fn(&Sandbox);

/// Ways in which it can be wrong.
const WRONGS: [(&str, Wrong); 8] = [
    ("missing", |kv| fs::remove_file(range(kv)).unwrap()),
    ("without its directory", |kv| {
        fs::remove_dir_all(list(kv)).unwrap();
    }),
    ("narrowed by somebody who does not note it", narrow),
    ("a copy", |kv| {
        let (range, copy) = (range(kv), list(kv).join("copy"));
        fs::write(&copy, "").unwrap();
        fs::rename(copy, range).unwrap();
        narrow(kv);
    }),
    ("one of two", |kv| {
        fs::write(list(kv).join(name(2, 2)), "").unwrap();
    }),
    ("noted by nobody", |kv| {
        narrow(kv);
        fs::write(kv.store().join("jobs/locks/list"), "").unwrap();
    }),
    ("noted with garbage", |kv| {
        narrow(kv);
        fs::write(kv.store().join("jobs/locks/list"), [0xA5; 400]).unwrap();
    }),
    ("beside what an older kv keeps", |kv| {
        narrow(kv);
        note(&kv.store().join("jobs"));
        fs::write(kv.store().join("jobs/ends"), "kvlist1 ...").unwrap();
    }),
];

fn change_note(kv: &Sandbox, change: impl Fn(&str) -> String) {
    let lock = kv.store().join("jobs/locks/list");
    let noted = fs::read_to_string(&lock).unwrap();
    fs::write(lock, change(&noted)).unwrap();
}

#[test]
fn a_range_that_is_noted_is_believed() {
    // Otherwise the other tests here would say nothing.
    let kv = jobs();
    narrow(&kv);
    note(&kv.store().join("jobs"));
    kv.run(["pop", "jobs"]).ends(Exit::No).is_silent();
}

#[test]
fn elements_are_taken_in_order_whatever_the_range_says() {
    for (what, wrong) in WRONGS {
        let kv = jobs();
        wrong(&kv);
        has_items(&kv, "jobs", &[b"b", b"c", b"d", b"e"]);
        assert_eq!(drain(&kv), "becd", "{what}");
        assert!(!kv.store().join("jobs/ends").exists(), "{what}");
    }
}

#[test]
fn elements_are_added_at_the_end_whatever_the_range_says() {
    for (what, wrong) in WRONGS {
        let kv = jobs();
        wrong(&kv);
        push(&kv, "x");
        wrong(&kv);
        push(&kv, "y");
        assert_eq!(drain(&kv), "bycxde", "{what}");
    }
}

#[test]
fn an_element_put_by_its_key_is_found_whatever_the_range_says() {
    for (what, wrong) in WRONGS {
        let kv = jobs();
        wrong(&kv);
        kv.run(["-n", "jobs", "put", &format!("{:020}", 900), "z"])
            .ends(Exit::Success)
            .is_silent();
        assert_eq!(drain(&kv), "bzced", "{what}");
    }
}

#[test]
fn a_list_of_nothing_is_counted_too() {
    for (what, wrong) in WRONGS {
        let kv = Sandbox::new();
        push(&kv, "a");
        assert_eq!(drain(&kv), "a");
        wrong(&kv);
        assert_eq!(drain(&kv), "", "{what}");
        wrong(&kv);
        push(&kv, "b");
        assert_eq!(drain(&kv), "b", "{what}");
    }
}

#[test]
fn a_copy_of_the_store_goes_its_own_way() {
    let kv = jobs();
    let copy = "cp -a store copy && kv -s copy push jobs x && kv -s copy items jobs";
    kv.shell("sh", copy)
        .ends(Exit::Success)
        .prints("b\nc\nd\ne\nx\n");
    // Its numbers are behind the original's, whose range is laid over its own.
    push(&kv, "yz");
    let over = "cp -a store/jobs/list store/jobs/locks copy/jobs/
        while kv -s copy pop jobs; do :; done";
    kv.shell("sh", over).prints("bcdex");
    assert_eq!(self::drain(&kv), "bzcyde");
}

#[test]
fn a_store_that_is_copied_over_keeps_what_comes_back() {
    for tool in ["cp -a copy/. store", "rsync -a copy/ store"] {
        let kv = jobs();
        let lines: String = (0..200).map(|n| format!("{n}\n")).collect();
        let args = ["push", "jobs", "--lines", "--sync", "off"];
        kv.feed(args, lines.as_bytes()).ends(Exit::Success);
        let script = format!(
            "cp -a store copy
            i=0; while [ $((i += 1)) -le 150 ]; do kv pop jobs --sync off >taken; done
            {tool}
            kv items jobs | wc -l; while kv pop jobs --sync off; do echo; done | wc -l"
        );
        let ran = kv.shell("bash", &script).ends(Exit::Success);
        assert_eq!(ran.stdout_text(), "204\n204\n", "{tool}");
    }
}

#[test]
fn a_range_is_widened_and_narrowed_by_blocks() {
    let kv = Sandbox::new();
    let lines: String = (1..=130).map(|n| format!("{n}\n")).collect();
    let args = ["push", "jobs", "--lines", "--sync", "off"];
    kv.feed(args, lines.as_bytes()).ends(Exit::Success);
    assert_eq!(range(&kv), list(&kv).join(name(1, 195)));
    let pops = "i=0; while [ $((i += 1)) -le 70 ]; do kv pop jobs --sync off; echo; done";
    let ran = kv.shell("bash", pops).ends(Exit::Success);
    let want: String = (1..=70).map(|n| format!("{n}\n")).collect();
    assert_eq!(ran.stdout_text(), want);
    assert_eq!(range(&kv), list(&kv).join(name(65, 195)));
    let pops = pops.replace("pop", "pop --last");
    let ran = kv.shell("bash", &pops).ends(Exit::Success);
    let want: String = (71..=130).rev().map(|n| format!("{n}\n")).collect();
    assert_eq!(ran.stdout_text().trim_end(), want.trim_end());
}

#[test]
fn a_range_is_wider_for_many_and_what_is_left_of_that_is_looked_through() {
    let kv = Sandbox::new();
    // One who pushed many and was killed has taken nothing back.
    let script = "mkfifo pipe; kv push jobs --lines --sync off <pipe & exec 3>pipe
        seq 1 900 >&3; until kv -n jobs has 00000000000000000900; do sleep 0.01; done
        kill -9 $!; exec 3>&-; wait";
    _ = kv.shell("bash", script);
    let left = range(&kv).file_name().unwrap().to_str().unwrap().to_owned();
    let end: u64 = left[21..].parse().unwrap();
    assert!(end > 900 + 64, "{left}");
    push(&kv, "x");
    kv.run(["-n", "jobs", "get", &format!("{:020}", 901)])
        .ends(Exit::Success)
        .prints("x");
    kv.run(["pop", "jobs", "--last"])
        .ends(Exit::Success)
        .prints("x");
}

#[test]
fn an_element_in_a_pack_is_not_written_over() {
    let kv = jobs();
    kv.run(["-n", "jobs", "gc"]).ends(Exit::Success);
    // Whoever takes the note for true would begin at one again.
    change_note(&kv, |note| format!("{}{:020}\n", &note[..42], 1));
    push(&kv, "x");
    has_items(&kv, "jobs", &[b"b", b"c", b"d", b"e", b"x"]);
    assert_eq!(drain(&kv), "bxced");
}

#[test]
fn a_damaged_header_does_not_hide_the_others() {
    let kv = jobs();
    let path = file_of(&kv, 3);
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fs::remove_file(range(&kv)).unwrap();
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("b");
    kv.run(["pop", "jobs"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["is damaged"]);
    push(&kv, "x");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
