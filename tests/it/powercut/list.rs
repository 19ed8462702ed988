//! Lists through power cuts: what pushes and pops made of them is there, and nothing else.

use std::collections::VecDeque;

use kv::exit::Exit;

use super::disk::{Cut, Disk};
use super::rounds;
use crate::dice::Dice;
use crate::harness::{Ran, Sandbox, tell_count};

/// Pushes and pops of a round, at the most.
const STEPS: u64 = 40;

struct Trial<'a> {
    kv: &'a Sandbox,
    disk: &'a Disk,
    elements: VecDeque<String>,
    pushed: usize,
}

impl Trial<'_> {
    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.kv.kv(args);
        command.env("KV_STORE", self.disk.dir().join("store"));
        Ran::of(&mut command)
    }

    #[track_caller]
    fn push(&mut self) {
        self.pushed += 1;
        let element = format!("element {}", self.pushed);
        self.run(&["push", "jobs", &element]).ends(Exit::Success);
        self.elements.push_back(element);
    }

    #[track_caller]
    fn pop(&mut self, last: Option<&str>) {
        let args: Vec<_> = ["pop", "jobs"].into_iter().chain(last).collect();
        let element = match last {
            None => self.elements.pop_front(),
            Some(_) => self.elements.pop_back(),
        };
        match element {
            Some(element) => self.run(&args).ends(Exit::Success).prints(element),
            None => self.run(&args).ends(Exit::No).prints(""),
        };
    }

    /// Cuts the power when all was acknowledged, and looks.
    #[track_caller]
    fn cut(&self, cut: Cut) {
        self.disk.cut(cut);
        self.disk.restart();
        let lines: String = self.elements.iter().map(|e| format!("{e}\n")).collect();
        self.run(&["items", "jobs"])
            .ends(Exit::Success)
            .prints(lines);
        let ran = self.run(&["fsck"]).ends(Exit::Success);
        assert!(!ran.stdout_text().contains("damage: "), "{}", ran.report());
    }
}

#[track_caller]
fn no_element_is_lost(kind: &'static str) {
    let kv = Sandbox::new();
    let Some(disk) = Disk::new(&kv, kind) else {
        return;
    };
    let mut trial = Trial {
        kv: &kv,
        disk: &disk,
        elements: VecDeque::new(),
        pushed: 0,
    };
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let mut dice = Dice(seed.as_secs());
    let rounds = rounds();
    for round in 0..rounds {
        // What the file system has written by then comes back if nothing later is synced.
        let synced = dice.roll(STEPS);
        for step in 0..STEPS {
            // More is pushed than popped in one round, and less in the next.
            match dice.roll(10) < 3 + 4 * (round % 2) {
                true => trial.pop((dice.roll(4) == 0).then_some("--last")),
                false => trial.push(),
            }
            if step == synced {
                kv.shell("sh", "sync -f disk").ends(Exit::Success);
            }
            if dice.roll(STEPS) == 0 {
                trial.run(&["gc"]).ends(Exit::Success);
            }
        }
        trial.cut(match dice.roll(2) {
            0 => Cut::Plain,
            _ => Cut::JournalFirst,
        });
        trial.push();
    }
    while !trial.elements.is_empty() {
        trial.pop(None);
    }
    trial.pop(None);
    let pushed = trial.pushed;
    tell_count(&format!(
        "{rounds} power cuts on {kind}, {pushed} elements pushed and popped in order, none lost"
    ));
}

#[test]
fn on_ext4_no_element_is_lost() {
    no_element_is_lost("ext4");
}

#[test]
fn on_xfs_no_element_is_lost() {
    no_element_is_lost("xfs");
}
