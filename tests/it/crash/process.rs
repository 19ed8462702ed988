//! What one recorded process does, call by call.

use std::collections::HashMap;
use std::fs;

use super::calls::Call;
use super::disk::{Inode, Op};
use super::record::Log;

/// Calls that change nothing that a power cut leaves behind.
const HARMLESS: &[&str] = &[
    "access",
    "arch_prctl",
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "execve",
    "exit",
    "exit_group",
    "faccessat2",
    "fadvise64",
    "flock",
    "fstat",
    "fstatfs",
    "futex",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "lstat",
    "madvise",
    "mprotect",
    "mremap",
    "munmap",
    "newfstatat",
    "poll",
    "ppoll",
    "pread64",
    "prlimit64",
    "readlink",
    "readlinkat",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "stat",
    "statfs",
    "statx",
    "uname",
];

/// One process on its way.
pub struct Process<'a> {
    log: &'a mut Log,
    number: usize,
    was_told: bool,
    /// By their numbers; those of what is not below the root are not among them.
    descriptors: HashMap<String, Descriptor>,
    umask: u32,
}

/// An open file or directory.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    inode: Inode,
    stands: Stands,
}

/// Where the next byte is read or written.
#[derive(Clone, Copy, Debug)]
enum Stands {
    At(usize),
    AtTheEnd,
    /// It is a copy, which moves with the other.
    Anywhere,
}

impl<'a> Process<'a> {
    pub fn new(log: &'a mut Log, number: usize) -> Self {
        Self {
            log,
            number,
            was_told: false,
            descriptors: HashMap::new(),
            umask: umask(),
        }
    }

    /// Returns what the first argument stands for; `None` if it is not below the root.
    fn descriptor(&self, call: &Call) -> Option<Descriptor> {
        self.descriptors.get(call.fd(0).0).copied()
    }

    /// Notes that the user was told that the command has taken place.
    pub fn tell(&mut self) {
        if !self.was_told {
            self.was_told = true;
            self.log.happens(Op::Told(self.number));
        }
    }

