//! Disks that are full: what is stored can be read and removed, and then there is room again.

use std::fs;
use std::io::Write as _;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in};
use crate::machine::Mount;

use super::sandbox;

/// A store on a disk of its own.
struct Small {
    kv: Sandbox,
    disk: Mount,
}

impl Small {
    #[track_caller]
    fn new(options: &str) -> Option<Self> {
        let kv = sandbox();
        let disk = Mount::tmpfs(&kv, options)?;
        Some(Self { kv, disk })
    }

    fn feed(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.kv.kv(args);
        let place = format!("sqlite:{}", self.disk.store().display());
        Ran::fed(command.env("KV_STORE", place), input)
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.feed(args, b"")
    }

    /// Stores values of this many bytes until no more fit, and returns how many are there.
    fn fill(&self, len: usize, more: &str) -> usize {
        let puts: String = (0..20_000)
            .map(|n| format!("put k{n} {} {more}\n", "x".repeat(len)))
            .collect();
        let ran = self.feed(&["batch", "--stop", "--sync", "off"], puts.as_bytes());
        ran.complains(&["store"]);
        let text = self
            .run(&["ls", "--count"])
            .ends(Exit::Success)
            .stdout_text();
        text.trim_end().parse().unwrap()
    }

    /// Takes all that is left of the disk.
    fn take_rest(&self) {
        let path = self.disk.store().with_file_name("rest");
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        while file.write_all(&[b'x'; 4096]).is_ok() {}
    }
}

#[test]
fn what_is_on_a_full_disk_can_be_removed() {
    for (size, len, more) in [("1m", 10, "--ttl 1h"), ("2m", 600, ""), ("8m", 3_000, "")] {
        let Some(small) = Small::new(&format!("size={size}")) else {
            return;
        };
        small.run(&["push", "jobs", "first"]).ends(Exit::Success);
        small.run(&["push", "jobs", "second"]).ends(Exit::Success);
        let stored = small.fill(len, more);
        // What is not for the entries is for the log, its index, and the removals.
        assert!(stored * len > 50_000, "{stored} of {len}");
        small.take_rest();
        let ran = small.run(&["put", "more", "v"]).ends(Exit::Failure);
        ran.complains(&["store", "No space left on device"]);
        small.run(&["get", "k1"]).ends(Exit::Success);
        small.run(&["remove", "k1"]).ends(Exit::Success).is_silent();
        let value = "x".repeat(len);
        let ran = small.run(&["get", "--remove", "k2"]).ends(Exit::Success);
        ran.prints(value).warns("");
        let ran = small.run(&["pop", "jobs"]).ends(Exit::Success);
        ran.prints("first").warns("");
        for n in 3..stored.min(40) {
            let key = format!("k{n}");
            small.run(&["remove", &key]).ends(Exit::Success).is_silent();
        }
        let rest = small.run(&["ls"]).ends(Exit::Success).stdout_text();
        let ran = small.feed(&["remove", "--stdin"], rest.as_bytes());
        ran.ends(Exit::Success).is_silent();
        small.run(&["ls"]).ends(Exit::Success).is_silent();
        small.run(&["fsck"]).ends(Exit::Success).is_silent();
        // And there is room again, with what was kept of it.
        small.run(&["put", "more", "v"]).ends(Exit::Success);
        assert!(names_in(small.disk.store().parent().unwrap()).contains(&"store-reserve".into()));
        let ran = small.run(&["pop", "jobs"]).ends(Exit::Success);
        ran.prints("second");
    }
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let Some(small) = Small::new("size=1m") else {
        return;
    };
    small.take_rest();
    let ran = small.run(&["put", "k", "v"]).ends(Exit::Failure);
    ran.complains(&["store", "full"]);
    assert_eq!(names_in(small.disk.store().parent().unwrap()), ["rest"]);
}

#[test]
fn a_disk_that_can_hold_no_more_files_can_be_emptied() {
    let Some(small) = Small::new("size=8m,nr_inodes=20") else {
        return;
    };
    for key in ["k", "l"] {
        small.run(&["put", key, "v"]).ends(Exit::Success);
    }
    let path = |n: &u32| small.disk.store().with_file_name(format!("file-{n}"));
    let count = (0..100)
        .take_while(|n| fs::write(path(n), "").is_ok())
        .count();
    assert!(count > 5, "{count}");
    small.run(&["get", "k"]).ends(Exit::Success).prints("v");
    let ran = small.run(&["put", "k", "w"]).ends(Exit::Failure);
    ran.complains(&["store", "out of inodes"]);
    small.run(&["remove", "k"]).ends(Exit::Success).is_silent();
    small.run(&["ls"]).ends(Exit::Success).prints("l\n");
}

#[test]
fn room_is_kept_only_where_there_is_little() {
    let Some(small) = Small::new("size=8m") else {
        return;
    };
    let names = || names_in(small.disk.store().parent().unwrap());
    small.run(&["put", "k", "v"]).ends(Exit::Success);
    assert_eq!(names(), ["store", "store-reserve"]);
    small.run(&["gc"]).ends(Exit::Success);
    assert_eq!(names(), ["store", "store-reserve"]);
    small.disk.remount("size=1g");
    small.run(&["gc"]).ends(Exit::Success).is_silent();
    assert_eq!(names(), ["store"]);
    small.run(&["put", "k", "w"]).ends(Exit::Success);
    assert_eq!(names(), ["store"]);
}
