//! Locks that are not taken: each is skipped in turn, another process comes in between at the worst
//! moment, and the checker of histories must see that. With the lock the other one has to wait.

use std::fs;
use std::process::{Child, Command, Stdio};

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::calls::{self, Call};
use super::prepare::{MANY, pack, put, put_expired};
use crate::harness::{KV, Ran, Sandbox, cannot_run, tell_count, until};
use crate::kills::can_inject;
use crate::linearize::{Event, check};
use crate::register::Op;

/// A command that is stopped before its decisive step, as if it held the lock.
struct Race {
    prepare: fn(&Sandbox),
    args: &'static [&'static str],
    input: String,
    /// The file of the lock.
    lock: String,
    /// The decisive step: the call, and a part of the path of what it changes.
    decisive: (&'static str, &'static str),
    /// What another process does meanwhile.
    other: &'static [&'static str],
}

/// What both have answered.
struct Answers {
    kv: Sandbox,
    first: Ran,
    other: Ran,
}

impl Race {
    /// Lets both run, without the lock: the other one is not kept waiting.
    fn without_lock(&self) -> Answers {
        let answers = self.run(true);
        assert!(
            answers.other.status().success(),
            "{}",
            answers.other.report()
        );
        answers
    }

    /// Demands that with the lock the other one has to wait.
    fn excludes(&self) {
        let answers = self.run(false);
        let other = answers.other.ends(Exit::Busy);
        other.complains(&["is in use"]);
        assert!(
            answers.first.status().success(),
            "{}",
            answers.first.report()
        );
    }

    fn run(&self, skips: bool) -> Answers {
        let calls = {
            let kv = Sandbox::new();
            (self.prepare)(&kv);
            let mut command = self.strace(&kv, &[]);
            Ran::of(&mut command).ends(Exit::Success);
            calls::read(&fs::read_to_string(kv.path("trace")).unwrap())
        };
        let decisive = calls.iter().position(|call| changes(call, self.decisive));
        let before = &calls[..decisive.expect("it comes to the decisive step")];
        let is_lock = |call: &Call| call.name == "flock" && call.fd(0).1.ends_with(&self.lock);
        let lock = before.iter().rposition(is_lock).expect("it takes the lock");
        let nth = |at: usize| {
            let alike = calls[..=at]
                .iter()
                .filter(|call| call.name == calls[at].name);
            alike.count()
        };
        // A signal comes when the call is done: it stops between the last look and the step.
        let last = before.len() - 1;
        let stop = format!("inject={}:signal=STOP:when={}", calls[last].name, nth(last));
        let skip = format!("inject=flock:retval=0:when={}", nth(lock));

        let kv = Sandbox::new();
        (self.prepare)(&kv);
        let options: &[&str] = if skips {
            &["-e", &stop, "-e", &skip]
        } else {
            &["-e", &stop]
        };
        let mut command = self.strace(&kv, options);
        let first = Stopped::spawn(&kv, &mut command);
        let args = self.other.iter().chain(&["--busy-timeout", "50ms"]);
        let other = kv.run(args);
        let first = Ran::with(&command, first.go_on());
        Answers { kv, first, other }
    }

