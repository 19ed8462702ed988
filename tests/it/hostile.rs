//! A store that an enemy can write to: whatever lies in the place of any of its files and directories,
//! every command gives a right answer or fails, soon, and touches nothing outside of the store.
//!
//! What [`crate::links`] and [`crate::fsck`] show of reads and repairs is here for all commands. A part of
//! them is tried; with `KV_TEST_ALL=1` in the environment all are.

mod things;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kv::exit::Exit;

use self::things::{THINGS, canary, replace};
use crate::fsck::{copy, expected, file_of, names, small, space};
use crate::harness::{KV, Ran, Sandbox, tell_count};
use crate::machine::is_root;

/// What every process may take at most: a command that reads what it is told to would take more.
const MEMORY_KB: &str = "400000";

/// So many ways to use a store are tried with each thing in each place, unless all are.
const TRIED: usize = 1;

/// A command, what it reads, and what it makes of a key.
struct Change {
    args: &'static [&'static str],
    input: fn() -> String,
    key: &'static str,
    value: Option<&'static str>,
}

const fn change(
    args: &'static [&'static str],
    key: &'static str,
    value: Option<&'static str>,
) -> Change {
    Change {
        args,
        input: String::new,
        key,
        value,
    }
}

const CHANGES: [Change; 18] = [
    change(&["put", "loose", "w"], "loose", Some("w")),
    change(&["put", "fresh", "w", "--ttl", "9h"], "fresh", Some("w")),
    change(
        &["put", "loose", "w", "--if-absent"],
        "loose",
        Some("in a file"),
    ),
    change(&["remove", "loose"], "loose", None),
    change(&["remove", "-f", "old0"], "old0", None),
    change(&["get", "--remove", "loose"], "loose", None),
    change(&["incr", "number"], "number", Some("1")),
    change(&["append", "loose", "!"], "loose", Some("in a file!")),
    change(&["expire", "loose", "1h"], "loose", Some("in a file")),
    change(
        &["update", "loose", "--", "cat"],
        "loose",
        Some("in a file"),
    ),
    change(&["gc"], "loose", Some("in a file")),
    change(&["fsck", "--repair"], "old0", Some("packed first 0")),
    change(
        &["lock", "held", "--", "true"],
        "old0",
        Some("packed first 0"),
    ),
    change(&["pop", "--last"], "00000000000000000002", None),
    change(&["push", "three"], "old0", Some("packed first 0")),
    Change {
        args: &["batch"],
        input: || "put loose w\nremove old1\n".to_owned(),
        key: "loose",
        value: Some("w"),
    },
    Change {
        args: &["import", "--tsv"],
        input: || (0..1_001).map(|n| format!("{n}\tx\n")).collect::<String>() + "loose\tw\n",
        key: "loose",
        value: Some("w"),
    },
    change(&["namespaces", "--remove", "jobs"], "loose", None),
];

/// Returns the files and directories of a store, one of each kind, below its namespace.
fn places(kv: &Sandbox) -> Vec<String> {
    let below = |path: &Path| {
        let below = path.strip_prefix(space(kv)).unwrap();
        below.to_str().unwrap().to_owned()
    };
    let (entry, tombstone) = (file_of(kv, "loose"), file_of(kv, "gone packed"));
    let shard = entry.parent().unwrap().file_name().unwrap();
    let shard = shard.to_str().unwrap();
    let mut places = vec![
        String::new(),
        below(&entry),
        below(&tombstone),
        below(entry.parent().unwrap()),
        format!("locks/{shard}"),
    ];
    for name in [
        "../.gone-0123456789abcdef",
        "../.new-0123456789abcdef",
        "../.gone-0123456789abcdef/inside",
        "list",
        "expiry",
        "format",
        "locks",
        "locks/gc",
        "locks/list",
        "lost",
        "named",
        "objects",
        "packs",
        "packs/MANIFEST",
        "spare",
        "spare/1",
        "tmp",
        "tmp/draft",
    ] {
        places.push(name.to_owned());
    }
    for room in ["packs", "expiry", "named"] {
        let mut names = names(kv, room);
        names.retain(|name| name != "MANIFEST");
        places.extend(names.iter().map(|name| format!("{room}/{name}")));
    }
    places
}

