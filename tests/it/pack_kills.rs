//! `kill -9` in bulk imports, bulk removals and collections, at every call that changes the disk.

use std::collections::BTreeMap;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::{Point, can_inject, kill_at, renew, trace};
use crate::pack_bulk::filler;
use crate::sweep::age;

/// At most so many calls of one command are tried, spread evenly.
const MOST: usize = 24;

/// What a key held before, and what it holds when the command was done.
type Fate = (&'static str, Option<String>, Option<String>);

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Larger than what a pack can hold.
fn large(c: char) -> Option<String> {
    Some(c.to_string().repeat(20_000))
}

/// A store with each kind of entry: packed, hidden by a file, removed, large, in a file alone.
fn template(has_packs: bool) -> Sandbox {
    let kv = Sandbox::in_memory();
    kv.put("packed", "old");
    kv.put("hidden", "older");
    kv.put("removed", "older");
    kv.put("grows", "old");
    kv.put("stays", "old");
    if has_packs {
        kv.run(["gc"]).ends(Exit::Success);
    }
    kv.put("hidden", "old");
    kv.run(["remove", "removed"]).ends(Exit::Success);
    kv.put("loose", "old");
    kv.put("large", &large('o').unwrap());
    kv.put("shrinks", &large('o').unwrap());
    kv.put("stays loose", "old");
    kv
}

fn import_lines() -> String {
    let mut lines = filler("x");
    for key in ["packed", "hidden", "removed", "loose", "absent", "shrinks"] {
        lines += &format!("{{\"key\":\"{key}\",\"value\":\"new\"}}\n");
    }
    for key in ["grows", "large"] {
        let value = large('n').unwrap();
        lines += &format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}\n");
    }
    lines
}

/// What is there when nothing was done.
fn before() -> Vec<(&'static str, Option<String>)> {
    let small = ["packed", "hidden", "loose", "grows", "stays", "stays loose"];
    let mut all: Vec<_> = small.map(|key| (key, some("old"))).to_vec();
    all.extend(["large", "shrinks"].map(|key| (key, large('o'))));
    all.extend(["removed", "absent"].map(|key| (key, None)));
    all
}

fn fates(after: impl Fn(&str, &Option<String>) -> Option<String>) -> Vec<Fate> {
    let with = |(key, old): (&'static str, Option<String>)| {
        let new = after(key, &old);
        (key, old, new)
    };
    before().into_iter().map(with).collect()
}

fn imported(key: &str, old: &Option<String>) -> Option<String> {
    match key {
        "stays" | "stays loose" => old.clone(),
        "grows" | "large" => large('n'),
        _ => some("new"),
    }
}

/// Kills the command at the calls that change the disk, each time in a store as it was before.
#[track_caller]
fn survives(template: &Sandbox, args: &[&str], input: &str, fates: &[Fate]) {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    let kv = Sandbox::in_memory();
    renew(&kv, template);
    let calls = trace(&kv, args, input.as_bytes());
    check(&kv, fates, true, &calls[0]);
    let mut points: Vec<_> = calls.iter().filter(|(name, _)| changes(name)).collect();
    let all = points.len();
    let step = all.div_ceil(MOST);
    // The last ones decide; of the rest some must do, spread evenly.
    let mut number = 0;
    points.retain(|_| {
        number += 1;
        number % step == 0 || all - number < 10
    });
    for (n, point) in points.iter().enumerate() {
        renew(&kv, template);
        kill_at(&kv, args, input.as_bytes(), point);
        check(&kv, fates, false, point);
        if n % 6 == 0 {
            next_commands_work(&kv);
        }
    }
    assert!(points.len() > 10, "{points:?}");
    tell_count(&format!(
        "killed at {} of {all} calls that change the disk, {} calls in all",
        points.len(),
        calls.len()
    ));
}

/// System calls that change a disk or take a lock.
fn changes(name: &str) -> bool {
    let names = [
        "write", "pwrite64", "rename", "renameat", "unlink", "unlinkat",
    ];
    let more = ["mkdirat", "mkdir", "fsync", "ftruncate", "fchmod", "linkat"];
    names.iter().chain(&more).any(|known| *known == name)
}

