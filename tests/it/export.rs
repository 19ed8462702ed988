//! `kv export`: what goes out, and that it comes back as it was.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use kv::exit::Exit;
use serde_json::Value;

use crate::files::{bytes, flip_last};
use crate::harness::{Sandbox, cannot_run, tell_count};

/// Imports into a new store what another exports, and demands that the two are the same but for
/// their etags.
#[track_caller]
fn comes_back(kv: &Sandbox, options: &[&str]) -> Sandbox {
    let export = |kv: &Sandbox| {
        let ran = kv.run(["export"].iter().chain(options));
        ran.ends(Exit::Success).warns("").stdout().to_vec()
    };
    let lines = export(kv);
    let copy = Sandbox::new();
    copy.feed(["import", "--sync", "off"], &lines)
        .ends(Exit::Success)
        .is_silent();
    let again = export(&copy);
    let without_etags = |lines: &[u8]| -> Vec<Value> {
        let lines = std::str::from_utf8(lines).unwrap().lines();
        let objects = lines.map(|line| serde_json::from_str(line).unwrap());
        objects
            .map(|mut object: Value| {
                let etag = object.as_object_mut().unwrap().remove("etag");
                assert_eq!(etag.unwrap().as_str().unwrap().len(), 16);
                object
            })
            .collect()
    };
    assert!(without_etags(&lines) == without_etags(&again));
    assert_ne!(lines, again);
    copy
}

#[test]
pub fn a_line_is_what_ls_prints_as_json() {
    let kv = Sandbox::new();
    kv.put("b", "two\n");
    kv.put("a", "1");
    kv.run(["put", "c", "3", "--ttl", "1h"]).ends(Exit::Success);
    let listed = kv.run(["ls", "--json", "--values"]).stdout_text();
    kv.run(["export"])
        .ends(Exit::Success)
        .prints(&listed)
        .warns("");
    let first = listed.lines().next().unwrap();
    kv.run(["export", "[ax]"])
        .ends(Exit::Success)
        .prints(format!("{first}\n"));
}

#[test]
pub fn only_a_pattern_that_nothing_matches_is_a_no() {
    let kv = Sandbox::new();
    for options in [&["export"][..], &["export", "--all"]] {
        kv.run(options).ends(Exit::Success).is_silent();
        kv.run(options.iter().chain(&["x*"]))
            .ends(Exit::No)
            .is_silent();
    }
    assert!(!kv.store().exists());
    kv.put("k", "v");
    kv.run(["export", "x*"]).ends(Exit::No).is_silent();
    kv.run(["export", "["]).ends(Exit::Usage).complains(&["["]);
    kv.run(["-n", "a", "export", "--all"])
        .ends(Exit::Usage)
        .complains(&["--all"]);
}

#[test]
pub fn every_byte_comes_back_in_keys_and_values() {
    let kv = Sandbox::new();
    let mut lines = Vec::new();
    let quoted = |bytes: &[u8]| -> String {
        let each: String = bytes.iter().map(|b| format!("\\x{b:02x}")).collect();
        format!("$'{each}'")
    };
    let all: Vec<u8> = (0..=255).collect();
    for byte in 0..=255_u8 {
        let key = [
            b"k",
            &[byte.max(1)][..],
            b"/",
            &byte.to_string().into_bytes(),
        ]
        .concat();
        let (key, value) = (quoted(&key), quoted(&[b'v', byte]));
        lines.extend(format!("put -- {key} {value}\n").bytes());
    }
    lines.extend(format!("put -- {} {}\n", quoted(&all[1..]), quoted(&all)).bytes());
    lines.extend(b"put empty ''\n");
    kv.feed(["batch", "--sync", "off"], &lines)
        .ends(Exit::Success);
    let copy = comes_back(&kv, &[]);
    let values = kv.run(["ls", "--values", "-0"]).stdout().to_vec();
    copy.run(["ls", "--values", "-0"]).prints(values);
    copy.run(["ls", "--count"]).prints("258\n");
}

