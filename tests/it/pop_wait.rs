//! `kv pop --wait`: blocks until there is an element, and costs nothing meanwhile.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;

use crate::harness::{KV, Sandbox, can_trace, path_with_kv};

/// A `kv pop --wait` that has found nothing and sleeps.
fn waiter(kv: &Sandbox) -> Child {
    let mut command = kv.kv(["pop", "--wait", "10m", "jobs"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    while !is_waiting(child.id()) {
        assert!(child.try_wait().unwrap().is_none(), "it did not wait");
        thread::sleep(Duration::from_millis(1));
    }
    child
}

/// The numbers of the system calls that wait for a file or a server: poll(2), ppoll(2), recvfrom(2).
const POLLS: &[&str] = if cfg!(target_arch = "x86_64") {
    &["7", "271", "45"]
} else {
    &["73", "207"]
};

/// Tells whether a process sleeps until there is news.
pub fn is_waiting(pid: u32) -> bool {
    let in_call = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap();
    let number = in_call.split_whitespace().next().unwrap_or_default();
    POLLS.contains(&number)
}

#[track_caller]
fn gets(waiter: Child, want: &str) {
    let output = waiter.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), want);
}

#[track_caller]
fn push(kv: &Sandbox, element: &str) {
    kv.run(["push", "jobs", element])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn gives_up_when_nothing_came() {
    let kv = Sandbox::new();
    for args in [
        &["pop", "--wait", "200ms", "jobs"][..],
        &["pop", "jobs", "--last", "--wait", "0.2"],
    ] {
        let before = Instant::now();
        kv.run(args).ends(Exit::No).is_silent();
        assert!(before.elapsed() >= Duration::from_millis(200));
    }
    assert!(!kv.store().exists());
    push(&kv, "a");
    kv.run(["pop", "jobs"]).ends(Exit::Success).prints("a");
    kv.run(["pop", "jobs", "--wait", "20ms"])
        .ends(Exit::No)
        .is_silent();
}

#[test]
pub fn zero_is_one_try() {
    let kv = Sandbox::new();
    let once = ["pop", "jobs", "--wait", "0"];
    kv.run(once).ends(Exit::No).is_silent();
    push(&kv, "a");
    kv.run(once).ends(Exit::Success).prints("a");
    kv.run(once).ends(Exit::No).is_silent();
}

#[test]
pub fn does_not_wait_for_what_is_there() {
    let kv = Sandbox::new();
    push(&kv, "a");
    push(&kv, "b");
    kv.run(["pop", "jobs", "--wait", "10m", "--last"])
        .ends(Exit::Success)
        .prints("b");
    // Longer than anybody can count.
    kv.run(["pop", "jobs", "--wait", "6000000000m"])
        .ends(Exit::Usage)
        .complains(&["--wait"]);
    kv.run(["pop", "jobs", "--wait", "364000w"])
        .ends(Exit::Success)
        .prints("a");
}

#[test]
pub fn the_time_is_a_duration() {
    let kv = Sandbox::new();
    for bad in ["-1", "", "soon", "1y"] {
        kv.run(["pop", "jobs", "--wait", bad])
            .ends(Exit::Usage)
            .complains(&["--wait"]);
    }
}

/// Makes as much of a list as was there before somebody waited for it.
type Before = fn(&Sandbox);

const BEFORE: [(&str, Before); 5] = [
    ("no store", |_| {}),
    ("an empty directory", |kv| {
        if kv.is_directory() {
            fs::create_dir(kv.store()).unwrap();
        }
    }),
    ("no list", |kv| kv.put("k", "v")),
    ("a list that was never pushed to", |kv| {
        kv.run(["-n", "jobs", "put", "k", "v"]).ends(Exit::Success);
    }),
    ("a list that is empty", |kv| {
        push(kv, "a");
        kv.run(["pop", "jobs"]).ends(Exit::Success);
    }),
];

/// Tells whether who waits is woken: one of ten tries takes less than the five seconds after which who is
/// not woken looks again.
pub fn is_woken(mut wait: impl FnMut() -> Duration) -> bool {
    (0..10).any(|_| wait() < Duration::from_secs(4))
}

#[test]
pub fn a_push_wakes_who_waits() {
    for (what, before) in BEFORE {
        let is_woken = is_woken(|| {
            let kv = Sandbox::new();
            before(&kv);
            let waiter = waiter(&kv);
            push(&kv, "b");
            let pushed = Instant::now();
            gets(waiter, "b");
            pushed.elapsed()
        });
        assert!(is_woken, "{what}");
    }
}

#[test]
pub fn an_element_put_by_its_key_wakes_who_waits() {
    for (what, before) in BEFORE {
        let is_woken = is_woken(|| {
            let kv = Sandbox::new();
            before(&kv);
            let waiter = waiter(&kv);
            kv.run(["-n", "jobs", "put", &format!("{:020}", 7), "b"])
                .ends(Exit::Success);
            let put = Instant::now();
            gets(waiter, "b");
            put.elapsed()
        });
        assert!(is_woken, "{what}");
    }
}

#[test]
pub fn one_element_goes_to_one_of_many_who_wait() {
    let kv = Sandbox::new();
    let mut waiting: Vec<_> = (0..6).map(|_| waiter(&kv)).collect();
    let mut got = Vec::new();
    for n in 0..6 {
        push(&kv, &n.to_string());
        let done = loop {
            let is_done = |child: &mut Child| child.try_wait().unwrap().is_some();
            if let Some(at) = waiting.iter_mut().position(is_done) {
                break waiting.swap_remove(at);
            }
            thread::sleep(Duration::from_millis(1));
        };
        let output = done.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        got.push(String::from_utf8(output.stdout).unwrap());
    }
    assert_eq!(got, ["0", "1", "2", "3", "4", "5"]);
}

#[test]
pub fn a_list_that_was_removed_and_made_anew_is_waited_for() {
    let kv = Sandbox::new();
    kv.run(["-n", "jobs", "put", "k", "v"]).ends(Exit::Success);
    let waiter = waiter(&kv);
    kv.run(["namespaces", "--remove", "jobs"])
        .ends(Exit::Success);
    push(&kv, "b");
    gets(waiter, "b");
}

#[test]
fn waiting_takes_no_processor_time() {
    for (what, before) in BEFORE {
        let kv = Sandbox::new();
        before(&kv);
        let waiter = waiter(&kv);
        let ticks = ticks(waiter.id());
        thread::sleep(Duration::from_secs(1));
        let more = self::ticks(waiter.id()) - ticks;
        assert!(more <= 2, "{what}: {more} ticks in a second");
        push(&kv, "b");
        gets(waiter, "b");
    }
}

/// Returns the processor time that a process has taken, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // What is before the last parenthesis is its name, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields[at].parse::<u64>().unwrap();
    number(11) + number(12)
}

/// Each waiter takes one of the few inotify instances that a user can have (inotify(7)).
#[test]
fn waits_even_where_the_system_has_no_watch_left() {
    if !can_trace() {
        return;
    }
    let kv = Sandbox::new();
    let mut command = Command::new("strace");
    command.args(["-o", "trace", "-e", "inject=inotify_init1:error=EMFILE"]);
    command.args([KV, "pop", "jobs", "--wait", "60s"]);
    command
        .current_dir(kv.root())
        .env_clear()
        .env("PATH", path_with_kv())
        .env("KV_STORE", kv.store())
        .stdout(Stdio::piped());
    let waiter = command.spawn().unwrap();
    kv.run(["push", "jobs", "one"]).ends(Exit::Success);
    let output = waiter.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"one");
    let trace = fs::read_to_string(kv.path("trace")).unwrap();
    assert!(trace.contains("inotify_init1"), "{trace}");
}
