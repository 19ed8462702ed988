//! Power cuts: every state in which one may leave a store is built, as a real directory, and read by
//! the real reader.
//!
//! What a command does to the file system is recorded from the real binary, see [`record`]; what may
//! be left of it is what [`states`] builds, and [`judge`] says what must hold then. Whether this
//! would find a missing sync is tried, too: each is left out in turn.

mod bulk;
mod calls;
mod disk;
mod gc;
mod judge;
mod killed;
mod lists;
mod opened;
mod prepare;
mod process;
mod puts;
mod record;
mod removals;
mod repairs;
mod states;
mod trial;
mod unlocked;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use self::disk::Op;
use self::judge::{Again, Judge, Opened, Told, Write};
use self::record::{Kill, Log};
use self::states::States;
use self::trial::{Tried, find_bad, try_all};
use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::can_inject;
use crate::memory::Memory;

/// A command that is recorded.
struct Step {
    args: Vec<String>,
    input: Vec<u8>,
    kill: Option<Kill>,
    /// A system call that always fails, and how.
    fault: Option<&'static str>,
    /// The last thing that it did before was to give something this name.
    behind: Option<&'static str>,
    /// Nobody was promised that what it did lasts.
    is_no_promise: bool,
    exit: i32,
    writes: Vec<Write>,
}

impl Step {
    fn new(args: &[&str]) -> Self {
        Self {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            input: Vec::new(),
            kill: None,
            fault: None,
            behind: None,
            is_no_promise: false,
            exit: 0,
            writes: Vec::new(),
        }
    }

    fn fed(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    fn killed_at(mut self, call: &'static str, n: usize) -> Self {
        self.kill = Some(Kill {
            call,
            n,
            counts_above: true,
        });
        self.is_no_promise = true;
        self
    }

    /// Kills it there, when it has just given something this name.
    fn killed_behind(mut self, name: &'static str, call: &'static str, n: usize) -> Self {
        self.behind = Some(name);
        self.killed_at(call, n)
    }

    /// Kills it when it has made a namespace, before the store is synced again: one comes before
    /// the new name, together with those of all directories above, and those of `format` and of the
    /// namespace come first.
    fn killed_as_maker(mut self) -> Self {
        self = self.killed_behind("default", "fsync", 4);
        self.kill.as_mut().unwrap().counts_above = false;
        self
    }

    /// Says that the command does not wait for the disk.
    fn unsynced(mut self) -> Self {
        self.args.extend(["--sync", "off"].map(str::to_owned));
        self.is_no_promise = true;
        self
    }

    /// Lets a system call always fail, as in `renameat2:error=EINVAL`.
    fn without(mut self, fault: &'static str) -> Self {
        self.fault = Some(fault);
        self
    }

    fn exits(mut self, status: i32) -> Self {
        self.exit = status;
        self
    }

    fn puts(mut self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.writes.push((key.to_owned(), Some(value.into())));
        self
    }

    fn removes(mut self, key: &str) -> Self {
        self.writes.push((key.to_owned(), None));
        self
    }
}

/// Commands, one behind the other, in a store that was durable before.
struct Scenario {
    prepare: fn(&Sandbox),
    steps: Vec<Step>,
    /// What the last command does when it is run once more; if nothing is said, the same.
    again: Option<Again>,
    store: &'static str,
    namespace: &'static str,
    is_list: bool,
    is_repair: bool,
    /// Syncs whose loss does no harm to what is promised, and why; of several of the same file or
    /// directory the number says which, from 1 on.
    spare: Vec<Spare>,
    /// Syncs whose loss does harm, by the same numbers.
    needed: Vec<(&'static str, usize)>,
}

/// A sync of this file or directory, which of them, and why its loss does no harm.
type Spare = (&'static str, usize, &'static str);

impl Scenario {
    fn new(prepare: fn(&Sandbox), steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            prepare,
            steps: steps.into_iter().collect(),
            again: None,
            store: "store",
            namespace: "default",
            is_list: false,
            is_repair: false,
            spare: Vec::new(),
            needed: Vec::new(),
        }
    }

    fn again(mut self, again: Again) -> Self {
        self.again = Some(again);
        self
    }

    fn spare(mut self, spare: &[Spare]) -> Self {
        self.spare.extend(spare);
        self
    }

    /// Names a sync that is there for such a case only.
    fn needs(mut self, what: &'static str, number: usize) -> Self {
        self.needed.push((what, number));
        self
    }

    /// Puts the store in a place of this path.
    fn in_store(mut self, path: &'static str) -> Self {
        self.store = path;
        self
    }

    fn of_list(mut self, name: &'static str) -> Self {
        self.namespace = name;
        self.is_list = true;
        self
    }