#[test]
pub fn large_values_and_many_entries_come_back() {
    let kv = Sandbox::new();
    for size in [
        16 * 1024,
        16 * 1024 + 1,
        1024 * 1024,
        1024 * 1024 + 1,
        3_000_000,
    ] {
        kv.feed(["put", &format!("bytes {size}")], &bytes(size))
            .ends(Exit::Success);
        let text: String = (0..size)
            .map(|n| if n % 7 == 0 { '\n' } else { 'ä' })
            .collect();
        kv.feed(["put", &format!("text {size}")], text.as_bytes())
            .ends(Exit::Success);
    }
    let lines: String = (0..5_000).map(|n| format!("{n}\tvalue of {n}\n")).collect();
    kv.feed(["import", "--tsv", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Success);
    let copy = comes_back(&kv, &[]);
    for key in ["bytes 3000000", "text 1048577", "4999"] {
        let value = kv.run(["get", key]).stdout().to_vec();
        copy.run(["get", key]).ends(Exit::Success).prints(value);
    }
    copy.run(["ls", "--count"]).prints("5010\n");
}

#[test]
pub fn all_takes_every_namespace_and_lists_pop_in_their_order() {
    let kv = Sandbox::new();
    kv.put("k", "default's");
    for args in [
        &["-n", "app", "put", "k", "app's"][..],
        &["-n", "app", "put", "l", "v", "--ttl", "1h"],
        &["push", "jobs", "one"],
        &["push", "jobs", "two"],
        &["push", "jobs", "three"],
        &["push", "jobs", "four"],
    ] {
        kv.run(args).ends(Exit::Success).is_silent();
    }
    kv.run(["pop", "jobs"]).prints("one");
    kv.run(["pop", "jobs", "--last"]).prints("four");
    let copy = comes_back(&kv, &["--all"]);
    copy.holds("k", "default's");
    copy.run(["-n", "app", "get", "k"]).prints("app's");
    copy.run(["push", "jobs", "five"]).ends(Exit::Success);
    for want in ["two", "three", "five"] {
        copy.run(["pop", "jobs"]).ends(Exit::Success).prints(want);
    }
    copy.run(["pop", "jobs"]).ends(Exit::No);

    let lines = kv.run(["export", "--all", "k"]).stdout_text();
    let names = lines.lines().map(|line| {
        let object: Value = serde_json::from_str(line).unwrap();
        object["namespace"].as_str().unwrap().to_owned()
    });
    assert_eq!(names.collect::<Vec<_>>(), ["app", "default"]);
    let mut by_variable = kv.kv(["export", "--all", "k"]);
    by_variable.env("KV_NAMESPACE", "other");
    crate::harness::Ran::of(&mut by_variable).prints(&lines);
}

#[test]
fn what_is_damaged_is_told_and_the_others_are_exported() {
    let kv = Sandbox::new();
    for key in ["a", "b", "c", "d"] {
        kv.put(key, "value");
    }
    kv.feed(["put", "large"], &vec![b'x'; 3_000_000])
        .ends(Exit::Success);
    let sound = kv.run(["export", "[bd]"]).stdout_text();
    fs::write(kv.file_of(b"a"), "garbage").unwrap();
    for key in ["c", "large"] {
        let path = kv.file_of(key.as_bytes());
        flip_last(&path);
    }
    let ran = kv.run(["export"]).ends(Exit::Damaged).prints(&sound);
    let told = ran.stderr_text();
    assert_eq!(told.matches("is damaged").count(), 3, "{told}");
    for key in ["a", "c", "large"] {
        let path = kv.file_of(key.as_bytes());
        assert!(told.contains(path.to_str().unwrap()), "{key}: {told}");
    }

    // A namespace as a whole, too.
    kv.run(["-n", "newer", "put", "k", "v"]).ends(Exit::Success);
    fs::write(kv.store().join("newer/format"), "kv 2\n").unwrap();
    let ran = kv.run(["export", "--all"]).ends(Exit::Damaged);
    assert_eq!(ran.stdout_text().lines().count(), 2);
    assert!(ran.stderr_text().contains("newer kv"), "{}", ran.report());
    kv.run(["-n", "newer", "export"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["newer kv"]);
}

#[test]
pub fn where_it_goes_may_close_or_fail() {
    let kv = Sandbox::new();
    let lines: String = (0..500).map(|n| format!("{n}\t{n:0500}\n")).collect();
    kv.feed(["import", "--tsv", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Success);
    kv.shell(
        "sh",
        "{ kv export; echo $? >status; } | head -c 2; cat status",
    )
    .ends(Exit::Success)
    .prints("{\"0\n")
    .warns("");
    kv.shell("sh", "kv export > /dev/full")
        .ends(Exit::Failure)
        .complains(&["cannot write to standard output: No space left on device"]);
}

#[test]
pub fn it_takes_little_memory_however_much_there_is() {
    const MIB: usize = 1024 * 1024;
    let kv = Sandbox::new();
    let value = bytes(24 * MIB);
    kv.feed(["put", "a", "--sync", "off"], &value)
        .ends(Exit::Success);
    for n in 0..24 {
        let value = &value[n * MIB..(n + 1) * MIB];
        kv.feed(["put", &format!("b{n}"), "--sync", "off"], value)
            .ends(Exit::Success);
    }
    let mut child = kv.kv(["export"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut part = vec![0; 256 * 1024];
    let (mut len, mut peak) = (0, None);
    loop {
        // While there is more than a pipe holds to be read, it is there to be asked.
        if len > 60 * MIB && peak.is_none() {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
            let status = status.unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmHWM:"));
            peak = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
        }
        match stdout.read(&mut part).unwrap() {
            0 => break,
            n => len += n,
        }
    }
    assert!(child.wait().unwrap().success());
    assert!(len > 63 * MIB, "{len}");
    let Some(peak) = peak else {
        return cannot_run("there is no /proc that tells how much memory a process has had");
    };
    tell_count(&format!("48 MiB exported in {peak} KiB of memory"));
    // Less than the largest value has.
    assert!(peak < 20 * 1024, "{peak}");
}
