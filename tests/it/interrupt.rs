//! Programs that a signal kills, seen from the shell that started kv, and kv as the first process of a
//! container.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{KV, Ran, Sandbox, cannot_run, has_program, until};
use crate::process::{Started, state, until_there};
use crate::terminal::Terminal;

/// Commands that run a program, with what they need besides.
const RUNNERS: [&[&str]; 3] = [
    &["lock", "name"],
    &["update", "key"],
    &["memo", "--ttl", "1h"],
];

#[test]
fn ctrl_c_ends_a_loop_of_the_shell() {
    if !has_program("tmux") || !has_program("bash") {
        return cannot_run("tmux or bash is missing: apt-get install tmux bash");
    }
    let kv = Sandbox::new();
    for runner in RUNNERS {
        let script = format!(
            "for i in 1 2 3; do echo $i >>rounds; \
             {KV} {} -- sh -c 'echo >>ready; exec sleep 600'; done; echo went on",
            runner.join(" ")
        );
        let around = format!(
            "bash -c '{}'; echo status $?; cat",
            script.replace('\'', r"'\''")
        );
        let mut command = Command::new("bash");
        command.args(["-c", &format!("trap : INT; {around}")]);
        command.current_dir(kv.root()).env("KV_STORE", kv.store());
        command.env("PATH", "/usr/bin:/bin");
        let terminal = Terminal::run(&command);
        until_there(&kv.path("ready"));
        terminal.key("C-c");
        terminal.wait_for_end("status 130");
        assert!(!terminal.screen().contains("went on"));
        assert_eq!(fs::read(kv.path("rounds")).unwrap(), b"1\n");
        fs::remove_file(kv.path("rounds")).unwrap();
        fs::remove_file(kv.path("ready")).unwrap();
    }
    // All was cleaned up before.
    kv.run(["lock", "--no-wait", "name", "--", "true"])
        .ends(Exit::Success)
        .is_silent();
    kv.lacks("key");
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
fn kv_dies_of_every_signal_of_which_the_program_dies_and_leaves_no_core() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for signal in [1, 2, 3, 6, 9, 11, 13, 15, 24, 34, 64] {
            // The program leaves none either: it is a shell that may.
            let script = format!(
                "ulimit -c unlimited 2>/dev/null; kv {} -- sh -c 'ulimit -c 0; kill -{signal} $$'",
                runner.join(" ")
            );
            let mut command = Command::new("bash");
            let path = crate::harness::path_with_kv();
            command.args(["-c", &format!("{script}; exit $?")]);
            command.current_dir(kv.root()).env("PATH", path);
            command.env("KV_STORE", kv.store()).stdin(Stdio::null());
            let ran = Ran::of(&mut command).ends(Exit::Program(128 + signal));
            assert!(!ran.stderr_text().contains("core"), "{}", ran.report());
            let direct = kv.run(runner.iter().copied().chain([
                "--",
                "sh",
                "-c",
                &format!("kill -{signal} $$"),
            ]));
            direct.ends(Exit::Signal(signal)).is_silent();
        }
    }
    let names = crate::harness::names_in(kv.root());
    assert!(
        names.iter().all(|name| !name.starts_with("core")),
        "{names:?}"
    );
}

/// Starts `kv ARGS…` as the first process of a PID namespace, and returns its number out here.
fn as_init(kv: &Sandbox, args: &[&str], stdin: Stdio) -> Option<(Started, Pid)> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--", KV]);
    command.args(args).current_dir(kv.root());
    command.env("KV_STORE", kv.store()).stdin(stdin);
    let mut started = Started::new(command);
    let children = format!("/proc/{0}/task/{0}/children", started.pid());
    let mut child = None;
    until("it is there or cannot be", || {
        let text = fs::read_to_string(&children).unwrap_or_default();
        child = text
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        child.is_some() || !started.is_running()
    });
    if !started.is_running() {
        cannot_run("no PID namespace can be made here");
        return None;
    }
    Some((started, Pid::from_raw(child?)))
}

