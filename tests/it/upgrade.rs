//! A store that kv 0.1.0 left is read and written by every later kv: the promise of the CHANGELOG.
//!
//! The archive was made by 0.1.0 itself, on the tree and in SQLite, with loose entries, a pack, tombstones,
//! an expiry, a list, a lock and what `memo` remembers; and with what `kv export --all` told of it then. It
//! is never made anew: a version with another format adds one of its own.

use std::process::Command;

use kv::exit::Exit;

use crate::harness::{Sandbox, cannot_run, has_program};

const ARCHIVE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/data/store-0.1.0.tar.gz"
);

#[test]
fn what_0_1_0_stored_is_read_and_lives_on() {
    if !has_program("tar") || !has_program("gzip") {
        return cannot_run("tar or gzip is not installed");
    }
    for (store, told) in [("store", "tree.jsonl"), ("sqlite:store.db", "sqlite.jsonl")] {
        let kv = Sandbox::new();
        let unpack = Command::new("tar")
            .args(["-xzf", ARCHIVE])
            .current_dir(kv.root())
            .status();
        assert!(unpack.unwrap().success());
        let told = std::fs::read(kv.path(told)).unwrap();
        let is_as_it_was = || {
            let args = ["-s", store, "export", "--all"];
            kv.at_home(args).ends(Exit::Success).warns("").prints(&told);
        };
        let run = |args: &[&str]| {
            kv.at_home([&["-s", store], args].concat())
                .ends(Exit::Success)
        };
        is_as_it_was();
        run(&["fsck"]).is_silent();
        run(&["get", "a key"]).prints("a\0b\n");
        run(&["get", "user:8"]).prints("newer than its pack");
        run(&["items", "jobs"]).prints("two\nthree\nfour\n");
        // It is remembered, and not run again, as the etag shows below.
        let memo = [
            "memo",
            "--ttl",
            "365000d",
            "--",
            "printf",
            "said %s\\n",
            "once",
        ];
        run(&memo).prints("said once\n");
        run(&["lock", "backup", "--no-wait", "--", "true"]);
        run(&["gc"]).is_silent();
        is_as_it_was();
        run(&["incr", "hits"]).prints("43\n");
        run(&["pop", "jobs"]).prints("two");
        run(&["put", "user:7", "again"]);
        run(&["fsck"]).is_silent();
    }
}
