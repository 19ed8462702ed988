//! Which states are tried, and what is shown of a bad one.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use super::judge::Judge;
use super::record::Log;
use super::states::{State, States};

/// Of more distinct states than this, so many are tried, evenly spread.
const MOST_TRIED: usize = 100;
/// Of those that are left, so many are read.
const MOST_READ: usize = 600;
/// Of what one missing sync adds, so many are read, and so many tried.
const MOST_WITHOUT: (usize, usize) = (300, 25);

/// States that are good, by their hashes, and how many commands were answered at the most.
#[derive(Default)]
pub struct Tried(HashMap<u64, usize>);

impl Tried {
    fn knows(&self, hash: u64, state: &State) -> bool {
        self.0.get(&hash).is_some_and(|told| *told >= state.told)
    }
}

/// Demands that all states are good.
#[track_caller]
pub fn try_all(log: &Log, judge: &Judge, tried: &mut Tried) -> String {
    let states = States::of(&log.before, &log.ops);
    let count = states.distinct.len();
    let tries = spread(states.all().collect(), MOST_TRIED);
    for (hash, state) in &tries {
        demand(log, state, judge.try_all(state));
        tried.0.insert(*hash, state.told);
    }
    let rest = states
        .all()
        .filter(|(hash, state)| !tried.knows(*hash, state));
    let reads = spread(rest.collect(), MOST_READ);
    for (hash, state) in &reads {
        demand(log, state, judge.read(state));
        tried.0.insert(*hash, state.told);
    }
    let mut text = format!(
        "{} operations, {} states built, {count} distinct",
        log.ops.len(),
        states.built
    );
    if states.sampled > 0 || tries.len() < count {
        let (cuts, tries, reads) = (states.sampled, tries.len(), reads.len());
        text += &format!(" (sampled: {cuts} cuts; {tries} states tried, {reads} more read)");
    }
    text
}

/// Shows what is wrong with a state, and how it came about.
#[track_caller]
fn demand(log: &Log, state: &State, found: Result<(), String>) {
    let Err(why) = found else {
        return;
    };
    let mut text = format!(
        "{why}\n{} commands were answered, and of this is left:\n",
        state.told
    );
    for (at, op) in log.ops[..state.cut].iter().enumerate() {
        let left = state.left.iter().find(|(other, _)| *other == at);
        let left = left.map_or(String::new(), |(_, left)| format!("{left:?}"));
        text += &format!("{left:>8} {}\n", log.label(op));
    }
    panic!("{text}in {}", keep(state).display());
}

/// Tells whether one of the states is bad.
pub fn find_bad(states: &States, judge: &Judge, tried: &Tried) -> bool {
    let unknown = || {
        states
            .all()
            .filter(|(hash, state)| !tried.knows(*hash, state))
    };
    let (reads, tries) = MOST_WITHOUT;
    let is_bad = |some: Vec<(u64, &State)>, judge_one: &dyn Fn(&State) -> Result<(), String>| {
        some.iter().any(|(_, state)| judge_one(state).is_err())
    };
    is_bad(spread(unknown().collect(), reads), &|state| {
        judge.read(state)
    }) || is_bad(spread(unknown().collect(), tries), &|state| {
        judge.try_all(state)
    })
}

/// Takes so many: half of them those in which the least was lost, as it takes little to go wrong,
/// and of the others evenly spread ones.
fn spread(mut states: Vec<(u64, &State)>, most: usize) -> Vec<(u64, &State)> {
    if states.len() > most {
        states.sort_by_key(|(hash, state)| (state.lost(), *hash));
        let rest = states.split_off(most / 2);
        let step = rest.len().div_ceil(most - most / 2);
        states.extend(rest.into_iter().step_by(step));
    }
    states
}

/// Keeps a bad state where it can be looked at.
fn keep(state: &State) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}", process::id()));
    _ = fs::remove_dir_all(&dir);
    state.disk.lay_out(&dir);
    dir
}
