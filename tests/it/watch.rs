//! `kv watch`: what is told, and when it ends.

mod directory;
pub mod history;
pub mod program;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Sandbox, until};

/// A `kv watch` that is running, and the lines that it prints. It is killed when this is dropped.
pub struct Watching {
    child: std::process::Child,
    lines: Receiver<String>,
}

impl Watching {
    /// Starts it with `--now`, and waits until it has told a key that is there.
    #[track_caller]
    pub fn new(kv: &Sandbox, args: &[&str]) -> Self {
        kv.put("ready", "");
        let watching = Self::of(kv.kv(["watch", "--now"].iter().chain(args)));
        watching.next_of("put", "ready");
        watching
    }

    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout: ChildStdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                _ = sender.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    #[track_caller]
    pub fn next(&self) -> String {
        let next = self.lines.recv_timeout(Duration::from_secs(20));
        next.expect("a change is told")
    }

    /// Waits for the next line, which tells this, and returns its etag.
    #[track_caller]
    pub fn next_of(&self, event: &str, key: &str) -> String {
        let line = self.next();
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!((fields[0], fields[2]), (event, key), "{line:?}");
        fields[1].to_owned()
    }

    /// Returns what was told that nobody has looked at yet. Two keys that are put one after the other are told by
    /// two looks, and the second has told all that there was before the first.
    #[track_caller]
    pub fn rest(&self, kv: &Sandbox) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..2 {
            kv.put("last", "");
            let last = format!("put\t{}\tlast", kv.field("etag", "last"));
            lines.extend(std::iter::from_fn(|| {
                Some(self.next()).filter(|line| *line != last)
            }));
        }
        lines.retain(|line| !line.ends_with("\tlast"));
        lines
    }

    #[track_caller]
    pub fn ends(mut self) -> std::process::ExitStatus {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
pub fn each_change_is_told_with_its_etag() {
    let kv = Sandbox::new();
    let watching = Watching::new(&kv, &[]);
    for value in ["1", "2", "2"] {
        kv.put("k", value);
        assert_eq!(watching.next_of("put", "k"), kv.field("etag", "k"));
    }
    kv.run(["expire", "k", "1h"]).ends(Exit::Success);
    assert_eq!(watching.next_of("put", "k"), kv.field("etag", "k"));
    kv.run(["remove", "k"]).ends(Exit::Success);
    assert_eq!(watching.next_of("gone", "k"), "-");
    kv.run(["-n", "other", "put", "k", "v"]).ends(Exit::Success);
    assert_eq!(watching.rest(&kv), [""; 0]);
}

#[test]
pub fn an_expired_key_is_gone_at_its_time() {
    let kv = Sandbox::new();
    let watching = Watching::new(&kv, &[]);
    kv.run(["put", "k", "v", "--ttl", "400ms"])
        .ends(Exit::Success);
    let begun = Instant::now();
    watching.next_of("put", "k");
    watching.next_of("gone", "k");
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(300)..Duration::from_secs(2)).contains(&took),
        "{took:?}"
    );
    // One that is given more time is not gone.
    kv.run(["put", "k", "v", "--ttl", "400ms"])
        .ends(Exit::Success);
    kv.run(["expire", "k", "never"]).ends(Exit::Success);
    let etag = kv.field("etag", "k");
    while watching.next_of("put", "k") != etag {}
    thread::sleep(Duration::from_millis(500));
    assert_eq!(watching.rest(&kv), [""; 0]);
}

#[test]
pub fn only_keys_that_were_asked_for_are_told() {
    let kv = Sandbox::new();
    kv.put("a/1", "v");
    kv.put("b/1", "v");
    for (args, wanted) in [
        (&["a*"][..], "a/1"),
        (&["--prefix", "b/"], "b/1"),
        (&["*1", "--prefix", "a"], "a/1"),
    ] {
        let told = kv.run(["watch", "--now", "--timeout", "0"].iter().chain(args));
        let told = told.ends(Exit::Success).stdout_text();
        assert_eq!(
            told,
            format!("put\t{}\t{wanted}\n", kv.field("etag", wanted))
        );
    }
    let watching = Watching::of(kv.kv(["watch", "--now", "--prefix", "a/"]));
    watching.next_of("put", "a/1");
    kv.put("b/1", "w");
    kv.run(["remove", "b/1"]).ends(Exit::Success);
    kv.put("a/2", "v");
    watching.next_of("put", "a/2");
}

