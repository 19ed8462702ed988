//! `kv watch` on a directory: what the kernel tells, and what it does not.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use super::Watching;
use crate::harness::{KV, Ran, Sandbox, can_trace, until};
use crate::machine::Mount;
use crate::process::{Started, state};

#[test]
fn a_store_that_comes_later_is_seen() {
    let kv = Sandbox::new();
    let watching = Watching::of(kv.kv(["watch"]));
    until("it watches", || state(watching.pid()) == Some('S'));
    thread::sleep(Duration::from_millis(100));
    kv.put("k", "v");
    assert_eq!(watching.next_of("put", "k"), kv.field("etag", "k"));
    // A namespace is removed, and made anew.
    kv.run(["namespaces", "--remove", "default"])
        .ends(Exit::Success);
    watching.next_of("gone", "k");
    for n in 0..20 {
        let key = format!("k{n}");
        kv.put(&key, "v");
        watching.next_of("put", &key);
    }
}

#[test]
fn packs_are_no_changes() {
    let kv = Sandbox::new();
    let watching = Watching::new(&kv, &[]);
    for n in 0..20 {
        kv.put(&format!("k{n:02}"), "v");
        watching.next_of("put", &format!("k{n:02}"));
    }
    for _ in 0..3 {
        kv.run(["gc"]).ends(Exit::Success);
        kv.put("k00", "v");
        watching.next_of("put", "k00");
    }
    kv.run(["remove", "k01"]).ends(Exit::Success);
    watching.next_of("gone", "k01");
    kv.run(["gc"]).ends(Exit::Success);
    assert_eq!(watching.rest(&kv), [""; 0]);
    // Many at once come by a pack.
    let lines: String = (0..2000).map(|n| format!("m{n}\tv\n")).collect();
    kv.feed(["import", "--tsv"], lines.as_bytes())
        .ends(Exit::Success);
    for _ in 0..2000 {
        assert!(watching.next().contains("\tm"));
    }
}

#[test]
fn where_the_system_gives_no_watches_it_looks_again() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("ready", "");
    for call in [
        "inotify_init1:error=EMFILE",
        "inotify_add_watch:error=ENOSPC",
    ] {
        let mut strace = Command::new("strace");
        let inject = format!("inject={call}");
        strace.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &inject,
            KV,
            "watch",
            "--now",
        ]);
        strace.current_dir(kv.root()).env("KV_STORE", kv.store());
        let watching = Watching::of(strace);
        watching.next_of("put", "ready");
        kv.put("k", "v");
        watching.next_of("put", "k");
        kv.run(["remove", "k"]).ends(Exit::Success);
        watching.next_of("gone", "k");
        // strace alone would leave it behind.
        kv.shell("bash", &format!("pkill -P {}", watching.pid()))
            .ends(Exit::Success);
    }
}

#[test]
fn damage_is_told_once_and_is_no_change() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    kv.put("bad", "v");
    let listed = kv.run(["ls", "-l"]).ends(Exit::Success);
    fs::write(kv.path("seen"), listed.stdout()).unwrap();
    fs::write(kv.file_of(b"bad"), "kv1 nonsense").unwrap();
    kv.run(["watch", "--since", "seen", "--timeout", "50ms"])
        .ends(Exit::Damaged)
        .prints("")
        .complains(&["damaged"]);
}

/// Behind a new pack an older file is unlinked, which may be the tombstone of a key that the pack has.
#[test]
fn a_key_that_a_tombstone_hides_for_a_while_is_told() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    let lines: String = (0..3000).map(|n| format!("m{n}\tv\n")).collect();
    let import = ["import", "--tsv"];
    kv.feed(import, lines.as_bytes()).ends(Exit::Success);
    let watching = Watching::of(kv.kv(["watch", "--now", "--prefix", "m7"]));
    watching.next_of("put", "m7");
    kv.run(["remove", "m7"]).ends(Exit::Success);
    while watching.next() != "gone\t-\tm7" {}
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "trace", "-e", "trace=unlink,unlinkat"]);
    strace.args(["-e", "inject=unlink,unlinkat:delay_enter=500000"]);
    strace.args([KV, "import", "--tsv"]);
    strace.current_dir(kv.root()).env("KV_STORE", kv.store());
    Ran::fed(&mut strace, lines.as_bytes()).ends(Exit::Success);
    let told = format!("put\t{}\tm7", kv.field("etag", "m7"));
    while watching.next() != told {}
}

