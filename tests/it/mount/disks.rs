//! A mounted store whose disk is full, or read-only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::io::Errno;

use super::mounted::{can, release};
use super::open::close;
use crate::harness::{Engine, KV, Sandbox, cannot_run, has_program, until};

/// A small disk in memory that holds a mounted store.
struct Disk {
    kv: Sandbox,
    at: PathBuf,
}

impl Disk {
    /// `None` where there cannot be one, which is said.
    #[track_caller]
    fn new() -> Option<Self> {
        if !can() || Engine::current() != Engine::Tree {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            cannot_run("it takes root to mount a small disk");
            return None;
        }
        let kv = Sandbox::new();
        let at = kv.path("small");
        fs::create_dir(&at).unwrap();
        fs::create_dir(kv.path("mnt")).unwrap();
        let mut tmpfs = Command::new("mount");
        tmpfs.args(["-t", "tmpfs", "-o", "size=600k", "none"]);
        assert!(tmpfs.arg(&at).status().unwrap().success());
        Some(Self { kv, at })
    }

    #[track_caller]
    fn run(&self, args: &[&str]) {
        let mut command = self.kv.kv(args.iter().copied());
        let status = command.env("KV_STORE", self.at.join("store")).status();
        assert!(status.unwrap().success());
    }

    #[track_caller]
    fn remount(&self, how: &str) {
        let mut remount = Command::new("mount");
        remount.args(["-o", &format!("remount,{how}")]);
        assert!(remount.arg(&self.at).status().unwrap().success());
    }

    /// Runs something with the store mounted.
    #[track_caller]
    fn mounted<T>(&self, test: impl FnOnce() -> T) -> T {
        self.run(&["mount", "mnt"]);
        let done = test();
        release(&self.kv.path("mnt"));
        done
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        until("the disk is unmounted", || {
            let status = Command::new("umount").arg(&self.at).status();
            status.unwrap().success()
        });
    }
}

#[test]
fn a_full_disk_is_told_as_such() {
    let Some(disk) = Disk::new() else {
        return;
    };
    let path = disk.kv.path("mnt/default/k");
    let full = |options: &OpenOptions| {
        let mut file = options.open(&path).unwrap();
        // There is room for the first of it.
        file.write_all(&[1]).unwrap();
        file.write_all(&vec![1; 4_000_000]).unwrap();
        let done = (file.sync_all(), close(file));
        (done, fs::metadata(&path).unwrap().len())
    };
    let (done, held) = disk.mounted(|| {
        fs::write(&path, "v").unwrap();
        let done = [
            full(OpenOptions::new().write(true).truncate(true)),
            full(OpenOptions::new().append(true)),
        ];
        // Who closed it may be a shell, which does not look at that.
        let told = [(); 2].map(|()| File::open(&path).unwrap().sync_all().is_ok());
        assert_eq!(told, [false, true]);
        (done, fs::read(&path))
    });
    for ((synced, closed), len) in done {
        assert_eq!(synced.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::StorageFull);
        // Before the kernel has told that nobody has it open any more.
        assert_eq!(len, 1);
    }
    assert!(held.unwrap() == b"v");
}

/// Fills a file until nothing more fits.
fn fill(path: PathBuf) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

#[test]
fn a_disk_that_is_full_is_told_before_a_file_is_closed() {
    let Some(disk) = Disk::new() else {
        return;
    };
    let dir = disk.kv.path("mnt/default");
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&dir);
        command.stderr(Stdio::null()).status().unwrap()
    };
    disk.run(&["put", "k", "v"]);
    let ran = disk.mounted(|| {
        fill(disk.at.join("rest"));
        // What a shell is told as it closes, by dup2(2), it does not hear of.
        let ran = ["echo x > new", "echo x > k", ": > k", "echo x >> k"].map(shell);
        let listed = fs::read_dir(&dir).map(Iterator::count);
        fs::remove_file(disk.at.join("rest")).unwrap();
        (
            ran,
            listed.unwrap(),
            fs::read(dir.join("k")),
            shell("echo x > k"),
        )
    });
    assert!(ran.0.iter().all(|status| !status.success()), "{ran:?}");
    assert_eq!((ran.1, ran.2.unwrap()), (1, b"v".to_vec()));
    assert!(ran.3.success());
}

#[test]
fn a_store_on_a_disk_that_is_read_only_is_mounted_so() {
    let Some(disk) = Disk::new() else {
        return;
    };
    disk.run(&["put", "k", "v"]);
    disk.remount("ro");
    let dir = disk.kv.path("mnt/default");
    let (written, read) = disk.mounted(|| {
        let written = [
            fs::write(dir.join("k"), "w"),
            fs::write(dir.join("new"), "w"),
            OpenOptions::new()
                .append(true)
                .open(dir.join("k"))
                .map(drop),
        ];
        (written, fs::read(dir.join("k")))
    });
    disk.remount("rw");
    let is_refused = |done: &io::Result<()>| {
        let err = done.as_ref().unwrap_err();
        err.raw_os_error() == Some(Errno::ROFS.raw_os_error())
    };
    assert!(written.iter().all(is_refused), "{written:?}");
    assert_eq!(read.unwrap(), b"v");
    disk.mounted(|| fs::write(dir.join("k"), "w").unwrap());
}

/// As ext4 does where it has found an error.
#[test]
fn a_disk_that_becomes_read_only_is_told_before_a_file_is_closed() {
    let Some(disk) = Disk::new() else {
        return;
    };
    disk.run(&["put", "k", "v"]);
    let dir = disk.kv.path("mnt/default");
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&dir);
        command.stderr(Stdio::null()).status().unwrap()
    };
    let (ran, read) = disk.mounted(|| {
        disk.remount("ro");
        let ran = ["echo x > new", "echo x > k", ": > k", "echo x >> k"].map(shell);
        (ran, fs::read(dir.join("k")))
    });
    assert!(ran.iter().all(|status| !status.success()), "{ran:?}");
    assert_eq!(read.unwrap(), b"v");
}

#[test]
fn a_store_in_which_this_user_may_write_nothing_is_mounted_read_only() {
    let Some(disk) = Disk::new() else {
        return;
    };
    if !has_program("setpriv") {
        return cannot_run("setpriv, of util-linux, is not installed");
    }
    disk.run(&["put", "k", "v"]);
    // Root may write everywhere but for this; the store is another user's, who lets others read.
    for change in [["chown", "65534:65534"], ["chmod", "go+rX"]] {
        let [program, to] = change;
        let mut command = Command::new(program);
        command.args(["-R", to]).arg(disk.at.join("store"));
        assert!(command.status().unwrap().success());
    }
    let mut mount = Command::new("setpriv");
    mount.args(["--bounding-set=-dac_override,-dac_read_search", KV]);
    mount.args(["mount", "mnt"]).current_dir(disk.kv.path(""));
    mount.env("KV_STORE", disk.at.join("store"));
    assert!(mount.status().unwrap().success());
    let path = disk.kv.path("mnt/default/k");
    let (written, read) = (fs::write(&path, "w"), fs::read(&path));
    release(&disk.kv.path("mnt"));
    let err = written.unwrap_err();
    assert_eq!(err.raw_os_error(), Some(Errno::ROFS.raw_os_error()));
    assert_eq!(read.unwrap(), b"v");
}
