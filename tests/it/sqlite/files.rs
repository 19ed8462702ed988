//! The files of a store in SQLite: who may read and write them, and what names lead to them.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Stdio;

use kv::exit::Exit;

use super::{database, reader, sandbox};
use crate::harness::{Engine, Ran, Sandbox, names_in, until};
use crate::machine::{Commons, Mount, mode_and_group};
use crate::process::Started;

const NOBODY: (u32, u32) = (65_534, 65_534);

/// The numbers of `clock_nanosleep` and, for musl, of `nanosleep`, in which SQLite waits for a lock.
const SLEEPS: [&str; 4] = ["230", "115", "35", "101"];
/// Those of `read` of standard input, with the descriptor.
const READS: [&str; 2] = ["0 0x0 ", "63 0x0 "];

/// Waits until a command waits for a lock of SQLite.
pub fn until_it_waits(started: &Started) {
    until("it waits for the lock", || {
        let in_call = fs::read_to_string(format!("/proc/{}/syscall", started.pid()));
        let in_call = in_call.unwrap_or_default();
        SLEEPS.contains(&in_call.split(' ').next().unwrap_or_default())
    });
}

fn run_as(commons: &Commons, user: (u32, u32), args: &[&str]) -> Ran {
    let location = format!("sqlite:{}", commons.kv.path("shared/store").display());
    Ran::of(commons.kv_as(user, args).env("KV_STORE", location))
}

