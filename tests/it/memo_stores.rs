//! `kv memo` on stores that are of another time, or cannot be written.

use std::time::{Duration, SystemTime};

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, until};
use crate::machine::Mount;
use crate::memo::{runs, script};

/// Stores a result of another time: the clock was another, or the store is of another machine.
fn store_result(kv: &Sandbox, modified: &str, result: &str) {
    let entry = format!(
        r#"{{"key":"k","value":"{result}","modified":"{modified}","expires":"2200-01-01T00:00:00Z"}}"#
    );
    kv.feed(["-n", "memo", "import"], entry.as_bytes())
        .ends(Exit::Success)
        .is_silent();
}

#[test]
fn a_result_of_the_future_is_run_anew() {
    let kv = Sandbox::new();
    let future = "2190-01-01T00:00:00Z";
    let replay = |options: &[&str]| script(&kv, &[&["k"], options].concat(), "echo new");
    for result in [
        r"kvmemo1 0 0\no 4\nold\n",
        r"kvmemo1 0 6942585600000000000\no 4\nold\n",
    ] {
        store_result(&kv, future, result);
        let before = runs(&kv);
        for _ in 0..2 {
            replay(&[]).ends(Exit::Success).prints("new\n").warns("");
        }
        assert_eq!(runs(&kv), before + 1, "{result}");
    }
    // What may be given at once though it is stale is refreshed.
    let before = runs(&kv);
    store_result(&kv, future, r"kvmemo1 0 0\no 4\nold\n");
    let stale = replay(&["--stale", "1m"]).ends(Exit::Success);
    stale.prints("old\n").warns("");
    until("it is refreshed", || {
        replay(&["--stale", "1m"]).stdout() == b"new\n"
    });
    assert_eq!(runs(&kv), before + 1);
    // Other machines' clocks are a little ahead.
    let soon = SystemTime::now() + Duration::from_secs(5);
    let soon = humantime::format_rfc3339(soon).to_string();
    store_result(&kv, &soon, r"kvmemo1 0 0\no 4\nold\n");
    replay(&[]).ends(Exit::Success).prints("old\n").warns("");
}

#[test]
fn a_store_that_cannot_be_written_keeps_no_answer_back() {
    let kv = Sandbox::new();
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    let run = |key: &str, text: &str| {
        let args = ["memo", key, "--ttl", "1h", "--keep-failures", "--"];
        let words = [&args[..], &["sh", "-c", text]].concat();
        Ran::of(&mut disk.kv(&kv, words))
    };
    run("k", "echo kept")
        .ends(Exit::Success)
        .prints("kept\n")
        .warns("");
    // A full disk.
    let text = "head -c 3000000 /dev/zero; exit 3";
    let full = run("large", text).ends(Exit::Program(3));
    let full = full.complains(&["not remembered", "No space left on device"]);
    assert_eq!(full.stdout().len(), 3_000_000);
    disk.make_read_only();
    for _ in 0..2 {
        let refused = run("new", "echo out; exit 4").ends(Exit::Program(4));
        let refused = refused.prints("out\n");
        refused.complains(&["not remembered", "Read-only file system"]);
    }
    // What is there is given without a word.
    run("k", "echo other")
        .ends(Exit::Success)
        .prints("kept\n")
        .warns("");
}

#[test]
fn a_program_without_an_end_ends_when_nobody_reads_it_any_more() {
    let kv = Sandbox::new();
    let script = "kv memo k --ttl 1h -- yes | head -1; echo ${PIPESTATUS[0]}";
    let ran = kv.shell("bash", script).ends(Exit::Success);
    ran.prints("y\n0\n").warns("");
    kv.run(["-n", "memo", "ls"]).ends(Exit::Success).is_silent();
    // Of a store that is full the one who sees the program is told behind it.
    let Some(disk) = Mount::tmpfs(&kv, "size=1m") else {
        return;
    };
    let location = disk.kv(&kv, ["ls"]);
    let location = location.get_envs().find(|(name, _)| *name == "KV_STORE");
    let store = location.unwrap().1.unwrap().to_str().unwrap();
    let script = format!("KV_STORE={store}\n{script}");
    let ran = kv.shell("bash", &script).ends(Exit::Success);
    ran.prints("y\n0\n").warns("");
}
