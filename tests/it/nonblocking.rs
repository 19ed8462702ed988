//! Descriptors that another program of the pipeline has made non-blocking.

use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;

use kv::exit::Exit;
use nix::unistd::Pid;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::harness::{Ran, Sandbox, until};
use crate::process::state;

/// More than a pipe holds.
const LONG: usize = 300_000;

fn unblock(fd: impl AsFd) {
    let flags = fcntl_getfl(&fd).unwrap();
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).unwrap();
}

/// Starts a command that writes into a pipe which is full at once, and returns the other end.
fn start(command: &mut Command) -> (Child, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    unblock(&writer);
    let child = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its own copy of the writing end would keep the pipe open.
    command.stdout(Stdio::null());
    (child, reader)
}

/// Waits until a command sleeps, or has ended.
fn wait_for(child: &Child) {
    let pid = Pid::from_raw(child.id().cast_signed());
    until("it waits", || matches!(state(pid), Some('S' | 'Z')));
}

#[track_caller]
fn read_slowly(kv: &Sandbox, args: &[&str]) -> usize {
    let mut command = kv.kv(args);
    let (child, mut reader) = start(&mut command);
    // It has filled the pipe and waits before a byte is taken.
    wait_for(&child);
    let mut all = Vec::new();
    let mut part = [0; 1000];
    loop {
        match reader.read(&mut part).unwrap() {
            0 => break,
            n => all.extend_from_slice(&part[..n]),
        }
    }
    let ran = Ran::with(&command, child.wait_with_output().unwrap());
    ran.ends(Exit::Success).warns("");
    all.len()
}

#[test]
pub fn what_is_printed_arrives_whole() {
    let kv = Sandbox::new();
    let value = "v".repeat(LONG);
    kv.feed(["put", "k"], value.as_bytes()).ends(Exit::Success);
    kv.feed(["push", "list"], value.as_bytes())
        .ends(Exit::Success);
    assert!(read_slowly(&kv, &["export"]) > LONG);
    assert_eq!(read_slowly(&kv, &["ls", "--values"]), LONG + 3);
    assert_eq!(read_slowly(&kv, &["get", "k"]), LONG);
    let memo = [
        "memo",
        "--ttl",
        "1h",
        "--",
        "head",
        "-c",
        "300000",
        "/dev/zero",
    ];
    assert_eq!(read_slowly(&kv, &memo), LONG);
    assert_eq!(read_slowly(&kv, &memo), LONG);
    // These are gone from the store when they are printed.
    assert_eq!(read_slowly(&kv, &["get", "--remove", "k"]), LONG);
    assert_eq!(read_slowly(&kv, &["pop", "list"]), LONG);
}

/// Runs a command that is given its input a while after it wants it.
#[track_caller]
fn feed(kv: &Sandbox, args: &[&str], input: &[u8]) -> Ran {
    let (reader, mut writer): (PipeReader, PipeWriter) = pipe().unwrap();
    unblock(&reader);
    let mut command = kv.kv(args);
    let child = command
        .stdin(reader)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    command.stdin(Stdio::null());
    wait_for(&child);
    let input = input.to_vec();
    let feeder = thread::spawn(move || {
        for part in input.chunks(10_000) {
            writer.write_all(part).unwrap();
        }
    });
    let ran = Ran::with(&command, child.wait_with_output().unwrap());
    feeder.join().unwrap();
    ran.ends(Exit::Success).warns("")
}

#[test]
pub fn what_comes_in_is_waited_for() {
    let kv = Sandbox::new();
    let value = "v".repeat(LONG);
    feed(&kv, &["put", "k"], value.as_bytes());
    feed(&kv, &["append", "k"], b"end");
    kv.holds("k", value + "end");
    feed(&kv, &["push", "list"], b"one");
    feed(&kv, &["push", "list", "--lines"], b"two\nthree\n");
    kv.run(["items", "list"])
        .ends(Exit::Success)
        .prints("one\ntwo\nthree\n");
    feed(&kv, &["batch"], b"put a 1\nget a\n").prints("0 0\n\n0 1\n1\n");
    feed(&kv, &["import", "--tsv"], b"b\t2\n");
    kv.holds("b", "2");
    feed(&kv, &["remove", "--stdin"], b"a\nb\n");
    kv.lacks("b");
}
