//! How often the file system is asked: as often for many as for few.

use std::fs;
use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, can_trace, cannot_run};
use crate::sweep::let_time_pass;

/// Runs a command, and returns how many of these system calls had this text.
fn calls(kv: &Sandbox, calls: &str, text: &str, args: &[&str]) -> usize {
    traced(kv, calls, text, args, Stdio::null())
}

/// Does the same with a batch of these commands.
fn calls_of_batch(kv: &Sandbox, calls: &str, text: &str, commands: &str) -> usize {
    fs::write(kv.path("commands"), commands).unwrap();
    let stdin = fs::File::open(kv.path("commands")).unwrap();
    traced(kv, calls, text, &["batch", "--sync", "off"], stdin.into())
}

fn traced(kv: &Sandbox, calls: &str, text: &str, args: &[&str], stdin: Stdio) -> usize {
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "trace", "-e", calls, KV]);
    command.args(args).current_dir(kv.root()).env_clear();
    command.env("KV_STORE", kv.store()).stdin(stdin);
    Ran::of(&mut command).ends(Exit::Success);
    let trace = fs::read_to_string(kv.path("trace")).unwrap();
    trace.lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_get_asks_for_nothing_that_it_does_not_need() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    let all = "open,openat,openat2,fstat,newfstatat,read,pread64,close,ioctl,write,poll,ppoll,mmap";
    // The store, its format and the entry; whether a person reads the value; the value, and whether it has come.
    assert_eq!(calls(&kv, all, "(", &["get", "k"]), 3 + 1 + 2 + 2 + 1 + 2);
}

#[test]
fn a_process_opens_a_namespace_twice_however_often_it_looks() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    // What was changed just now could be changed again without a trace.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let run =
        |text, command: &str| calls_of_batch(&kv, "openat,openat2", text, &command.repeat(20));
    for one_by_one in [true, false] {
        let get = if one_by_one {
            "get k --json\n"
        } else {
            "get k\n"
        };
        // Who is asked for some at once knows from the first that it looks more than once.
        let opened = if one_by_one { 2 } else { 1 };
        assert_eq!(run("/format\"", get), opened, "{get}");
        assert_eq!(run("objects/", get), 20, "{get}");
    }
    // What is not there is looked for no more often.
    assert_eq!(run("/format\"", "get none --default x\n"), 1);
}

/// Returns how many system calls more of a line cost a batch, on a store that nobody has just made.
fn calls_of_more(line: &str, before: usize, after: usize) -> usize {
    let kv = Sandbox::new();
    kv.put("k", "v");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let run = |times| {
        // A build for tests looks at each descriptor once more before it closes it; and when memory grows
        // depends on all that was done before.
        let counted = "!fcntl,brk,mmap,munmap,mremap";
        calls_of_batch(&kv, counted, "(", &line.repeat(times))
    };
    run(after) - run(before)
}

/// So many gets, one behind the other, are carried out at once.
const AT_ONCE: usize = 32;

#[test]
fn a_get_of_a_process_that_gets_many_takes_four_calls_at_most() {
    if can_trace() {
        assert_eq!(calls_of_more("get k --json\n", 20, 30), 4 * 10);
        let more = calls_of_more("get k\n", AT_ONCE, 3 * AT_ONCE);
        // Once for all comes a look at the namespace, and two for MANIFEST, as there are no packs.
        assert_eq!(more, (3 * AT_ONCE + 1 + 2) * 2);
    }
}

#[test]
fn what_was_made_a_moment_ago_stays_open_for_who_looks_often() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    let kind = Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(kv.store())
        .output();
    let kind = String::from_utf8(kind.unwrap().stdout).unwrap();
    if !["ext2/ext3", "xfs", "btrfs", "f2fs", "tmpfs"].contains(&kind.trim()) {
        return cannot_run("the file system of the tests may tell no parts of a second");
    }
    // Longer than a tick of the kernel, and shorter than the second that others have.
    std::thread::sleep(std::time::Duration::from_millis(150));
    let opened = calls_of_batch(&kv, "openat,openat2", "/format\"", &"get k\n".repeat(200));
    // Once in each of the first looks, and where it stays open.
    assert!(opened <= 64 + 1, "{opened}");
}

