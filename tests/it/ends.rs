//! The file `ends` of a list: believed only if it is right, and never missed.

use std::fs;
use std::path::PathBuf;

use kv::exit::Exit;
use xxhash_rust::xxh3::xxh3_64;

use crate::harness::{Ran, Sandbox};
use crate::pop::file_of;
use crate::push::has_items;

fn ends(kv: &Sandbox) -> PathBuf {
    kv.store().join("jobs/ends")
}

/// A list of b to e, which had elements before and behind them.
fn list() -> Sandbox {
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

/// Returns what the file says when its text is changed and its sum is right for that.
fn forged(kv: &Sandbox, change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = fs::read_to_string(ends(kv)).unwrap();
    let (text, _) = text.rsplit_once(' ').unwrap();
    let text = change(text);
    format!("{text} {:016x}\n", xxh3_64(text.as_bytes())).into_bytes()
}

/// Does something to the file.
type Wrong = fn(&Sandbox);

/// Ways in which it can be wrong.
const WRONGS: [(&str, Wrong); 9] = [
    ("missing", |kv| fs::remove_file(ends(kv)).unwrap()),
    ("empty", |kv| fs::write(ends(kv), "").unwrap()),
    ("garbage", |kv| fs::write(ends(kv), [0xA5; 400]).unwrap()),
    ("truncated", |kv| {
        let bytes = fs::read(ends(kv)).unwrap();
        fs::write(ends(kv), &bytes[..100]).unwrap();
    }),
    ("with another sum", |kv| {
        let mut bytes = fs::read(ends(kv)).unwrap();
        bytes[80] ^= 1;
        fs::write(ends(kv), bytes).unwrap();
    }),
    ("from another boot", |kv| {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let other = "0".repeat(36);
        let narrow = |text: &str| narrowed(&text.replace(boot.trim_end(), &other));
        let bytes = forged(kv, narrow);
        fs::write(ends(kv), bytes).unwrap();
    }),
    ("of another version", |kv| {
        let bytes = forged(kv, |text| narrowed(&text.replace("kvlist1", "kvlist2")));
        fs::write(ends(kv), bytes).unwrap();
    }),
    ("a copy", |kv| {
        let bytes = forged(kv, narrowed);
        fs::write(ends(kv).with_extension("copy"), bytes).unwrap();
        fs::rename(ends(kv).with_extension("copy"), ends(kv)).unwrap();
    }),
    ("with a sign before a number", |kv| {
        let bytes = forged(kv, |text| {
            let (before, _) = text.rsplit_once(' ').unwrap();
            format!("{before} +{:019}", 2)
        });
        fs::write(ends(kv), bytes).unwrap();
    }),
];

/// Says that nothing is in the list: if it were believed, elements would be lost.
fn narrowed(text: &str) -> String {
    let (before, _) = text.rsplit_once(' ').unwrap();
    let (before, _) = before.rsplit_once(' ').unwrap();
    format!("{before} {:020} {:020}", 2, 2)
}

#[test]
fn what_is_in_the_file_is_believed_when_all_of_it_is_right() {
    // Otherwise the other tests here would say nothing.
    let kv = list();
    let bytes = forged(&kv, narrowed);
    fs::write(ends(&kv), bytes).unwrap();
    kv.run(["pop", "jobs"]).ends(Exit::No).is_silent();
}

#[test]
fn elements_are_taken_in_order_whatever_the_file_says() {
    for (what, wrong) in WRONGS {
        let kv = list();
        wrong(&kv);
        has_items(&kv, "jobs", &[b"b", b"c", b"d", b"e"]);
        assert_eq!(drain(&kv), "becd", "{what}");
    }
}

#[test]
fn elements_are_added_at_the_end_whatever_the_file_says() {
    for (what, wrong) in WRONGS {
        let kv = list();
        wrong(&kv);
        push(&kv, "x");
        wrong(&kv);
        push(&kv, "y");
        assert_eq!(drain(&kv), "bycxde", "{what}");
    }
}

#[test]
fn an_element_put_by_its_key_is_found_whatever_the_file_says() {
    for (what, wrong) in WRONGS {
        let kv = list();
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
    let kv = list();
    let copy = kv.path("copy");
    let script = "cp -a store copy && kv -s copy push jobs x && kv -s copy items jobs";
    kv.shell("sh", script)
        .ends(Exit::Success)
        .prints("b\nc\nd\ne\nx\n");
    // Its numbers are behind the original's, whose file is newer.
    push(&kv, "yz");
    let jobs = copy.join("jobs");
    fs::copy(ends(&kv), jobs.join("ends.new")).unwrap();
    fs::rename(jobs.join("ends.new"), jobs.join("ends")).unwrap();
    let drain = "while kv -s copy pop jobs; do :; done";
    kv.shell("sh", drain).prints("bcdex");
    assert_eq!(self::drain(&kv), "bzcyde");
}

#[test]
fn a_damaged_header_does_not_hide_the_others() {
    let kv = list();
    let path = file_of(&kv, 3);
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    fs::remove_file(ends(&kv)).unwrap();
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("b");
    kv.run(["pop", "jobs"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["is damaged"]);
    push(&kv, "x");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
