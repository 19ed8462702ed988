//! Signals and keys that end what the builtin waits for.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{builtin, command, plain};
use crate::harness::{KV, Sandbox, cannot_run, has_program, until};
use crate::terminal::Terminal;

#[test]
fn an_interrupt_ends_what_waits_and_stores_nothing() {
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    // A shell that does not handle the signal dies of it, as it would with a program.
    for (trap, status, signal) in [
        ("", None, Some(2)),
        ("trap 'echo trapped' INT", Some(130), None),
    ] {
        let script = format!("{trap}\necho begun; kv put k; exit $?");
        let mut bash = command(&kv, &builtin, &script);
        bash.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = bash.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut begun = [0; 6];
        let stdout = child.stdout.as_mut().unwrap();
        stdout.read_exact(&mut begun).unwrap();
        stdin.write_all(b"half").unwrap();
        let reads = || {
            let waits = fs::read_to_string(format!("/proc/{}/syscall", child.id()));
            waits.unwrap().starts_with("0 0x0 ")
        };
        until("it reads", reads);
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!((ended.code(), ended.signal()), (status, signal));
        kv.run(["has", "k"]).ends(Exit::No).is_silent();
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_lock() {
    let Some(builtin) = builtin() else { return };
    let kv = Sandbox::new();
    kv.run(["put", "k", "old"]).ends(Exit::Success).is_silent();
    let locks = fs::read_dir(kv.space().join("locks")).unwrap();
    let locks: Vec<_> = locks
        .map(|lock| fs::File::open(lock.unwrap().path()).unwrap())
        .collect();
    assert!(!locks.is_empty());
    for lock in &locks {
        fs2::FileExt::lock_exclusive(lock).unwrap();
    }
    let script = "trap : INT; echo begun; kv --busy-timeout 10m put k new; exit $?";
    let mut bash = command(&kv, &builtin, script);
    let mut child = bash
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 6];
    let stdout = child.stdout.as_mut().unwrap();
    stdout.read_exact(&mut begun).unwrap();
    // Sent again and again: whether it waits already nobody can tell.
    until("it has ended", || {
        _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    drop(locks);
    kv.run(["get", "k"]).ends(Exit::Success).prints("old");
}

#[test]
fn ctrl_c_and_ctrl_z_are_the_shells() {
    let Some(builtin) = builtin() else { return };
    if !has_program("tmux") {
        return cannot_run("tmux is missing: apt-get install tmux");
    }
    let kv = Sandbox::new();
    let mut bash = plain(&command(&kv, &builtin, ""), &["--norc", "-i"]);
    bash.env("PS1", "$ ");
    let terminal = Terminal::run(&bash);
    let line = |text: &str, end: &str| {
        terminal.text(text);
        terminal.key("Enter");
        terminal.wait_for_end(end);
    };
    terminal.wait_for_end("$");
    line(
        &format!("enable -f {} kv; KV_BIN={KV}; clear", builtin.display()),
        "$",
    );
    line("kv put typed", "end with Ctrl-D");
    terminal.key("C-c");
    line("echo $?; kv has typed; echo has $?", "130\nhas 1\n$");
    line("kv lock L -- sh -c 'echo; echo held; sleep 100'", "\nheld");
    terminal.key("C-z");
    terminal.wait("the job is stopped", || {
        terminal.screen().contains("Stopped")
    });
    line("kill %1; wait %1; clear; echo ended $?", "ended 0\n$");
    line("kv lock L -- sh -c 'echo; echo held; sleep 100'", "\nheld");
    terminal.key("C-c");
    line("echo $?", "130\n$");
}
