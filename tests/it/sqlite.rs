//! Stores in SQLite: the file, what it is made of, and what becomes of it when a process dies.

mod damage;
mod files;
mod first;
mod moved;
mod room;
mod schema;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use kv::exit::Exit;
use rusqlite::Connection;

use crate::harness::{Engine, Ran, Sandbox, cannot_run, has_program, names_in, tell_count, until};
use crate::process::Started;

/// Larger than what is kept in one row.
const LARGE: usize = 1_000_000;

fn sandbox() -> Sandbox {
    Sandbox::on(Engine::Sqlite)
}

fn database(kv: &Sandbox) -> Connection {
    Connection::open(kv.store()).unwrap()
}

/// Asks the database for a number.
#[track_caller]
fn number(kv: &Sandbox, sql: &str) -> i64 {
    database(kv).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Opens the database and reads it, so that it stays open with a log beside it.
#[track_caller]
fn reader(path: &Path) -> Connection {
    let open = Connection::open(path).unwrap();
    let rows = "SELECT count(*) FROM entry";
    open.query_row(rows, [], |_| Ok(())).unwrap();
    open
}

fn large() -> Vec<u8> {
    (0..LARGE).map(|n| (n % 251) as u8).collect()
}

#[test]
fn the_file_is_its_users_alone_and_comes_with_the_directories_above_it() {
    let kv = sandbox();
    let path = kv.path("above/it/store");
    let location = format!("sqlite:{}", path.display());
    let run = |args: &[&str]| {
        let mut command = kv.kv(args);
        Ran::of(command.env("KV_STORE", &location))
    };
    run(&["get", "k"]).ends(Exit::No).is_silent();
    assert!(!kv.path("above").exists(), "a read made something");
    run(&["put", "k", "v"]).ends(Exit::Success).is_silent();
    run(&["get", "k"]).ends(Exit::Success).prints("v");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(kv.path("above")), mode(path)), (0o700, 0o600));
    // Nothing is left beside a store that nobody has open.
    assert_eq!(names_in(&kv.path("above/it")), ["store"]);
    run(&["lock", "job", "--", "true"]).ends(Exit::Program(0));
    assert_eq!(mode(kv.path("above/it/store-locks")), 0o700);
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let kv = sandbox();
    let text: fn(&Sandbox) = |kv| {
        fs::write(kv.store(), "text of a user\n".repeat(99)).unwrap();
    };
    let tables: fn(&Sandbox) = |kv| {
        let tables = "CREATE TABLE t (a); PRAGMA user_version = 1";
        database(kv).execute_batch(tables).unwrap();
    };
    let id: fn(&Sandbox) = |kv| {
        database(kv)
            .pragma_update(None, "application_id", 7)
            .unwrap();
    };
    for (make, exit) in [
        (text, Exit::Damaged),
        (tables, Exit::Failure),
        (id, Exit::Failure),
    ] {
        make(&kv);
        let before = fs::read(kv.store()).unwrap();
        for args in [&["put", "k", "v"][..], &["get", "k"], &["ls"], &["gc"]] {
            let ran = kv.run(args).ends(exit).prints("");
            ran.complains(&["store"]);
        }
        assert_eq!(fs::read(kv.store()).unwrap(), before);
        fs::remove_file(kv.store()).unwrap();
    }
    kv.put("k", "v");
    database(&kv)
        .pragma_update(None, "user_version", 3)
        .unwrap();
    for args in [&["put", "k", "w"][..], &["get", "k"]] {
        kv.run(args)
            .ends(Exit::Damaged)
            .complains(&["newer kv", "version 3"]);
    }
    let file = database(&kv);
    file.pragma_update(None, "user_version", 0).unwrap();
    drop(file);
    let ran = kv.run(["get", "k"]).ends(Exit::Damaged);
    ran.complains(&["damaged", "user_version is 0"]);
}

#[test]
fn a_large_value_is_kept_in_parts_that_go_with_it() {
    let kv = sandbox();
    let parts = |kv| number(kv, "SELECT count(*) FROM part");
    kv.feed(["put", "k"], &large())
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(parts(&kv), 4);
    kv.holds("k", large());
    kv.feed(["put", "k"], &large())
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(parts(&kv), 4);
    kv.run(["expire", "k", "1h"]).ends(Exit::Success);
    kv.run(["ls", "--values"]).ends(Exit::Success);
    kv.run(["get", "--remove", "k"])
        .ends(Exit::Success)
        .prints(large());
    assert_eq!(parts(&kv), 0);
    kv.feed(["push", "jobs"], &large())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints(large());
    kv.feed(["put", "k"], &large())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["namespaces", "--remove", "default"])
        .ends(Exit::Success);
    assert_eq!(parts(&kv), 0);
}

