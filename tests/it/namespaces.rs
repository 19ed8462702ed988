//! `kv namespaces`, and what a namespace can be called.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use kv::exit::Exit;

use crate::harness::{KV, Ran, Sandbox, cannot_run, names_in, until};
use crate::kills::can_inject;
use crate::machine::{Commons, is_root};
use crate::process::{Started, state, until_there};

fn with(names: &[&str]) -> Sandbox {
    let kv = Sandbox::new();
    for name in names {
        kv.run(["-n", name, "put", "k", name])
            .ends(Exit::Success)
            .is_silent();
    }
    kv
}

#[test]
pub fn lists_names_in_byte_order() {
    let kv = with(&["b", "a b", "B", "ä"]);
    kv.run(["namespaces"])
        .ends(Exit::Success)
        .prints("B\na b\nb\nä\n")
        .warns("");
    kv.run(["namespaces", "-0"])
        .ends(Exit::Success)
        .prints("B\0a b\0b\0ä\0");
}

#[test]
pub fn a_store_that_does_not_exist_has_none() {
    let kv = Sandbox::new();
    kv.run(["namespaces"]).ends(Exit::Success).is_silent();
    kv.run(["namespaces", "--remove", "a"])
        .ends(Exit::No)
        .is_silent();
    assert!(!kv.store().exists());
}

#[test]
fn what_else_lies_in_the_directory_is_passed_over() {
    let kv = with(&["a"]);
    std::fs::create_dir(kv.store().join("lost+found")).unwrap();
    std::fs::write(kv.store().join("README"), "hello").unwrap();
    kv.run(["namespaces"]).ends(Exit::Success).prints("a\n");
}

#[test]
pub fn namespaces_do_not_see_each_other() {
    let kv = with(&["a", "b"]);
    kv.run(["-n", "a", "get", "k"])
        .ends(Exit::Success)
        .prints("a");
    kv.run(["-n", "a", "remove", "k"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["get", "k", "--namespace", "b"])
        .ends(Exit::Success)
        .prints("b");
    kv.lacks("k");
}

#[test]
fn remove_takes_one_namespace_with_all_it_holds() {
    let kv = with(&["a", "b"]);
    kv.run(["namespaces", "--remove", "a", "--dry-run"])
        .ends(Exit::Success)
        .prints("k\n");
    kv.run(["namespaces", "--remove", "a"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(names_in(&kv.store()), ["b"]);
    for options in [&[][..], &["--dry-run"]] {
        kv.run(["namespaces", "--remove", "a"].iter().chain(options))
            .ends(Exit::No)
            .is_silent();
    }
    kv.run(["-n", "a", "put", "k", "new"])
        .ends(Exit::Success)
        .is_silent();
    kv.run(["-n", "a", "get", "k"])
        .ends(Exit::Success)
        .prints("new");
}

#[test]
pub fn dry_run_needs_something_to_remove() {
    let kv = with(&["a"]);
    kv.run(["namespaces", "--dry-run"])
        .ends(Exit::Usage)
        .complains(&["--remove"]);
}

#[test]
pub fn a_name_is_a_name_and_no_path() {
    let kv = Sandbox::new();
    let long = "n".repeat(256);
    for bad in ["", ".", "..", ".x", "a/b", "/a", "a\nb", "a\x1bb", &long] {
        kv.run(["-n", bad, "put", "k", "v"])
            .ends(Exit::Usage)
            .complains(&["--namespace"]);
        kv.run(["namespaces", "--remove", bad])
            .ends(Exit::Usage)
            .complains(&["--remove"]);
    }
    assert!(!kv.store().exists());
    for good in ["a.b", "-", "häuser", " ", &long[1..]] {
        kv.run(["--namespace", good, "put", "k", "v"])
            .ends(Exit::Success)
            .is_silent();
    }
}

/// Runs kv with a fault in a system call.
fn strace(kv: &Sandbox, fault: &str, args: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "trace", "-e", fault, KV]);
    command.args(args).current_dir(kv.root()).env_clear();
    command.env("KV_STORE", kv.store()).stdin(Stdio::null());
    command
}

#[test]
fn a_lock_that_is_made_while_its_namespace_is_removed_has_one_holder() {
    if !can_inject() {
        return cannot_run("strace, which delays a system call, does not work here");
    }
    let kv = with(&["default"]);
    let slow = "inject=renameat:delay_enter=1500000";
    let mut removal = strace(&kv, slow, &["namespaces", "--remove", "default"]);
    let mut removal = removal.spawn().unwrap();
    let last = kv.space().join("locks/ff");
    until("the removal holds all locks", || {
        let mut flock = Command::new("flock");
        flock.arg("-n").arg(&last).arg("true");
        last.exists() && !flock.status().unwrap().success()
    });
    let mut holder = kv.kv(["lock", "new", "--", "sh", "-c", "touch started; sleep 60"]);
    let mut holder = holder.current_dir(kv.root()).spawn().unwrap();
    assert!(removal.wait().unwrap().success());
    until("there is a holder", || kv.path("started").exists());
    let second = kv.run(["lock", "--no-wait", "new", "--", "true"]);
    let status = second.status().code();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(status, Some(124), "{}", second.report());
}

/// Who has a named lock may be about to write: what removes the namespace waits for the one, and keeps nobody from
/// the other.
#[test]
fn who_writes_under_a_lock_of_its_own_is_waited_for() {
    let kv = with(&["b"]);
    let script = "echo >held; until [ -e go ]; do sleep 0.01; done; kv -n b put under lock";
    let holder = Started::script(&kv, &["-n", "b", "lock", "l"], script);
    until_there(&kv.path("held"));
    let removal = kv.kv(["namespaces", "--remove", "b"]);
    let removal = Started::new(removal);
    until("it waits", || state(removal.pid()) == Some('S'));
    kv.run(["-n", "b", "put", "beside", "it"])
        .ends(Exit::Success);
    fs::write(kv.path("go"), "").unwrap();
    holder.end().ends(Exit::Success).is_silent();
    removal.end().ends(Exit::Success);
    kv.run(["namespaces"]).ends(Exit::Success).prints("");
}

#[test]
fn one_that_cannot_get_another_name_is_removed() {
    if !can_inject() {
        return cannot_run("strace, which lets a system call fail, does not work here");
    }
    let kv = with(&["a", "b"]);
    kv.run(["-n", "a", "gc"]).ends(Exit::Success);
    kv.run(["-n", "a", "put", "loose", "v"]).ends(Exit::Success);
    kv.run(["-n", "a", "lock", "l", "--", "true"])
        .ends(Exit::Success);
    let fault = "inject=renameat:error=EXDEV";
    Ran::of(&mut strace(&kv, fault, &["namespaces", "--remove", "a"])).ends(Exit::Success);
    assert_eq!(names_in(&kv.store()), ["b"]);
    kv.run(["-n", "a", "put", "k", "new"]).ends(Exit::Success);
    kv.run(["-n", "a", "ls"]).ends(Exit::Success).prints("k\n");
}

const OF_ALL: [(&[&str], &str); 5] = [
    (&["export", "--all"], "\"namespace\":\"other\""),
    (&["namespaces", "-l"], "1\t6\tother\n"),
    (&["info"], "namespace: other\n"),
    (&["fsck"], ""),
    (&["gc"], ""),
];

#[test]
fn one_that_this_user_may_not_enter_is_not_passed_over() {
    let Some(commons) = Commons::new() else {
        return;
    };
    let kv = &commons.kv;
    for name in ["mine", "other"] {
        kv.run(["-n", name, "put", "k", name]).ends(Exit::Success);
    }
    kv.shell("sh", "chmod -R a+rwX store; mkdir -m 700 store/lost+found")
        .ends(Exit::Success);
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(kv.store().join("mine"), mode).unwrap();
    };
    let run = |args: &[&str]| Ran::of(&mut commons.kv_as((65_534, 65_534), args));
    for closed in [0o000, 0o600] {
        mode(closed);
        for (args, other) in OF_ALL {
            let ran = run(args).ends(Exit::Failure);
            assert!(ran.stdout_text().contains(other), "{}", ran.report());
            ran.complains(&["mine", "Permission denied"]);
        }
    }
    mode(0o777);
    run(&["namespaces"])
        .ends(Exit::Success)
        .prints("mine\nother\n");
    run(&["export", "--all"]).ends(Exit::Success).warns("");
}