#[test]
fn the_first_process_of_a_container_can_be_ended() {
    if !has_program("unshare") {
        return cannot_run("unshare is missing: apt-get install util-linux");
    }
    let kv = Sandbox::new();
    for args in [
        &["wait", "never"][..],
        &["pop", "never", "--wait", "1h"],
        &["put", "key"],
        &["lock", "held", "--", "true"],
    ] {
        for (signal, status) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
            let _holder = (args[0] == "lock").then(|| {
                let holder = Started::script(&kv, &["lock", "held"], "echo >held; sleep 600");
                until_there(&kv.path("held"));
                holder
            });
            // Nobody writes to it, and nobody closes it.
            let (input, _output) = std::io::pipe().unwrap();
            let Some((started, pid)) = as_init(&kv, args, input.into()) else {
                return;
            };
            let exe = format!("/proc/{pid}/exe");
            until("it is kv, and waits", || {
                fs::read_link(&exe).is_ok_and(|exe| exe == std::path::Path::new(KV))
                    && state(pid) == Some('S')
            });
            kill(pid, signal).unwrap();
            started.end().ends(Exit::Program(status)).is_silent();
            _ = fs::remove_file(kv.path("held"));
        }
    }
    kv.lacks("key");
}

#[test]
fn the_first_process_of_a_container_dies_with_the_status_of_its_program() {
    if !has_program("unshare") {
        return cannot_run("unshare is missing: apt-get install util-linux");
    }
    let kv = Sandbox::new();
    let args = [
        "lock",
        "name",
        "--",
        "sh",
        "-c",
        "echo >ready; exec sleep 600",
    ];
    let Some((started, pid)) = as_init(&kv, &args, Stdio::null()) else {
        return;
    };
    until_there(&kv.path("ready"));
    kill(pid, Signal::SIGTERM).unwrap();
    started.end().ends(Exit::Program(143)).is_silent();
}

#[test]
fn a_service_that_is_the_first_process_ends_in_peace() {
    if !has_program("unshare") || !has_program("curl") {
        return cannot_run("unshare or curl is missing: apt-get install util-linux curl");
    }
    let kv = Sandbox::new();
    let args = ["serve", "--listen", "unix:socket"];
    let Some((started, pid)) = as_init(&kv, &args, Stdio::null()) else {
        return;
    };
    // Once it answers it hears signals.
    let curl = "curl -s --unix-socket socket http://localhost/v1/default/key?wait=1ms -o answer";
    until("it answers", || kv.shell("sh", curl).status().success());
    kill(pid, Signal::SIGTERM).unwrap();
    started.end().ends(Exit::Success);
}

#[test]
fn what_kv_was_started_to_ignore_it_ignores_as_the_first_process_too() {
    if !has_program("unshare") {
        return cannot_run("unshare is missing: apt-get install util-linux");
    }
    let kv = Sandbox::new();
    let mut command = Command::new("env");
    command.args([
        "--ignore-signal=INT",
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
    ]);
    command.args([KV, "wait", "key", "--timeout", "1h"]);
    command.current_dir(kv.root()).env("KV_STORE", kv.store());
    let mut started = Started::new(command);
    let children = format!("/proc/{0}/task/{0}/children", started.pid());
    let mut pid = None;
    until("it waits or cannot", || {
        let text = fs::read_to_string(&children).unwrap_or_default();
        pid = text
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        let waits = pid.is_some_and(|pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("kv"))
                && state(Pid::from_raw(pid)) == Some('S')
        });
        waits || !started.is_running()
    });
    if !started.is_running() {
        return cannot_run("no PID namespace can be made here");
    }
    kill(Pid::from_raw(pid.unwrap()), Signal::SIGINT).unwrap();
    kv.put("key", "value");
    let ran = started.end().ends(Exit::Success).is_silent();
    assert_eq!(ran.status().signal(), None);
}