#[test]
pub fn since_tells_what_is_another_than_it_was() {
    let kv = Sandbox::new();
    for key in ["changed", "gone", "same", "out"] {
        kv.put(key, "v");
    }
    for (null, file) in [(&[][..], "seen"), (&["-0"], "seen0")] {
        let listed = kv.run(["ls", "-l"].iter().chain(null)).ends(Exit::Success);
        fs::write(kv.path(file), listed.stdout()).unwrap();
    }
    kv.put("changed", "w");
    kv.put("new", "v");
    kv.run(["remove", "gone", "out"]).ends(Exit::Success);
    let etag = |key| kv.field("etag", key);
    let mut wanted = [
        format!("put\t{}\tchanged", etag("changed")),
        "gone\t-\tgone".to_owned(),
        format!("put\t{}\tnew", etag("new")),
    ];
    wanted.sort();
    for (args, end) in [
        (&["--since", "seen"][..], '\n'),
        (&["--since", "seen0", "-0"], '\0'),
    ] {
        let told = kv.run(["watch", "[!o]*", "--timeout", "0"].iter().chain(args));
        let told = told.ends(Exit::Success).stdout_text();
        let mut told: Vec<_> = told.split_terminator(end).collect();
        told.sort_unstable();
        assert_eq!(told, wanted);
    }
    let listed = kv.run(["ls", "-l"]).ends(Exit::Success);
    fs::write(kv.path("seen"), listed.stdout()).unwrap();
    kv.run(["watch", "--since", "seen", "--timeout", "0"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
pub fn a_file_that_ls_has_not_printed_is_refused() {
    let kv = Sandbox::new();
    for (text, why) in [
        ("color\n", "line 1 of `seen`"),
        (
            "0123456789abcdef\t1\t-\t-\tk\nput\t-\tk\n",
            "line 2 of `seen`",
        ),
        ("0123456789abcdef\t1\t-\t-\n", "line 1"),
    ] {
        fs::write(kv.path("seen"), text).unwrap();
        kv.run(["watch", "--since", "seen"])
            .ends(Exit::Usage)
            .prints("")
            .complains(&[why, "-0"]);
    }
    // A key that ends in a carriage return would be told to be gone.
    fs::write(kv.path("seen"), "0123456789abcdef\t1\t-\t-\tk\r\n").unwrap();
    kv.run(["watch", "--since", "seen"])
        .ends(Exit::Usage)
        .prints("")
        .complains(&["line 1 of `seen`", "carriage return", "-0"]);
    fs::write(kv.path("seen"), "0123456789abcdef\t1\t-\t-\tk\r\0").unwrap();
    kv.run(["watch", "--since", "seen", "-0", "--timeout", "0"])
        .ends(Exit::Success)
        .prints("gone\t-\tk\r\0");
    // The last line may be half of a key, and all of it one with NULs instead.
    for (args, text) in [
        (
            &["--since", "seen"][..],
            "0123456789abcdef\t1\t-\t-\tlong k",
        ),
        (&["--since", "seen", "-0"], "0123456789abcdef\t1\t-\t-\tk\n"),
    ] {
        fs::write(kv.path("seen"), text).unwrap();
        let ran = kv.run(["watch", "--timeout", "0"].iter().chain(args));
        ran.ends(Exit::Usage).prints("").complains(&["cut off"]);
    }
    kv.run(["watch", "--since", "none"])
        .ends(Exit::Failure)
        .complains(&["`none`"]);
}

#[test]
pub fn values_come_with_the_etag_that_they_belong_to() {
    let kv = Sandbox::new();
    kv.put("k", "v\nw");
    let etag = kv.field("etag", "k");
    for (args, wanted) in [
        (&["--values"][..], format!("put\t{etag}\tk\tv\nw\n")),
        (&["--values", "-0"], format!("put\t{etag}\tk\0v\nw\0")),
        (&["-0"], format!("put\t{etag}\tk\0")),
    ] {
        let told = kv.run(["watch", "--now", "--timeout", "0"].iter().chain(args));
        told.ends(Exit::Success).prints(wanted);
    }
    for args in [&["--json"][..], &["--json", "--values"]] {
        let told = kv.run(["watch", "--now", "--timeout", "0"].iter().chain(args));
        let line = kv.run(["ls"].iter().chain(args)).ends(Exit::Success);
        let line = line.stdout_text();
        let wanted = line.replacen("\"key\":\"k\",", "\"key\":\"k\",\"event\":\"put\",", 1);
        told.ends(Exit::Success).prints(wanted);
    }
    let watching = Watching::of(kv.kv(["watch", "--now", "--json"]));
    watching.next();
    kv.run(["remove", "k"]).ends(Exit::Success);
    assert_eq!(watching.next(), r#"{"key":"k","event":"gone"}"#);
}

#[test]
pub fn a_timeout_is_no_unless_something_was_told() {
    let kv = Sandbox::new();
    for timeout in ["0", "50ms"] {
        kv.run(["watch", "--timeout", timeout])
            .ends(Exit::No)
            .is_silent();
    }
    kv.put("k", "v");
    kv.run(["watch", "--timeout", "50ms"])
        .ends(Exit::No)
        .is_silent();
    _ = kv
        .run(["watch", "--now", "--timeout", "50ms"])
        .ends(Exit::Success);
}

#[test]
pub fn what_rests_is_told_once_as_it_is_then() {
    let kv = Sandbox::new();
    let watching = Watching::new(&kv, &["--settle", "500ms"]);
    for n in 0..5 {
        kv.put("k", &n.to_string());
        kv.put("passing", "");
    }
    kv.run(["remove", "passing"]).ends(Exit::Success);
    assert_eq!(watching.next_of("put", "k"), kv.field("etag", "k"));
    assert_eq!(watching.rest(&kv), [""; 0]);
    // What never rests is told all the same.
    let watching = Watching::new(&kv, &["--prefix", "r", "--settle", "100ms"]);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        kv.put("restless", "");
        if watching.lines.try_recv().is_ok() {
            return;
        }
    }
    panic!("it waits for ever");
}

#[test]
pub fn a_reader_that_goes_away_ends_it() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let begun = Instant::now();
    let ran = kv.shell(
        "bash",
        "kv watch --now --timeout 1m | head -1; echo ${PIPESTATUS[0]}",
    );
    let told = ran.ends(Exit::Success).stdout_text();
    assert_eq!(told, format!("put\t{}\tk\n0\n", kv.field("etag", "k")));
    assert!(begun.elapsed() < Duration::from_secs(30));
    // Which is a socket where it is run by sshd(8).
    let (reader, output) = UnixStream::pair().unwrap();
    let mut watch = kv.kv(["watch", "--timeout", "1m"]);
    let mut watch = watch.stdout(OwnedFd::from(output)).spawn().unwrap();
    drop(reader);
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

#[test]
pub fn it_can_be_killed() {
    use std::os::unix::process::ExitStatusExt as _;
    let kv = Sandbox::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let watching = Watching::new(&kv, &[]);
        kill(watching.pid(), signal).unwrap();
        assert_eq!(watching.ends().signal(), Some(signal as i32));
    }
}

#[test]
pub fn a_wrong_command_line_is_refused() {
    let kv = Sandbox::new();
    for args in [
        &["watch", "a", "b"][..],
        &["watch", "["],
        &["watch", "--now", "--since", "f"],
        &["watch", "--json", "-0"],
        &["watch", "--settle", "-1"],
        &["watch", "--timeout", "soon"],
    ] {
        kv.run(args).ends(Exit::Usage).prints("").complains(&[]);
    }
    for args in [
        &["watch", "--json", "--", "true"][..],
        &["watch", "--bogus", "--", "true"],
        &["watch", "--now", "--"],
    ] {
        kv.run(args)
            .ends(Exit::Program(125))
            .prints("")
            .complains(&[]);
    }
}
