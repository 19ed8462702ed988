//! A batch as a process among others: as a coprocess, killed, beside others of its kind.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use super::{replies, reply};
use crate::harness::{Sandbox, cannot_run, has_program, tell_count};

/// A batch that is talked to.
struct Batch {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Batch {
    fn start(kv: &Sandbox, options: &[&str]) -> Self {
        let mut command = kv.kv([&["batch"], options].concat());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            stdin,
            stdout,
        }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
    }

    /// Reads one reply; `None` if the batch has ended before its end.
    fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = String::new();
        self.stdout.read_line(&mut head).unwrap();
        let (status, len) = head.strip_suffix('\n')?.split_once(' ').unwrap();
        let mut printed = vec![0; len.parse::<usize>().unwrap() + 1];
        self.stdout.read_exact(&mut printed).ok()?;
        assert_eq!(printed.pop(), Some(b'\n'));
        Some((status.parse().unwrap(), printed))
    }
}

#[test]
pub fn a_reply_comes_before_the_next_command() {
    let kv = Sandbox::new();
    let mut batch = Batch::start(&kv, &[]);
    for n in 0..20 {
        // Each of these would wait for ever if replies waited for the end.
        batch.say(&format!("put k {n}\n"));
        assert_eq!(batch.hear(), Some((0, Vec::new())));
        kv.holds("k", n.to_string());
        batch.say("get k\nget none\n");
        assert_eq!(batch.hear(), Some((0, n.to_string().into_bytes())));
        assert_eq!(batch.hear(), Some((1, Vec::new())));
    }
    // A command that is not whole yet does not keep back the replies before it.
    batch.say("get k\nput k 'x");
    assert_eq!(batch.hear(), Some((0, b"19".to_vec())));
    batch.say("y'\n");
    assert_eq!(batch.hear(), Some((0, Vec::new())));
    batch.stdin = None;
    assert_eq!(batch.hear(), None);
    assert_eq!(batch.child.wait().unwrap().code(), Some(1));
    kv.holds("k", "xy");
}

#[test]
pub fn a_reply_does_not_wait_for_a_pop_that_waits() {
    let kv = Sandbox::new();
    let mut batch = Batch::start(&kv, &[]);
    batch.say("put k v\npop jobs --wait 1h\n");
    assert_eq!(batch.hear(), Some((0, Vec::new())));
    kv.run(["push", "jobs", "a"])
        .ends(Exit::Success)
        .is_silent();
    assert_eq!(batch.hear(), Some((0, b"a".to_vec())));
    batch.stdin = None;
    assert!(batch.child.wait().unwrap().success());
}

#[test]
pub fn bash_talks_to_it_as_a_coprocess() {
    if !has_program("bash") {
        return cannot_run("bash is missing");
    }
    let kv = Sandbox::new();
    let script = r#"
        coproc KV { kv batch; }
        # Bash forgets it as soon as the process has ended.
        pid=$KV_PID
        ask() {
            printf '%s\n' "$1" >&"${KV[1]}"
            read -r status bytes <&"${KV[0]}"
            LC_ALL=C IFS= read -r -d '' -N "$bytes" printed <&"${KV[0]}"
            read -r <&"${KV[0]}"
        }
        ask "put color 'dark green'"
        ask 'get color'; echo "$status $printed"
        ask 'get none'; echo "$status $printed"
        for i in 1 2 3; do ask 'incr n'; done; echo "$status $printed"
        exec {KV[1]}>&-
        wait "$pid"; echo "$?"
    "#;
    let ran = kv.shell("bash", script).ends(Exit::Success).warns("");
    ran.prints("0 dark green\n1 \n0 3\n\n1\n");
}

#[test]
pub fn what_was_acknowledged_before_a_kill_is_there() {
    let kv = Sandbox::new();
    let mut tried = 0;
    for (round, until) in [1, 7, 40, 150].into_iter().enumerate() {
        let mut batch = Batch::start(&kv, &["--sync", "off"]);
        let mut stdin = batch.stdin.take().unwrap();
        let feeder = thread::spawn(move || {
            let line = |n| format!("put {round}.{n} 'value {n}'\n");
            (0..)
                .map(line)
                .all(|line| stdin.write_all(line.as_bytes()).is_ok());
        });
        let mut acknowledged = 0;
        while acknowledged < until {
            assert_eq!(batch.hear(), Some((0, Vec::new())));
            acknowledged += 1;
        }
        batch.child.kill().unwrap();
        batch.child.wait().unwrap();
        while batch.hear().is_some() {
            acknowledged += 1;
        }
        feeder.join().unwrap();
        let (lines, wanted): (String, Vec<_>) = (0..acknowledged)
            .map(|n| (format!("get {round}.{n}\n"), reply(0, format!("value {n}"))))
            .unzip();
        let ran = kv.feed(["batch"], lines.as_bytes());
        ran.ends(Exit::Success).prints(wanted.concat()).warns("");
        tried += acknowledged;
    }
    tell_count(&format!("{tried} acknowledged puts"));
}