/// Demands of each key that it is old or new, that nothing changes by what comes next, and that
/// everything still works and nothing is left behind.
#[track_caller]
fn check(kv: &Sandbox, fates: &[Fate], is_done: bool, point: &Point) {
    let now = look(kv, point);
    for (key, old, new) in fates {
        let held = now.get(*key);
        let is_new = held == new.as_ref();
        let fits = is_new || (!is_done && held == old.as_ref());
        assert!(fits, "{point:?}: {key}: {held:?}");
    }
    // Each by itself too, as a look-up takes another way than a listing.
    for key in ["removed", "grows", "packed"] {
        let ran = kv.run(["get", key]);
        assert_eq!(ran.stderr_text(), "", "{point:?}");
        let held = ran.status().success().then(|| ran.stdout_text());
        assert_eq!(held.as_ref(), now.get(key), "{point:?}: {key}");
    }
    for name in kv.names_in("tmp") {
        age(&kv.space().join("tmp").join(name), Duration::from_secs(61));
    }
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    assert!(
        look(kv, point) == now,
        "{point:?}: gc changed what is there"
    );
    assert_eq!(kv.litter(), [""; 0], "{point:?}");
    let mut names = kv.names_in("");
    names.retain(|name| name.starts_with('.'));
    assert_eq!(names, [""; 0], "{point:?}");
    let manifest = std::fs::read_to_string(kv.space().join("packs/MANIFEST"));
    let manifest = manifest.unwrap_or_default();
    for name in kv.names_in("packs") {
        let is_known = name == "MANIFEST" || manifest.contains(&format!("pack {name} "));
        assert!(is_known, "{point:?} left {name}");
    }
}

/// Returns all entries but the filler.
#[track_caller]
fn look(kv: &Sandbox, point: &Point) -> BTreeMap<String, String> {
    let ran = kv.run(["ls", "--values"]);
    assert!(ran.status().success(), "{point:?}: {}", ran.report());
    assert_eq!(ran.stderr_text(), "", "{point:?}");
    let text = ran.stdout_text();
    let entries = text.lines().map(|line| line.split_once('\t').unwrap());
    entries
        .filter(|(key, _)| !key.starts_with("filler"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[track_caller]
fn next_commands_work(kv: &Sandbox) {
    let input = filler("y") + "{\"key\":\"next\",\"value\":\"1\"}\n";
    kv.feed(["import", "--sync", "off"], input.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.put("packed", "next");
    kv.run(["ls", "--values", "{next,packed}"]).ends(Exit::No);
    kv.holds("packed", "next");
    kv.holds("next", "1");
    let keys: String = (0..1_001).map(|n| format!("filler {n}\n")).collect();
    kv.feed(["remove", "--stdin"], (keys + "packed\n").as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.lacks("packed");
    kv.lacks("filler 7");
}

#[test]
fn a_first_import() {
    let fates = fates(imported);
    survives(&template(false), &["import"], &import_lines(), &fates);
}

#[test]
fn an_import_over_packs() {
    let fates = fates(imported);
    survives(&template(true), &["import"], &import_lines(), &fates);
}

#[test]
fn an_import_of_what_is_absent() {
    let fates = fates(|key, old| {
        let is_new = ["removed", "absent"].contains(&key);
        if is_new { some("new") } else { old.clone() }
    });
    let args = ["import", "--if-absent"];
    survives(&template(true), &args, &import_lines(), &fates);
}

#[test]
fn an_import_that_replaces_all() {
    let fates = fates(|key, old| imported(key, old).filter(|_| !key.starts_with("stays")));
    let args = ["import", "--replace"];
    survives(&template(true), &args, &import_lines(), &fates);
}

#[test]
fn a_bulk_removal() {
    let fates = fates(|key, old| old.clone().filter(|_| key.starts_with("stays")));
    let keys = ["packed", "hidden", "loose", "grows", "large", "shrinks"];
    let fillers = (0..1_001).map(|n| format!("filler {n}\n"));
    let input: String = fillers.chain(keys.map(|key| format!("{key}\n"))).collect();
    // Once tombstones are written, and once what is left, as that is less.
    for has_more in [true, false] {
        let kv = template(true);
        if has_more {
            let lines = filler("x").replace("filler", "more");
            kv.feed(
                ["import"],
                (lines.clone() + &lines.replace("more", "other")).as_bytes(),
            )
            .ends(Exit::Success);
        }
        let fates: Vec<_> = fates
            .iter()
            .filter(|(key, ..)| *key != "absent")
            .cloned()
            .collect();
        survives(&kv, &["remove", "--stdin", "-f"], &input, &fates);
    }
}

#[test]
fn a_collection() {
    let kv = template(true);
    kv.run(["gc"]).ends(Exit::Success);
    kv.put("packed", "old");
    kv.run(["remove", "hidden"]).ends(Exit::Success);
    kv.put("hidden", "old");
    kv.put("absent", "v");
    kv.run(["remove", "absent"]).ends(Exit::Success);
    kv.run(["put", "due", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    let fates = fates(|_, old| old.clone());
    survives(&kv, &["gc", "--now"], "", &fates);
}

#[test]
fn an_eviction() {
    let kv = template(true);
    // What was written first goes, and no key may show what it held before.
    let fates: Vec<Fate> = fates(|key, old| {
        old.clone()
            .filter(|_| ["large", "shrinks", "stays loose"].contains(&key))
    });
    let args = ["-n", "default", "gc", "--max-entries", "3"];
    survives(&kv, &args, "", &fates);
}
