//! Threads that do to a few files what programs do, on two mounts, beside others who use the store
//! itself. What they were told could have happened one after the other, and no value is a mixture.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use kv::exit::Exit;
use rustix::io::Errno;

use super::open::close;
use super::{Mount, on_each};
use crate::harness::{Engine, Sandbox, tell_count};
use crate::linearize::{Event, check};
use crate::register::{Op, Value};

/// All are written whole, but for the last one, of which parts are written in place.
const NAMES: [&str; 3] = ["a", "b", "part"];
const PART: usize = 2;

struct Run<'a> {
    kv: &'a Sandbox,
    began: Instant,
    values: AtomicU64,
    events: [Mutex<Vec<Event<Op>>>; NAMES.len()],
    counts: Mutex<BTreeMap<&'static str, u32>>,
}

/// Returns the text that a value is: as long as no other of those that are written whole.
fn text(name: usize, value: Value) -> Vec<u8> {
    let lines = match name {
        PART => 5000,
        _ => 1 + value * 7919 % 9973,
    };
    let lines = usize::try_from(lines).unwrap();
    format!("{value:019}\n").repeat(lines).into_bytes()
}

/// Returns the value that a text is, or is being written of.
#[track_caller]
fn value_of(name: usize, found: &[u8], is_whole: bool) -> Value {
    let line = found.get(..20).expect("it is no empty file");
    let value = std::str::from_utf8(line).unwrap().trim_end();
    let value = value.parse().unwrap();
    let is_fine = match is_whole {
        true => found == text(name, value),
        false => found.chunks(20).all(|part| line.starts_with(part)),
    };
    assert!(is_fine, "{} bytes are not those of {value}", found.len());
    value
}

impl Run<'_> {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    fn record(&self, name: usize, start: u64, op: Op, what: &'static str) {
        let event = Event {
            op,
            start,
            end: self.now(),
            answered: true,
        };
        self.events[name].lock().unwrap().push(event);
        self.count(what);
    }

    fn value(&self) -> Value {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes a file anew, in two parts, in one of the ways that there are.
    fn write(&self, mount: &Mount, name: usize, how: usize) {
        let (value, start) = (self.value(), self.now());
        let bytes = text(name, value);
        let own = format!("new{value}");
        let path = mount.path(if how == 0 { &own } else { NAMES[name] });
        let mut file = File::create(&path).unwrap();
        let (head, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(head).unwrap();
        file.write_all(rest).unwrap();
        let what = match how {
            0 => "rename",
            1 => {
                file.sync_all().unwrap();
                "sync"
            }
            2 => {
                file.write_all(&bytes[..20]).unwrap();
                file.set_len(bytes.len() as u64).unwrap();
                "cut"
            }
            _ => "write",
        };
        close(file).unwrap();
        if how == 0 {
            fs::rename(&path, mount.path(NAMES[name])).unwrap();
        }
        let etag = None;
        self.record(name, start, Op::Put { value, etag }, what);
    }

    fn remove(&self, mount: &Mount, name: usize) {
        let start = self.now();
        match fs::remove_file(mount.path(NAMES[name])) {
            Ok(()) => self.record(name, start, Op::Remove(true), "unlink"),
            Err(err) if err.kind() == ErrorKind::NotFound => {
                self.record(name, start, Op::Remove(false), "unlink of nothing");
            }
            Err(err) => panic!("{err}"),
        }
    }

    /// Reads what may be half written.
    fn look(&self, mount: &Mount, name: usize) {
        match fs::read(mount.path(NAMES[name])) {
            Ok(found) if found.len() < 20 => self.count("read of a beginning"),
            Ok(found) => {
                value_of(name, &found, false);
                self.count("read");
            }
            Err(err) if err.kind() == ErrorKind::NotFound => self.count("read of nothing"),
            Err(err) => panic!("{err}"),
        }
    }

    /// Writes to the whole of a file that it has opened, without emptying it.
    fn edit(&self, mount: &Mount) {
        let (value, start) = (self.value(), self.now());
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .open(mount.path(NAMES[PART]));
        let file = match opened {
            Err(err) if err.kind() == ErrorKind::NotFound => {
                self.record(PART, start, Op::Get(None), "edit of nothing");
                return self.write(mount, PART, 3);
            }
            opened => opened.unwrap(),
        };
        let bytes = text(PART, value);
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, 0).unwrap();
        let wanted = value_of(PART, &found, true);
        let (head, rest) = bytes.split_at(bytes.len() / 3);
        // Of a large value that others have replaced what is not read yet may be gone.
        let written = file
            .write_all_at(rest, head.len() as u64)
            .and_then(|()| file.write_all_at(head, 0));
        let (done, what) = match written.and(close(file)) {
            Ok(()) => (true, "edit"),
            Err(err) if err.raw_os_error() == Some(Errno::STALE.raw_os_error()) => {
                (false, "edit that is refused")
            }
            Err(err) => panic!("{err}"),
        };
        let op = Op::PutIfValue {
            wanted,
            value,
            etag: None,
            done,
        };
        self.record(PART, start, op, what);
    }

    /// Does what others do who know nothing of a mount.
    fn use_store(&self, name: usize, how: usize) {
        let (start, key) = (self.now(), NAMES[name]);
        let done = |ran: &crate::harness::Ran| match ran.status().code() {
            Some(0) => true,
            Some(1) => false,
            _ => panic!("{}", ran.report()),
        };
        match how {
            0 => {
                let is = done(&self.kv.run(["remove", key]));
                self.record(name, start, Op::Remove(is), "kv remove");
            }
            1 | 2 => {
                let value = self.value();
                assert!(done(&self.kv.feed(["put", key], &text(name, value))));
                let etag = None;
                self.record(name, start, Op::Put { value, etag }, "kv put");
            }
            _ => {
                let ran = self.kv.run(["get", key]);
                let seen = done(&ran).then(|| value_of(name, ran.stdout(), true));
                self.record(name, start, Op::Get(seen), "kv get");
            }
        }
    }
}

