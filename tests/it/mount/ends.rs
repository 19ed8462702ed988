//! How a mount begins and ends, and what becomes of those who use it when something fails.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use kv::exit::Exit;
use rustix::process::Signal;

use super::Mount;
use super::mounted::{can, is_mounted, release};
use crate::harness::{Engine, KV, Ran, Sandbox, cannot_run};
use crate::serve::client::Server;

#[test]
fn it_goes_into_the_background_once_it_is_mounted() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    let point = kv.path("mnt");
    fs::create_dir(&point).unwrap();
    kv.run(["mount", "mnt"]).ends(Exit::Success).is_silent();
    assert_eq!(fs::read(point.join("default/k")).unwrap(), b"v");
    fs::write(point.join("default/l"), "w").unwrap();
    kv.holds("l", "w");
    release(&point);
    assert!(!is_mounted(&point));
    assert_eq!(fs::read_dir(&point).unwrap().count(), 0);
}

#[test]
fn a_signal_unmounts_and_leaves_nothing_behind() {
    if !can() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let kv = Sandbox::new();
        let mut mount = Mount::of(&kv, &[]);
        mount.write("k", "v");
        assert_eq!(mount.end(signal), "");
        kv.holds("k", "v");
        assert!(kv.litter().is_empty());
        assert_eq!(fs::read_dir(kv.path("mnt")).unwrap().count(), 0);
    }
}

#[test]
fn what_is_open_when_it_ends_is_stored_but_no_half_of_a_whole() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    for key in ["k", "log", "part"] {
        kv.put(key, "old");
    }
    let mut mount = Mount::of(&kv, &[]);
    let mut file = File::create(mount.path("k")).unwrap();
    file.write_all(b"half").unwrap();
    let mut log = OpenOptions::new();
    let mut log = log.append(true).open(mount.path("log")).unwrap();
    log.write_all(b" line").unwrap();
    let mut part = OpenOptions::new();
    let mut part = part.write(true).open(mount.path("part")).unwrap();
    part.write_all(b"O").unwrap();
    let said = mount.end(Signal::TERM);
    let told = "kv: cannot store `k`: it was being written when it was unmounted\n";
    assert_eq!(said, told);
    kv.holds("k", "old");
    kv.holds("log", "old line");
    kv.holds("part", "Old");
    file.write_all(b"more").expect_err("nobody answers");
}

#[test]
fn what_cannot_be_mounted_is_told_before() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    let ran = kv.run(["mount", "missing"]).ends(Exit::Failure);
    ran.complains(&["cannot mount on `missing`", "No such file"]);
    fs::write(kv.path("file"), "").unwrap();
    let ran = kv.run(["mount", "file"]).ends(Exit::Failure);
    ran.complains(&["cannot mount on `file`", "no directory"]);
    // It would ask itself for its own files.
    kv.put("k", "v");
    for dir in ["store", "."] {
        let ran = kv.run(["mount", dir]).ends(Exit::Usage);
        ran.complains(&["the store is in it"]);
    }
}

/// A mount in its own store would wait for its own answers, and nobody could end it.
#[test]
fn it_is_not_mounted_in_its_own_store_by_any_name() {
    if !can() || Engine::current() != Engine::Tree {
        return;
    }
    let kv = Sandbox::new();
    kv.put("k", "v");
    fs::create_dir(kv.store().join("mnt")).unwrap();
    std::os::unix::fs::symlink(kv.store().join("mnt"), kv.path("link")).unwrap();
    std::os::unix::fs::symlink("store", kv.path("alias")).unwrap();
    for dir in ["store/mnt", "link", "alias/mnt"] {
        let ran = kv.run(["mount", "--over", dir]);
        // Before anything looks into the store.
        release(&kv.store().join("mnt"));
        ran.ends(Exit::Usage)
            .complains(&["it is in the store itself"]);
    }
    if rustix::process::geteuid().is_root() {
        fs::create_dir(kv.path("bound")).unwrap();
        let script = "mount --bind store/mnt bound; exec \"$1\" mount bound";
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", script, "sh", KV])
            .current_dir(kv.root())
            .env("KV_STORE", kv.store());
        let ran = Ran::of(&mut command).ends(Exit::Usage);
        ran.complains(&["it is in the store itself"]);
    }
    assert!(!is_mounted(&kv.store().join("mnt")));
}

#[test]
fn what_is_there_is_hidden_only_where_that_is_asked_for() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    let full = kv.path("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "").unwrap();
    let ran = kv.run(["mount", "full"]).ends(Exit::Failure);
    ran.complains(&["it is not empty", "--over"]);
    kv.run(["mount", "--over", "full"]).ends(Exit::Success);
    let twice = kv.run(["mount", "full"]);
    release(&full);
    twice
        .ends(Exit::Failure)
        .complains(&["is mounted there already", "--over"]);
}