    fn strace(&self, kv: &Sandbox, options: &[&str]) -> Command {
        let input = kv.path("input");
        fs::write(&input, &self.input).unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-s", "1000000", "-o", "trace"]);
        command.args(options).arg(KV).args(self.args);
        command.current_dir(kv.root()).env_clear();
        command.env("KV_STORE", kv.store());
        command.stdin(fs::File::open(input).unwrap());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Tells whether a call is of that name, and changes something in whose path this is.
fn changes(call: &Call, (name, part): (&str, &str)) -> bool {
    let path = || match name {
        "renameat" => call.path(2, 3),
        "unlinkat" => call.path(0, 1),
        _ => call.fd(0).1,
    };
    call.name == name && path().contains(part)
}

/// A process that has stopped where it was told to.
struct Stopped {
    strace: Child,
    pid: Pid,
}

impl Stopped {
    fn spawn(kv: &Sandbox, command: &mut Command) -> Self {
        let strace = command.spawn().unwrap();
        let mut pid = None;
        until("it stops", || {
            let text = fs::read_to_string(kv.path("trace")).unwrap_or_default();
            let line = text
                .lines()
                .find(|line| line.contains("stopped by SIGSTOP"));
            pid = line.map(|line| line.split(' ').next().unwrap().parse().unwrap());
            pid.is_some()
        });
        let pid = Pid::from_raw(pid.unwrap());
        Self { strace, pid }
    }

    fn go_on(self) -> std::process::Output {
        kill(self.pid, Signal::SIGCONT).unwrap();
        self.strace.wait_with_output().unwrap()
    }
}

/// Returns an operation that took this long.
fn event(start: u64, end: u64, op: Op) -> Event<Op> {
    Event {
        op,
        start,
        end,
        answered: true,
    }
}

/// A put that took place.
fn stored(value: u64) -> Op {
    Op::Put { value, etag: None }
}

/// Returns what a key holds now.
fn get(kv: &Sandbox) -> Op {
    let ran = kv.run(["get", "key"]).warns("");
    Op::Get(
        ran.status()
            .success()
            .then(|| ran.stdout_text().parse().unwrap()),
    )
}

fn shard() -> String {
    let digits = hex::encode(<sha1::Sha1 as sha1::Digest>::digest(b"key"));
    format!("/locks/{}", &digits[..2])
}

#[track_caller]
fn is_caught(race: &Race, history: impl Fn(&Answers) -> Vec<Event<Op>>) {
    if !can_inject() {
        return cannot_run("strace, which skips a lock, does not work here");
    }
    race.excludes();
    let answers = race.without_lock();
    let found = check(history(&answers));
    assert!(found.is_err(), "a missing lock was not noticed");
    tell_count("1 missing lock found");
}

#[test]
fn a_put() {
    let race = Race {
        prepare: |kv| put(kv, "other", "0"),
        args: &["put", "key", "1", "--if-absent"],
        input: String::new(),
        lock: shard(),
        decisive: ("renameat", "/objects/"),
        other: &["put", "key", "2", "--if-absent"],
    };
    is_caught(&race, |answers| {
        let put = |value, ran: &Ran| Op::PutIfAbsent {
            value,
            etag: None,
            done: ran.status().success(),
        };
        vec![
            event(0, 9, put(1, &answers.first)),
            event(3, 4, put(2, &answers.other)),
        ]
    });
}

/// Whoever takes 1 takes it before it is overwritten, and then what comes after stays.
fn taken(answers: &Answers) -> Vec<Event<Op>> {
    let taken = answers.first.stdout_text().parse().ok();
    vec![
        event(0, 1, stored(1)),
        event(2, 9, Op::Take(taken)),
        event(4, 5, stored(2)),
        event(10, 11, get(&answers.kv)),
    ]
}

#[test]
fn a_removal() {
    let race = Race {
        prepare: |kv| put(kv, "key", "1"),
        args: &["get", "key", "--remove"],
        input: String::new(),
        lock: shard(),
        decisive: ("unlinkat", "/objects/"),
        other: &["put", "key", "2"],
    };
    is_caught(&race, taken);
}

#[test]
fn folding() {
    let race = Race {
        prepare: |kv| put(kv, "key", "1"),
        args: &["gc", "--now"],
        input: String::new(),
        lock: shard(),
        decisive: ("unlinkat", "/objects/"),
        other: &["put", "key", "2"],
    };
    is_caught(&race, |answers| {
        vec![
            event(0, 1, stored(1)),
            event(4, 5, stored(2)),
            event(10, 11, get(&answers.kv)),
        ]
    });
}

/// What has expired makes room, and nothing else does.
#[test]
fn an_import() {
    let race = Race {
        prepare: |kv| put_expired(kv, "key"),
        args: &["import", "--tsv", "--if-absent"],
        input: "key\t1\n".repeat(MANY),
        lock: shard(),
        decisive: ("renameat", "/packs"),
        other: &["put", "key", "2"],
    };
    is_caught(&race, |answers| {
        let held = get(&answers.kv);
        let done = matches!(held, Op::Get(Some(1)));
        let import = Op::PutIfAbsent {
            value: 1,
            etag: None,
            done,
        };
        vec![
            event(0, 9, import),
            event(4, 5, stored(2)),
            event(10, 11, held),
        ]
    });
}

/// A removal from a pack leaves a tombstone, which must not be laid over a value that came since.
#[test]
fn a_removal_of_what_is_packed() {
    let race = Race {
        prepare: |kv| {
            put(kv, "key", "1");
            pack(kv);
        },
        args: &["get", "key", "--remove"],
        input: String::new(),
        lock: shard(),
        decisive: ("renameat", "/objects/"),
        other: &["put", "key", "2"],
    };
    is_caught(&race, taken);
}

/// The range of a list must not be narrowed to what it was before somebody put an element by its key.
#[test]
fn a_list() {
    if !can_inject() {
        return cannot_run("strace, which skips a lock, does not work here");
    }
    let race = Race {
        prepare: |kv| {
            let lines: String = (1..=65).map(|n| format!("{n}\n")).collect();
            let push = kv.feed(["push", "jobs", "--lines"], lines.as_bytes());
            push.ends(Exit::Success).is_silent();
            // So many are missing that whoever takes the next gives up their numbers.
            let gone = (1..=64).map(|n| format!("{n:020}"));
            let args = ["-n", "jobs", "remove"].map(str::to_owned);
            kv.run(args.into_iter().chain(gone)).ends(Exit::Success);
        },
        args: &["pop", "jobs"],
        input: String::new(),
        lock: "/locks/list".to_owned(),
        decisive: ("renameat", "/list"),
        other: &["-n", "jobs", "put", "00000000000000000003", "c"],
    };
    race.excludes();
    let answers = race.without_lock();
    assert_eq!(answers.first.stdout_text(), "65");
    // That `c` is not found is what the lock is there for.
    answers.kv.run(["pop", "jobs"]).ends(Exit::No).is_silent();
    answers.kv.run(["items", "jobs"]).prints("c\n");
    tell_count("1 missing lock found");
}