/// Calls `each` with numbers that are the same in each run.
fn some(seed: u64, times: usize, mut each: impl FnMut(usize, usize)) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..times {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        each((state % 2) as usize, (state / 2 % 7) as usize);
    }
}

#[test]
fn what_threads_do_could_have_been_done_one_after_the_other() {
    on_each(
        &[Engine::Tree, Engine::Sqlite, Engine::Http],
        |kv, mount| {
            let second = Mount::at(kv, "mnt2");
            let run = Run {
                kv,
                began: Instant::now(),
                values: AtomicU64::new(1),
                events: Default::default(),
                counts: Mutex::default(),
            };
            let run = &run;
            thread::scope(|scope| {
                for (seed, mount) in [mount, mount, &second].into_iter().enumerate() {
                    scope.spawn(move || {
                        some(1 + seed as u64, 50, |name, how| match how {
                            0..4 => run.write(mount, name, how),
                            4 => run.remove(mount, name),
                            _ => run.look(mount, name),
                        });
                    });
                }
                for (seed, mount) in [mount, &second].into_iter().enumerate() {
                    scope.spawn(move || {
                        some(10 + seed as u64, 25, |_, how| match how {
                            0..5 => run.edit(mount),
                            _ => run.look(mount, PART),
                        });
                    });
                }
                for seed in [20, 21] {
                    scope.spawn(move || {
                        some(seed, 40, |name, how| {
                            let part = seed == 21 && name == 0;
                            run.use_store(if part { PART } else { name }, how);
                        });
                    });
                }
            });
            for (name, events) in NAMES.iter().zip(&run.events) {
                let events = events.lock().unwrap().clone();
                check(events).unwrap_or_else(|why| panic!("{name}: {why}"));
            }
            kv.run(["ls", "--prefix", "new"]).ends(Exit::No);
            second.stop();
            tell_count(&format!("{:?}", run.counts.lock().unwrap()));
        },
    );
}

#[test]
fn of_several_who_rename_a_file_one_does() {
    on_each(
        &[Engine::Tree, Engine::Sqlite, Engine::Http],
        |kv, mount| {
            let second = Mount::at(kv, "second");
            let by_mount = |mount: &Mount, from: &str, to: &str| {
                let done = fs::rename(mount.path(from), mount.path(to));
                let is_gone = |err: &std::io::Error| err.kind() == ErrorKind::NotFound;
                assert!(done.as_ref().err().is_none_or(is_gone), "{done:?}");
                done.is_ok()
            };
            let by_kv = |from: &str, to: &str| kv.run(["rename", from, to]).status().success();
            for round in 0..30 {
                let names = ["job", "a", "b"].map(|name| format!("{name}{round}"));
                let [job, one, two] = names.each_ref();
                kv.put(job, "work");
                let done = thread::scope(|scope| {
                    let first = scope.spawn(|| by_mount(mount, job, one));
                    let second = scope.spawn(|| match round % 2 {
                        0 => by_mount(&second, job, two),
                        _ => by_kv(job, two),
                    });
                    [first, second].map(|done| done.join().unwrap())
                });
                let there = [one, two].map(|name| kv.run(["has", name]).status().success());
                assert_eq!(done, there);
                assert_ne!(done[0], done[1]);
            }
            second.stop();
        },
    );
}

/// Each takes a part of it, or nothing and says so.
#[test]
fn of_two_mounts_that_rename_a_directory_none_says_so_that_has_nothing() {
    on_each(&[Engine::Tree, Engine::Sqlite], |kv, mount| {
        let other = Mount::at(kv, "mnt2");
        for round in 0..20 {
            let old = format!("d{round}");
            for key in ["x", "y"].map(|name| format!("{old}/{name}")) {
                kv.put(&key, "value");
            }
            let rename = |mount: &Mount, to: &str| {
                let to = mount.path(format!("{to}{round}"));
                let done = fs::rename(mount.path(&old), &to);
                (done, to)
            };
            let (one, two) = thread::scope(|scope| {
                let two = scope.spawn(|| rename(&other, "two"));
                (rename(mount, "one"), two.join().unwrap())
            });
            for (done, to) in [one, two] {
                match done {
                    Ok(()) => assert_ne!(fs::read_dir(&to).unwrap().count(), 0, "{to:?}"),
                    Err(err) => assert_eq!(err.kind(), ErrorKind::NotFound),
                }
            }
        }
        other.stop();
    });
}

/// Who cuts it by its name has opened no value of it.
#[test]
fn a_file_that_others_replace_can_be_cut() {
    on_each(&[Engine::Tree, Engine::Sqlite], |kv, mount| {
        kv.put("k", "value");
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    kv.put("k", "value");
                }
            });
            let cut = || nix::unistd::truncate(&mount.path("k"), 3);
            let cuts: Result<Vec<_>, _> = (0..50).map(|_| cut()).collect();
            is_done.store(true, Ordering::Relaxed);
            cuts.unwrap();
        });
    });
}
