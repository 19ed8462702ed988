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
mod harmless;
mod judge;
mod killed;
mod lists;
mod paths;
mod puts;
mod record;
mod removals;
mod states;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use self::disk::Op;
use kv::store::Expiry;
use sha1::Digest as _;

use self::judge::{Again, Judge, Now, Opened, Then, Told, Write};
use self::record::{Kill, Log};
use self::states::{State, States};
use crate::harness::{Sandbox, cannot_run, tell_count};
use crate::kills::can_inject;

/// Of more distinct states than this, so many are tried, evenly spread.
const MOST_TRIED: usize = 100;
/// Of those that are left, so many are read.
const MOST_READ: usize = 600;
/// Of what one missing sync adds, so many are read, and so many tried.
const MOST_WITHOUT: (usize, usize) = (300, 25);

/// A command that is recorded.
struct Step {
    args: Vec<String>,
    input: Vec<u8>,
    kill: Option<Kill>,
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
        let opened = Opened::at(&store, self.namespace);
        let last = self.steps.last().unwrap();
        let judge = Judge {
            room: room.to_owned(),
            store: self.store,
            namespace: self.namespace,
            is_list: self.is_list,
            before: opened.values(&[].into()).unwrap(),
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

/// Stores a value that is there, durably, before anything is recorded.
fn put(kv: &Sandbox, key: &str, value: &str) {
    let opened = Opened::at(&kv.store(), "default");
    opened
        .put_at(key, value.as_bytes(), Expiry::Never, &Now)
        .unwrap();
}

/// Stores an entry that expired a week ago, and is swept by its hint.
fn put_expired(kv: &Sandbox, key: &str) {
    let then = SystemTime::now() - Duration::from_secs(8 * 86_400);
    let expiry = Expiry::After(Duration::from_secs(60));
    let opened = Opened::at(&kv.store(), "default");
    opened.put_at(key, b"expired", expiry, &Then(then)).unwrap();
}

/// Moves everything into packs that can go there.
fn pack(kv: &Sandbox) {
    Opened::at(&kv.store(), "default").gc().unwrap();
}

/// So many lines make an import one of many, however few keys they name.
const MANY: usize = 1001;

/// Removes these keys, along with so many that are not there, in few shards, that they are many.
fn removal(keys: &[&str]) -> Step {
    static ABSENT: OnceLock<Vec<String>> = OnceLock::new();
    let absent = ABSENT.get_or_init(|| {
        let names = (0..).map(|n| format!("absent{n}"));
        let is_near = |name: &String| sha1::Sha1::digest(name.as_bytes())[0] < 8;
        names.filter(is_near).take(MANY).collect()
    });
    let named = keys
        .iter()
        .copied()
        .chain(absent.iter().map(String::as_str));
    let lines: String = named.map(|key| format!("{key}\n")).collect();
    // It says that some were not there.
    let step = Step::new(&["remove", "--stdin"]).fed(lines).exits(1);
    keys.iter().fold(step, |step, key| step.removes(key))
}

/// Makes the lock files of all shards: none is ever synced, and whether one is there is of no
/// consequence but for the number of states.
fn every_lock(kv: &Sandbox) {
    for shard in 0..256 {
        let path = kv.space().join(format!("locks/{shard:02x}"));
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        drop(file.unwrap());
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

/// States that are good, by their hashes, and how many commands were answered at the most.
#[derive(Default)]
struct Tried(HashMap<u64, usize>);

impl Tried {
    fn knows(&self, hash: u64, state: &State) -> bool {
        self.0.get(&hash).is_some_and(|told| *told >= state.told)
    }
}

/// Demands that all states are good.
#[track_caller]
fn try_all(log: &Log, judge: &Judge, tried: &mut Tried) -> String {
    let states = States::of(&log.before, &log.ops);
    let count = states.distinct.len();
    let tries = spread(states.all().collect(), MOST_TRIED);
    for (hash, state) in &tries {
        demand(log, state, judge.try_all(state));
        tried.0.insert(*hash, state.told);
    }
    let rest = states
        .all()
        .filter(|(hash, state)| !tried.knows(*hash, state));
    let reads = spread(rest.collect(), MOST_READ);
    for (hash, state) in &reads {
        demand(log, state, judge.read(state));
        tried.0.insert(*hash, state.told);
    }
    let mut text = format!(
        "{} operations, {} states built, {count} distinct",
        log.ops.len(),
        states.built
    );
    if states.sampled > 0 || tries.len() < count {
        let (cuts, tries, reads) = (states.sampled, tries.len(), reads.len());
        text += &format!(" (sampled: {cuts} cuts; {tries} states tried, {reads} more read)");
    }
    text
}

/// Shows what is wrong with a state, and how it came about.
#[track_caller]
fn demand(log: &Log, state: &State, found: Result<(), String>) {
    let Err(why) = found else {
        return;
    };
    let mut text = format!(
        "{why}\n{} commands were answered, and of this is left:\n",
        state.told
    );
    for (at, op) in log.ops[..state.cut].iter().enumerate() {
        let left = state.left.iter().find(|(other, _)| *other == at);
        let left = left.map_or(String::new(), |(_, left)| format!("{left:?}"));
        text += &format!("{left:>8} {}\n", log.label(op));
    }
    panic!("{text}in {}", keep(state).display());
}

/// Tells whether one of the states is bad.
fn find_bad(states: &States, judge: &Judge, tried: &Tried) -> bool {
    let unknown = || {
        states
            .all()
            .filter(|(hash, state)| !tried.knows(*hash, state))
    };
    let (reads, tries) = MOST_WITHOUT;
    let is_bad = |some: Vec<(u64, &State)>, judge_one: &dyn Fn(&State) -> Result<(), String>| {
        some.iter().any(|(_, state)| judge_one(state).is_err())
    };
    is_bad(spread(unknown().collect(), reads), &|state| {
        judge.read(state)
    }) || is_bad(spread(unknown().collect(), tries), &|state| {
        judge.try_all(state)
    })
}

/// Takes so many: half of them those in which the least was lost, as it takes little to go wrong,
/// and of the others evenly spread ones.
fn spread(mut states: Vec<(u64, &State)>, most: usize) -> Vec<(u64, &State)> {
    if states.len() > most {
        states.sort_by_key(|(hash, state)| (state.lost(), *hash));
        let rest = states.split_off(most / 2);
        let step = rest.len().div_ceil(most - most / 2);
        states.extend(rest.into_iter().step_by(step));
    }
    states
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

/// Keeps a bad state where it can be looked at.
fn keep(state: &State) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}", process::id()));
    _ = fs::remove_dir_all(&dir);
    state.disk.lay_out(&dir);
    dir
}

/// A directory in memory, if the system has such.
struct Memory(PathBuf);

impl Memory {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "kv-crash-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let in_memory = Path::new("/dev/shm").join(&name);
        if fs::create_dir(&in_memory).is_ok() {
            return Self(in_memory);
        }
        let on_disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        fs::create_dir(&on_disk).unwrap();
        Self(on_disk)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}
