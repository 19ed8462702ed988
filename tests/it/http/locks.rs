//! Named locks through a service.

use std::fs;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use super::{run, through};
use crate::harness::{Ran, Sandbox, until};
use crate::process::{Started, scripted};
use crate::serve::client::Server;

#[test]
fn a_lock_is_the_same_here_and_there() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let script = "echo $KV_LOCK_TOKEN >token; mv token held; until [ -e go ]; do sleep 0.01; done";
    let mut there = scripted(&kv, &["lock", "l"], script);
    there.env("KV_STORE", format!("http://{}", server.address()));
    let there = Started::new(there);
    until("it is held", || kv.path("held").exists());
    let first: u64 = fs::read_to_string(kv.path("held"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    kv.run(["lock", "l", "--no-wait", "--", "true"])
        .ends(Exit::Program(124));
    run(&kv, &server, &["lock", "l", "--no-wait", "--", "true"]).ends(Exit::Program(124));
    let shown = run(&kv, &server, &["lock", "--show", "l"]).ends(Exit::Success);
    let pid = format!("pid: {}\n", there.pid());
    assert!(shown.stdout_text().contains(&pid), "{}", shown.report());
    fs::write(kv.path("go"), "").unwrap();
    there.end().ends(Exit::Success);
    // It is free at once, and the next token is larger.
    let mut next = scripted(&kv, &["lock", "l", "--no-wait"], "echo $KV_LOCK_TOKEN");
    next.env("KV_STORE", format!("http://{}", server.address()));
    let next = Ran::of(&mut next).ends(Exit::Success).stdout_text();
    assert!(next.trim().parse::<u64>().unwrap() > first, "{next}");
    // Nor does who holds it where the service runs let go for those who come through it.
    fs::remove_file(kv.path("go")).unwrap();
    fs::remove_file(kv.path("held")).unwrap();
    let here = Started::script(&kv, &["lock", "l"], script);
    until("it is held", || kv.path("held").exists());
    run(&kv, &server, &["lock", "l", "--no-wait", "--", "true"]).ends(Exit::Program(124));
    fs::write(kv.path("go"), "").unwrap();
    here.end().ends(Exit::Success);
}

/// The program dies with its holder, and the lock is free when the lease is over.
#[test]
fn a_holder_that_is_killed_loses_the_lock_in_time() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let mut holder = scripted(&kv, &["lock", "l"], "echo >held; sleep 1000");
    holder.env("KV_STORE", format!("http://{}", server.address()));
    let holder = Started::new(holder);
    until("it is held", || kv.path("held").exists());
    holder.signal(Signal::SIGKILL);
    run(&kv, &server, &["lock", "l", "--no-wait", "--", "true"]).ends(Exit::Program(124));
    run(&kv, &server, &["lock", "l", "--wait", "40s", "--", "true"]).ends(Exit::Success);
}

/// Whoever holds a lock of a service that is started anew is told that it was lost.
#[test]
fn a_service_that_is_started_anew_has_forgotten_who_held_what() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let address = server.address().to_string();
    let mut holder = scripted(
        &kv,
        &["lock", "l"],
        "echo >held; until [ -e go ]; do sleep 0.01; done",
    );
    holder.env("KV_STORE", format!("http://{address}"));
    let holder = Started::new(holder);
    let waiter = Started::new(through(&kv, &server, &["wait", "k"]));
    until("it is held", || kv.path("held").exists());
    until("somebody waits", || server.waiting() == 1);
    drop(server);
    let mut again = kv.kv(["serve", "--listen", &address]);
    let server = Server::start(&mut again);
    // It is another's now.
    run(&kv, &server, &["lock", "l", "--no-wait", "--", "true"]).ends(Exit::Success);
    // Who waits has begun anew.
    kv.put("k", "v");
    waiter.end().ends(Exit::Success);
    // Three seconds are between two times that it says that it lives.
    thread::sleep(Duration::from_secs(4));
    fs::write(kv.path("go"), "").unwrap();
    holder
        .end()
        .ends(Exit::Success)
        .complains(&["lock `l` was lost"]);
}
