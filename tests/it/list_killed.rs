//! `kill -9` at any moment of hundreds of pushes and pops: what is missing then is what pops that were killed
//! have taken.

use std::collections::HashSet;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use kv::exit::Exit;

use crate::harness::{Engine, Sandbox, tell_count};

const ROUNDS: u64 = 40;

#[test]
fn of_a_list_in_sqlite_nothing_else_is_missing() {
    nothing_else_is_missing(&Sandbox::on(Engine::Sqlite));
}

#[test]
fn of_a_list_in_redis_nothing_else_is_missing() {
    if Engine::Redis.is_here() {
        nothing_else_is_missing(&Sandbox::on(Engine::Redis));
    }
}

fn nothing_else_is_missing(kv: &Sandbox) {
    let start = |args: &[&str]| -> Child {
        let mut command = kv.kv(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut pushed = HashSet::new();
    let (mut popped, mut is_twice) = (HashSet::new(), false);
    let (mut killed_pushes, mut killed_pops) = (0, 0);
    for round in 0..ROUNDS {
        let values: Vec<String> = (0..6).map(|number| format!("{round}-{number}")).collect();
        let pushes: Vec<Child> = values
            .iter()
            .map(|value| start(&["push", "l", value]))
            .collect();
        let pops: Vec<Child> = (0..4).map(|_| start(&["pop", "l"])).collect();
        // Half of them go on to their end.
        let mut all: Vec<Child> = pushes.into_iter().chain(pops).collect();
        for (number, child) in all
            .iter_mut()
            .enumerate()
            .filter(|(number, _)| number % 2 == 0)
        {
            let micros = (round * 7_919 + number as u64 * 104_729) % 4_000;
            thread::sleep(Duration::from_micros(micros));
            _ = child.kill();
        }
        for (number, child) in all.into_iter().enumerate() {
            let output = child.wait_with_output().unwrap();
            let is_killed = output.status.code().is_none();
            match values.get(number) {
                Some(_) if is_killed => killed_pushes += 1,
                Some(value) => {
                    assert!(output.status.success(), "{output:?}");
                    pushed.insert(value.clone());
                }
                None => {
                    let is_known = matches!(output.status.code(), None | Some(0 | 1));
                    assert!(is_known, "{output:?}");
                    let value = String::from_utf8(output.stdout).unwrap();
                    is_twice |= !value.is_empty() && !popped.insert(value.clone());
                    killed_pops += usize::from(is_killed && value.is_empty());
                }
            }
        }
    }
    let rest = kv.run(["items", "l"]).ends(Exit::Success).stdout_text();
    for value in rest.lines() {
        is_twice |= !popped.insert(value.to_owned());
    }
    let missing = pushed.difference(&popped).count();
    tell_count(&format!(
        "{} acknowledged pushes, {missing} not come out; {killed_pushes} pushes killed, \
         {killed_pops} pops killed before they printed",
        pushed.len()
    ));
    assert!(!is_twice, "an element came twice");
    assert!(!pushed.is_empty());
    assert!(missing <= killed_pops);
    kv.run(["fsck"]).ends(Exit::Success).is_silent();
}