#[test]
fn a_link_to_one_is_told_by_all_that_go_through_all() {
    let kv = with(&["linked", "other"]);
    fs::rename(kv.store().join("linked"), kv.path("elsewhere")).unwrap();
    symlink(kv.path("elsewhere"), kv.store().join("linked")).unwrap();
    symlink("nowhere", kv.store().join("broken")).unwrap();
    for (args, other) in OF_ALL {
        let ran = kv.run(args).ends(Exit::Damaged);
        assert!(ran.stdout_text().contains(other), "{}", ran.report());
        let told = [ran.stdout_text(), ran.stderr_text()].concat();
        assert!(
            told.contains("linked") && !told.contains("broken"),
            "{told}"
        );
    }
}

/// A store in a container's image, say.
#[test]
fn one_in_the_lower_layer_of_an_overlay_is_removed() {
    if !is_root() {
        return;
    }
    let kv = with(&["a", "b"]);
    kv.run(["-n", "a", "gc"]).ends(Exit::Success);
    kv.run(["push", "jobs", "x"]).ends(Exit::Success);
    // What lies above is in memory, as not every file system can be that.
    let script = "mkdir -p up merged && mount -t tmpfs none up && mkdir -m 700 up/upper up/work &&
        mount -t overlay -o lowerdir=store,upperdir=up/upper,workdir=up/work,redirect_dir=off \
        none merged";
    let mounted = kv.shell("sh", script).status().success();
    if mounted {
        let script = "set -e; export KV_STORE=merged
            kv namespaces --remove a; kv namespaces
            kv pop jobs; echo; kv push jobs y; kv namespaces --remove jobs
            kv -n a put k v; kv -n a ls; kv fsck";
        let ran = kv.shell("sh", script);
        _ = kv.shell("sh", "umount merged");
        _ = kv.shell("sh", "umount up");
        ran.ends(Exit::Success).prints("b\njobs\nx\nk\n");
    } else {
        _ = kv.shell("sh", "umount up");
        cannot_run("no overlay can be mounted here");
    }
    assert!(fs::exists(kv.store().join("a")).unwrap());
}
