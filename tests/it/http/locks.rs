//! Named locks through a service.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::Signal;

use super::{answers, run, through};
use crate::harness::{KV, Ran, Sandbox, path_with_kv, until};
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

/// Starts a program that holds the lock `l` through a service until the file `go` comes; what kv says
/// goes to the file `told`.
fn hold(kv: &Sandbox, server: &Server, options: &[&str], script: &str) -> Started {
    let store = format!("http://{}", server.address());
    let command = format!(
        "exec {KV} lock l {} -- sh -c 'echo >held; {script}' 2>told",
        options.join(" ")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).current_dir(kv.root());
    shell.env("PATH", path_with_kv()).env("KV_STORE", store);
    shell.stdin(Stdio::null());
    let holder = Started::new(shell);
    until("it is held", || kv.path("held").exists());
    holder
}

const UNTIL_GO: &str = "until [ -e go ]; do sleep 0.01; done; echo >done";

fn is_told(kv: &Sandbox) -> bool {
    let told = fs::read_to_string(kv.path("told")).unwrap_or_default();
    told.starts_with("kv: lock `l` was lost") && told.lines().count() == 1 && told.ends_with('\n')
}

/// Starts the service that had this address anew.
fn again(kv: &Sandbox, server: Server) -> Server {
    let address = server.address().to_string();
    drop(server);
    Server::start(&mut kv.kv(["serve", "--listen", &address]))
}

/// Whoever holds a lock of a service that is started anew is told that it was lost, at once.
#[test]
fn a_service_that_is_started_anew_has_forgotten_who_held_what() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let holder = hold(&kv, &server, &[], UNTIL_GO);
    let waiter = Started::new(through(&kv, &server, &["wait", "k"]));
    until("somebody waits", || server.waiting() == 1);
    let server = again(&kv, server);
    // It is another's now.
    run(&kv, &server, &["lock", "l", "--no-wait", "--", "true"]).ends(Exit::Success);
    // Who waits has begun anew.
    kv.put("k", "v");
    waiter.end().ends(Exit::Success);
    // The program is ended without having been let go.
    holder.end().ends(Exit::Program(125)).is_silent();
    assert!(is_told(&kv) && !kv.path("done").exists());
}

#[test]
fn a_program_may_go_on_without_its_lock() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let holder = hold(&kv, &server, &["--on-loss", "ignore"], UNTIL_GO);
    let _server = again(&kv, server);
    until("it is told", || is_told(&kv));
    fs::write(kv.path("go"), "").unwrap();
    holder.end().ends(Exit::Program(125)).is_silent();
    assert!(is_told(&kv) && kv.path("done").exists());
}

/// A lock that was lost is told, also where nobody has noticed before the program ended.
#[test]
fn a_program_that_ends_after_its_lock_was_lost_did_not_succeed() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let holder = hold(&kv, &server, &[], UNTIL_GO);
    let _server = again(&kv, server);
    fs::write(kv.path("go"), "").unwrap();
    holder.end().ends(Exit::Program(125)).is_silent();
    assert!(is_told(&kv));
}

/// Nor did one that worked on an element, which is another's again.
#[test]
fn what_a_program_has_worked_on_without_its_lock_stays() {
    let kv = Sandbox::new();
    kv.run(["push", "q", "job"]).ends(Exit::Success);
    for end in ["true", "exit 3"] {
        let server = Server::of(&kv, &[]);
        let mut work = through(&kv, &server, &["pop", "q", "--", "sh", "-c"]);
        // It ends before it is asked for the lock anew.
        work.arg(format!(
            "echo >held; until [ -e go ]; do sleep 0.01; done; {end}"
        ));
        let work = Started::new(work);
        until("it works", || kv.path("held").exists());
        work.signal(Signal::SIGSTOP);
        let server = again(&kv, server);
        fs::write(kv.path("go"), "").unwrap();
        thread::sleep(Duration::from_millis(100));
        work.signal(Signal::SIGCONT);
        work.end()
            .ends(Exit::Program(125))
            .complains(&["the lock of element", "was lost"]);
        run(&kv, &server, &["items", "q"]).prints("job\n");
        for name in ["held", "go"] {
            fs::remove_file(kv.path(name)).unwrap();
        }
    }
}

/// A service that answers nothing any more tells nobody that a lock is over: the holder's clock does.
#[test]
fn who_is_cut_off_for_as_long_as_a_lock_lasts_is_told() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let holder = hold(&kv, &server, &[], UNTIL_GO);
    server.signal(Signal::SIGSTOP);
    holder.end().ends(Exit::Program(125)).is_silent();
    assert!(is_told(&kv) && !kv.path("done").exists());
    server.signal(Signal::SIGCONT);
}

/// A holder that was stopped for longer than its lock lasted tells so as soon as it goes on.
#[test]
fn who_slept_for_longer_than_a_lock_lasts_is_told() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let holder = hold(&kv, &server, &[], UNTIL_GO);
    holder.signal(Signal::SIGSTOP);
    run(&kv, &server, &["lock", "l", "--wait", "40s", "--", "true"]).ends(Exit::Success);
    holder.signal(Signal::SIGCONT);
    holder.end().ends(Exit::Program(125)).is_silent();
    assert!(is_told(&kv) && !kv.path("done").exists());
}

#[test]
fn a_lease_cannot_be_inherited() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    run(
        &kv,
        &server,
        &["lock", "l", "--inherit", "--", "touch", "ran"],
    )
    .ends(Exit::Program(125))
    .prints("")
    .complains(&["--inherit", "lease"]);
    assert!(!kv.path("ran").exists());
    run(&kv, &server, &["lock", "l", "--no-wait", "--", "true"]).ends(Exit::Success);
}

/// A service may tell anything of who holds a lock: it is shown in one line, and not all of it.
#[test]
fn what_a_service_calls_a_holder_is_shown_escaped_and_bounded() {
    let kv = Sandbox::new();
    for (host, shown) in [
        (
            r"a\u001b[2J\u001b]0;pwn\u0007\nb".to_owned(),
            "host: a\\u{1b}[2J\\u{1b}]0;pwn\\u{7}\\nb\n",
        ),
        (
            "x".repeat(100_000),
            &*format!("host: {}\n", "x".repeat(255)),
        ),
    ] {
        let body = format!(
            "{{\"pid\":1,\"host\":\"{host}\",\"since\":\"2026-01-01T00:00:00Z\",\"shared\":false}}\n"
        );
        let answer = format!(
            "HTTP/1.1 200 OK\r\nKV-Protocol: 1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut command = kv.kv(["lock", "--show", "l"]);
        command.env("KV_STORE", answers(answer.leak().as_bytes()));
        let told = Ran::of(&mut command).ends(Exit::Success).stdout_text();
        assert!(told.contains(shown) && told.lines().count() == 4, "{told}");
        assert!(
            !told.contains(|c: char| c.is_control() && c != '\n'),
            "{told:?}"
        );
    }
}