#[test]
fn a_get_of_a_packed_key_takes_four_calls_at_most_however_many_packs_there_are() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    for (name, count) in [("old", 4_000), ("new", 10)] {
        let puts = (0..count).map(|n| format!("put {name}-{n} v\n"));
        kv.feed(["batch"], puts.collect::<String>().as_bytes())
            .ends(Exit::Success);
        kv.run(["gc", "--now"]).ends(Exit::Success);
    }
    assert_eq!(
        fs::read_dir(kv.store().join("default/packs"))
            .unwrap()
            .count(),
        1 + 2
    );
    std::thread::sleep(std::time::Duration::from_secs(3));
    // Each key twice, and once more: its hash pages are there by then.
    let run = |option: &str, times| {
        let gets = (0..4 * AT_ONCE).map(|n| format!("get old-{n}{option}\n"));
        let files = "open,openat,openat2,newfstatat,fstat,statx,pread64,close";
        calls_of_batch(&kv, files, "", &gets.collect::<String>().repeat(times))
    };
    let more = |option| run(option, 3) - run(option, 2);
    assert_eq!(more(" --json"), 4 * 4 * AT_ONCE);
    assert_eq!(more(""), (2 * AT_ONCE + 2) * 4);
    // Nor are they opened for each of the first.
    let opened = |gets: &str| calls_of_batch(&kv, "open,openat,openat2", "packs/pack-", gets);
    assert_eq!(opened("get old-0\nget old-1\nget old-2\n"), 2);
}

#[test]
fn a_put_of_a_process_that_puts_many_takes_15_calls() {
    if can_trace() {
        assert_eq!(calls_of_more("put k v\n", 20, 30), 15 * 10);
    }
}

#[test]
fn a_collection_opens_the_packs_as_often_for_many_dead_entries_as_for_few() {
    if !can_trace() {
        return;
    }
    for is_swept in [false, true] {
        let opened = [10, 40].map(|count| {
            let kv = Sandbox::new();
            kv.put("packed", "v");
            kv.run(["gc", "--now"]).ends(Exit::Success);
            let puts = (0..count).map(|n| format!("put k{n} v --ttl 1ms\n"));
            kv.feed(["batch"], puts.collect::<String>().as_bytes())
                .ends(Exit::Success);
            if is_swept {
                let_time_pass(&kv);
            }
            let opened = calls(&kv, "openat,openat2", "/packs/", &["gc"]);
            for n in 0..count {
                assert!(!kv.file_of(format!("k{n}").as_bytes()).exists());
            }
            opened
        });
        assert!(opened[0] > 0);
        assert_eq!(opened[0], opened[1], "swept: {is_swept}");
    }
}

#[test]
fn no_more_is_looked_at_than_each_step_needs() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.run(["put", "c", "1"]).ends(Exit::Success);
    for (args, looks) in [
        (&["get", "c"][..], 1),
        (&["put", "c", "2"], 2),
        (&["put", "c", "3", "--if-exists"], 2),
        (&["put", "c", "4", "--keep-ttl"], 2),
        (&["incr", "c"], 3),
        (&["append", "c", "1"], 3),
        (&["get", "c", "--remove"], 2),
    ] {
        let opened = calls(&kv, "openat,openat2", "/format\"", args);
        assert_eq!(opened, looks, "{args:?}");
    }
}

#[test]
fn a_namespace_is_made_at_the_same_cost_among_many_as_among_few() {
    if !can_trace() {
        return;
    }
    let read = [500, 4_000].map(|count| {
        let kv = Sandbox::new();
        for n in 0..count {
            fs::create_dir_all(kv.store().join(format!("namespace-{n:06}"))).unwrap();
        }
        calls(&kv, "getdents64", "", &["put", "k", "v"])
    });
    assert_eq!(read[0], read[1]);
}

#[test]
fn who_works_on_an_element_looks_for_none_that_others_are_done_with() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    let elements = "e\n".repeat(402);
    kv.feed(
        ["push", "--lines", "--sync", "off", "q"],
        elements.as_bytes(),
    )
    .ends(Exit::Success);
    let done = (1..=400).map(|number| format!("{number:020}"));
    let words = ["-n", "q", "remove", "--sync", "off"].map(str::to_owned);
    kv.run(words.into_iter().chain(done)).ends(Exit::Success);
    let work = || calls(&kv, "all", "objects/", &["pop", "q", "--", "true"]);
    assert!(work() > 400);
    let looks = work();
    assert!(looks < 100, "{looks}");
}

#[test]
fn a_gc_reads_what_it_folds_by_three_calls_and_asks_once_a_shard_how_much_is_free() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    let puts = (0..1000).map(|n| format!("put --ttl 52w k{n} v\n"));
    kv.feed(
        ["batch", "--sync", "off"],
        puts.collect::<String>().as_bytes(),
    )
    .ends(Exit::Success);
    let calls = calls(&kv, "pread64,fstatfs", "(", &["gc", "--now"]);
    assert!((3 * 1000..3 * 1000 + 300).contains(&calls), "{calls}");
    assert_eq!(kv.run(["ls", "--count"]).stdout_text(), "1000\n");
}