    /// Records the commands, builds all states, and tries them.
    #[track_caller]
    fn endures(&self) {
        self.check(false);
    }

    /// Does the same, and demands that no sync can be left out but those that are known as spare.
    #[track_caller]
    fn survives(&self) {
        self.check(true);
    }

    #[track_caller]
    fn check(&self, leaves_out_all: bool) {
        if !can_inject() {
            return cannot_run("strace, which records system calls, does not work here");
        }
        let memory = Memory::new();
        let kv = Sandbox::below(&memory.0);
        (self.prepare)(&kv);
        let (log, judge) = self.record(&kv, &memory.0.join("room"));
        let mut tried = Tried::default();
        let counts = try_all(&log, &judge, &mut tried);
        let named = |what: &str, number| self.needed.contains(&(what, number));
        let is_left_out = |what: &str, number| leaves_out_all || named(what, number);
        let caught = self.leave_out(&log, &judge, &tried, &is_left_out);
        tell_count(&format!("{counts}; {caught}"));
    }

    #[track_caller]
    fn record(&self, kv: &Sandbox, room: &Path) -> (Log, Judge) {
        fs::create_dir(room).unwrap();
        let store = kv.root().join(self.store);
        let opened = Opened {
            is_damaged: self.is_repair,
            ..Opened::at(&store, self.namespace)
        };
        let last = self.steps.last().unwrap();
        let judge = Judge {
            room: room.to_owned(),
            store: self.store,
            namespace: self.namespace,
            is_list: self.is_list,
            is_repair: self.is_repair,
            damaged: self.damaged(kv),
            before: opened.values(&self.named()).unwrap(),
            commands: self.steps.iter().map(Told::of).collect(),
            args: last.args.clone(),
            input: last.input.clone(),
            again: self.again,
            writes: last.writes.clone(),
            exit: last.exit,
        };
        let mut log = Log::begin(kv.root());
        for (number, step) in (1..).zip(&self.steps) {
            let mut command = kv.kv(&step.args);
            command.env("KV_STORE", &store);
            let kill = step.kill.ok_or(step.exit);
            log.fault = step.fault;
            log.run((number, &command), &step.input, kill, room);
            if let Some(behind) = step.behind {
                let is_there =
                    matches!(log.ops.last(), Some(Op::Rename { to, .. }) if to.1 == behind);
                assert!(is_there, "killed elsewhere: {:?}", log.ops.last());
            }
        }
        // That it does what is said here is not in question; but it must be so.
        let after = opened.values(&judge.keys()).unwrap();
        judge.allow(&after, self.steps.len()).unwrap();
        (log, judge)
    }

    /// Leaves out each sync in turn, and demands that it is missed, unless it is a spare one.
    #[track_caller]
    fn leave_out(
        &self,
        log: &Log,
        judge: &Judge,
        tried: &Tried,
        is_left_out: &dyn Fn(&str, usize) -> bool,
    ) -> String {
        let (mut caught, mut missed) = (0, Vec::new());
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (at, op) in log.ops.iter().enumerate() {
            let Op::Sync { inode } = op else {
                continue;
            };
            let label = without_random(&log.name_of(*inode));
            let number = numbers.entry(label.clone()).or_default();
            *number += 1;
            if !is_left_out(&label, *number) {
                continue;
            }
            let mut ops = log.ops.clone();
            ops.remove(at);
            match find_bad(&States::of(&log.before, &ops), judge, tried) {
                true => caught += 1,
                false => missed.push((label, *number)),
            }
        }
        let mut spare: Vec<_> = self
            .spare
            .iter()
            .map(|(what, n, _)| ((*what).to_owned(), *n))
            .collect();
        spare.sort();
        missed.sort();
        assert_eq!(
            missed, spare,
            "syncs whose loss nobody has noticed, and those known as spare"
        );
        for (what, number) in &self.needed {
            let count = numbers.get(*what).copied().unwrap_or_default();
            assert!(*number <= count, "there is no sync {number} of {what}");
        }
        format!("{caught} missing syncs found, {} spare", missed.len())
    }
}

impl Told {
    fn of(step: &Step) -> Self {
        Self {
            writes: step.writes.clone(),
            is_no_promise: step.is_no_promise,
        }
    }
}

/// Replaces the random parts of a path: all that is 16 hexadecimal digits or more.
fn without_random(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.rsplit_once('-') {
        Some((kind, digits)) if is_random(digits) => format!("{kind}-*"),
        None if is_random(part) => "*".to_owned(),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

fn is_random(part: &str) -> bool {
    part.len() >= 16 && part.bytes().all(|b| b.is_ascii_hexdigit())
}
