//! Bulk imports over what packs and files of their own hold together.

use std::fs;
use std::process::Command;

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, can_trace};
use crate::machine::Mount;

/// So many lines make an import, or a removal, a bulk one.
const BULK: usize = 1_001;

/// Returns the lines of a bulk import that stores the same value under keys of its own.
pub fn filler(value: &str) -> String {
    (0..BULK)
        .map(|n| format!("{{\"key\":\"filler {n}\",\"value\":\"{value}\"}}\n"))
        .collect()
}

/// Imports the filler and these lines, at once.
#[track_caller]
pub fn import(kv: &Sandbox, options: &[&str], lines: &str) {
    let input = filler("x") + lines;
    let args = ["import", "--sync", "off"].iter().chain(options);
    kv.feed(args, input.as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

fn line(key: &str, value: &str, year: u32) -> String {
    format!("{{\"key\":\"{key}\",\"value\":\"{value}\",\"modified\":\"{year}-01-01T00:00:00Z\"}}\n")
}

#[track_caller]
fn gc(kv: &Sandbox) {
    kv.run(["gc"]).ends(Exit::Success).is_silent();
}

/// There was no pack before, so that the first is made together with its directory.
#[test]
fn the_first_of_all_packs_takes_the_place_of_files() {
    for (options, want) in [
        (&[][..], "imported"),
        (&["--merge"], "imported"),
        (&["--replace"], "imported"),
        (&["--if-absent"], "loose"),
    ] {
        let kv = Sandbox::new();
        kv.feed(["import"], line("k", "loose", 2019).as_bytes())
            .ends(Exit::Success);
        import(&kv, options, &line("k", "imported", 2020));
        kv.holds("k", want);
        assert_eq!(kv.file_of(b"k").exists(), want == "loose");
    }
}

#[test]
fn if_absent_stores_what_was_removed_or_has_expired_since_it_was_packed() {
    let kv = Sandbox::new();
    for key in ["removed", "expired", "there", "both"] {
        kv.put(key, "packed");
    }
    gc(&kv);
    kv.run(["remove", "removed"]).ends(Exit::Success);
    kv.run(["put", "expired", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    kv.put("both", "loose");
    crate::harness::until("it expires", || {
        !kv.run(["has", "expired"]).status().success()
    });
    let lines: String = ["removed", "expired", "there", "both", "absent"]
        .iter()
        .map(|key| line(key, "imported", 2020))
        .collect();
    import(&kv, &["--if-absent"], &lines);
    for _ in 0..2 {
        kv.holds("removed", "imported");
        kv.holds("expired", "imported");
        kv.holds("absent", "imported");
        kv.holds("there", "packed");
        kv.holds("both", "loose");
        gc(&kv);
    }
}

#[test]
fn merge_asks_the_file_and_not_the_record_behind_it() {
    let kv = Sandbox::new();
    let keys = ["older", "newer", "removed"];
    let all = |value, year| -> String { keys.iter().map(|key| line(key, value, year)).collect() };
    kv.feed(["import"], all("packed", 2020).as_bytes())
        .ends(Exit::Success);
    gc(&kv);
    // Older than what it hides, and newer.
    let loose = line("older", "loose", 2010) + &line("newer", "loose", 2030);
    kv.feed(["import"], loose.as_bytes()).ends(Exit::Success);
    kv.run(["remove", "removed"]).ends(Exit::Success);
    import(&kv, &["--merge"], &all("imported", 2015));
    for _ in 0..2 {
        kv.holds("older", "imported");
        kv.holds("newer", "loose");
        kv.holds("removed", "imported");
        gc(&kv);
    }
}

/// An entry whose unlinking is not synced may be back after a power cut, and would hide what was
/// imported. Who unlinked it may have been killed before the sync.
#[test]
fn every_shard_is_synced_before_an_import_is_acknowledged() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    let keys: Vec<_> = (0..300).map(|n| format!("k{n}")).collect();
    let puts: String = keys.iter().map(|key| format!("put {key} old\n")).collect();
    kv.feed(["batch", "--sync", "off"], puts.as_bytes())
        .ends(Exit::Success);
    gc(&kv);
    let shards = kv.names_in("objects");
    assert!(shards.len() > 100);
    for options in [&["import", "--tsv"][..], &["remove", "--stdin"]] {
        let all = keys.iter().cloned();
        let all = all.chain((0..BULK).map(|n| format!("filler {n}")));
        let value = if options[0] == "import" { "\tnew" } else { "" };
        let input: String = all.map(|key| key + value + "\n").collect();
        fs::write(kv.path("input"), input).unwrap();
        let mut command = Command::new("strace");
        command
            .args(["-y", "-o", "trace", "-e", "fsync,rename,renameat", KV])
            .args(options)
            .current_dir(kv.root())
            .env_clear()
            .env("KV_STORE", kv.store())
            .stdin(fs::File::open(kv.path("input")).unwrap());
        Ran::of(&mut command).ends(Exit::Success);
        let trace = fs::read_to_string(kv.path("trace")).unwrap();
        let (_, behind) = trace.split_once("MANIFEST").unwrap();
        for shard in &shards {
            let synced = format!("/objects/{shard}>)");
            assert!(behind.contains(&synced), "{options:?}: {shard}: {trace}");
        }
    }
    kv.lacks("k7");
}

#[test]
fn more_packs_than_open_files_can_be_read_and_collected() {
    let kv = Sandbox::new();
    let lines = filler("x");
    for n in 0..40 {
        let lines = format!("{lines}{{\"key\":\"k{n}\",\"value\":\"{n}\"}}\n");
        kv.feed(["import", "--sync", "off"], lines.as_bytes())
            .ends(Exit::Success);
    }
    assert!(kv.names_in("packs").len() > 40);
    let few = |script: &str| kv.shell("sh", &format!("ulimit -Sn 32; {script}"));
    few("kv get absent").ends(Exit::No).is_silent();
    few("kv get k0").ends(Exit::Success).prints("0");
    few("kv ls --count")
        .ends(Exit::Success)
        .prints(format!("{}\n", BULK + 40))
        .warns("");
    fs::write(kv.path("input"), lines).unwrap();
    few("kv import --if-absent < input && kv import < input && kv gc")
        .ends(Exit::Success)
        .is_silent();
    assert!(kv.names_in("packs").len() < 5);
    kv.holds("k7", "7");
}

/// With few enough open files the import fails, and with enough it is whole.
#[test]
fn an_import_that_runs_out_of_open_files_is_never_half_seen() {
    let kv = Sandbox::new();
    let lines = |value: &str| -> String {
        // So many that the directories are read.
        (0..17_000).map(|n| format!("k{n}\t{value}\n")).collect()
    };
    let puts: String = (0..200).map(|n| format!("put k{n} loose\n")).collect();
    let mut outcomes = [0; 2];
    for limit in (16..=300).rev().step_by(4).filter(|n| *n > 240 || *n < 30) {
        kv.feed(["batch", "--sync", "off"], puts.as_bytes())
            .ends(Exit::Success);
        let value = limit.to_string();
        fs::write(kv.path("input"), lines(&value)).unwrap();
        let ran = kv.shell(
            "sh",
            &format!("ulimit -n {limit}; kv import --tsv --sync off < input"),
        );
        let want = match ran.status().code() {
            Some(0) => &value,
            _ => "loose",
        };
        outcomes[usize::from(want == "loose")] += 1;
        let seen = kv.run(["ls", "--values", "k1?"]).ends(Exit::Success);
        let wanted: String = (10..20).map(|n| format!("k{n}\t{want}\n")).collect();
        seen.prints(wanted);
        if want == "loose" {
            let told = ran.ends(Exit::Failure).complains(&[]).stderr_text();
            // Thus glibc says it, and thus musl.
            let words = ["Too many open files", "No file descriptors available"];
            assert!(words.iter().any(|words| told.contains(words)), "{told}");
        }
    }
    assert!(outcomes.iter().all(|&count| count > 0), "{outcomes:?}");
}

#[test]
fn an_import_on_a_full_disk_changes_nothing_and_leaves_nothing() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    let run = |args: &[&str]| disk.run(&kv, args);
    for key in ["a", "b", "c"] {
        run(&["put", key, "old"]).ends(Exit::Success);
    }
    run(&["gc"]).ends(Exit::Success);
    run(&["put", "b", "loose"]).ends(Exit::Success);
    // The locks of all shards are made, so that they are not counted as left behind.
    let lines = |value| filler(value) + &line("a", value, 2020) + &line("b", value, 2020);
    let feed = |value| {
        let mut command = disk.kv(&kv, ["import"]);
        Ran::fed(&mut command, lines(value).as_bytes())
    };
    feed("first").ends(Exit::Success);
    run(&["put", "b", "loose"]).ends(Exit::Success);

    let fill = disk.store().parent().unwrap().join("fill");
    let page = 4096_u64;
    let mut size = 0;
    let grow = |size| fs::write(&fill, vec![b'x'; usize::try_from(size).unwrap()]);
    while grow(size + page).is_ok() {
        size += page;
    }
    fs::File::options()
        .write(true)
        .open(&fill)
        .unwrap()
        .set_len(size)
        .unwrap();
    let before = disk.names();
    let (mut failed, mut ran) = (0, false);
    // Free a page at a time until it fits: it runs out at every step that needs one.
    while !ran {
        fs::File::options()
            .write(true)
            .open(&fill)
            .unwrap()
            .set_len(size)
            .unwrap();
        let import = feed("second");
        ran = import.status().success();
        if !ran {
            import
                .ends(Exit::Failure)
                .prints("")
                .complains(&["No space left on device"]);
            assert_eq!(disk.names(), before, "with {size} bytes taken");
            run(&["get", "a"]).ends(Exit::Success).prints("first");
            run(&["get", "b"]).ends(Exit::Success).prints("loose");
            failed += 1;
            size -= page;
        }
    }
    assert!(failed > 5, "it failed {failed} times");
    run(&["get", "a"]).ends(Exit::Success).prints("second");
    run(&["get", "b"]).ends(Exit::Success).prints("second");
}