#[test]
fn who_waits_makes_no_calls() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    let lines: String = (0..300).map(|n| format!("m{n}\tv\n")).collect();
    kv.feed(["import", "--tsv"], lines.as_bytes())
        .ends(Exit::Success);
    let watching = Watching::new(&kv, &["r*"]);
    until("it sleeps", || state(watching.pid()) == Some('S'));
    let script = format!(
        "timeout -s INT 1.2 strace -f -qq -o trace -p {}; true",
        watching.pid()
    );
    kv.shell("bash", &script).ends(Exit::Success);
    let trace = fs::read_to_string(kv.path("trace")).unwrap();
    // The calls that it is in are shown, and no others.
    assert!(trace.lines().count() <= 2, "{trace}");
    assert!(!trace.is_empty());
}

#[test]
fn keys_of_a_store_that_is_taken_away_are_not_gone() {
    for take in ["mv store elsewhere", "mv store a; mkdir store"] {
        let kv = Sandbox::new();
        kv.put("k", "v");
        let watching = Started::new(kv.kv(["watch", "--now", "--prefix", "k"]));
        until("it watches", || state(watching.pid()) == Some('S'));
        thread::sleep(Duration::from_millis(200));
        let etag = kv.field("etag", "k");
        kv.shell("bash", take).ends(Exit::Success);
        let ended = watching.end().ends(Exit::Failure);
        ended
            .prints(format!("put\t{etag}\tk\n"))
            .complains(&["gone from its place"]);
    }
}

/// Starts watches on stores in this directory, and waits until nothing more happens there.
fn watches(kv: &Sandbox, dir: &Path, stores: &[(&str, &str)]) -> Vec<Watching> {
    let watches = |(kind, name): &(&str, &str)| {
        let store = format!("{kind}{}/{name}", dir.display());
        let at = |args: &[&str]| {
            let mut command = kv.kv(args);
            command.env("KV_STORE", &store);
            command
        };
        Ran::of(&mut at(&["put", "ready", ""])).ends(Exit::Success);
        let options = [&[][..], &["--existing"]];
        options.map(|options| {
            let watching = Watching::of(at(&[&["watch", "--now"], options].concat()));
            watching.next_of("put", "ready");
            watching
        })
    };
    let all: Vec<_> = stores.iter().flat_map(watches).collect();
    // After the last change SQLite is looked at for 4 s more.
    thread::sleep(Duration::from_secs(5));
    all
}

/// The directory in which something is watched keeps its name, and nothing happens in it.
#[test]
fn that_a_directory_far_above_has_another_name_is_seen() {
    let kv = Sandbox::new();
    let dir = kv.path("far/above/it");
    fs::create_dir_all(&dir).unwrap();
    let watches = watches(&kv, &dir, &[("", "store"), ("sqlite:", "db")]);
    fs::rename(kv.path("far"), kv.path("away")).unwrap();
    for watching in watches {
        assert_eq!(watching.ends().code(), Some(5));
    }
    assert!(!kv.path("far").exists());
}

/// A file system that is detached lasts as long as somebody has a file of it open: here the watches on the database.
#[test]
fn a_disk_that_is_unmounted_is_seen() {
    for store in [("", "store"), ("sqlite:", "db")] {
        let kv = Sandbox::new();
        let Some(disk) = Mount::tmpfs(&kv, "size=16m") else {
            return;
        };
        let watches = watches(&kv, &kv.path("mount"), &[store]);
        drop(disk);
        for watching in watches {
            assert_eq!(watching.ends().code(), Some(5));
        }
        assert!(fs::read_dir(kv.path("mount")).unwrap().next().is_none());
    }
}
