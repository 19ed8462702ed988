//! Which system calls a command makes, and what happens when one of them fails.

use std::collections::HashMap;
use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

use crate::harness::{KV, Sandbox};

/// A system call of a command: its name, which of that name it is, and what it was called with.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    pub nth: usize,
    pub text: String,
    /// Whether the call before it was a sync.
    pub follows_a_sync: bool,
}

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails once.
    Once(&'static str),
    /// It fails, and all later ones of its name do, as on a disk that died.
    Ever(&'static str),
    /// It does nothing and says that it has written one byte: the disk lies.
    Swallowed,
}

/// Calls of which nothing is asked: memory, signals, what only tells, and what ends.
const LEFT_ALONE: &[&str] = &[
    "arch_prctl",
    "brk",
    "close",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getpgrp",
    "getpid",
    "gettid",
    "getuid",
    "kill",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prctl",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "uname",
    "clock_nanosleep",
    "recvfrom",
    "nanosleep",
    "restart_syscall",
    "gettimeofday",
    "getppid",
];

impl Call {
    /// Tells whether the call is one by which something is removed, or found to be removed. A sync
    /// is too, with the look at what was synced that belongs to it: what a MANIFEST that may not last
    /// names no longer must stay.
    pub fn cleans_up(&self) -> bool {
        ["unlink", "unlinkat", "rmdir", "getdents64", "fsync"].contains(&self.name.as_str())
            || (self.name == "fstat" && self.follows_a_sync)
            || (self.name == "openat2" && self.text.contains("/packs/MANIFEST"))
            || (self.name == "statx" && self.text.contains("/.gone-"))
            || self.text.contains("O_DIRECTORY")
            || self.text.contains("AT_EMPTY_PATH")
    }

    /// Returns in which ways the call is made to fail: those in which a file system or a system
    /// without means lets it.
    pub fn faults(&self) -> Vec<Fault> {
        let errors: &[&'static str] = match self.name.as_str() {
            name if LEFT_ALONE.contains(&name) => return Vec::new(),
            // What could be told on standard error is not to be told there.
            "write" if self.text.starts_with("write(2,") => return Vec::new(),
            // The standard library lists directories: no local file system interrupts that, and it
            // would not try again. Who may not look into a directory has no namespace there.
            "openat" if self.text.contains("AT_FDCWD") => &["EIO", "EACCES", "EMFILE"],
            "statx" if self.text.contains("/format") => &["EIO"],
            "open" | "openat" | "openat2" => {
                if self.text.contains("O_CREAT") {
                    &[
                        "EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EMFILE", "EINTR",
                    ]
                } else if self.text.contains("O_RDWR") || self.text.contains("O_WRONLY") {
                    &["EIO", "EROFS", "EACCES", "EMFILE", "EINTR"]
                } else {
                    &["EIO", "EACCES", "EMFILE", "EINTR"]
                }
            }
            "mkdir" | "mkdirat" | "rename" | "renameat" | "linkat" => {
                &["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES"]
            }
            "unlink" | "unlinkat" | "rmdir" => &["EIO", "EROFS", "EACCES"],
            "fchmod" => &["EIO", "EROFS", "EPERM"],
            "write" | "pwrite64" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
            "ftruncate" | "fallocate" => &["EIO", "ENOSPC", "EINTR"],
            "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
            "read" | "pread64" => &["EIO", "EINTR"],
            "flock" => &["EIO", "ENOLCK", "EINTR"],
            "fstat" | "newfstatat" | "statx" | "lseek" | "fstatfs" | "statfs" | "getdents64"
            | "readlink" | "getcwd" => &["EIO", "EACCES"],
            "fcntl" if self.text.contains("F_DUPFD") => &["EMFILE"],
            "fcntl" | "ioctl" => return Vec::new(),
            "getrandom" => &["EINTR"],
            // That one does not wait, and nothing interrupts it.
            "wait4" if self.text.contains("WNOHANG") => return Vec::new(),
            "poll" | "ppoll" | "wait4" | "waitid" | "rt_sigtimedwait" => &["EINTR"],
            "pipe2" | "inotify_init1" | "pidfd_open" | "socketpair" => &["EMFILE", "ENFILE"],
            "inotify_add_watch" => &["ENOSPC", "ENOMEM"],
            "clone" | "clone3" | "vfork" | "fork" => &["EAGAIN", "ENOMEM"],
            "setpgid" | "tgkill" | "sendto" | "copy_file_range" | "fgetxattr" | "fsetxattr"
            | "tkill" | "sendfile" | "splice" => &["EIO"],
            name => panic!("no word on how `{name}` fails: {}", self.text),
        };
        let mut faults: Vec<_> = errors.iter().map(|error| Fault::Once(error)).collect();
        if errors.contains(&"EIO") {
            faults.push(Fault::Ever("EIO"));
        }
        if ["write", "pwrite64"].contains(&self.name.as_str()) && !self.text.contains("write(1,") {
            faults.push(Fault::Swallowed);
        }
        faults
    }

    /// Returns how strace is told.
    fn inject(&self, fault: Fault) -> String {
        let Self { name, nth, .. } = self;
        match fault {
            Fault::Once(error) => format!("inject={name}:error={error}:when={nth}"),
            Fault::Ever(error) => format!("inject={name}:error={error}:when={nth}+"),
            Fault::Swallowed => format!("inject={name}:retval=1:when={nth}"),
        }
    }
}

/// Prepares a command under strace, which follows no children: what a program does that kv runs is
/// the program's affair.
fn strace(kv: &Sandbox, args: &[&str], input: &[u8], options: &[&str]) -> Command {
    // A command that hangs is killed, and that is no status of its own.
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", "strace", "-o", "trace"]);
    command.args(options).arg(KV).args(args);
    command
        .current_dir(kv.root())
        .env_clear()
        .env("HOME", kv.root())
        .env("PATH", "/usr/bin:/bin")
        .env("KV_BUSY_TIMEOUT", "2s")
        .env("KV_STORE", kv.store());
    if input.is_empty() {
        command.stdin(Stdio::null());
    } else {
        let path = kv.path("input");
        fs::write(&path, input).unwrap();
        command.stdin(File::open(path).unwrap());
    }
    command
}

/// Runs a command to its end, and returns how that was and all calls that kv made, but for those by
/// which a program comes to life.
pub fn trace(kv: &Sandbox, args: &[&str], input: &[u8]) -> (Output, Vec<Call>) {
    let output = strace(kv, args, input, &["-s", "200"]).output().unwrap();
    let text = fs::read_to_string(kv.path("trace")).unwrap();
    let mut counts = HashMap::new();
    let mut calls = Vec::new();
    let mut begun = false;
    let mut follows_a_sync = false;
    for line in text.lines() {
        let Some((name, _)) = line
            .split_once('(')
            .filter(|_| !line.starts_with(['-', '+']))
        else {
            continue;
        };
        let nth = counts.entry(name.to_owned()).or_insert(0);
        *nth += 1;
        // The last that is done before the command.
        begun |= line.starts_with("rt_sigaction(SIGPIPE, {");
        if begun {
            calls.push(Call {
                name: name.to_owned(),
                nth: *nth,
                text: line.to_owned(),
                follows_a_sync,
            });
        }
        follows_a_sync = name == "fsync";
    }
    assert!(calls.len() > 3, "{text}");
    (output, thin_out(calls))
}

/// Leaves out calls between the first few and the last few of those that look the same.
fn thin_out(calls: Vec<Call>) -> Vec<Call> {
    const FEW: usize = 3;
    let shape = |call: &Call| {
        let digits = |c: char| c.is_ascii_hexdigit() || !c.is_ascii();
        let text = call.text.split(digits).filter(|part| !part.is_empty());
        text.take(12).collect::<Vec<_>>().join("#")
    };
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, call) in calls.iter().enumerate() {
        places.entry(shape(call)).or_default().push(place);
    }
    let mut kept = Vec::new();
    for places in places.values() {
        let behind = places.len().saturating_sub(FEW).max(FEW.min(places.len()));
        kept.extend(&places[..FEW.min(places.len())]);
        kept.extend(&places[behind..]);
    }
    kept.sort_unstable();
    kept.into_iter()
        .map(|place: usize| calls[place].clone())
        .collect()
}

/// Runs a command with one call failing.
pub fn run(kv: &Sandbox, args: &[&str], input: &[u8], call: &Call, fault: Fault) -> Output {
    let inject = call.inject(fault);
    strace(kv, args, input, &["-e", &inject]).output().unwrap()
}
