//! Signals, while a program runs on behalf of kv.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill, killpg};

use crate::harness::{KV, Ran, Sandbox, cannot_run, has_program, until};
use crate::process::{Started, is_alive, pid_in, scripted, state, until_there};
use crate::program::RUNNERS;
use crate::terminal::Terminal;

/// Starts a program in a process group of its own, as a shell does, and waits until it runs.
fn start(kv: &Sandbox, runner: &[&str], script: &str) -> Started {
    _ = fs::remove_file(kv.path("ready"));
    let mut command = scripted(kv, runner, script);
    command.process_group(0);
    let started = Started::new(command);
    until_there(&kv.path("ready"));
    started
}

/// Goes on until it is told to end, as far as it can take signals at all.
const LINGER: &str = "echo >ready; while ! [ -e end ]; do sleep 0.01; done";

#[test]
fn what_a_supervisor_sends_is_passed_on() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for (signal, name) in [
            (Signal::SIGTERM, "TERM"),
            (Signal::SIGHUP, "HUP"),
            (Signal::SIGUSR1, "USR1"),
            (Signal::SIGUSR2, "USR2"),
        ] {
            let started = start(&kv, runner, &format!("trap 'exit 42' {name}; {LINGER}"));
            started.signal(signal);
            started.end().ends(Exit::Program(42)).is_silent();
            // A program that does not catch it dies of it.
            let started = start(&kv, runner, LINGER);
            started.signal(signal);
            let number = u8::try_from(signal as i32).unwrap();
            started.end().ends(Exit::Signal(number)).is_silent();
        }
    }
    kv.lacks("key");
    assert_eq!(kv.litter(), [""; 0]);
}

#[test]
fn a_program_can_take_signals_again_and_again() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        let script = format!("trap 'echo >>taken' USR1; trap 'exit 9' TERM; {LINGER}");
        let started = start(&kv, runner, &script);
        for n in 1..=5 {
            started.signal(Signal::SIGUSR1);
            until("the program takes the signal", || {
                fs::read(kv.path("taken")).is_ok_and(|lines| lines.len() == n)
            });
        }
        started.signal(Signal::SIGTERM);
        started.end().ends(Exit::Program(9)).is_silent();
        fs::remove_file(kv.path("taken")).unwrap();
    }
}

#[test]
fn what_a_terminal_sends_to_all_is_answered_by_the_program() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for (signal, name) in [(Signal::SIGINT, "INT"), (Signal::SIGQUIT, "QUIT")] {
            let started = start(&kv, runner, &format!("trap 'exit 7' {name}; {LINGER}"));
            killpg(started.pid(), signal).unwrap();
            // Some shells tell of the sleep that the signal ended.
            started.end().ends(Exit::Program(7)).prints("");
            // To kv alone it means nothing: a terminal would have sent it to the program as well.
            let started = start(&kv, runner, LINGER);
            started.signal(signal);
            fs::write(kv.path("end"), "").unwrap();
            started.end().ends(Exit::Success).is_silent();
            fs::remove_file(kv.path("end")).unwrap();
        }
    }
}

#[test]
fn a_program_that_ends_while_the_terminal_sends_is_still_answered_for() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        for _ in 0..50 {
            let script = "trap '' INT QUIT; kill -QUIT 0; kill -INT 0; exit 7";
            let mut command = scripted(&kv, runner, script);
            command.env("KV_SYNC", "off").process_group(0);
            Ran::of(&mut command).ends(Exit::Program(7)).is_silent();
        }
    }
}

