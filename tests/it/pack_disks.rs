//! `kv gc` where the disk holds no more: no more files, little more, nothing more.

use std::fs;
use std::path::PathBuf;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, names_in, tell_count};
use crate::machine::Mount;

struct Full {
    kv: Sandbox,
    disk: Mount,
}

impl Full {
    #[track_caller]
    fn new(options: &str) -> Option<Self> {
        let kv = Sandbox::new();
        let disk = Mount::tmpfs(&kv, options)?;
        Some(Self { kv, disk })
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.disk.run(&self.kv, args)
    }

    fn space(&self) -> PathBuf {
        self.disk.store().join("default")
    }

    /// Stores values of this many bytes until that fails or `most` are there; returns how many are.
    /// A put with an expiry is never one of those that `kv batch` stores as a pack.
    #[track_caller]
    fn fill(&self, most: usize, len: usize) -> usize {
        let puts: String = (0..most)
            .map(|n| format!("put k{n} {} --ttl 52w\n", value(n, len)))
            .collect();
        let mut command = self.disk.kv(&self.kv, ["batch", "--stop", "--sync", "off"]);
        let ran = Ran::fed(&mut command, puts.as_bytes());
        let text = ran.stdout_text();
        text.lines().filter(|line| line.starts_with("0 ")).count()
    }

    #[track_caller]
    fn holds(&self, count: usize, len: usize) {
        let mut want: Vec<_> = (0..count)
            .map(|n| format!("k{n}\t{}\n", value(n, len)))
            .collect();
        want.sort();
        self.run(&["ls", "--values"])
            .ends(Exit::Success)
            .prints(want.concat())
            .warns("");
    }

    fn loose(&self) -> usize {
        let shards = names_in(&self.space().join("objects"));
        let count = |shard: &String| names_in(&self.space().join("objects").join(shard)).len();
        shards.iter().map(count).sum()
    }

    /// Demands that nothing is there but what belongs there.
    #[track_caller]
    fn is_tidy(&self) {
        assert_eq!(names_in(&self.space().join("tmp")), [""; 0]);
        let mut names = names_in(&self.space());
        names.retain(|name| name.starts_with('.'));
        assert_eq!(names, [""; 0]);
        assert_eq!(names_in(&self.space().join("spare")), ["1", "2"]);
        let packs = self.space().join("packs");
        let manifest = fs::read_to_string(packs.join("MANIFEST")).unwrap_or_default();
        for name in names_in(&packs) {
            let is_named = manifest.contains(&format!("pack {name} "));
            assert!(name == "MANIFEST" || is_named, "{name} in {manifest}");
        }
    }

    /// Takes what is left of the disk, a page at a time.
    fn take_rest(&self) -> PathBuf {
        let path = self.disk.store().parent().unwrap().join("rest");
        let mut file = fs::File::create(&path).unwrap();
        let page = [b'x'; 4096];
        while std::io::Write::write_all(&mut file, &page).is_ok() {}
        path
    }
}

fn value(n: usize, len: usize) -> String {
    format!("{n:0len$}")
}

#[test]
fn out_of_inodes_gc_still_works_and_gives_them_back() {
    // What is left beside whole entries is none, one, two, and so on.
    for inodes in [400, 401, 402, 403] {
        let Some(full) = Full::new(&format!("nr_inodes={inodes}")) else {
            return;
        };
        let stored = full.fill(1_000, 5);
        assert!(stored > 50 && stored < 400, "{stored}");
        let rest = full.disk.store().parent().unwrap().to_owned();
        let mut free = 0;
        while fs::write(rest.join(format!("file {free}")), "").is_ok() {
            free += 1;
        }
        for _ in 0..2 {
            full.run(&["gc"]).ends(Exit::Success).is_silent();
            full.holds(stored, 5);
            assert_eq!(full.loose(), 0);
            full.is_tidy();
        }
        // And once more, when packs are there already.
        while fs::write(rest.join(format!("file {free}")), "").is_ok() {
            free += 1;
        }
        fs::remove_file(rest.join("file 0")).unwrap_or_default();
        full.run(&["put", "k0", &value(0, 5)]).ends(Exit::Success);
        _ = fs::write(rest.join("file 0"), "");
        full.run(&["gc"]).ends(Exit::Success).is_silent();
        full.holds(stored, 5);
        assert_eq!(full.loose(), 0);
        full.is_tidy();
    }
}

#[test]
fn little_space_is_enough_for_a_large_collection() {
    let Some(full) = Full::new("size=80m") else {
        return;
    };
    let stored = full.fill(8_000, 10_000);
    tell_count(&format!("{stored} entries of 10,000 bytes on 80 MB"));
    assert!(stored > 5_000, "{stored}");
    // 2 MiB for 65 MiB that are to be moved.
    assert_eq!(full.loose(), stored);
    let spared = 200;
    let keys: String = (stored - spared..stored)
        .map(|n| format!("k{n}\n"))
        .collect();
    let mut remove = full
        .disk
        .kv(&full.kv, ["remove", "--stdin", "--sync", "off"]);
    Ran::fed(&mut remove, keys.as_bytes()).ends(Exit::Success);
    let stored = stored - spared;
    full.run(&["gc"]).ends(Exit::Success).is_silent();
    assert_eq!(full.loose(), 0);
    full.is_tidy();
    full.run(&["ls", "--count"]).prints(format!("{stored}\n"));
    for n in (0..stored).step_by(997) {
        full.run(&["get", &format!("k{n}")])
            .ends(Exit::Success)
            .prints(value(n, 10_000));
    }
}

#[test]
fn without_a_free_block_gc_says_so_and_loses_nothing() {
    let Some(full) = Full::new("size=4m") else {
        return;
    };
    let stored = full.fill(300, 2_000);
    assert_eq!(stored, 300);
    // Once without packs, and once with packs and entries beside them.
    for _ in 0..2 {
        let rest = full.take_rest();
        for _ in 0..2 {
            full.run(&["gc"])
                .ends(Exit::Failure)
                .prints("")
                .complains(&["cannot ", "No space left on device"]);
            full.holds(stored, 2_000);
            full.is_tidy();
        }
        assert!(full.loose() > 0);
        fs::remove_file(rest).unwrap();
        full.run(&["gc"]).ends(Exit::Success).is_silent();
        full.holds(stored, 2_000);
        assert_eq!(full.loose(), 0);
        full.is_tidy();
        assert_eq!(full.fill(300, 2_000), 300);
    }
}
