//! `kv memo` with many callers at once, with old results, and with leaders that die.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use kv::exit::Exit;

use crate::harness::{Ran, Sandbox, until};

/// Counts its runs, says which one it is, waits until it is let go, and does what is behind it.
const WAIT: &str = "echo $$ >>runs; echo $$; until [ -e go ]; do sleep 0.01; done; ";

fn memo(kv: &Sandbox, options: &[&str], script: &str) -> Command {
    let args = [
        &["memo", "k", "--ttl", "1h"],
        options,
        &["--", "sh", "-c", script],
    ]
    .concat();
    let mut command = kv.kv(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Returns the process ids of the runs so far.
fn runs(kv: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(kv.path("runs")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Starts callers, and returns when each waits for the lock that one of them holds, or holds it.
fn start(kv: &Sandbox, count: usize, script: &str) -> Vec<Child> {
    let callers: Vec<Child> = (0..count)
        .map(|_| memo(kv, &[], script).spawn().unwrap())
        .collect();
    until("all wait", || match kv.waiting() {
        Some(waiting) => waiting + 1 >= count,
        None => callers.iter().all(|child| has_lock_open(child.id())),
    });
    until("one runs", || !runs(kv).is_empty());
    callers
}

fn has_lock_open(pid: u32) -> bool {
    // Over the network a lock has a connection of its own.
    if crate::process::sockets(pid) >= 2 {
        return true;
    }
    let fds = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    fds.flatten().any(|fd| {
        let path = fs::read_link(fd.path()).unwrap_or_default();
        let path = path.to_string_lossy();
        path.contains("/memo/named/") || path.contains("/store-locks/")
    })
}

/// Lets the runs go on, and ends the callers.
fn finish(kv: &Sandbox, callers: Vec<Child>, status: u8) -> Vec<Ran> {
    fs::write(kv.path("go"), "").unwrap();
    let command = memo(kv, &[], "the same");
    let ended = callers.into_iter().map(|child| {
        let ran = Ran::with(&command, child.wait_with_output().unwrap());
        ran.ends(Exit::Program(status))
    });
    ended.collect()
}

#[test]
pub fn of_fifty_callers_one_runs_and_all_get_what_it_prints() {
    let kv = Sandbox::new();
    let script = [WAIT, "echo done; echo said >&2"].concat();
    let callers = start(&kv, 50, &script);
    let ended = finish(&kv, callers, 0);
    let [run] = &runs(&kv)[..] else {
        panic!("not one run: {:?}", runs(&kv));
    };
    for ran in ended {
        ran.prints(format!("{run}\ndone\n")).warns("said\n");
    }
}

#[test]
pub fn a_failed_run_is_for_those_who_waited_and_for_nobody_later() {
    let kv = Sandbox::new();
    let script = [WAIT, "echo no >&2; exit 7"].concat();
    let callers = start(&kv, 20, &script);
    let ended = finish(&kv, callers, 7);
    let first = runs(&kv);
    assert_eq!(first.len(), 1);
    for ran in ended {
        ran.prints(format!("{}\n", first[0])).warns("no\n");
    }
    let later = Ran::of(&mut memo(&kv, &[], &script)).ends(Exit::Program(7));
    assert_eq!(runs(&kv).len(), 2);
    later.prints(format!("{}\n", runs(&kv)[1])).warns("no\n");
    // What succeeds next is kept as ever.
    for _ in 0..2 {
        let ran = Ran::of(&mut memo(&kv, &[], WAIT)).ends(Exit::Success);
        ran.prints(format!("{}\n", runs(&kv)[2])).warns("");
    }
}

#[test]
pub fn a_line_is_there_before_the_program_ends() {
    let kv = Sandbox::new();
    let mut leader = memo(&kv, &[], &[WAIT, "echo done"].concat())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(leader.stdout.take().unwrap());
    let mut line = String::new();
    // This would wait for ever: the program goes on when the line was read.
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, format!("{}\n", runs(&kv)[0]));
    fs::write(kv.path("go"), "").unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "done\n");
    assert!(leader.wait().unwrap().success());
}

#[test]
fn who_kills_the_leader_kills_the_program_and_another_runs_it() {
    let kv = Sandbox::new();
    let mut leader = memo(&kv, &[], WAIT).spawn().unwrap();
    until("it runs", || !runs(&kv).is_empty());
    let script = [WAIT, "echo done"].concat();
    let callers = start(&kv, 20, &script);
    leader.kill().unwrap();
    leader.wait().unwrap();
    let orphan = runs(&kv)[0].clone();
    until("it dies along", || !lives(&orphan));
    until("another runs", || runs(&kv).len() == 2);
    let ended = finish(&kv, callers, 0);
    assert_eq!(runs(&kv).len(), 2);
    for ran in ended {
        ran.prints(format!("{}\ndone\n", runs(&kv)[1])).warns("");
    }
}

/// Tells whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with('Z')
}

/// Stores a first result, printed as `1`, and returns a script that prints how often it was run,
/// after it has waited from the second time on, and done what is given.
fn refreshed(kv: &Sandbox, then: &str) -> String {
    let script = format!(
        "echo run >>runs; n=$(wc -l <runs); if [ $n -gt 1 ]; then \
         until [ -e go ]; do sleep 0.01; done; {then}; fi; echo $n"
    );
    Ran::of(&mut memo(kv, &STALE, &script))
        .ends(Exit::Success)
        .prints("1\n");
    script
}

/// Whatever was printed is old.
const STALE: [&str; 2] = ["--stale", "0"];

/// Waits until nobody refreshes the result.
fn await_refresh(kv: &Sandbox, count: usize) {
    until("it is refreshed", || runs(kv).len() == count);
    kv.run(["-n", "memo", "lock", "k", "--", "true"])
        .ends(Exit::Success)
        .is_silent();
}

#[test]
pub fn an_old_result_is_answered_at_once_and_refreshed_by_one() {
    let kv = Sandbox::new();
    let script = refreshed(&kv, ":");
    // Each of these would wait for ever for a run that they wait for: it ends after them. They wait
    // for their outputs to be closed, as a shell's $(…) does.
    for _ in 0..10 {
        let ran = Ran::of(&mut memo(&kv, &STALE, &script)).ends(Exit::Success);
        ran.prints("1\n").warns("");
    }
    fs::write(kv.path("go"), "").unwrap();
    await_refresh(&kv, 2);
    Ran::of(&mut memo(&kv, &[], &script))
        .ends(Exit::Success)
        .prints("2\n")
        .warns("");
}

#[test]
pub fn a_result_that_is_not_old_is_not_refreshed() {
    let kv = Sandbox::new();
    let script = refreshed(&kv, ":");
    for _ in 0..3 {
        let ran = Ran::of(&mut memo(&kv, &["--stale", "30m"], &script)).ends(Exit::Success);
        ran.prints("1\n").warns("");
    }
    await_refresh(&kv, 1);
}

#[test]
fn a_refresh_has_nothing_of_its_callers() {
    let kv = Sandbox::new();
    let look = "ls -l /proc/self/fd >fds";
    let script = refreshed(&kv, look);
    let call =
        format!("exec 7>extra; x=$(kv memo k --ttl 1h --stale 0 -- sh -c '{script}'); echo $x");
    kv.shell("sh", &call)
        .ends(Exit::Success)
        .prints("1\n")
        .warns("");
    fs::write(kv.path("go"), "").unwrap();
    await_refresh(&kv, 2);
    let fds = fs::read_to_string(kv.path("fds")).unwrap();
    let links = fds.lines().filter_map(|line| line.split_once(" -> "));
    let open: Vec<_> = links
        .map(|(what, to)| (what.rsplit(' ').next().unwrap(), to))
        .collect();
    // The last is the directory that ls reads.
    let numbers: Vec<_> = open.iter().map(|(fd, _)| *fd).collect();
    assert_eq!(numbers, ["0", "1", "2", "3"], "{fds}");
    assert!(
        open[0].1 == "/dev/null" && open[1].1.ends_with("/fds"),
        "{fds}"
    );
    assert!(
        open[2].1.starts_with("pipe:") && open[3].1.ends_with("/fd"),
        "{fds}"
    );
}

#[test]
pub fn a_refresh_that_fails_keeps_the_old_result() {
    let kv = Sandbox::new();
    let script = refreshed(&kv, "echo bad; exit 1");
    fs::write(kv.path("go"), "").unwrap();
    for count in 2..=3 {
        let ran = Ran::of(&mut memo(&kv, &STALE, &script)).ends(Exit::Success);
        ran.prints("1\n").warns("");
        await_refresh(&kv, count);
    }
    // Unless failures are to be kept, too.
    let keep = ["--stale", "0", "--keep-failures"];
    Ran::of(&mut memo(&kv, &keep, &script))
        .ends(Exit::Success)
        .prints("1\n")
        .warns("");
    await_refresh(&kv, 4);
    Ran::of(&mut memo(&kv, &[], &script))
        .ends(Exit::Program(1))
        .prints("bad\n")
        .warns("");
}
