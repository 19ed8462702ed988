//! `kv lock`: who may run when. What all that run a program share is in `program.rs`.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};

use crate::harness::{Ran, Sandbox, until};
use crate::process::{Started, is_alive, pid_in, state, until_there};

/// Runs a program that holds the lock until the file `end` comes.
pub fn hold(kv: &Sandbox, args: &[&str]) -> Started {
    let ready = kv.path("ready");
    _ = fs::remove_file(&ready);
    let script =
        "echo $$ >pid; echo >ready; while ! [ -e end ]; do sleep 0.01; done; echo a >>order";
    let started = Started::script(kv, args, script);
    until_there(&ready);
    started
}

fn release(kv: &Sandbox, holder: Started) {
    fs::write(kv.path("end"), "").unwrap();
    holder.end().ends(Exit::Success).is_silent();
    fs::remove_file(kv.path("end")).unwrap();
}

/// Tries for the lock once.
fn attempt(kv: &Sandbox, args: &[&str]) -> Ran {
    kv.run(args.iter().chain(&["--no-wait", "--", "true"]))
}

fn is_free(kv: &Sandbox) {
    attempt(kv, &["lock", "job"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn one_runs_at_a_time() {
    let kv = Sandbox::new();
    fs::write(kv.path("count"), "0\n").unwrap();
    let script = "for i in $(seq 20); do \
                  kv lock job -- sh -c 'n=$(cat count); echo $((n + 1)) >count' || exit; done";
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| kv.shell("sh", script).ends(Exit::Success).is_silent());
        }
    });
    assert_eq!(fs::read(kv.path("count")).unwrap(), b"160\n");
}

#[test]
pub fn who_does_not_wait_is_turned_away_in_silence() {
    let kv = Sandbox::new();
    let holder = hold(&kv, &["lock", "job"]);
    kv.run(["lock", "--no-wait", "job", "--", "touch", "ran"])
        .ends(Exit::Program(124))
        .is_silent();
    release(&kv, holder);
    assert!(!kv.path("ran").exists());
    is_free(&kv);
}

#[test]
pub fn who_waits_in_vain_says_so_in_a_line() {
    let kv = Sandbox::new();
    let _holder = hold(&kv, &["lock", "job"]);
    for patience in ["0", "50ms"] {
        kv.run(["lock", "job", "--wait", patience, "--", "touch", "ran"])
            .ends(Exit::Program(124))
            .prints("")
            .complains(&["job", "in use"]);
    }
    assert!(!kv.path("ran").exists());
}

#[test]
pub fn without_an_option_it_waits_as_long_as_it_takes() {
    let kv = Sandbox::new();
    for options in [&[][..], &["--wait", "1h"], &["--busy-timeout", "0"]] {
        let holder = hold(&kv, &["lock", "job"]);
        let args = [&["lock", "job"], options].concat();
        let mut waiter = Started::script(&kv, &args, "echo b >>order");
        // As long as a patience that must not count would have lasted.
        thread::sleep(Duration::from_millis(200));
        until("it waits", || state(waiter.pid()) == Some('S'));
        assert!(waiter.is_running());
        release(&kv, holder);
        waiter.end().ends(Exit::Success).is_silent();
        assert_eq!(fs::read(kv.path("order")).unwrap(), b"a\nb\n");
        fs::remove_file(kv.path("order")).unwrap();
    }
}

#[test]
pub fn wait_and_no_wait_exclude_each_other() {
    let kv = Sandbox::new();
    kv.run(["lock", "job", "--wait", "1", "--no-wait", "--", "true"])
        .ends(Exit::Program(125))
        .complains(&["--wait", "--no-wait"]);
}

#[test]
pub fn those_who_share_run_together_and_with_nobody_else() {
    let kv = Sandbox::new();
    let shared = ["lock", "job", "--shared"];
    let (first, second) = (hold(&kv, &shared), hold(&kv, &shared));
    attempt(&kv, &shared).ends(Exit::Success).is_silent();
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
    drop(first);
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
    release(&kv, second);
    let _alone = hold(&kv, &["lock", "job"]);
    attempt(&kv, &shared).ends(Exit::Program(124)).is_silent();
}