#[test]
fn in_the_background_it_keeps_nothing_of_its_caller() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    fs::create_dir(kv.path("mnt")).unwrap();
    // A lock, a pipe, and the directory that it is called in.
    let script = "exec 9>lock; flock 9; cd sub; kv mount ../mnt | cat; cd ..; exec 9>&-
        flock -n lock true && rmdir sub";
    fs::create_dir(kv.path("sub")).unwrap();
    let ran = kv.shell("sh", script);
    let point = kv.path("mnt");
    let root = kv.root().to_str().unwrap();
    let cwds: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let read = |name| fs::read(process.path().join(name)).unwrap_or_default();
            let environment = String::from_utf8_lossy(&read("environ")).into_owned();
            read("cmdline").ends_with(b"mount\0../mnt\0") && environment.contains(root)
        })
        .map(|process| fs::read_link(process.path().join("cwd")).unwrap())
        .collect();
    fs::write(point.join("default/k"), "v").unwrap();
    release(&point);
    ran.ends(Exit::Success);
    assert_eq!(cwds, [std::path::Path::new("/")]);
    kv.holds("k", "v");
}

/// mount(8) calls what it finds in /sbin; only in a place of its own is anything put there.
#[test]
fn a_line_of_fstab_mounts_a_store() {
    if !can() || !rustix::process::geteuid().is_root() || Engine::current() != Engine::Tree {
        return cannot_run("it takes root to call mount(8)");
    }
    let kv = Sandbox::below(&std::env::temp_dir());
    kv.put("k", "v");
    let script = "
        mkdir real sbin mnt
        mount --bind /usr/sbin real
        for file in \"$PWD\"/real/*; do ln -s \"$file\" sbin; done
        for type in kv fuse.kv; do rm -f sbin/mount.$type; ln -s \"$1\" sbin/mount.$type; done
        umount=$(command -v umount); mount --bind sbin \"$(readlink -f /sbin)\"
        echo \"$PWD/store $PWD/mnt kv nofail,noatime,x-systemd.automount 0 0\" > fstab
        mount -T fstab mnt; cat mnt/default/k; $umount mnt
        mount -t kv -o ro \"kv#$PWD/store\" mnt; cat mnt/default/k
        ! touch mnt/default/new 2>&- && $umount mnt
        mount -t kv -o noexec,strictatime,lazytime,nodiratime \"$PWD/store\" mnt
        grep -q \"$PWD/mnt fuse.kv .*noexec\" /proc/self/mounts
        $umount mnt
        mount -t kv -o sync \"$PWD/store\" mnt; grep -q \"$PWD/mnt fuse.kv .*sync\" /proc/self/mounts; $umount mnt
        mount -t kv \"$PWD/store\" mnt
        ends() { want=$1; shift; is=0; \"$@\" 2>&- || is=$?; test $is = $want; }
        ends 1 mount -o remount,ro mnt
        mount -i -o remount,ro mnt; ends 1 touch mnt/default/new; $umount mnt
        mount -t kv -o noexec,exec,ro,rw \"$PWD/store\" mnt; touch mnt/default/new
        ends 1 grep -q \"$PWD/mnt .*noexec\" /proc/self/mounts; $umount mnt
        ends 32 mount -t kv \"$PWD/store\" real; ends 1 mount -t kv -o bogus \"$PWD/store\" mnt
        mount -t kv -o bogus \"$PWD/store\" mnt 2>&1 | grep -q 'unknown argument .bogus'
        mount -t kv -o remount \"$PWD/store\" mnt 2>&1 | grep -q 'mean .mount -i -o remount'
        for option in foreground help store=x --read-only no_such; do
          mount -t kv -o $option \"$PWD/store\" mnt 2>&1 | grep -q \"unknown argument .${option%=x}\"; done
        sbin/mount.kv \"$PWD/store\" mnt -o 2>&1 | grep -q '[-]o needs a value'; ends 1 sbin/mount.kv store mnt
        test -z \"$(sbin/mount.kv \"$PWD/store\" mnt -f -o ro 2>&1)\"; ends 1 sbin/mount.kv \"$PWD/store\" mnt -f -o bogus
        sbin/mount.kv \"$PWD/store\" mnt -s -o bogus,ro; cat mnt/default/k; $umount mnt
        mount -t fuse.kv \"$PWD/store\" mnt; cat mnt/default/k; $umount mnt
        echo \"$PWD/store $PWD/mnt fuse.kv nofail,_netdev 0 0\" > fstab
        mount -a -T fstab; mount -a -T fstab; cat mnt/default/k; $umount mnt";
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-euc", script, "sh", KV])
        .current_dir(kv.root());
    Ran::of(&mut command).ends(Exit::Success).prints("vvvvv");
}

#[test]
fn without_fuse_it_says_what_to_install() {
    if !can() || !rustix::process::geteuid().is_root() {
        return cannot_run("it takes root to take /dev/fuse away");
    }
    let kv = Sandbox::below(&std::env::temp_dir());
    fs::create_dir(kv.path("mnt")).unwrap();
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh", KV]);
        command
            .current_dir(kv.root())
            .env_clear()
            .env("KV_STORE", kv.store());
        Ran::of(command.env("PATH", "/usr/bin:/bin"))
    };
    let ran = run("mount -t tmpfs none /dev; exec \"$1\" mount mnt");
    ran.ends(Exit::Failure)
        .complains(&["no /dev/fuse", "modprobe fuse"]);
    // Somebody else needs a program that mounts for them.
    let mut other = Command::new(KV);
    other
        .args(["--store", "store", "mount", "mnt"])
        .current_dir(kv.root())
        .env_clear()
        .env("PATH", kv.root())
        .uid(65_534)
        .gid(65_534);
    let ran = Ran::of(&mut other).ends(Exit::Failure);
    let why = ran.stderr_text();
    let is_for_all = fs::metadata("/dev/fuse").unwrap().mode() & 0o006 == 0o006;
    let has_helper = ["/bin", "/sbin"].map(|dir| Path::new(dir).join("fusermount3").exists());
    let told = match (is_for_all, has_helper.contains(&true)) {
        (false, _) => "may not open /dev/fuse",
        (true, false) => "apt-get install fuse3",
        // Then it is the directory that is not that user's.
        (true, true) => "cannot mount on",
    };
    assert!(why.contains(told), "{why}");
}