/// Makes a store with something in every place, what dead processes left as well.
fn template() -> Sandbox {
    let kv = small();
    // Copied in less time.
    for shard in names(&kv, "objects") {
        if fs::remove_dir(space(&kv).join("objects").join(&shard)).is_ok() {
            fs::remove_file(space(&kv).join("locks").join(&shard)).unwrap();
        }
    }
    let lock = ["-n", "jobs", "lock", "held", "--", "true"];
    kv.run(lock).ends(Exit::Success);
    fs::create_dir(space(&kv).join("lost")).unwrap();
    fs::write(space(&kv).join("tmp/draft"), "half a value").unwrap();
    // Its time is over.
    fs::write(space(&kv).join("expiry/000001000000000"), "no hint\n").unwrap();
    for dead in [".gone-0123456789abcdef", ".new-0123456789abcdef"] {
        fs::create_dir_all(kv.store().join(dead).join("inside")).unwrap();
        fs::write(kv.store().join(dead).join("inside/file"), "x").unwrap();
    }
    kv
}

/// Runs a command that may take neither long nor much.
fn run(kv: &Sandbox, args: &[&str], input: &str) -> Ran {
    let mut command = Command::new("timeout");
    let limited = format!("ulimit -v {MEMORY_KB}; exec \"$0\" \"$@\"");
    command.args(["-s", "KILL", "60", "sh", "-c", &limited, KV]);
    match args {
        ["gc" | "fsck" | "namespaces" | "export" | "info", ..] => {}
        _ => _ = command.args(["-n", "jobs"]),
    }
    match args {
        ["push", value] => _ = command.args(["push", "jobs", value]),
        ["pop", ..] => _ = command.args(args).arg("jobs"),
        _ => _ = command.args(args),
    }
    command
        .current_dir(kv.root())
        .env_clear()
        .env("HOME", kv.root())
        .env("PATH", "/usr/bin:/bin")
        .env("KV_BUSY_TIMEOUT", "10s")
        .env("KV_STORE", kv.store())
        .stdin(std::process::Stdio::null());
    match input {
        "" => Ran::of(&mut command),
        _ => Ran::fed(&mut command, input.as_bytes()),
    }
}

/// Returns a status that kv may end with here: it is neither killed, nor busy, nor a panic.
fn status(ran: &Ran) -> Result<i32, String> {
    match ran.status().code() {
        Some(status @ (0 | 1 | 4 | 5)) => Ok(status),
        // What a program's runner says of its own failures.
        Some(125) => Ok(5),
        _ => Err(ran.report()),
    }
}

/// Demands that a key holds one of these, unless it cannot be read.
fn holds_one_of(kv: &Sandbox, key: &str, allowed: &[Option<&str>]) -> Result<(), String> {
    let ran = run(kv, &["get", "--", key], "");
    let held = match status(&ran)? {
        0 => Some(ran.stdout_text()),
        1 => None,
        _ => return Ok(()),
    };
    match allowed.contains(&held.as_deref()) {
        true => Ok(()),
        false => Err(format!("{key} is {held:?}, not of {allowed:?}")),
    }
}