#[test]
pub fn a_lock_belongs_to_its_namespace() {
    let kv = Sandbox::new();
    let _holder = hold(&kv, &["lock", "job"]);
    for args in [
        &["lock", "other"][..],
        &["-n", "other", "lock", "job"],
        &["lock", "job", "--store", "elsewhere"],
    ] {
        attempt(&kv, args).ends(Exit::Success).is_silent();
    }
    attempt(&kv, &["-n", "default", "lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
}

#[test]
pub fn a_lock_and_a_key_of_one_name_are_strangers() {
    let kv = Sandbox::new();
    let _holder = hold(&kv, &["lock", "job"]);
    kv.lacks("job");
    kv.run(["ls"]).ends(Exit::Success).is_silent();
    let now = ["--busy-timeout", "0"];
    kv.run(now.iter().chain(&["put", "job", "1"]))
        .ends(Exit::Success)
        .is_silent();
    kv.holds("job", "1");
    kv.run(now.iter().chain(&["remove", "job"]))
        .ends(Exit::Success)
        .is_silent();
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
}

#[test]
pub fn a_name_is_any_bytes() {
    let kv = Sandbox::new();
    let long = [b'n'; 65_535];
    for name in [
        &b"a b"[..],
        b"a/../b",
        b"\n",
        b"\xff\xfe",
        b"-",
        b"-1",
        b".",
        &long,
    ] {
        let args = |cmd: &'static str| {
            let name = std::ffi::OsStr::from_bytes(name);
            let words = ["lock", "", "--no-wait", "--", "sh", "-c", cmd];
            let mut words = words.map(std::ffi::OsStr::new);
            words[1] = name;
            words
        };
        kv.run(args("exit 9")).ends(Exit::Program(9)).is_silent();
    }
    let long = "n".repeat(65_536);
    kv.run(["lock", &long, "--", "true"])
        .ends(Exit::Program(125))
        .complains(&["65"]);
}

#[test]
pub fn standard_input_is_the_programs() {
    let kv = Sandbox::new();
    kv.feed(["lock", "job", "--", "cat"], b"all\0of it")
        .ends(Exit::Success)
        .prints("all\0of it")
        .warns("");
    let script = "printf 'a\\nb\\n' | while read -r line; do \
                  kv lock job -- sh -c 'cat >rest'; echo \"$line\"; done; cat rest";
    kv.shell("sh", script).ends(Exit::Success).prints("a\nb\n");
}

#[test]
pub fn what_goes_on_in_the_background_has_no_lock() {
    let kv = Sandbox::new();
    let script = "setsid sleep 600 >/dev/null 2>&1 & echo $! >pid";
    Started::script(&kv, &["lock", "job"], script)
        .end()
        .ends(Exit::Success)
        .is_silent();
    is_free(&kv);
    let background = pid_in(&kv.path("pid"));
    assert!(is_alive(background));
    kill(background, Signal::SIGKILL).unwrap();
}

#[test]
pub fn a_lock_that_is_inherited_is_free_when_the_last_is_gone() {
    let kv = Sandbox::new();
    let script = "setsid sleep 600 >/dev/null 2>&1 & echo $! >pid";
    let holder = Started::script(&kv, &["lock", "job", "--inherit"], script);
    let by = holder.pid();
    holder.end().ends(Exit::Success).is_silent();
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
    let shown = kv.run(["lock", "--show", "job"]).ends(Exit::Success);
    assert!(shown.stdout_text().starts_with(&format!("pid: {by}\n")));
    let background = pid_in(&kv.path("pid"));
    kill(background, Signal::SIGKILL).unwrap();
    until("it is gone", || !is_alive(background));
    is_free(&kv);
}

#[test]
pub fn a_program_that_inherits_a_lock_lives_on_with_it() {
    let kv = Sandbox::new();
    let holder = hold(&kv, &["lock", "job", "--inherit"]);
    let program = pid_in(&kv.path("pid"));
    holder.signal(Signal::SIGKILL);
    until("kv is gone", || !is_alive(holder.pid()));
    assert!(is_alive(program));
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
    fs::write(kv.path("end"), "").unwrap();
    // What it prints goes on until the program has ended as well.
    holder.end().ends(Exit::Signal(9)).is_silent();
    until("it is gone", || !is_alive(program));
    is_free(&kv);
    assert_eq!(fs::read(kv.path("order")).unwrap(), b"a\n");
}

#[test]
pub fn what_is_shared_is_inherited_shared() {
    let kv = Sandbox::new();
    let holder = hold(&kv, &["lock", "job", "--inherit", "--shared"]);
    attempt(&kv, &["lock", "job", "--shared"])
        .ends(Exit::Success)
        .is_silent();
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
    release(&kv, holder);
    is_free(&kv);
}

#[test]
pub fn a_loss_is_nothing_where_locks_cannot_be_lost() {
    let kv = Sandbox::new();
    for what in ["term", "ignore"] {
        let args = ["lock", "job", "--on-loss", what, "--", "sh", "-c", "exit 9"];
        kv.run(args).ends(Exit::Program(9)).is_silent();
    }
    kv.run(["lock", "job", "--on-loss", "x", "--", "touch", "ran"])
        .ends(Exit::Program(125))
        .complains(&["--on-loss", "term", "ignore"]);
    assert!(!kv.path("ran").exists());
}

#[test]
pub fn kv_and_the_program_end_together() {
    let kv = Sandbox::new();
    for _ in 0..5 {
        let holder = hold(&kv, &["lock", "job"]);
        let program = pid_in(&kv.path("pid"));
        holder.signal(Signal::SIGKILL);
        let ran = holder.end();
        assert_eq!(ran.status().signal(), Some(9), "{}", ran.report());
        is_free(&kv);
        until("the program is killed too", || !is_alive(program));
    }
    assert!(!kv.path("order").exists());
}

#[test]
pub fn a_program_that_is_killed_leaves_no_lock() {
    let kv = Sandbox::new();
    let holder = hold(&kv, &["lock", "job"]);
    kill(pid_in(&kv.path("pid")), Signal::SIGKILL).unwrap();
    holder.end().ends(Exit::Signal(9)).is_silent();
    is_free(&kv);
}

#[test]
pub fn a_program_that_does_not_run_leaves_no_lock() {
    let kv = Sandbox::new();
    kv.run(["lock", "job", "--", "./missing"])
        .ends(Exit::Program(127))
        .complains(&["missing"]);
    is_free(&kv);
}

#[test]
fn a_namespace_whose_lock_is_held_stays() {
    let kv = Sandbox::new();
    let holder = hold(&kv, &["lock", "job"]);
    let remove = [
        "namespaces",
        "--remove",
        "default",
        "--busy-timeout",
        "50ms",
    ];
    kv.run(remove)
        .ends(Exit::Busy)
        .prints("")
        .complains(&["in use"]);
    attempt(&kv, &["lock", "job"])
        .ends(Exit::Program(124))
        .is_silent();
    release(&kv, holder);
    kv.run(remove).ends(Exit::Success).is_silent();
    is_free(&kv);
}

#[test]
pub fn a_lock_within_its_own_lock_does_not_come() {
    let kv = Sandbox::new();
    kv.shell("sh", "kv lock job -- kv lock --no-wait job -- true")
        .ends(Exit::Program(124))
        .is_silent();
    kv.shell("sh", "kv lock job -- kv lock --no-wait other -- echo both")
        .ends(Exit::Success)
        .prints("both\n");
}

#[test]
pub fn a_script_of_cron_locks_itself() {
    use std::os::unix::fs::PermissionsExt as _;

    let kv = Sandbox::new();
    let script = "#!/bin/sh\n\
        [ \"$KV_LOCKED\" ] || exec env KV_LOCKED=1 kv lock --no-wait job -- \"$0\" \"$@\"\n\
        echo \"$1\" >>ran\n\
        while ! [ -e end ]; do sleep 0.01; done\n\
        exit 5\n";
    fs::write(kv.path("job"), script).unwrap();
    fs::set_permissions(kv.path("job"), fs::Permissions::from_mode(0o755)).unwrap();
    let first = thread::scope(|scope| {
        let first = scope.spawn(|| kv.shell("sh", "./job 'the first'"));
        until_there(&kv.path("ran"));
        kv.shell("sh", "./job 'the second'")
            .ends(Exit::Program(124))
            .is_silent();
        fs::write(kv.path("end"), "").unwrap();
        first.join().unwrap()
    });
    first.ends(Exit::Program(5)).is_silent();
    assert_eq!(fs::read(kv.path("ran")).unwrap(), b"the first\n");
    kv.shell("sh", "./job 'the third'")
        .ends(Exit::Program(5))
        .is_silent();
}
