//! Counters and lists that many processes change at once: nothing is lost and nothing comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kv::exit::Exit;

use crate::harness::{Sandbox, names_in, tell_count};

/// Runs one shell script in each of so many processes at once; each finds its number in `$me`.
/// Returns what each has printed.
fn at_once(kv: &Sandbox, count: usize, exit: Exit, script: &str) -> Vec<String> {
    thread::scope(|scope| {
        let runs: Vec<_> = (0..count)
            .map(|me| {
                scope.spawn(move || {
                    let ran = kv.shell("sh", &format!("me={me}\n{script}"));
                    ran.ends(exit).warns("").stdout_text()
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

/// Repeats a command, with the number of the round in `$i`, until it fails.
fn repeat(times: usize, command: &str) -> String {
    format!("i=0; while [ $i -lt {times} ]; do {command} || exit; i=$((i + 1)); done")
}

#[track_caller]
fn counts(count: usize, times: usize, sync: &str) {
    let kv = Sandbox::new();
    let script = repeat(times, &format!("kv incr hits --sync {sync}"));
    let before = Instant::now();
    let printed = at_once(&kv, count, Exit::Success, &script);
    let took = before.elapsed();
    kv.holds("hits", (count * times).to_string());
    // Each sum was told to one process, and to each of them in ascending order.
    let mut sums = BTreeSet::new();
    for text in printed {
        let told: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(told.is_sorted(), "{told:?}");
        sums.extend(told);
    }
    assert_eq!(sums, (1..=count * times).collect());
    assert_eq!(kv.litter(), [""; 0]);
    tell_count(&format!(
        "{count} × {times} increments, sync {sync}, in {took:?}"
    ));
}

#[test]
fn ten_thousand_increments_of_fifty_processes_are_ten_thousand() {
    counts(50, 200, "off");
}

#[test]
fn increments_are_counted_with_syncs_too() {
    counts(10, 20, "full");
}

/// Demands that the lines of each process, `NUMBER ROUND`, are all there and in their order.
#[track_caller]
fn all_lines_are_there<'a>(lines: impl Iterator<Item = &'a str>, count: usize, times: usize) {
    let mut rounds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for line in lines {
        let (me, round) = line.split_once(' ').unwrap();
        rounds.entry(me).or_default().push(round.parse().unwrap());
    }
    assert_eq!(rounds.len(), count);
    for (me, rounds) in rounds {
        assert_eq!(rounds, (0..times).collect::<Vec<_>>(), "{me}");
    }
}

#[test]
pub fn appended_lines_are_all_there() {
    let kv = Sandbox::new();
    let line = "kv append log \"$me $i\n\" --sync off";
    at_once(&kv, 20, Exit::Success, &repeat(25, line));
    let log = kv.run(["get", "log"]).stdout_text();
    all_lines_are_there(log.lines(), 20, 25);
}

/// Pops all elements, which are lines, in one process.
#[track_caller]
fn drain(kv: &Sandbox) -> Vec<String> {
    let items = kv.run(["items", "jobs"]).ends(Exit::Success).stdout_text();
    let pops = "pop jobs\n".repeat(items.lines().count() + 1);
    let ran = kv.feed(["batch", "--sync", "off"], pops.as_bytes());
    let replies = ran.ends(Exit::No).warns("").stdout_text();
    let replies = replies.strip_suffix("1 0\n\n").unwrap();
    let values = replies.lines().skip(1).step_by(2);
    values.map(str::to_owned).collect()
}

#[test]
pub fn pushed_elements_are_all_there() {
    let kv = Sandbox::new();
    let push = "kv push jobs \"$me $i\" --sync off";
    at_once(&kv, 20, Exit::Success, &repeat(50, push));
    let items = kv.run(["items", "jobs"]).stdout_text();
    all_lines_are_there(items.lines(), 20, 50);
    // They are popped in the same order.
    assert_eq!(drain(&kv), items.lines().collect::<Vec<_>>());
}

#[test]
pub fn many_can_be_the_first_to_push() {
    for _ in 0..5 {
        let kv = Sandbox::new();
        at_once(&kv, 20, Exit::Success, "kv push jobs \"$me 0\"");
        let items = kv.run(["items", "jobs"]).stdout_text();
        all_lines_are_there(items.lines(), 20, 1);
        if kv.is_directory() {
            assert_eq!(names_in(&kv.store()), ["jobs"]);
        }
    }
}

#[test]
pub fn each_of_many_elements_is_taken_once() {
    let kv = Sandbox::new();
    // Of other engines fewer will do: there a script of one step gives each away.
    let count = match kv.is_directory() {
        true => 10_000,
        false => 2_000,
    };
    let lines: String = (0..count).map(|n| format!("{n}\n")).collect();
    let args = ["push", "jobs", "--lines", "--sync", "off"];
    kv.feed(args, lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    let taker = "while :; do kv pop --wait 200ms jobs --sync off || exit; echo; done";
    let mut all = Vec::new();
    for text in at_once(&kv, 20, Exit::No, taker) {
        let taken: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(taken.is_sorted(), "{taken:?}");
        all.extend(taken);
    }
    all.sort_unstable();
    assert!(all == (0..count).collect::<Vec<_>>(), "{}", all.len());
    kv.run(["items", "jobs"]).ends(Exit::Success).is_silent();
}

/// What became of the elements while processes were killed.
#[derive(Debug, Default)]
struct Fates {
    /// Their `push` ended with status 0.
    pushed: BTreeSet<u64>,
    /// Their `push` was killed.
    maybe: BTreeSet<u64>,
    popped: Vec<u64>,
    /// How many takers were killed before they printed anything.
    mute: usize,
}

/// Runs a command and kills it after a while, unless it was faster; `None` lets it live.
fn killed_after(kv: &Sandbox, args: &[&str], micros: Option<u64>) -> Output {
    let mut command = kv.kv(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let Some(micros) = micros {
        thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    output
}

/// Six processes push and four pop at any time, and one in `one_in` of these is killed at any time.
fn killed(one_in: (u64, u64)) -> Fates {
    let kv = Sandbox::new();
    let fates = Mutex::new(Fates::default());
    let (next, pushers) = (AtomicU64::new(0), AtomicUsize::new(6));
    let dies = |n: u64, one_in: u64| n.is_multiple_of(one_in).then_some(n * 7919 % 6_000);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..150 {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let args = ["push", "jobs", &n.to_string(), "--sync", "off"];
                    let output = killed_after(&kv, &args, dies(n, one_in.0));
                    let mut fates = fates.lock().unwrap();
                    match output.status.code() {
                        Some(0) => fates.pushed.insert(n),
                        None => fates.maybe.insert(n),
                        _ => panic!("{output:?}"),
                    };
                }
                pushers.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for taker in 0..4 {
            let (kv, fates, pushers) = (&kv, &fates, &pushers);
            scope.spawn(move || {
                let mut n = taker;
                // What they leave is taken below.
                while pushers.load(Ordering::Relaxed) > 0 {
                    n += 4;
                    let args = ["pop", "jobs", "--sync", "off"];
                    let output = killed_after(kv, &args, dies(n, one_in.1));
                    let mut fates = fates.lock().unwrap();
                    match output.status.code() {
                        Some(1) => {}
                        None if output.stdout.is_empty() => fates.mute += 1,
                        Some(0) | None => {
                            let text = String::from_utf8(output.stdout).unwrap();
                            fates.popped.push(text.parse().unwrap());
                        }
                        _ => panic!("{output:?}"),
                    }
                }
            });
        }
    });
    let mut fates = fates.into_inner().unwrap();
    let rest = drain(&kv);
    let rest = rest.iter().map(|value| value.parse::<u64>().unwrap());
    fates.popped.extend(rest);
    kv.run(["items", "jobs"]).ends(Exit::Success).is_silent();
    fates
}

impl Fates {
    /// Demands that nothing was popped twice that was not pushed, and returns how many elements
    /// whose push was acknowledged were not popped.
    #[track_caller]
    fn missing(&self) -> usize {
        let popped: BTreeSet<u64> = self.popped.iter().copied().collect();
        assert_eq!(popped.len(), self.popped.len(), "twice: {:?}", self.popped);
        let known: BTreeSet<u64> = self.pushed.union(&self.maybe).copied().collect();
        assert!(popped.is_subset(&known));
        tell_count(&format!(
            "{} pushed, {} pushers and {} mute takers killed, {} popped",
            self.pushed.len(),
            self.maybe.len(),
            self.mute,
            popped.len(),
        ));
        self.pushed.difference(&popped).count()
    }
}

#[test]
pub fn killed_pushers_lose_nothing_that_was_acknowledged() {
    let fates = killed((3, u64::MAX));
    assert_eq!(fates.missing(), 0);
    assert!(!fates.maybe.is_empty(), "nobody was killed");
}

#[test]
pub fn killed_takers_take_one_element_at_most() {
    let fates = killed((3, 3));
    let missing = fates.missing();
    assert!(missing <= fates.mute, "{missing} of {}", fates.mute);
    assert!(fates.mute > 0, "nobody was killed");
}
