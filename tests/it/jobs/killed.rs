//! `kill -9` of kv before each of its system calls, and of kv and its programs at any moment: each element is
//! done at least once, by one at a time.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::{Signal, killpg};

use super::{holds, push};
use crate::harness::{Engine, KV, Sandbox, cannot_run, tell_count, until};
use crate::kills::{calls_of, can_inject};
use crate::process::scripted;

#[test]
fn before_each_system_call_of_a_success() {
    at_each_call("cat >>done", &[]);
}

#[test]
fn before_each_system_call_of_a_failure() {
    at_each_call("exit 1", &[]);
}

#[test]
fn before_each_system_call_of_the_last_failure() {
    at_each_call("exit 1", &["--attempts", "1"]);
}

/// Kills kv, and not its program, before each of its system calls.
fn at_each_call(script: &str, options: &[&str]) {
    if !can_inject() {
        return cannot_run("strace, which kills at a system call, does not work here");
    }
    let prepare = || {
        let kv = Sandbox::in_memory();
        push(&kv, &["a", "b"]);
        kv
    };
    let script = format!("PATH=/usr/bin:/bin; {script}");
    let args = [&["pop", "q"], options, &["--", "/bin/sh", "-c", &script]].concat();
    let calls = {
        let kv = prepare();
        _ = strace(&kv, &args, &[]);
        calls_of(&fs::read_to_string(kv.path("trace")).unwrap())
    };
    let (mut done, mut moved, mut both) = (0, 0, 0);
    // Each of them by KV_TEST_ALL=1, which takes its time.
    let all = std::env::var_os("KV_TEST_ALL").is_some();
    let tried = calls
        .iter()
        .step_by(if all { 1 } else { 1 + calls.len() / 100 });
    let tries = tried.len();
    for point in tried {
        let kv = prepare();
        let (name, n) = point;
        let inject = format!("inject={name}:signal=KILL:when={n}");
        let output = strace(&kv, &args, &["-e", &inject]);
        // How often it looks whether its program has ended is a matter of luck.
        if output.status.code().is_some() && ["rt_sigtimedwait", "wait4"].contains(&name.as_str()) {
            continue;
        }
        assert_eq!(
            output.status.code(),
            None,
            "not killed at {point:?}: {output:?}"
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("fatal"), "at {point:?}: {said}");
        // Its program ends a moment later.
        let is_free = || kv.run(["items", "q", "--long"]).stdout_text();
        until("the element is free", || !is_free().contains('@'));
        let done_by_it = fs::read_to_string(kv.path("done")).unwrap_or_default();
        let drain =
            "while kv pop q --attempts 1 -- sh -c 'cat; echo'; do :; done; kv items q.failed";
        let mut rest = kv.shell("sh", drain).stdout_text().replace('\n', "");
        let all: BTreeSet<char> = (done_by_it.clone() + &rest).chars().collect();
        assert_eq!(
            all,
            BTreeSet::from(['a', 'b']),
            "{point:?}: {rest}, {done_by_it}"
        );
        rest.retain(|c| c == 'a');
        done += usize::from(!done_by_it.is_empty());
        both += usize::from(done_by_it.len() + rest.len() > 1);
        moved += kv.run(["items", "q.failed"]).stdout().len() / 2;
        holds(&kv, "q", "");
    }
    tell_count(&format!(
        "killed before {tries} of {} system calls: done by it {done} times and twice {both} times, \
         {moved} elements moved",
        calls.len()
    ));
}

/// Runs kv, and not its program, under strace.
fn strace(kv: &Sandbox, args: &[&str], options: &[&str]) -> Output {
    let mut command = Command::new("strace");
    command
        .args(["-o", "trace"])
        .args(options)
        .arg(KV)
        .args(args);
    command.current_dir(kv.root()).env_clear();
    command.env("KV_STORE", kv.location()).stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn workers_that_are_killed_in_a_directory_lose_nothing() {
    nothing_is_lost(&Sandbox::new());
}

#[test]
fn workers_that_are_killed_in_sqlite_lose_nothing() {
    nothing_is_lost(&Sandbox::on(Engine::Sqlite));
}

fn nothing_is_lost(kv: &Sandbox) {
    let names: Vec<String> = (0..40).map(|number| format!("job{number}")).collect();
    push(kv, &names.iter().map(String::as_str).collect::<Vec<_>>());
    // The lock of the system is free when the one who has it is dead. Whoever dies may have given the element back a
    // moment before, as the kernel closes files in no certain order, but does nothing any more.
    let script = "exec 2>>\"busy.$KV_ELEMENT\"; job=$(cat); count() { cat done | grep -cx \"$job\"; }
                  flock -n 2 || {
                      was=$(count); flock -w 10 2 && [ \"$(count)\" = \"$was\" ] || echo \"$KV_ELEMENT\" >>twice
                  }
                  echo \"$job\" >>begun; sleep 0.003; echo \"$job\" >>done";
    let counts = thread::scope(|scope| {
        let workers = [0_u64, 1, 2, 3].map(|worker| {
            scope.spawn(move || {
                let (mut runs, mut killed) = (0, 0);
                loop {
                    runs += 1;
                    assert!(runs < 2_000, "it does not end");
                    let mut command = scripted(kv, &["pop", "q"], script);
                    let mut child = command.process_group(0).spawn().unwrap();
                    let random = (worker * 7_919 + runs * 104_729) % 12_000;
                    match random % 3 {
                        0 => {
                            thread::sleep(Duration::from_micros(random));
                            _ = child.kill();
                        }
                        1 if random % 2 == 0 => {
                            thread::sleep(Duration::from_micros(random));
                            let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
                            _ = killpg(group, Signal::SIGKILL);
                        }
                        _ => {}
                    }
                    match child.wait().unwrap().code() {
                        Some(0) => {}
                        Some(1) if kv.run(["items", "q"]).stdout().is_empty() => break,
                        Some(1) => {}
                        None => killed += 1,
                        status => panic!("{status:?}"),
                    }
                }
                (runs, killed)
            })
        });
        workers.map(|worker| worker.join().unwrap())
    });
    assert!(!kv.path("twice").exists(), "two worked on one at once");
    let lines = |name: &str| fs::read_to_string(kv.path(name)).unwrap();
    let done = lines("done");
    let done: Vec<&str> = done.lines().collect();
    let each: BTreeSet<&str> = done.iter().copied().collect();
    assert_eq!(each, names.iter().map(String::as_str).collect());
    let runs: u64 = counts.iter().map(|(runs, _)| runs).sum();
    let killed: u64 = counts.iter().map(|(_, killed)| killed).sum();
    assert!(killed > 0);
    tell_count(&format!(
        "{} elements by 4 workers in {runs} runs, {killed} of them killed: begun {} times, done {} \
         times, none lost, none by two at once",
        names.len(),
        lines("begun").lines().count(),
        done.len()
    ));
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}