/// Makes a directory for the store of `commons`.
fn directory(commons: &Commons, mode: u32, gid: u32) {
    let dir = commons.kv.path("shared");
    fs::create_dir(&dir).unwrap();
    chown(&dir, None, Some(gid)).unwrap();
    fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_cannot_be_written_can_be_read() {
    let Some(commons) = Commons::new() else {
        return;
    };
    // Whether or not a log could be made: it would be one that the owner cannot use.
    for mode in [0o755, 0o777] {
        directory(&commons, mode, 0);
        let dir = commons.kv.path("shared");
        let root = (0, 0);
        run_as(&commons, root, &["put", "k", "v"]).ends(Exit::Success);
        let all = Permissions::from_mode(0o644);
        fs::set_permissions(dir.join("store"), all).unwrap();
        let reads = || {
            for (args, want) in [
                (&["get", "k"][..], "v"),
                (&["ls", "--values"], "k\tv\n"),
                (&["namespaces"], "default\n"),
                (&["fsck"], ""),
            ] {
                let ran = run_as(&commons, NOBODY, args);
                ran.ends(Exit::Success).prints(want).warns("");
            }
            run_as(&commons, NOBODY, &["get", "absent"]).ends(Exit::No);
            run_as(&commons, NOBODY, &["put", "k", "w"])
                .ends(Exit::Failure)
                .complains(&["store`", "cannot be written to"]);
        };
        reads();
        assert_eq!(names_in(&dir), ["store"]);
        // What the owner has not brought home is read from the log beside it.
        let owner = reader(&dir.join("store"));
        run_as(&commons, root, &["put", "k", "old"]).ends(Exit::Success);
        run_as(&commons, root, &["put", "k", "v"]).ends(Exit::Success);
        reads();
        fs::set_permissions(dir.join("store-shm"), Permissions::from_mode(0o600)).unwrap();
        run_as(&commons, NOBODY, &["get", "k"])
            .ends(Exit::Failure)
            .complains(&["cannot open", "last changes are in", "store-wal"]);
        drop(owner);
        // So it is with the tables of the version before.
        let owner = rusqlite::Connection::open(dir.join("store")).unwrap();
        owner.execute_batch("PRAGMA user_version = 1").unwrap();
        drop(owner);
        reads();
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let Some(commons) = Commons::new() else {
        return;
    };
    directory(&commons, 0o755, 0);
    run_as(&commons, (0, 0), &["put", "k", "v"]).ends(Exit::Success);
    for args in [&["get", "k"][..], &["put", "k", "w"], &["fsck"]] {
        let ran = run_as(&commons, NOBODY, args).ends(Exit::Failure);
        ran.complains(&["cannot open", "store`", "Permission denied"]);
    }
}

#[test]
fn locks_leave_nothing_beside_what_cannot_be_written_and_come_back_with_it() {
    let Some(commons) = Commons::new() else {
        return;
    };
    directory(&commons, 0o777, 0);
    let dir = commons.kv.path("shared");
    let set_mode = |mode| fs::set_permissions(dir.join("store"), Permissions::from_mode(mode));
    let lock = ["lock", "job", "--no-wait", "--", "true"];
    run_as(&commons, NOBODY, &["put", "k", "v"]).ends(Exit::Success);
    set_mode(0o444).unwrap();
    let ran = run_as(&commons, NOBODY, &lock).ends(Exit::Program(125));
    ran.complains(&["cannot write to", "store`", "Permission denied"]);
    assert_eq!(names_in(&dir), ["store"]);
    // Whom no mode keeps out leaves what the owner can use.
    run_as(&commons, (0, 0), &lock).ends(Exit::Program(0));
    assert_eq!(mode_and_group(&dir.join("store-locks")).0 & 0o700, 0o700);
    fs::remove_dir_all(dir.join("store-locks")).unwrap();
    set_mode(0o600).unwrap();
    run_as(&commons, NOBODY, &lock).ends(Exit::Program(0));
    // What an earlier version left is its owner's to use again.
    let left = Permissions::from_mode(0o555);
    fs::set_permissions(dir.join("store-locks"), left).unwrap();
    let other = ["lock", "other", "--no-wait", "--", "true"];
    run_as(&commons, NOBODY, &other).ends(Exit::Program(0));
}

#[test]
fn a_store_on_a_disk_that_is_not_to_be_written_can_be_read() {
    let kv = sandbox();
    let Some(disk) = Mount::tmpfs(&kv, "size=4m") else {
        return;
    };
    let location = format!("sqlite:{}", disk.store().display());
    let run = |args: &[&str]| Ran::of(kv.kv(args).env("KV_STORE", &location));
    run(&["put", "k", "v"]).ends(Exit::Success);
    disk.make_read_only();
    run(&["get", "k"]).ends(Exit::Success).prints("v").warns("");
    run(&["ls"]).ends(Exit::Success).prints("k\n").warns("");
    run(&["put", "k", "w"]).ends(Exit::Failure).prints("");
}

#[test]
fn a_store_in_the_directory_of_a_group_is_the_groups() {
    const GROUP: u32 = 64_001;
    let Some(commons) = Commons::new() else {
        return;
    };
    let (one, other) = ((64_101, GROUP), (64_102, GROUP));
    directory(&commons, 0o2770, GROUP);
    let dir = commons.kv.path("shared");
    run_as(&commons, one, &["put", "k", "1"]).ends(Exit::Success);
    let open = rusqlite::Connection::open(dir.join("store")).unwrap();
    run_as(&commons, other, &["put", "k", "2"]).ends(Exit::Success);
    open.query_row("SELECT count(*) FROM entry", [], |_| Ok(()))
        .unwrap();
    run_as(&commons, one, &["put", "k", "3"]).ends(Exit::Success);
    for user in [one, other] {
        let lock = ["lock", "job", "--no-wait", "--", "true"];
        run_as(&commons, user, &lock).ends(Exit::Program(0));
        let show = ["lock", "--show", "job"];
        run_as(&commons, user, &show).ends(Exit::No);
    }
    let mut files = 0;
    for entry in walkdir::WalkDir::new(&dir) {
        let entry = entry.unwrap();
        let want = match entry.file_type().is_dir() {
            true => 0o2770,
            false => 0o660,
        };
        let path: &Path = entry.path();
        assert_eq!(mode_and_group(path), (want, GROUP), "{}", path.display());
        files += 1;
    }
    // The directory, the database, its log, the index of that, the locks, and one of them.
    assert_eq!(files, 6);
}

#[test]
fn a_lock_excludes_by_whatever_name_the_store_is_found() {
    let kv = sandbox();
    fs::create_dir(kv.path("other")).unwrap();
    symlink(kv.store(), kv.path("other/link")).unwrap();
    let by_link = |args: &[&str]| {
        let location = format!("sqlite:{}", kv.path("other/link").display());
        Ran::of(kv.kv(args).env("KV_STORE", location))
    };
    kv.put("k", "v");
    let mut holder = kv.kv(["lock", "job", "--", "sh", "-c", "echo; cat"]);
    let mut holder = holder
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    by_link(&["lock", "job", "--no-wait", "--", "true"]).ends(Exit::Program(124));
    let shown = by_link(&["lock", "--show", "job"]).ends(Exit::Success);
    assert!(shown.stdout_text().contains("pid"), "{}", shown.report());
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert_eq!(names_in(&kv.path("other")), ["link"]);
    by_link(&["get", "k"]).ends(Exit::Success).prints("v");
}

#[test]
fn what_lies_beside_the_database_is_not_followed_and_not_waited_for() {
    let kv = sandbox();
    kv.put("k", "v");
    let beside = |suffix: &str| kv.path(&format!("store{suffix}"));
    let pipe = |path: &Path| {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    pipe(&beside("-shm"));
    kv.holds("k", "v");
    fs::remove_file(beside("-shm")).unwrap();

    // A file that `gc` takes for a lock that nobody holds, but for where it is.
    let other = kv.path("other");
    fs::create_dir(&other).unwrap();
    let not_ours = other.join("da39a3ee5e6b4b0d3255bfef95601890afd80709");
    fs::write(&not_ours, "git").unwrap();
    symlink(&other, beside("-locks")).unwrap();
    let lock = ["lock", "job", "--", "true"];
    let show = ["lock", "job", "--show"];
    let refuses = || {
        for args in [&lock[..], &show] {
            let ran = kv.run(args).ends(Exit::Program(125));
            ran.complains(&["store-locks", "nothing is followed there"]);
        }
        kv.run(["gc"]).ends(Exit::Success).is_silent();
    };
    refuses();
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    fs::remove_file(beside("-locks")).unwrap();

    kv.run(lock).ends(Exit::Program(0));
    let name = &names_in(&beside("-locks"))[0];
    let file = beside("-locks").join(name);
    fs::remove_file(&file).unwrap();
    pipe(&file);
    refuses();
    fs::remove_file(&file).unwrap();
    symlink(&not_ours, &file).unwrap();
    refuses();
    assert_eq!(fs::read(&not_ours).unwrap(), b"git");
}

#[test]
fn a_link_to_nothing_is_named() {
    let kv = sandbox();
    symlink("/nowhere/store", kv.store()).unwrap();
    for args in [&["put", "k", "v"][..], &["get", "k"], &["ls"], &["fsck"]] {
        let ran = kv.run(args).ends(Exit::Failure).prints("");
        ran.complains(&["cannot follow the symbolic link", "store"]);
    }
}

#[test]
fn a_database_of_two_names_is_refused_by_both() {
    let kv = sandbox();
    kv.put("k", "v");
    fs::hard_link(kv.store(), kv.path("other")).unwrap();
    let other = format!("sqlite:{}", kv.path("other").display());
    for args in [&["get", "k"][..], &["put", "k", "w"], &["ls"], &["fsck"]] {
        for ran in [kv.run(args), Ran::of(kv.kv(args).env("KV_STORE", &other))] {
            let ran = ran.ends(Exit::Failure).prints("");
            ran.complains(&["cannot open", "2 names (hard links)", "leave it one name"]);
        }
    }
    fs::remove_file(kv.path("other")).unwrap();
    kv.holds("k", "v");
}

/// Moves a store with its log.
fn move_away(kv: &Sandbox) {
    for suffix in ["", "-wal", "-shm"] {
        let name = |base| kv.path(&format!("{base}{suffix}"));
        _ = fs::rename(name("store"), name("away"));
    }
}

#[test]
fn a_slow_put_goes_into_the_file_that_has_the_name_in_the_end() {
    let kv = sandbox();
    kv.put("k", "old");
    let mut put = kv.kv(["put", "k"]);
    let mut put = put.stdin(Stdio::piped()).spawn().unwrap();
    let fds = format!("/proc/{}/fd", put.id());
    until("it has the file open", || {
        let fds = fs::read_dir(&fds).unwrap();
        let mut links = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        links.any(|link| link == kv.store())
    });
    put.stdin.as_mut().unwrap().write_all(b"n").unwrap();
    // Before that it might be looking at the file that it has just opened.
    until("it reads the value", || {
        let in_call = fs::read_to_string(format!("/proc/{}/syscall", put.id()));
        let in_call = in_call.unwrap_or_default();
        READS.iter().any(|read| in_call.starts_with(read))
    });
    move_away(&kv);
    kv.put("l", "there before");
    put.stdin.take().unwrap().write_all(b"ew").unwrap();
    assert!(put.wait().unwrap().success());
    kv.run(["ls"]).ends(Exit::Success).prints("k\nl\n");
    kv.holds("k", "new");
}

#[test]
fn nothing_is_stored_in_a_file_that_loses_its_name_before_the_lock_is_had() {
    let kv = sandbox();
    kv.put("k", "old");
    let other = database(&kv);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let put = Started::new(kv.kv(["put", "k", "new"]));
    until_it_waits(&put);
    move_away(&kv);
    other.execute_batch("COMMIT").unwrap();
    put.end()
        .ends(Exit::Failure)
        .complains(&["store`", "moved or removed meanwhile"]);
    kv.lacks("k");
}

/// SQLite counts milliseconds in an int.
#[test]
fn who_waits_for_longer_than_sqlite_can_count_waits_as_long_as_it_can() {
    let kv = Sandbox::on(Engine::Sqlite);
    for args in [&["put", "k", "v"][..], &["get", "k"], &["gc"]] {
        kv.run(args.iter().chain(&["--busy-timeout", "3550w"]))
            .ends(Exit::Success)
            .warns("");
    }
}