#[test]
fn ctrl_c_ends_the_program_and_not_kv() {
    if !has_program("tmux") {
        return cannot_run("tmux is missing: apt-get install tmux");
    }
    let kv = Sandbox::new();
    for runner in RUNNERS {
        let script = format!(
            "trap : INT; {KV} {} -- sh -c 'trap \"exit 7\" INT; {LINGER}'; echo status $?; cat",
            runner.join(" ")
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(kv.root());
        command.env("KV_STORE", kv.store());
        command.env("PATH", "/usr/bin:/bin");
        _ = fs::remove_file(kv.path("ready"));
        let terminal = Terminal::run(&command);
        until_there(&kv.path("ready"));
        terminal.key("C-c");
        terminal.wait_for_end("status 7");
    }
}

#[test]
fn both_stop_and_go_on_together() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        // A shell that starts a child at this moment would stop only with that child's leave.
        let started = start(&kv, runner, "echo $$ >pid; echo >ready; exec sleep 600");
        let program = pid_in(&kv.path("pid"));
        for (signal, stops) in [(Signal::SIGTSTP, true), (Signal::SIGCONT, false)] {
            killpg(started.pid(), signal).unwrap();
            for pid in [started.pid(), program] {
                until("it stops or goes on", || (state(pid) == Some('T')) == stops);
            }
        }
        started.signal(Signal::SIGTERM);
        started.end().ends(Exit::Signal(15)).is_silent();
    }
}

#[test]
fn a_program_starts_with_the_mask_of_kv_and_the_default_for_a_closed_pipe() {
    let kv = Sandbox::new();
    let signals = |options: &[&str], runner: &[&str]| {
        let mut command = Command::new("env");
        command.args(options);
        if !runner.is_empty() {
            command.arg(KV).args(runner).arg("--");
        }
        let look = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status >seen";
        command.args(["sh", "-c", &format!("exec {look}")]);
        command.current_dir(kv.root()).env("KV_STORE", kv.store());
        Ran::of(command.stdin(Stdio::null()))
            .ends(Exit::Success)
            .is_silent();
        fs::read_to_string(kv.path("seen")).unwrap()
    };
    if !has_program("env") || !std::path::Path::new("/proc/self/status").exists() {
        return cannot_run("there is no /proc");
    }
    for options in [
        &[][..],
        &["--block-signal=TERM,USR1,CHLD,INT"],
        &["--ignore-signal=HUP,INT,USR2"],
        &["--ignore-signal=HUP", "--block-signal=HUP,WINCH"],
    ] {
        for runner in RUNNERS {
            assert_eq!(
                signals(options, runner),
                signals(options, &[]),
                "{options:?}"
            );
        }
    }
    for runner in RUNNERS {
        assert_eq!(
            signals(&["--ignore-signal=PIPE"], runner),
            signals(&[], &[])
        );
    }
}

#[test]
fn the_end_of_a_program_is_seen_by_who_was_started_to_ignore_it() {
    let kv = Sandbox::new();
    for runner in RUNNERS {
        let mut command = Command::new("env");
        command.arg("--ignore-signal=CHLD").arg(KV).args(runner);
        command.args(["--", "sh", "-c", "exit 3"]);
        command.current_dir(kv.root()).env("KV_STORE", kv.store());
        command.stdin(Stdio::null());
        Started::new(command)
            .end()
            .ends(Exit::Program(3))
            .is_silent();
    }
}

#[test]
fn an_update_whose_output_stays_open_in_the_background_can_be_ended() {
    let kv = Sandbox::new();
    let script = "sleep 600 2>&- & echo $! >pid; echo new";
    let started = Started::script(&kv, &["update", "key"], script);
    let background = pid_in(&kv.path("pid"));
    // There is nothing else to wait for than that kv has seen the end of the program.
    until("the program is gone", || children(&started).is_empty());
    started.signal(Signal::SIGTERM);
    let ran = started.end();
    assert_eq!(ran.status().signal(), Some(15), "{}", ran.report());
    assert!(is_alive(background));
    kill(background, Signal::SIGKILL).unwrap();
    kv.lacks("key");
}

/// Returns the children of kv, of whatever thread.
fn children(started: &Started) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", started.pid())).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    let all: Vec<_> = tasks.flatten().filter_map(|task| of(task).ok()).collect();
    all.concat()
}

#[test]
fn a_lock_that_is_waited_for_can_be_given_up() {
    let kv = Sandbox::new();
    let holder = start(&kv, &["lock", "name"], LINGER);
    let waiter = Started::script(&kv, &["lock", "name"], "echo >ran");
    until("it waits", || state(waiter.pid()) == Some('S'));
    waiter.signal(Signal::SIGTERM);
    let ran = waiter.end();
    assert_eq!(ran.status().signal(), Some(15), "{}", ran.report());
    drop(holder);
    assert!(!kv.path("ran").exists());
}
