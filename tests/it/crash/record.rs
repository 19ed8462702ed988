//! Records what the real `kv` does to the file system.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::calls;
use super::disk::{Disk, Inode, Left, Op, ROOT};
use super::process::Process;
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
    pub now: Disk,
    /// A system call of the next commands that always fails, and how.
    pub fault: Option<&'static str>,
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
            fault: None,
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
        if let Some(fault) = self.fault {
            strace.args(["-e", &format!("inject={fault}")]);
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
        let mut process = Process::new(self, number);
        for call in calls::read(&text) {
            process.take(&call);
        }
        if code.is_some() {
            process.tell();
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
    pub fn happens(&mut self, op: Op) {
        self.now.apply(&op, Left::All);
        self.ops.push(op);
    }

    /// Finds a path: the directory that it is in, its name there, and what has this name.
    pub fn look_up(&self, path: &str) -> Option<(Inode, String, Option<Inode>)> {
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
            disk.apply(op, Left::All);
            name = path_to(&disk, ROOT, inode).or(name);
        }
        name.unwrap_or_default()
    }
}

fn path_to(disk: &Disk, dir: Inode, wanted: Inode) -> Option<String> {
    if dir == wanted {
        return Some(".".to_owned());
    }
    disk.entries(dir).find_map(|(name, child)| {
        let below = path_to(disk, child, wanted)?;
        Some(match &below[..] {
            "." => name.clone(),
            _ => format!("{name}/{below}"),
        })
    })
}
