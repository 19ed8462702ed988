//! A store that is mounted for a test, and is unmounted however the test ends.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use kv::exit::Exit;

use crate::harness::{Engine, Ran, Sandbox, cannot_run, has_program, path_with_kv};

/// Tells whether this machine and this user can mount.
pub fn can_mount() -> bool {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse");
    device.is_ok() && (rustix::process::geteuid().is_root() || has_program("fusermount3"))
}

/// As [`can_mount`], and says loudly if not.
#[track_caller]
pub fn can() -> bool {
    let can = can_mount();
    if !can {
        cannot_run("nothing can be mounted here: it takes /dev/fuse, and fuse3 or root");
    }
    can
}

/// Runs a test with a store on each engine that is mounted.
#[track_caller]
pub fn on_each(engines: &[Engine], test: impl Fn(&Sandbox, &Mount)) {
    if !can() {
        return;
    }
    for &engine in engines {
        if !engine.is_here() {
            continue;
        }
        let kv = Sandbox::on(engine);
        let mount = Mount::of(&kv, &[]);
        test(&kv, &mount);
        mount.stop();
    }
}

/// What is said of a file that others have changed.
pub const STALE: &str = "others have changed or removed it since it was opened";

/// A mounted store.
pub struct Mount {
    child: Child,
    stderr: BufReader<ChildStderr>,
    point: PathBuf,
}

impl Mount {
    /// Mounts the sandbox's store on its directory `mnt`, with these options too.
    #[track_caller]
    pub fn of(kv: &Sandbox, options: &[&str]) -> Self {
        Self::with(kv, "mnt", options)
    }

    /// Mounts it on another directory too.
    #[track_caller]
    pub fn at(kv: &Sandbox, dir: &str) -> Self {
        Self::with(kv, dir, &[])
    }

    #[track_caller]
    fn with(kv: &Sandbox, dir: &str, options: &[&str]) -> Self {
        let point = kv.path(dir);
        fs::create_dir_all(&point).unwrap();
        let mut command = kv.kv(["mount", "--foreground", dir]);
        command.args(options).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let mount = Self {
            child,
            stderr,
            point,
        };
        assert!(line.starts_with("kv: mounted on "), "{line:?}");
        mount
    }

    /// Returns a path in the namespace that is used unless another is named.
    pub fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.point
            .join("default")
            .join(OsStr::from_bytes(name.as_ref()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn point(&self) -> &Path {
        &self.point
    }

    #[track_caller]
    pub fn write(&self, name: &str, value: impl AsRef<[u8]>) {
        fs::write(self.path(name), value).unwrap();
    }

    #[track_caller]
    pub fn holds(&self, name: &str, value: impl AsRef<[u8]>) {
        let found = fs::read(self.path(name)).unwrap_or_else(|err| panic!("{name}: {err}"));
        assert!(found == value.as_ref(), "{name}: {} bytes", found.len());
    }

    #[track_caller]
    pub fn lacks(&self, name: &str) {
        let found = fs::symlink_metadata(self.path(name));
        let err = found.expect_err(name);
        assert_eq!(err.kind(), std::io::ErrorKind::NotFound, "{name}");
    }

    /// Returns the names in a directory, sorted.
    #[track_caller]
    pub fn names(&self, dir: &str) -> Vec<String> {
        crate::harness::names_in(&self.path(dir))
    }

    /// Runs a shell script in the directory of the namespace.
    #[must_use = "say how it ended: `.ends(Exit::…)`"]
    pub fn shell(&self, kv: &Sandbox, script: &str) -> Ran {
        let mut command = Command::new("bash");
        command
            .args(["-c", &format!("set -eu\n{script}")])
            .current_dir(self.path(""))
            .env_clear()
            .env("HOME", kv.root())
            .env("KV_STORE", kv.location())
            .env("PATH", path_with_kv())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        Ran::of(&mut command)
    }

    /// Ends it as an operator does, and demands that nothing is left of it.
    #[track_caller]
    pub fn stop(mut self) {
        let said = self.end(rustix::process::Signal::TERM);
        // Who changes a file beside others, as many tests do, is told so.
        let mut others = said.lines().filter(|line| !line.ends_with(STALE));
        assert_eq!(others.next(), None);
    }

    /// Sends a signal, waits for the end, and returns what it said on standard error.
    #[track_caller]
    pub fn end(&mut self, signal: rustix::process::Signal) -> String {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            status.code(),
            Some(i32::from(Exit::Success.row().0)),
            "{said}"
        );
        assert!(!is_mounted(&self.point), "it is still mounted");
        said
    }

    /// Kills it, so that the mount stays behind without anybody to answer for it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        release(&self.point);
    }
}

/// Tells whether something is mounted on a directory.
pub fn is_mounted(point: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let point = point.to_str().unwrap();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some(point))
}

/// Takes away what is mounted on a directory, whoever uses it.
pub fn release(point: &Path) {
    if !is_mounted(point) {
        return;
    }
    let mut command = match rustix::process::geteuid().is_root() {
        true => Command::new("umount"),
        false => Command::new("fusermount3"),
    };
    if rustix::process::geteuid().is_root() {
        command.arg("-l");
    } else {
        command.args(["-u", "-z"]);
    }
    _ = command.arg(point).output();
}