/// Reads the store in all ways.
fn read(kv: &Sandbox, want: &BTreeMap<String, Option<String>>, place: &str) -> Result<(), String> {
    for key in ["loose", "old0", "both", "gone packed", "gone never"] {
        let held = want[key].as_deref();
        holds_one_of(kv, key, &[held]).map_err(|why| format!("get: {why}"))?;
    }
    let ran = run(kv, &["ls", "--values"], "");
    let listed = ran.stdout_text();
    for line in listed.lines() {
        // One of the keys has a newline.
        let Some((key, value)) = line.split_once('\t') else {
            continue;
        };
        let is_right = want
            .get(key)
            .is_none_or(|want| want.as_deref() == Some(value));
        check(is_right, || format!("ls: {line}"))?;
    }
    // What has gone without a trace may be missing; nothing else may, unless it is said.
    let is_whole = listed.contains("loose\tin a file") && listed.contains("old0\tpacked");
    let is_whole = is_whole || status(&ran)? != 0 || place.is_empty();
    check(is_whole, || format!("ls: {}", ran.report()))?;
    for args in [
        &["export", "--all"][..],
        &["info"],
        &["fsck"],
        &["namespaces"],
        &["items", "jobs"],
        &["gc", "--dry-run"],
    ] {
        let ran = run(kv, args, "");
        status(&ran).map_err(|why| format!("{args:?}: {why}"))?;
    }
    Ok(())
}

fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Changes the store in one way, and reads it then.
fn make(kv: &Sandbox, change: &Change, old: Option<&str>) -> Result<(), String> {
    let ran = run(kv, change.args, &(change.input)());
    let status = status(&ran)?;
    let allowed: &[_] = match (change.args, status) {
        // What it moves away is not there any more.
        (["fsck", ..], _) => &[change.value, old, None],
        (_, 0) => &[change.value],
        _ => &[change.value, old],
    };
    holds_one_of(kv, change.key, allowed)?;
    let is_gone = change.args[0] == "namespaces" || change.args[0] == "fsck";
    let allowed = [Some("packed later 0"), None];
    holds_one_of(kv, "new0", &allowed[..1 + usize::from(is_gone)])
}

/// Tries one thing in one place; returns how many commands there were.
fn try_one(template: &Sandbox, place: &str, thing: usize, nth: usize) -> Result<usize, String> {
    let want = expected();
    let mut count = 0;
    let tries_all = std::env::var_os("KV_TEST_ALL").is_some();
    // All changes, and reads.
    let ways = CHANGES.len() + 1;
    let is_tried = |n: &usize| tries_all || (n + TRIED * nth) % ways < TRIED;
    for change in (0..ways).filter(is_tried).map(|n| CHANGES.get(n)) {
        let kv = copy(template);
        let outside = kv.path("outside");
        fs::create_dir(&outside).unwrap();
        // Without a slash at the end.
        let path: PathBuf = space(&kv).join(place).components().collect();
        // Nothing tells what was in a directory that was there before.
        if THINGS[thing].0 == "a directory" && path.is_dir() && place.starts_with("objects") {
            return Ok(count);
        }
        if !replace(&path, THINGS[thing], &outside.join("was there")) {
            return Ok(count);
        }
        let before = canary(&outside);
        let done = match change {
            None => read(&kv, &want, place),
            Some(change) => {
                let old = want.get(change.key).and_then(|old| old.as_deref());
                make(&kv, change, old).map_err(|why| format!("{:?}: {why}", change.args))
            }
        };
        let what = || format!("{} at `{place}`", THINGS[thing].0);
        done.map_err(|why| format!("{}: {why}", what()))?;
        check(canary(&outside) == before, || {
            format!("{}: {:?}: it went outside", what(), change.map(|c| c.args))
        })?;
        count += change.map_or(12, |_| 3);
    }
    Ok(count)
}

#[test]
fn anything_in_any_place() {
    if !is_root() {
        return;
    }
    let template = template();
    let places = places(&template);
    let cases: Vec<_> = places
        .iter()
        .flat_map(|place| (0..THINGS.len()).map(move |thing| (place, thing)))
        .collect();
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((nth, (place, thing))) = {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(nth).map(|case| (nth, case))
                } {
                    match try_one(&template, place, *thing, nth) {
                        Ok(tried) => _ = count.fetch_add(tried, Ordering::Relaxed),
                        Err(why) => wrong.lock().unwrap().push(why),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    tell_count(&format!(
        "{} commands, {} things in {} places",
        count.into_inner(),
        THINGS.len(),
        places.len()
    ));
}
