//! Files that are moved over a store, or taken away, while somebody has it open: a log belongs to the
//! file that it was written for, whatever has the name.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Stdio};

use kv::exit::Exit;

use super::files::until_it_waits;
use super::{database, number, reader, sandbox};
use crate::harness::Sandbox;
use crate::process::Started;

/// A batch that waits for its next command.
struct Batch {
    child: Child,
    replies: BufReader<ChildStdout>,
}

impl Batch {
    /// Begins a batch that has put `newer` over what is stored, which is in its log.
    fn new(kv: &Sandbox) -> Self {
        let mut command = kv.kv(["batch"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let replies = BufReader::new(child.stdout.take().unwrap());
        let mut batch = Self { child, replies };
        for key in ["j", "k", "l"] {
            assert_eq!(
                batch.ask(&format!("put {key} newer")),
                ("0".to_owned(), String::new())
            );
        }
        assert_ne!(fs::metadata(kv.path("store-wal")).unwrap().len(), 0);
        batch
    }

    /// Returns the status of a command and what it printed.
    fn ask(&mut self, line: &str) -> (String, String) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let mut head = String::new();
        self.replies.read_line(&mut head).unwrap();
        let (status, len) = head.trim_end().split_once(' ').unwrap();
        let mut printed = vec![0; len.parse::<usize>().unwrap() + 1];
        self.replies.read_exact(&mut printed).unwrap();
        printed.pop();
        (status.to_owned(), String::from_utf8(printed).unwrap())
    }

    /// Ends the input, and returns what was complained of.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Makes a store of one key, and a copy of it.
fn with_backup() -> Sandbox {
    let kv = sandbox();
    kv.put("k", "backup");
    fs::copy(kv.store(), kv.path("backup")).unwrap();
    kv
}

fn restore(kv: &Sandbox) {
    fs::rename(kv.path("backup"), kv.store()).unwrap();
}

fn is_restored(kv: &Sandbox) {
    kv.run(["ls", "--values"])
        .ends(Exit::Success)
        .prints("k\tbackup\n");
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}

#[test]
fn a_batch_goes_on_with_a_backup_that_is_moved_over_its_store() {
    let kv = with_backup();
    let mut batch = Batch::new(&kv);
    restore(&kv);
    assert_eq!(batch.ask("get k"), ("0".to_owned(), "backup".to_owned()));
    assert_eq!(batch.ask("has j").0, "1");
    assert_eq!(batch.end(), "");
    is_restored(&kv);
}

#[test]
fn a_batch_that_ends_takes_its_log_out_of_the_way_of_a_backup() {
    let kv = with_backup();
    let batch = Batch::new(&kv);
    fs::rename(kv.store(), kv.path("old")).unwrap();
    restore(&kv);
    batch.end();
    is_restored(&kv);
    // What it had stored is in the file in which it was.
    let old = format!("sqlite:{}", kv.path("old").display());
    let ran = kv.run(["ls", "--values", "--store", &old]);
    ran.ends(Exit::Success)
        .prints("j\tnewer\nk\tnewer\nl\tnewer\n");
}

#[test]
fn a_log_of_another_file_that_is_open_still_is_not_taken_for_the_stores() {
    let kv = with_backup();
    let mut batch = Batch::new(&kv);
    let pid = batch.child.id().to_string();
    restore(&kv);
    for args in [&["get", "k"][..], &["put", "k", "w"], &["ls"], &["fsck"]] {
        let ran = kv.run(args).ends(Exit::Failure).prints("");
        ran.complains(&["store-wal", "had this name before", &pid, "end it"]);
    }
    batch.ask("has j");
    is_restored(&kv);
    batch.end();
    is_restored(&kv);
}

#[test]
fn a_store_that_is_taken_away_is_not_made_anew() {
    let kv = with_backup();
    let mut batch = Batch::new(&kv);
    fs::remove_file(kv.store()).unwrap();
    for line in ["get k", "put k w", "ls", "remove k", "push k w", "incr n"] {
        assert_eq!(batch.ask(line), ("5".to_owned(), String::new()), "{line}");
    }
    assert!(!kv.store().exists());
    // It has let go of what it had open.
    kv.run(["get", "k"]).ends(Exit::No);
    restore(&kv);
    assert_eq!(batch.ask("get k").1, "backup");
    let complaints = batch.end();
    assert_eq!(complaints.matches("gone from its place").count(), 6);
    is_restored(&kv);
}

#[test]
fn who_has_another_connection_open_loses_nothing() {
    let kv = with_backup();
    let open = reader(&kv.store());
    let mut batch = Batch::new(&kv);
    // Two have the same file open, and its log is theirs.
    kv.holds("k", "newer");
    assert_eq!(batch.ask("get l").1, "newer");
    batch.end();
    kv.holds("l", "newer");
    drop(open);
    kv.holds("j", "newer");
}

/// Takes away what a store has beside it.
fn remove_log(kv: &Sandbox, names: &[&str]) {
    for name in names {
        fs::remove_file(kv.path(name)).unwrap();
    }
}

#[test]
fn a_log_that_is_removed_while_it_is_open_loses_nothing() {
    for names in [
        &["store-wal", "store-shm"][..],
        &["store-wal"],
        &["store-shm"],
    ] {
        let kv = with_backup();
        let mut batch = Batch::new(&kv);
        let pid = batch.child.id().to_string();
        remove_log(&kv, names);
        for args in [
            &["put", "other", "w"][..],
            &["get", "j"],
            &["ls"],
            &["fsck"],
        ] {
            let ran = kv.run(args).ends(Exit::Failure).prints("");
            ran.complains(&["cannot open", &pid, "log that was removed", "end it"]);
        }
        // It brings its log home before it goes on with another.
        assert_eq!(batch.ask("put l newest").0, "0", "{names:?}");
        kv.put("other", "w");
        kv.holds("j", "newer");
        assert_eq!(batch.ask("get other").1, "w");
        assert_eq!(batch.end(), "");
        let ran = kv.run(["ls", "--values"]).ends(Exit::Success);
        ran.prints("j\tnewer\nk\tnewer\nl\tnewest\nother\tw\n");
        kv.run(["fsck"]).ends(Exit::Success).is_silent();
    }
}

#[test]
fn a_batch_that_ends_without_its_log_brings_that_home() {
    let kv = with_backup();
    let batch = Batch::new(&kv);
    remove_log(&kv, &["store-wal", "store-shm"]);
    assert_eq!(batch.end(), "");
    let ran = kv.run(["ls", "--values"]).ends(Exit::Success);
    ran.prints("j\tnewer\nk\tnewer\nl\tnewer\n");
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}

#[test]
fn what_another_program_writes_to_a_log_of_its_own_is_not_written_over() {
    let kv = with_backup();
    let mut batch = Batch::new(&kv);
    remove_log(&kv, &["store-wal", "store-shm"]);
    let other = database(&kv);
    let note = "CREATE TABLE note (a); INSERT INTO note VALUES (1)";
    other.execute_batch(note).unwrap();
    assert_eq!(batch.ask("put l newest").0, "5");
    let complaint = batch.end();
    assert!(complaint.contains("made another"), "{complaint}");
    drop(other);
    is_restored(&kv);
    assert_eq!(number(&kv, "SELECT count(*) FROM note"), 1);
}

#[test]
fn nothing_is_stored_in_a_log_that_is_removed_before_the_lock_is_had() {
    let kv = with_backup();
    let other = database(&kv);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let put = Started::new(kv.kv(["put", "k", "new"]));
    until_it_waits(&put);
    remove_log(&kv, &["store-wal", "store-shm"]);
    other.execute_batch("COMMIT").unwrap();
    let ran = put.end().ends(Exit::Failure);
    ran.complains(&["store-wal", "was removed", "nothing was changed"]);
    drop(other);
    is_restored(&kv);
}

#[test]
fn none_is_made_beside_the_log_of_one_that_is_open_still() {
    let kv = with_backup();
    let batch = Batch::new(&kv);
    fs::remove_file(kv.store()).unwrap();
    let ran = kv.run(["put", "k", "w"]).ends(Exit::Failure);
    ran.complains(&["store-wal", "had this name before"]);
    assert!(!kv.store().exists());
    batch.end();
    kv.put("k", "w");
    kv.run(["ls", "--values"])
        .ends(Exit::Success)
        .prints("k\tw\n");
}

#[test]
fn a_batch_stops_writing_when_a_trigger_comes_and_goes_on_when_it_goes() {
    let kv = sandbox();
    let mut batch = Batch::new(&kv);
    for _ in 0..2 {
        let trigger = "CREATE TRIGGER mine AFTER INSERT ON entry BEGIN DELETE FROM entry; END";
        database(&kv).execute_batch(trigger).unwrap();
        assert_eq!(batch.ask("put m w").0, "5");
        assert_eq!(batch.ask("get k"), ("0".to_owned(), "newer".to_owned()));
        database(&kv).execute_batch("DROP TRIGGER mine").unwrap();
        assert_eq!(batch.ask("put n w").0, "0");
        assert_eq!(batch.ask("remove n").0, "0");
    }
    let told = batch.end();
    assert!(told.contains("trigger `mine`"), "{told}");
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}
