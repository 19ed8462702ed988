//! `kv update`: a value through a program.

use std::fs;
use std::thread;

use kv::exit::Exit;

use crate::files::{bytes, flip_last};
use crate::harness::{Ran, Sandbox, until};
use crate::process::scripted;

/// Runs `kv update k -- sh -c SCRIPT` to its end.
fn update(kv: &Sandbox, script: &str) -> Ran {
    Ran::of(scripted(kv, &["update", "k"], script).env("KV_SYNC", "off"))
}

/// Makes bytes that no pipe and no buffer holds at once.
fn large() -> Vec<u8> {
    bytes(3_000_017)
}

fn put_large(kv: &Sandbox, value: &[u8]) {
    fs::write(kv.path("large"), value).unwrap();
    kv.run(["put", "k", "--file", "large", "--sync", "off"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn the_output_becomes_the_value() {
    let kv = Sandbox::new();
    kv.feed(["put", "k"], b"old\0 value")
        .ends(Exit::Success)
        .is_silent();
    kv.run(["update", "k", "--", "tr", "a-z", "A-Z"])
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", "OLD\0 VALUE");
    update(&kv, "cat; printf '\\377\\n'")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", b"OLD\0 VALUE\xff\n");
}

#[test]
pub fn an_absent_key_is_empty_input() {
    let kv = Sandbox::new();
    update(&kv, "wc -c").ends(Exit::Success).is_silent();
    assert_eq!(update_of(&kv), "0");
    kv.run(["put", "k", "gone soon", "--ttl", "1ms"])
        .ends(Exit::Success)
        .is_silent();
    thread::sleep(std::time::Duration::from_millis(5));
    update(&kv, "wc -c").ends(Exit::Success).is_silent();
    assert_eq!(update_of(&kv), "0");
    assert_eq!(kv.field("expires", "k"), "never");
}

fn update_of(kv: &Sandbox) -> String {
    let value = kv.run(["get", "k"]).ends(Exit::Success).stdout_text();
    value.trim().to_owned()
}

#[test]
pub fn empty_output_stores_the_empty_value() {
    let kv = Sandbox::new();
    for _ in 0..2 {
        update(&kv, "true").ends(Exit::Success).is_silent();
        kv.holds("k", "");
        kv.put("k", "full again");
    }
}

#[test]
pub fn a_program_that_fails_changes_nothing() {
    let kv = Sandbox::new();
    for (script, status) in [
        ("exit 1", Exit::Program(1)),
        ("echo new; exit 3", Exit::Program(3)),
        ("head -c 2000000 /dev/zero; exit 7", Exit::Program(7)),
        ("cat; echo new; kill -KILL $$", Exit::Signal(9)),
        ("echo new; exec >&-; exit 9", Exit::Program(9)),
    ] {
        update(&kv, script).ends(status).is_silent();
        kv.lacks("k");
    }
    kv.put("k", "old");
    let etag = kv.field("etag", "k");
    for script in ["echo new; exit 3", "head -c 2000000 /dev/zero; exit 3"] {
        update(&kv, script).ends(Exit::Program(3)).is_silent();
    }
    kv.run(["update", "k", "--", "./missing"])
        .ends(Exit::Program(127))
        .complains(&["missing"]);
    kv.holds("k", "old");
    assert_eq!(kv.field("etag", "k"), etag);
    // A service notices a little later that nothing more comes.
    until("there is no litter", || kv.litter().is_empty());
}

#[test]
pub fn values_of_any_size_go_both_ways() {
    let kv = Sandbox::new();
    let value = large();
    put_large(&kv, &value);
    update(&kv, "cat").ends(Exit::Success).is_silent();
    kv.holds("k", &value);
    update(&kv, "wc -c").ends(Exit::Success).is_silent();
    assert_eq!(update_of(&kv), value.len().to_string());
    update(&kv, "cat >/dev/null; cat large large")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", [&value[..], &value].concat());
}

#[test]
pub fn a_program_need_not_read_its_input() {
    let kv = Sandbox::new();
    put_large(&kv, &large());
    update(&kv, "head -c 3").ends(Exit::Success).is_silent();
    kv.holds("k", &large()[..3]);
    put_large(&kv, &large());
    update(&kv, "exec <&-; echo new")
        .ends(Exit::Success)
        .is_silent();
    kv.holds("k", "new\n");
    put_large(&kv, &large());
    update(&kv, "exit 3").ends(Exit::Program(3)).is_silent();
    kv.holds("k", large());
}

#[test]
pub fn a_program_may_close_its_output_early() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    let script = "echo part; exec >&-; while ! [ -e end ]; do sleep 0.01; done; echo >ended";
    thread::scope(|scope| {
        let update = scope.spawn(|| update(&kv, script));
        // It is not over before the program is.
        thread::sleep(std::time::Duration::from_millis(100));
        kv.holds("k", "old");
        fs::write(kv.path("end"), "").unwrap();
        update.join().unwrap().ends(Exit::Success).is_silent();
    });
    assert!(kv.path("ended").exists());
    kv.holds("k", "part\n");
}

#[test]
pub fn standard_error_is_the_programs() {
    let kv = Sandbox::new();
    let ran = update(&kv, "echo told >&2; echo new").ends(Exit::Success);
    ran.prints("").warns("told\n");
}

#[test]
pub fn a_program_may_use_the_store() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    kv.put("other", "1");
    let script = "kv get other; kv get k; kv incr other >&2; kv put third \"$(cat)\"";
    update(&kv, script)
        .ends(Exit::Success)
        .prints("")
        .warns("2\n");
    kv.holds("k", "1old");
    kv.holds("other", "2");
    kv.holds("third", "old");
}

#[test]
pub fn when_the_key_has_changed_the_program_runs_again() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    for (change, want) in [
        ("kv put k new", "NEW"),
        ("kv remove k", ""),
        ("kv expire k 1h", "OLD"),
        ("kv put k old", "OLD"),
    ] {
        kv.put("k", "old");
        let script = format!("echo >>runs; [ -e once ] || {{ >once; {change}; }}; tr a-z A-Z");
        update(&kv, &script).ends(Exit::Success).is_silent();
        kv.holds("k", want);
        assert_eq!(fs::read(kv.path("runs")).unwrap(), b"\n\n", "{change}");
        fs::remove_file(kv.path("runs")).unwrap();
        fs::remove_file(kv.path("once")).unwrap();
    }
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn a_program_that_fails_is_not_run_again() {
    let kv = Sandbox::new();
    update(&kv, "echo >>runs; kv put k new; exit 3")
        .ends(Exit::Program(3))
        .is_silent();
    assert_eq!(fs::read(kv.path("runs")).unwrap(), b"\n");
    kv.holds("k", "new");
}

#[test]
pub fn a_key_that_never_holds_still_is_busy() {
    let kv = Sandbox::new();
    let args = ["update", "k", "--busy-timeout", "300ms"];
    let mut command = scripted(&kv, &args, "echo >>runs; kv put k $$; cat");
    Ran::of(command.env("KV_SYNC", "off"))
        .ends(Exit::Program(124))
        .prints("")
        .complains(&["k"]);
    assert!(fs::read(kv.path("runs")).unwrap().len() > 1);
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
pub fn the_expiry_stays() {
    let kv = Sandbox::new();
    kv.run(["put", "k", "old", "--ttl", "1h"])
        .ends(Exit::Success)
        .is_silent();
    let expires = kv.field("expires", "k");
    update(&kv, "echo new").ends(Exit::Success).is_silent();
    kv.holds("k", "new\n");
    assert_eq!(kv.field("expires", "k"), expires);
}

#[test]
fn a_damaged_value_is_125_whatever_the_program_does() {
    let kv = Sandbox::new();
    for value in [b"small".to_vec(), large()] {
        put_large(&kv, &value);
        let path = kv.file_of(b"k");
        let damaged = flip_last(&path);
        for script in [
            "cat",
            "echo new",
            "exec <&-; echo new",
            "head -c 100",
            "cat >/dev/null; exit 3",
        ] {
            update(&kv, script)
                .ends(Exit::Program(125))
                .prints("")
                .complains(&["damaged"]);
        }
        assert!(fs::read(&path).unwrap() == damaged);
        assert_eq!(kv.litter(), [""; 0]);
    }
}

#[test]
pub fn updates_at_once_lose_none() {
    let kv = Sandbox::new();
    let script = "for i in $(seq 10); do kv --sync off --busy-timeout 10m update k -- \
                  sh -c 'read -r n; echo $((n + 1))' || exit; done";
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| kv.shell("sh", script).ends(Exit::Success).is_silent());
        }
    });
    kv.holds("k", "100\n");
    assert_eq!(kv.litter(), [""; 0]);
}
