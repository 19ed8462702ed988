//! Records what the real `kv` does to the file system.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::calls::{self, Call};
use super::disk::{Disk, Inode, Op, ROOT};
use super::harmless::HARMLESS;
use super::paths::{call_path, path_to, umask};
use crate::harness::KV;

/// Where a process is killed: before its n-th call of that name, from 1 on.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub call: &'static str,
    pub n: usize,
    /// Calls on the directories above the store count, too.
    pub counts_above: bool,
}

/// The operations of one or several commands, on a disk that was durable before them.
#[derive(Debug)]
pub struct Log {
    /// The disk before, and without names what was made later, so that each has its number.
    pub before: Disk,
    pub ops: Vec<Op>,
    root: PathBuf,
    /// The disk as the processes see it.
    now: Disk,
}

impl Log {
    /// Begins with what is in a directory.
    pub fn begin(root: &Path) -> Self {
        let root = root.canonicalize().unwrap();
        let before = Disk::read(&root);
        Self {
            now: before.clone(),
            before,
            ops: Vec::new(),
            root,
        }
    }

    /// Runs a command to its end, with that exit status, or kills it, and records what it does.
    /// `aside` is a directory for what is not a part of the store.
    ///
    /// # Panics
    ///
    /// Where it does something to the disk that is not understood.
    #[track_caller]
    pub fn run(
        &mut self,
        (number, command): (usize, &Command),
        input: &[u8],
        kill: Result<Kill, i32>,
        aside: &Path,
    ) {
        let (trace, stdin) = (aside.join("trace"), aside.join("input"));
        fs::write(&stdin, input).unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-y", "-xx", "-s", "70000000", "-o"]);
        strace.arg(&trace);
        if let Ok(Kill {
            call,
            n,
            counts_above,
        }) = kill
        {
            let above = if counts_above {
                0
            } else {
                self.root.ancestors().count()
            };
            let when = n + above;
            strace.args(["-e", &format!("inject={call}:signal=KILL:when={when}")]);
        }
        strace.arg(KV).args(command.get_args());
        strace.current_dir(&self.root).env_clear();
        for (name, value) in command.get_envs() {
            strace.env(name, value.unwrap());
        }
        if input.is_empty() {
            strace.stdin(Stdio::null());
        } else {
            strace.stdin(File::open(&stdin).unwrap());
        }
        let output = strace.output().unwrap();
        let code = output.status.code();
        // The kernel told strace; strace ends in the same way.
        assert_eq!(code, kill.err(), "{command:?} {kill:?}: {output:?}");

        let text = fs::read_to_string(&trace).unwrap();
        let mut run = Run {
            log: self,
            number,
            was_told: false,
            descriptors: HashMap::new(),
            umask: umask(),
        };
        for call in calls::read(&text) {
            run.take(&call);
        }
        if code.is_some() {
            run.tell();
        }
        let real = Disk::read(&self.root);
        assert!(
            self.now.hash() == real.hash(),
            "what was recorded is not what happened: {command:?}: {}, not {}",
            self.now.list(),
            real.list()
        );
    }

    /// Does an operation.
    fn happens(&mut self, op: Op) {
        self.now.apply(&op, super::disk::Left::All);
        self.ops.push(op);
    }

    /// Finds a path: the directory that it is in, its name there, and what has this name.
    fn look_up(&self, path: &str) -> Option<(Inode, String, Option<Inode>)> {
        let below = Path::new(path).strip_prefix(&self.root).ok()?;
        let (mut dir, mut name, mut found) = (ROOT, String::from("."), Some(ROOT));
        for part in below.components() {
            dir = found.unwrap_or_else(|| panic!("nothing is known of {path}"));
            name = part.as_os_str().to_str().unwrap().to_owned();
            found = self.now.find(dir, &name);
        }
        Some((dir, name, found))
    }

    /// Says in a few words what an operation is about, without the random parts of names.
    pub fn label(&self, op: &Op) -> String {
        match op {
            Op::Sync { inode } => format!("sync {}", self.name_of(*inode)),
            Op::Link { dir, name, .. } => format!("make {}/{name}", self.name_of(*dir)),
            Op::Unlink { dir, name } => format!("unlink {}/{name}", self.name_of(*dir)),
            Op::Rename { from, to, .. } => format!(
                "rename {}/{} to {}/{}",
                self.name_of(from.0),
                from.1,
                self.name_of(to.0),
                to.1
            ),
            Op::Write { inode, bytes, .. } => {
                format!("write {} bytes to {}", bytes.len(), self.name_of(*inode))
            }
            Op::Truncate { inode, .. } | Op::Mode { inode, .. } => {
                format!("cut or mode of {}", self.name_of(*inode))
            }
            Op::Told(number) => format!("answer of command {number}"),
        }
    }

    /// Finds the name that a file or directory had last, in the whole of the log.
    pub fn name_of(&self, inode: Inode) -> String {
        let mut disk = self.before.clone();
        let mut name = path_to(&disk, ROOT, inode);
        for op in &self.ops {
            disk.apply(op, super::disk::Left::All);
            name = path_to(&disk, ROOT, inode).or(name);
        }
        name.unwrap_or_default()
    }
}

/// One process on its way.
struct Run<'a> {
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

impl Run<'_> {
    /// Returns what the first argument stands for; `None` if it is not below the root.
    fn descriptor(&self, call: &Call) -> Option<Descriptor> {
        self.descriptors.get(call.fd(0).0).copied()
    }

    fn tell(&mut self) {
        if !self.was_told {
            self.was_told = true;
            self.log.happens(Op::Told(self.number));
        }
    }

    fn take(&mut self, call: &Call) {
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