#[test]
fn a_mount_that_was_killed_is_explained_to_the_next() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    let mut mount = Mount::of(&kv, &[]);
    mount.kill();
    let ran = kv.run(["mount", "mnt"]).ends(Exit::Failure);
    ran.complains(&["a mount whose process was killed is still there"]);
    release(mount.point());
    kv.run(["mount", "mnt"]).ends(Exit::Success).is_silent();
    release(mount.point());
}

#[test]
fn only_its_user_may_enter() {
    if !can() || !rustix::process::geteuid().is_root() {
        return cannot_run("it takes root to be somebody else");
    }
    let kv = Sandbox::below(&std::env::temp_dir());
    kv.put("k", "v");
    let other = |path: &Path| {
        let mut command = Command::new("cat");
        command.arg(path).uid(65_534).gid(65_534);
        command.output().unwrap()
    };
    for dir in kv.root().ancestors().take(1) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mount = Mount::of(&kv, &[]);
    let denied = other(&mount.path("k"));
    assert!(String::from_utf8_lossy(&denied.stderr).contains("Permission denied"));
    mount.stop();
    let mount = Mount::of(&kv, &["--allow-other"]);
    assert_eq!(other(&mount.path("k")).stdout, b"v");
    mount.stop();
}

#[test]
fn a_server_that_is_dead_is_an_error_and_no_hang() {
    if !can() {
        return;
    }
    let kv = Sandbox::new();
    let point = kv.path("mnt");
    fs::create_dir(&point).unwrap();
    let server = Server::of(&kv, &[]);
    let http = format!("http://{}", server.address());
    let mount = |store: &str| {
        let mut command = kv.kv(["--store", store, "--busy-timeout", "0.3s", "mount", "mnt"]);
        Ran::of(&mut command)
    };
    mount(&http).ends(Exit::Success).is_silent();
    drop(server);
    let io = Some(rustix::io::Errno::IO.raw_os_error());
    let read = fs::read(point.join("default/k")).map(drop);
    let write = fs::write(point.join("default/k"), "v");
    let list = fs::read_dir(point.join("default")).and_then(|mut dir| dir.next().unwrap());
    let errors = [read, write, list.map(drop)].map(|done| done.unwrap_err());
    release(&point);
    for err in errors {
        assert_eq!(err.raw_os_error(), io, "{err}");
    }
    // What is dead from the beginning is not mounted.
    for store in [&http, &http.replace("http", "redis")] {
        let ran = mount(store).ends(Exit::Failure);
        assert_eq!(ran.stderr_text().lines().count(), 1);
        ran.complains(&["cannot mount on `mnt`", "127.0.0.1"]);
    }
    assert!(!is_mounted(&point));
}