#[test]
pub fn batches_beside_each_other_lose_nothing() {
    let kv = Sandbox::new();
    let lines = "incr n\npush l x\n".repeat(100);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let ran = kv.feed(["batch", "--sync", "off"], lines.as_bytes());
                ran.ends(Exit::Success).warns("");
            });
        }
    });
    kv.holds("n", "600");
    let items = "x\n".repeat(600);
    let ran = kv.feed(["batch"], b"get n\nitems l\n").ends(Exit::Success);
    ran.prints(replies(&[(0, "600"), (0, &items)])).warns("");
}

/// Many plain puts that are at hand are stored by one pack; who reads the replies cannot tell.
#[test]
fn many_puts_are_stored_together_and_answered_each() {
    let kv = Sandbox::new();
    kv.put("key 7", "old");
    kv.run(["put", "key 8", "old", "--ttl", "1h"])
        .ends(Exit::Success);
    let large = "x".repeat(20_000);
    let mut lines = String::new();
    let mut wanted = Vec::new();
    for n in 0..3_000 {
        lines += &format!("put 'key {n}' 'value {n}'\n");
        wanted.push((0, String::new()));
        match n {
            700 => lines += "get 'key 700'\n",
            2_000 => lines += &format!("put large {large}\nput 'key 5' again\nput 'key 5' last\n"),
            2_500 => lines += "put x\n",
            _ => continue,
        }
        match n {
            700 => wanted.push((0, "value 700".to_owned())),
            2_000 => wanted.extend(vec![(0, String::new()); 3]),
            _ => wanted.push((2, String::new())),
        }
    }
    lines += "put 'key 1' v --if-absent\nget 'key 2999'\nget 'key 5'\n";
    wanted.extend([
        (1, String::new()),
        (0, "value 2999".to_owned()),
        (0, "last".to_owned()),
    ]);
    let each = wanted
        .iter()
        .map(|(status, printed)| reply(*status, printed));
    kv.feed(["batch", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Usage)
        .prints(each.collect::<Vec<_>>().concat());
    for n in [0, 1, 6, 7, 8, 701, 2_999] {
        kv.holds(&format!("key {n}"), format!("value {n}"));
    }
    assert_eq!(kv.run(["ttl", "key 8"]).line(), "never");
    kv.holds("large", large);
    assert_eq!(kv.run(["ls", "--count"]).line(), "3001");
    let packs = kv.names_in("packs");
    assert!(packs.len() > 1, "they were stored one by one: {packs:?}");
}

/// A group that cannot be stored at once is carried out one by one, and each is told what is wrong.
#[test]
fn a_put_that_cannot_take_place_does_not_keep_others_of_its_group() {
    let kv = Sandbox::new();
    kv.put("other", "v");
    kv.put("key 1500", "v");
    std::fs::copy(kv.file_of(b"other"), kv.file_of(b"key 1500")).unwrap();
    let lines: String = (0..2_000)
        .map(|n| format!("put 'key {n}' v{n}\n"))
        .collect();
    let ran = kv
        .feed(["batch", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Damaged);
    assert_eq!(
        ran.stdout_text()
            .lines()
            .filter(|line| *line == "0 0")
            .count(),
        1_999
    );
    assert_eq!(ran.stderr_text().lines().count(), 1, "{}", ran.report());
    assert!(ran.stderr_text().contains("line 1501"), "{}", ran.report());
    kv.holds("key 1999", "v1999");
}

/// It keeps the directory open while that is the one at its path, and nothing in it was replaced.
#[test]
fn a_namespace_that_is_another_by_now_is_looked_into_anew() {
    let kv = Sandbox::new();
    kv.put("k", "old");
    kv.run(["-n", "other", "put", "k", "new"])
        .ends(Exit::Success);
    // What was changed just now could be changed again without a trace.
    thread::sleep(Duration::from_secs(3));
    let mut batch = Batch::start(&kv, &[]);
    let mut get = || {
        batch.say("get k\n");
        batch.hear().unwrap()
    };
    for _ in 0..3 {
        assert_eq!(get(), (0, b"old".to_vec()));
    }
    let (space, aside) = (kv.store().join("default"), kv.path("aside"));
    fs::rename(&space, &aside).unwrap();
    assert_eq!(get().0, 1);
    fs::rename(kv.store().join("other"), &space).unwrap();
    assert_eq!(get(), (0, b"new".to_vec()));
    fs::remove_dir_all(&space).unwrap();
    fs::rename(&aside, &space).unwrap();
    for _ in 0..3 {
        assert_eq!(get(), (0, b"old".to_vec()));
    }
    // The whole store is elsewhere for a while.
    fs::rename(kv.store(), kv.path("moved")).unwrap();
    assert_eq!(get().0, 1);
    fs::rename(kv.path("moved"), kv.store()).unwrap();
    assert_eq!(get(), (0, b"old".to_vec()));
    // A newer kv has been here.
    fs::write(space.join("newer"), "kv 2\n").unwrap();
    fs::rename(space.join("newer"), space.join("format")).unwrap();
    let newer = kv.run(["get", "k"]).status().code();
    assert_eq!(Some(i32::from(get().0)), newer);
    assert_ne!(newer, Some(0));
}
