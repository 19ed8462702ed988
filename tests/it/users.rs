//! Other users: who is kept out, who shares, who only reads.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, can_trace};
use crate::machine::{Commons, mode_and_group};

const NOBODY: (u32, u32) = (65_534, 65_534);

#[test]
fn a_store_is_closed_to_others() {
    let Some(commons) = Commons::new() else {
        return;
    };
    commons.kv.put("k", "v");
    for args in [
        &["get", "k"][..],
        &["get", "k", "--default", "d"],
        &["has", "k"],
        &["ls"],
        &["namespaces"],
        &["gc"],
        &["info"],
        &["put", "k", "w"],
        &["remove", "k"],
        &["remove", "-f", "k"],
    ] {
        commons
            .run_as(NOBODY, args)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["store`", "Permission denied"]);
    }
    commons.kv.holds("k", "v");
}

#[test]
fn a_store_that_cannot_be_made_is_named() {
    let Some(commons) = Commons::new() else {
        return;
    };
    commons
        .run_as(NOBODY, ["put", "k", "v"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["cannot make the directory", "store`", "Permission denied"]);
    commons
        .run_as(NOBODY, ["get", "k"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
fn a_value_file_that_cannot_be_read_is_named() {
    let Some(commons) = Commons::new() else {
        return;
    };
    let secret = commons.kv.path("secret");
    fs::write(&secret, "s").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    commons
        .run_as(NOBODY, ["put", "k", "--file", "secret"])
        .ends(Exit::Failure)
        .prints("")
        .complains(&["cannot open `secret`", "Permission denied"]);
}

#[test]
fn a_store_without_write_permission_can_be_read() {
    let Some(commons) = Commons::new() else {
        return;
    };
    let kv = &commons.kv;
    kv.put("k", "v");
    kv.shell("sh", "chmod -R a+rX store && chmod -R a-w store")
        .ends(Exit::Success)
        .is_silent();
    for (args, want) in [
        (&["get", "k"][..], "v"),
        (&["ls", "--values"], "k\tv\n"),
        (&["has", "k"], ""),
        (&["namespaces"], "default\n"),
    ] {
        commons
            .run_as(NOBODY, args)
            .ends(Exit::Success)
            .prints(want)
            .warns("");
    }
    for args in [
        &["get", "absent"][..],
        &["remove", "absent"],
        &["put", "k", "w", "--if-absent"],
    ] {
        commons.run_as(NOBODY, args).ends(Exit::No).is_silent();
    }
    for args in [
        &["put", "k", "w"][..],
        &["remove", "k"],
        &["get", "k", "--remove"],
        &["expire", "k", "1h"],
        &["namespaces", "--remove", "default"],
    ] {
        commons
            .run_as(NOBODY, args)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["cannot ", "Permission denied"]);
    }
    assert_eq!(kv.litter(), [""; 0]);
    kv.holds("k", "v");
}

#[test]
fn an_entry_that_cannot_be_read_is_a_failure_and_not_an_absence() {
    let Some(commons) = Commons::new() else {
        return;
    };
    let kv = &commons.kv;
    kv.put("k", "v");
    kv.shell("sh", "chmod -R a+rwX store")
        .ends(Exit::Success)
        .is_silent();
    fs::set_permissions(kv.file_of(b"k"), fs::Permissions::from_mode(0o600)).unwrap();
    for args in [
        &["get", "k"][..],
        &["has", "k"],
        &["put", "k", "w"],
        &["put", "k", "w", "--if-absent"],
        &["remove", "k"],
        &["ls"],
    ] {
        commons
            .run_as(NOBODY, args)
            .ends(Exit::Failure)
            .prints("")
            .complains(&["objects/", "Permission denied"]);
    }
    kv.holds("k", "v");
}

/// Makes the directory of a group's store, as `mkdir -m 2770` does.
fn share(kv: &Sandbox, gid: u32) {
    fs::create_dir(kv.store()).unwrap();
    chown(kv.store(), None, Some(gid)).unwrap();
    fs::set_permissions(kv.store(), fs::Permissions::from_mode(0o2770)).unwrap();
}

#[test]
fn two_users_of_a_group_share_a_store() {
    const GROUP: u32 = 64_001;
    let users = [(64_101, GROUP), (64_102, GROUP)];
    let Some(commons) = Commons::new() else {
        return;
    };
    share(&commons.kv, GROUP);
    for round in 0..3 {
        let (one, other) = (users[round % 2], users[1 - round % 2]);
        let step = |user, args: &[&str], want: &str| {
            commons
                .run_as(user, args)
                .ends(Exit::Success)
                .prints(want)
                .warns("");
        };
        step(one, &["put", "k", "1"], "");
        step(other, &["get", "k"], "1");
        step(other, &["put", "k", "2", "--ttl", "1h"], "");
        step(one, &["put", "k", "3", "--ttl", "1h"], "");
        step(other, &["expire", "k", "never"], "");
        step(one, &["get", "k", "--remove"], "3");
        step(one, &["put", "other", "x"], "");
        step(other, &["remove", "other"], "");
        step(one, &["put", "last", "x"], "");
        step(other, &["ls"], "last\n");
        step(other, &["namespaces", "--remove", "default"], "");
    }
    commons
        .run_as(NOBODY, ["ls"])
        .ends(Exit::Failure)
        .complains(&["Permission denied"]);
}

#[test]
fn all_that_a_group_store_holds_is_the_groups_whatever_the_umask() {
    const GROUP: u32 = 64_001;
    let Some(commons) = Commons::new() else {
        return;
    };
    let kv = &commons.kv;
    share(kv, GROUP);
    // A root of another group stands for a user with a group of his own.
    kv.shell("sh", "umask 077 && kv put k v --ttl 1h")
        .ends(Exit::Success)
        .is_silent();
    for entry in walkdir::WalkDir::new(kv.store()) {
        let entry = entry.unwrap();
        let want = match entry.file_type().is_dir() {
            true => 0o2770,
            false => 0o660,
        };
        let path: &Path = entry.path();
        assert_eq!(mode_and_group(path), (want, GROUP), "{}", path.display());
    }
    let mut get = commons.kv_as((64_101, GROUP), ["get", "k"]);
    Ran::of(&mut get).ends(Exit::Success).prints("v");
}

#[test]
fn a_lock_file_is_the_groups_from_its_first_moment_on() {
    const GROUP: u32 = 64_001;
    let Some(commons) = Commons::new() else {
        return;
    };
    if !can_trace() {
        return;
    }
    share(&commons.kv, GROUP);
    let args = ["put", "--sync", "off", "k", "v"];
    let quick = commons.kv_as((64_102, GROUP), args);
    let mut slow = Command::new("strace");
    slow.args(["-q", "-o", "/dev/null", "-e", "trace=fchmod"])
        .args(["-e", "inject=fchmod:delay_enter=300000"])
        .arg(quick.get_program())
        .args(args)
        .env_clear()
        .env("KV_STORE", commons.kv.store())
        .stdin(Stdio::null())
        .uid(64_101)
        .gid(GROUP);
    let mut slow = slow.spawn().unwrap();
    while commons.kv.names_in("locks").is_empty() {
        assert!(slow.try_wait().unwrap().is_none_or(|done| done.success()));
        thread::sleep(Duration::from_millis(1));
    }
    commons
        .run_as((64_102, GROUP), args)
        .ends(Exit::Success)
        .is_silent();
    assert!(slow.wait().unwrap().success());
}
