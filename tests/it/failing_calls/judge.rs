//! What is promised of a command of which a system call failed.

use std::process::Output;

use kv::exit::Exit;

use super::contents::{Image, image, litter};
use super::inject::{Call, Fault};
use super::scenario::Scenario;
use crate::harness::Sandbox;

/// What a command does where nothing fails.
pub struct Ordinary {
    pub status: i32,
    pub stdout: Vec<u8>,
    pub old: Image,
    pub new: Image,
}

/// How many failures there were, and what followed from them.
#[derive(Default)]
pub struct Counts {
    pub tried: usize,
    pub failed: usize,
    pub litter: usize,
}

/// Checks what is promised of a command of which one call failed.
pub fn judge(
    kv: &Sandbox,
    scenario: &Scenario,
    ordinary: &Ordinary,
    (call, fault): (&Call, Fault),
    output: &Output,
    counts: &mut Counts,
) -> Result<(), String> {
    counts.tried += 1;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let status = output.status.code().ok_or("it hung, or was killed")?;
    let failure = match scenario.args[0] {
        "lock" | "memo" | "update" => 125,
        _ => i32::from(Exit::Failure.row().0),
    };
    let is_done = status == ordinary.status;
    // What a program printed is passed on, whether it can be remembered or not.
    let is_passed_on = scenario.args[0] == "memo"
        && stderr.starts_with("kv: what the program printed is not remembered: ");
    if is_done {
        let is_same = output.stdout == ordinary.stdout || scenario.varies;
        check(is_same, "it printed something else")?;
        let is_silent = stderr.is_empty();
        check(is_silent || is_passed_on, "it complains and succeeds")?;
    } else {
        counts.failed += 1;
        // A program that no pipe can be made for counts as one that cannot be run.
        // A disk that lies may be found out, and that is damage.
        let is_found_out = fault == Fault::Swallowed && status == i32::from(Exit::Damaged.row().0);
        let is_failure = status == failure || (failure, status) == (125, 126) || is_found_out;
        check(is_failure, "a strange status")?;
        check(
            stderr.lines().all(|line| line.starts_with("kv: ")),
            "no line of kv's",
        )?;
        // With a disk that died, several keys are several failures, and no line can be written.
        let is_single = stderr.ends_with('\n') && stderr.lines().count() == 1;
        check(
            is_single || matches!(fault, Fault::Ever(_)),
            "no single line",
        )?;
        check(fault != Fault::Once("EINTR"), "EINTR is no failure")?;
    }

    let now = match image(kv) {
        // What lies cannot be caught when it does, but when it is read.
        Err(4) if fault == Fault::Swallowed => return Ok(()),
        Err(status) => return Err(format!("then export ends with {status}")),
        Ok(now) => now,
    };
    if is_done && !is_passed_on && fault != Fault::Swallowed {
        check(now == ordinary.new, "it is done, and the store is another")?;
    }
    let keys = ordinary
        .old
        .keys()
        .chain(ordinary.new.keys())
        .chain(now.keys());
    for key in keys {
        let value = now.get(key);
        let is_one = value == ordinary.old.get(key) || value == ordinary.new.get(key);
        check(is_one, &format!("{key:?} holds {value:?}"))?;
    }

    let left = litter(kv);
    if !left.is_empty() {
        counts.litter += 1;
        // On a disk that died nothing can be removed any more.
        let is_excused = call.cleans_up() || matches!(fault, Fault::Ever(_));
        check(is_excused, &format!("left: {left:?}"))?;
    }
    // Whatever it left behind is in nobody's way.
    let after: [&[&str]; 3] = [&["put", "key", "next"], &["get", "key"], &["gc"]];
    // A collection of garbage takes longer than all the rest.
    let count = if counts.tried.is_multiple_of(4) { 3 } else { 2 };
    for args in &after[..count] {
        let ran = kv.run(*args);
        check(ran.status().success(), &ran.report())?;
    }
    Ok(())
}

fn check(holds: bool, why: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}