#[test]
fn no_flip_in_a_row_is_believed_and_a_repair_sets_it_aside() {
    let kv = sandbox();
    let changes = [
        "UPDATE entry SET value = 'w' WHERE key = 'small'",
        "UPDATE entry SET modified = modified + 1 WHERE key = 'small'",
        "UPDATE entry SET expires = 99999999999999 WHERE key = 'small'",
        "UPDATE entry SET size = 2 WHERE key = 'small'",
        "UPDATE entry SET key = 'other' WHERE key = 'small'",
        "UPDATE part SET bytes = zeroblob(262144) WHERE number = 2",
        "DELETE FROM part WHERE number = 3",
        "UPDATE entry SET size = size - 1 WHERE key = 'large'",
    ];
    for change in changes {
        _ = fs::remove_file(kv.store());
        kv.put("small", "v");
        kv.put("sound", "v");
        kv.feed(["put", "large"], &large()).ends(Exit::Success);
        let change = change
            .replace("'w'", "x'77'")
            .replace("key = 'other'", "key = x'6f74686572'");
        let change = change.replace("key = 'small'", "key = x'736d616c6c'");
        let change = change.replace("key = 'large'", "key = x'6c61726765'");
        let changed = database(&kv).execute(&change, []).unwrap();
        assert_eq!(changed, 1, "{change}");
        let mut damaged = 0;
        for key in ["small", "other", "large", "sound"] {
            let ran = kv.run(["get", key]);
            match ran.status().code() {
                Some(0) if key == "large" => _ = ran.prints(large()),
                Some(0) => _ = ran.prints("v"),
                Some(4) => {
                    damaged += 1;
                    ran.complains(&["damaged", key]);
                }
                status => assert_eq!((status, key), (Some(1), key)),
            }
        }
        assert_eq!(damaged, 1, "{change}");
        let fsck = kv.run(["fsck"]).ends(Exit::Damaged);
        assert_eq!(
            fsck.stdout_text().matches("damage").count(),
            1,
            "{}",
            fsck.report()
        );
        _ = kv.run(["fsck", "--repair"]).status();
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
        kv.holds("sound", "v");
        assert_eq!(number(&kv, "SELECT count(*) FROM lost"), 1);
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there() {
    let kv = sandbox();
    let (mut acknowledged, mut killed) = (0, 0);
    for round in 0..20 {
        let mut batch = kv.kv(["batch"]);
        let lines: String = (0..2_000)
            .map(|n| format!("put k{n} {round}-{n} --ttl 1d\n"))
            .collect();
        fs::write(kv.path("lines"), lines).unwrap();
        batch.stdin(fs::File::open(kv.path("lines")).unwrap());
        let replies = fs::File::create(kv.path("replies")).unwrap();
        let mut child = batch.stdout(replies).stderr(Stdio::null()).spawn().unwrap();
        // Each round a little later.
        let wanted = round * 400;
        until("it has begun", || {
            fs::metadata(kv.path("replies")).unwrap().len() >= wanted
                || child.try_wait().unwrap().is_some()
        });
        _ = child.kill();
        killed += u32::from(child.wait().unwrap().code().is_none());
        let replies = fs::read_to_string(kv.path("replies")).unwrap();
        let told = replies
            .lines()
            .filter(|line| line.starts_with("0 "))
            .count();
        acknowledged += told;
        let listed = kv.run(["ls", "--values"]).ends(Exit::Success).stdout_text();
        for n in 0..told {
            let line = format!("k{n}\t{round}-{n}\n");
            assert!(listed.contains(&line), "{line} after {told} replies");
        }
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
    assert!(killed > 5, "{killed} were killed");
    tell_count(&format!(
        "{acknowledged} acknowledged puts, {killed} writers killed"
    ));
}

#[test]
fn a_store_moves_between_engines_with_all_that_it_holds() {
    let (tree, sqlite, back) = (Sandbox::new(), sandbox(), Sandbox::new());
    tree.put("k", "v");
    fs::write(tree.path("bin"), b"\xff\0\n").unwrap();
    tree.run(["put", "brief", "v", "--ttl", "1h"])
        .ends(Exit::Success);
    tree.run(["-n", "app", "put", "bin", "--file", "bin"])
        .ends(Exit::Success);
    for element in ["a", "b"] {
        tree.run(["push", "jobs", element]).ends(Exit::Success);
    }
    let export = |kv: &Sandbox| {
        kv.run(["export", "--all"])
            .ends(Exit::Success)
            .stdout_text()
    };
    // An import is a write, and each write has an etag of its own.
    let without_etags = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split(",\"etag\"").next());
        lines.flatten().map(str::to_owned).collect()
    };
    let exported = export(&tree);
    for kv in [&sqlite, &back] {
        kv.feed(["import"], exported.as_bytes()).ends(Exit::Success);
        assert_eq!(without_etags(&export(kv)), without_etags(&exported));
    }
    sqlite.run(["push", "jobs", "c"]).ends(Exit::Success);
    for element in ["a", "b", "c"] {
        sqlite
            .run(["pop", "jobs"])
            .ends(Exit::Success)
            .prints(element);
    }
}

#[test]
fn gc_sweeps_evicts_and_gives_the_disk_back() {
    let kv = sandbox();
    let lines: String = (0..500)
        .map(|n| format!("put k{n} {} --ttl 1ms\n", "x".repeat(4_000)))
        .collect();
    kv.feed(["batch"], lines.as_bytes()).ends(Exit::Success);
    for n in 0..9 {
        kv.put(&format!("l{n}"), "v");
    }
    let size = || fs::metadata(kv.store()).unwrap().len();
    let before = size();
    kv.run(["gc"]).ends(Exit::Success).is_silent();
    assert!(size() < before / 10, "{} of {before}", size());
    kv.run(["-n", "default", "gc", "--max-entries", "4", "--dry-run"])
        .ends(Exit::Success)
        .prints("l0\nl1\nl2\nl3\nl4\n");
    kv.run(["-n", "default", "gc", "--max-entries", "4"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls"])
        .ends(Exit::Success)
        .prints("l5\nl6\nl7\nl8\n");
}

/// It would hold the lock of who writes meanwhile.
#[test]
fn gc_waits_for_nobody_who_reads() {
    let kv = sandbox();
    kv.put("k", "v");
    let reader = database(&kv);
    let count = "SELECT count(*) FROM entry";
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row(count, [], |_| Ok(())).unwrap();
    kv.put("k", "w");
    let gc = Started::new(kv.kv(["gc", "--busy-timeout", "10m"]));
    gc.end().ends(Exit::Success).is_silent();
    drop(reader);
    kv.holds("k", "w");
}

#[test]
fn who_waits_longer_than_allowed_for_another_writer_is_busy() {
    let kv = sandbox();
    kv.put("k", "v");
    let other = database(&kv);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ran = kv.run(["put", "k", "w", "--busy-timeout", "50ms"]);
    ran.ends(Exit::Busy).complains(&["store", "in use"]);
    // A reader waits for nobody.
    kv.holds("k", "v");
    other.execute_batch("COMMIT").unwrap();
    kv.put("k", "w");
}

#[test]
fn the_page_tells_how_to_read_it_without_kv() {
    let kv = sandbox();
    if !has_program("sqlite3") {
        return cannot_run("sqlite3 is not installed");
    }
    kv.put("k", "v");
    kv.run(["put", "dead", "v", "--ttl", "1ms"])
        .ends(Exit::Success);
    let script = crate::manpage::source::named_code("sqlite-reader").replace("FILE", "store");
    until("it has expired", || {
        kv.shell("sh", &script).ends(Exit::Success).stdout_text() == "k|v\n"
    });
}

#[test]
fn a_push_that_is_synced_wakes_who_waits() {
    // The log is written before it is synced, and the element is there afterwards.
    let is_woken = crate::pop_wait::is_woken(|| {
        let kv = sandbox();
        kv.run(["push", "jobs", "a", "--sync", "full"])
            .ends(Exit::Success);
        kv.run(["pop", "jobs"]).ends(Exit::Success);
        let mut waiter = kv.kv(["pop", "jobs", "--wait", "20s"]);
        let waiter = waiter.stdout(Stdio::piped()).spawn().unwrap();
        let pid = waiter.id();
        until("it waits", || crate::pop_wait::is_waiting(pid));
        kv.run(["push", "jobs", "b", "--sync", "full"])
            .ends(Exit::Success);
        let pushed = Instant::now();
        let output = waiter.wait_with_output().unwrap();
        assert_eq!(output.stdout, b"b");
        pushed.elapsed()
    });
    assert!(is_woken);
}

#[test]
fn a_service_goes_on_with_the_file_that_has_the_name_now() {
    let kv = Sandbox::on(Engine::HttpSqlite);
    kv.put("k", "old");
    kv.holds("k", "old");
    for name in ["store", "store-wal", "store-shm"] {
        _ = fs::remove_file(kv.path(name));
    }
    let ran = kv.run(["get", "k"]).ends(Exit::Failure);
    ran.complains(&["the store", "gone from its place"]);
    kv.at_home(["put", "k", "new"]).ends(Exit::Success);
    // While somebody has it open, what is written stays in the log beside it.
    let open = reader(&kv.store());
    kv.at_home(["put", "l", "in the log"]).ends(Exit::Success);
    assert_ne!(fs::metadata(kv.path("store-wal")).unwrap().len(), 0);
    kv.holds("k", "new");
    kv.holds("l", "in the log");
    kv.put("m", "through the service");
    // The connections to the old file were closed, and took nothing of the new one with them.
    assert_ne!(fs::metadata(kv.path("store-wal")).unwrap().len(), 0);
    let rows = "SELECT count(*) FROM entry";
    let count = open.query_row(rows, [], |row| row.get(0));
    assert_eq!(count, Ok(3));
    drop(open);
    let ran = kv.at_home(["ls"]).ends(Exit::Success);
    ran.prints("k\nl\nm\n");
}
