//! What is told beside writers at full speed, and by watchers that are stopped meanwhile: the last state of every
//! key, and none that never was.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};

use super::Watching;
use crate::harness::{Sandbox, tell_count, until};

const KEYS: usize = 23;
const WRITERS: usize = 3;

/// Writes, expires and removes, and returns the etags that keys had.
fn write(kv: &Sandbox, writer: usize, count: usize) -> BTreeSet<String> {
    let mut child = kv
        .kv(["batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut commands = String::new();
    for n in 0..count {
        let key = (n * 7 + writer * 5) % KEYS;
        commands += &match n % 5 {
            4 => format!("remove -f k{key}\n"),
            3 => format!(
                "put --print-etag --ttl {}ms k{key} {writer}.{n}\n",
                1 + n % 40
            ),
            _ => format!("put --print-etag k{key} {writer}.{n}\n"),
        };
    }
    let mut stdin = child.stdin.take().unwrap();
    let feeder = thread::spawn(move || stdin.write_all(commands.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| line.len() == 16)
        .map(str::to_owned)
        .collect()
}

#[test]
pub fn the_last_state_of_every_key_is_told_and_none_that_never_was() {
    let kv = Sandbox::new();
    let count = if kv.has_server() { 400 } else { 1500 };
    let watchings: Vec<_> = (0..3).map(|_| Watching::new(&kv, &[])).collect();
    let mut put = BTreeSet::new();
    thread::scope(|scope| {
        let kv = &kv;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write(kv, writer, count)))
            .collect();
        let stopped = watchings[0].pid();
        while !writers.iter().all(|writer| writer.is_finished()) {
            for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
                kill(stopped, signal).unwrap();
                thread::sleep(Duration::from_millis(30));
            }
            if kv.is_directory() {
                kv.run(["gc"]).ends(Exit::Success).is_silent();
            }
        }
        for writer in writers {
            put.extend(writer.join().unwrap());
        }
    });
    // What has a time to live is over.
    let now = || kv.run(["ls", "-l", "--prefix", "k"]).stdout_text();
    until("all that expires has", || {
        now()
            .lines()
            .all(|line| line.split('\t').nth(3) == Some("-"))
    });
    let mut there = BTreeMap::new();
    for line in now().lines() {
        let fields: Vec<_> = line.split('\t').collect();
        there.insert(fields[4].to_owned(), fields[0].to_owned());
    }
    let mut told = 0;
    for watching in watchings {
        let mut last = BTreeMap::new();
        let told_lines = watching.rest(&kv);
        for line in told_lines.iter().filter(|line| !line.ends_with("ready")) {
            let fields: Vec<_> = line.split('\t').map(str::to_owned).collect();
            let [event, etag, key] = &fields[..] else {
                panic!("{line:?}");
            };
            let before = last.get(key);
            assert_ne!(before, Some(etag), "{line:?} is told twice");
            match &**event {
                "put" => {
                    assert!(put.contains(etag), "{line:?} never was");
                    last.insert(key.clone(), etag.clone());
                }
                _ => assert!(last.remove(key).is_some(), "{line:?} was not there"),
            }
            told += 1;
        }
        assert_eq!(last, there);
    }
    tell_count(&format!(
        "watch: {} writes of {KEYS} keys were told in {told} lines by 3 watchers, one of them stopped and resumed",
        put.len()
    ));
}
