//! A value that is in memory is answered by the thread that read the request, and is never an old one.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use kv::exit::Exit;

use super::client::Server;
use crate::files::flip_last;
use crate::harness::{KV, Sandbox, can_trace, cannot_run, until};

/// What was changed just now could be changed again without a trace, so nothing of it is kept.
const SETTLED: Duration = Duration::from_secs(3);

#[test]
fn a_small_value_needs_no_second_thread() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    sleep(SETTLED);
    let mut command = Command::new("strace");
    let calls = "read,openat2,writev,sendto";
    // -D: the child is the service, and what traces it ends with it.
    command.args(["-D", "-f", "-o", "trace", "-s", "64", "-e", calls, KV]);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.current_dir(kv.root()).env_clear();
    command.env("KV_STORE", kv.store());
    let server = Server::start(&mut command);
    let gets = 30;
    for _ in 0..gets {
        assert_eq!(
            server.ask("GET /v1/default/k", &[], b"").is(200).text(),
            "v"
        );
    }
    drop(server);
    let trace = || fs::read_to_string(kv.path("trace")).unwrap();
    until("the service is killed", || trace().contains("+++ killed"));
    let trace = trace();
    let mut cached = 0;
    let mut asked = None;
    for line in trace.lines() {
        let thread = line.split_whitespace().next();
        if line.contains("\"GET /v1/default/k ") {
            asked = thread;
        } else if line.contains("\"objects/") && line.contains("RESOLVE_CACHED") {
            assert_eq!(thread, asked, "{line}");
            cached += 1;
        }
    }
    // The first two looks keep the namespace for the others.
    if !trace.contains("RESOLVE_CACHED") {
        return cannot_run("the file system of the tests is none that tells what it has in memory");
    }
    assert_eq!(cached, gets - 2, "{trace}");
}

#[test]
fn what_others_change_is_seen_at_once() {
    let kv = Sandbox::new();
    for key in ["changed", "removed", "packed", "other"] {
        kv.put(key, "old");
    }
    sleep(SETTLED);
    let server = Server::of(&kv, &[]);
    let get = |key: &str| {
        let answer = server.ask(&format!("GET /v1/default/{key}"), &[], b"");
        (answer.code, answer.text())
    };
    let old = || (200, "old".to_owned());
    for key in ["changed", "removed", "packed", "other"] {
        for _ in 0..3 {
            assert_eq!(get(key), old());
        }
    }
    kv.put("changed", "new");
    assert_eq!(get("changed"), (200, "new".to_owned()));
    kv.run(["remove", "removed"]).ends(Exit::Success);
    assert_eq!(get("removed").0, 404);
    kv.run(["expire", "changed", "1ms"]).ends(Exit::Success);
    sleep(Duration::from_millis(2));
    assert_eq!(get("changed").0, 404);
    kv.run(["gc", "--now"]).ends(Exit::Success);
    assert_eq!(get("packed"), old());
    assert_eq!(get("changed").0, 404);

    // A namespace that is made anew, and a store that is moved away.
    for key in ["packed", "other"] {
        kv.put(key, "old");
        assert_eq!(get(key), old());
    }
    kv.run(["namespaces", "--remove", "default"])
        .ends(Exit::Success);
    assert_eq!(get("other").0, 404);
    kv.put("other", "new");
    assert_eq!(get("other"), (200, "new".to_owned()));
    sleep(SETTLED);
    for _ in 0..3 {
        assert_eq!(get("other"), (200, "new".to_owned()));
    }
    fs::rename(kv.store(), kv.path("moved")).unwrap();
    assert_eq!(get("other").0, 503);

    // Damage is told, not served.
    fs::rename(kv.path("moved"), kv.store()).unwrap();
    assert_eq!(get("other"), (200, "new".to_owned()));
    let file = kv.file_of(b"other");
    flip_last(&file);
    assert_eq!(get("other").0, 500);
}