    /// Takes in a call.
    ///
    /// # Panics
    ///
    /// Where nobody knows what the call does to the disk.
    pub fn take(&mut self, call: &Call) {
        if call.ret < 0 || HARMLESS.contains(&&call.name[..]) {
            return;
        }
        match &call.name[..] {
            "open" => self.open(call, &call_path(call, 0), call.arg(1), 2),
            "openat" => self.open(call, &call.path(0, 1), call.arg(2), 3),
            "openat2" => self.open(call, &call.path(0, 1), call.arg(2), 2),
            "close" => _ = self.descriptors.remove(call.fd(0).0),
            "read" | "write" => self.move_on(call),
            "lseek" => {
                if let Some(file) = self.descriptors.get_mut(call.fd(0).0) {
                    file.stands = Stands::At(usize::try_from(call.ret).unwrap());
                }
            }
            "pwrite64" => {
                if let Some(file) = self.descriptor(call) {
                    self.write(file.inode, call, call.number(3) as usize);
                }
            }
            "ftruncate" => {
                if let Some(Descriptor { inode, .. }) = self.descriptor(call) {
                    let len = call.number(1) as usize;
                    self.log.happens(Op::Truncate { inode, len });
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(Descriptor { inode, .. }) = self.descriptor(call) {
                    self.log.happens(Op::Sync { inode });
                }
            }
            "fchmod" => {
                if let Some(file) = self.descriptor(call) {
                    self.set_mode(file.inode, call.mode(1));
                }
            }
            "mkdir" => _ = self.make(&call_path(call, 0), call.mode(1), true),
            "mkdirat" => _ = self.make(&call.path(0, 1), call.mode(2), true),
            "rmdir" | "unlink" => self.unlink(&call_path(call, 0)),
            "unlinkat" => self.unlink(&call.path(0, 1)),
            "rename" => self.rename(&call_path(call, 0), &call_path(call, 1)),
            "renameat" => self.rename(&call.path(0, 1), &call.path(2, 3)),
            "renameat2" => {
                assert_eq!(call.arg(4), "RENAME_EXCHANGE", "{call:?}");
                self.exchange(&call.path(0, 1), &call.path(2, 3));
            }
            "linkat" => self.link(&call.path(0, 1), &call.path(2, 3)),
            // What is mapped to be shared is written without a call.
            "mmap" => assert!(
                !(call.arg(3).contains("MAP_SHARED") && call.arg(2).contains("PROT_WRITE")),
                "{call:?}"
            ),
            "fcntl" => match (call.arg(1), self.descriptor(call)) {
                (what, Some(file)) if what.starts_with("F_DUPFD") => {
                    let stands = Stands::Anywhere;
                    let copy = Descriptor { stands, ..file };
                    self.descriptors.insert(call.ret.to_string(), copy);
                }
                (what, _) => {
                    let known = ["F_GET", "F_OFD_", "F_SETFD", "F_DUPFD"];
                    let is_known = known.iter().any(|known| what.starts_with(known));
                    assert!(is_known, "not understood: {call:?}");
                }
            },
            "ioctl" => assert!(call.arg(1).starts_with("TC"), "not understood: {call:?}"),
            _ => panic!("not understood: {call:?}"),
        }
    }

    fn open(&mut self, call: &Call, path: &str, flags: &str, mode: usize) {
        let has = |flag: &str| flags.contains(flag);
        let Some((_, _, found)) = self.log.look_up(path) else {
            let is_device = path.starts_with("/dev/") && !path.starts_with("/dev/shm/");
            assert!(!has("O_CREAT") || is_device, "made outside: {call:?}");
            return;
        };
        let inode = match found {
            Some(inode) => {
                if has("O_TRUNC") {
                    self.log.happens(Op::Truncate { inode, len: 0 });
                }
                inode
            }
            None => {
                assert!(has("O_CREAT"), "nothing is known of {path}: {call:?}");
                let mode = match call.arg(mode).split_once("mode=0") {
                    Some((_, rest)) => u32::from_str_radix(&rest[..3], 8).unwrap(),
                    None => call.mode(mode),
                };
                self.make(path, mode, false)
            }
        };
        let stands = match has("O_APPEND") {
            true => Stands::AtTheEnd,
            false => Stands::At(0),
        };
        let descriptor = Descriptor { inode, stands };
        self.descriptors.insert(call.ret.to_string(), descriptor);
    }

    /// Reads or writes where the descriptor stands.
    fn move_on(&mut self, call: &Call) {
        let fd = call.fd(0).0;
        let is_write = call.name == "write";
        if is_write && fd == "1" {
            return self.tell();
        }
        let Some(Descriptor { inode, stands }) = self.descriptor(call) else {
            return;
        };
        let offset = match stands {
            Stands::At(at) => {
                let then = Stands::At(at + usize::try_from(call.ret).unwrap());
                let file = Descriptor {
                    inode,
                    stands: then,
                };
                self.descriptors.insert(fd.to_owned(), file);
                at
            }
            Stands::AtTheEnd => self.log.now.bytes(inode).len(),
            Stands::Anywhere if !is_write => return,
            Stands::Anywhere => panic!("nobody knows where it is written: {call:?}"),
        };
        if is_write {
            self.write(inode, call, offset);
        }
    }

    fn write(&mut self, inode: Inode, call: &Call, offset: usize) {
        let mut bytes = call.bytes(1);
        bytes.truncate(usize::try_from(call.ret).unwrap());
        self.log.happens(Op::Write {
            inode,
            offset,
            bytes: bytes.into(),
        });
    }

    fn set_mode(&mut self, inode: Inode, mode: u32) {
        // What changes nothing cannot get lost.
        if self.log.now.mode(inode) != mode {
            self.log.happens(Op::Mode { inode, mode });
        }
    }

    fn make(&mut self, path: &str, mode: u32, is_dir: bool) -> Inode {
        let Some((dir, name, None)) = self.log.look_up(path) else {
            panic!("made outside, or twice: {path}");
        };
        let mut mode = mode & !self.umask;
        if is_dir {
            // A directory of a group makes directories of the group.
            mode |= self.log.now.mode(dir) & 0o2000;
        }
        let inode = self.log.before.add(mode, is_dir);
        assert_eq!(inode, self.log.now.add(mode, is_dir));
        self.log.happens(Op::Link { dir, name, inode });
        inode
    }

    fn unlink(&mut self, path: &str) {
        let Some((dir, name, Some(_))) = self.log.look_up(path) else {
            panic!("nothing is known of {path}");
        };
        self.log.happens(Op::Unlink { dir, name });
    }

    fn rename(&mut self, from: &str, to: &str) {
        let (Some((dir, name, Some(inode))), Some((to_dir, to_name, _))) =
            (self.log.look_up(from), self.log.look_up(to))
        else {
            panic!("nothing is known of {from} or {to}");
        };
        self.log.happens(Op::Rename {
            from: (dir, name),
            to: (to_dir, to_name),
            inode,
            swapped: None,
        });
    }

    fn exchange(&mut self, a: &str, b: &str) {
        let (Some((dir, name, Some(inode))), Some((to_dir, to_name, Some(other)))) =
            (self.log.look_up(a), self.log.look_up(b))
        else {
            panic!("nothing is known of {a} or {b}");
        };
        self.log.happens(Op::Rename {
            from: (dir, name),
            to: (to_dir, to_name),
            inode,
            swapped: Some(other),
        });
    }

    fn link(&mut self, from: &str, to: &str) {
        let (Some((_, _, Some(inode))), Some((dir, name, None))) =
            (self.log.look_up(from), self.log.look_up(to))
        else {
            panic!("nothing is known of {from} or {to}");
        };
        self.log.happens(Op::Link { dir, name, inode });
    }
}

fn call_path(call: &Call, n: usize) -> String {
    let path = String::from_utf8(call.bytes(n)).unwrap();
    assert!(path.starts_with('/'), "{call:?}");
    path
}

/// Returns which permissions new files do not get.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    u32::from_str_radix(line.unwrap().trim(), 8).unwrap()
}
