//! Every state in which a power cut may leave a disk.
//!
//! The power may fail behind any operation. What a sync covers that was completed by then is there;
//! of everything else any part may be there and any other not. A state in which the last operation
//! before the cut is lost is also one of an earlier cut, so cuts are made only where the next thing
//! to happen is a sync or an answer, and at the end.

use std::collections::{HashMap, HashSet};

use super::disk::{Disk, Inode, Left, Op, ROOT};
use crate::dice::Dice;

/// Where more states than this follow from one cut, not all of them are built.
const MOST_AT_ONE_CUT: usize = 1 << 12;
/// How many of those are drawn by lot then, beside those that are chosen.
const DRAWN: usize = 256;

/// A state, and how many commands were answered before it.
#[derive(Debug)]
pub struct State {
    pub disk: Disk,
    pub told: usize,
    /// Behind which operation the power failed, and what is left of those that no sync covers.
    pub cut: usize,
    pub left: Vec<(usize, Left)>,
}

impl State {
    /// Returns how many operations were lost, in whole or in part.
    pub fn lost(&self) -> usize {
        let is_lost = |(_, left): &&(usize, Left)| *left != Left::All;
        self.left.iter().filter(is_lost).count()
    }
}

/// What was built.
#[derive(Debug, Default)]
pub struct States {
    /// By their hashes; of equal ones the one before which most was answered, of which most is asked.
    pub distinct: HashMap<u64, State>,
    pub built: usize,
    /// Cuts of which not all states were built.
    pub sampled: usize,
    /// What was on the disk before an operation, at the cut that is being made: when it comes again,
    /// the same follows.
    seen: HashSet<(usize, u64)>,
}

impl States {
    pub fn of(before: &Disk, ops: &[Op]) -> Self {
        let mut states = Self::default();
        let ancestors = ancestors(before, ops);
        for cut in 0..=ops.len() {
            if !matches!(ops.get(cut), Some(Op::Sync { .. } | Op::Told(_)) | None) {
                continue;
            }
            let ops = &ops[..cut];
            let cut = Cut {
                ops,
                free: free(ops),
                linked: linked_later(ops),
                ancestors: &ancestors,
            };
            cut.build(before, &mut states);
        }
        states
    }

    /// Returns the states and their hashes, in no order.
    pub fn all(&self) -> impl Iterator<Item = (u64, &State)> {
        self.distinct.iter().map(|(hash, state)| (*hash, state))
    }

    fn add(&mut self, disk: &Disk, ops: &[Op], left: &[(usize, Left)]) {
        self.built += 1;
        let told = ops.iter().filter_map(|op| match op {
            Op::Told(number) => Some(*number),
            _ => None,
        });
        let told = told.max().unwrap_or(0);
        let hash = disk.hash();
        let known = self.distinct.get(&hash);
        if known.is_none_or(|known| known.told < told) {
            let state = State {
                disk: disk.clone(),
                told,
                cut: ops.len(),
                left: left.to_vec(),
            };
            self.distinct.insert(hash, state);
        }
    }
}

/// A power cut.
struct Cut<'a> {
    /// What happened before it.
    ops: &'a [Op],
    /// Whether an operation may be lost.
    free: Vec<bool>,
    /// What gets a name behind each operation.
    linked: Vec<Vec<Inode>>,
    /// For each file and directory those that it may be in, itself too.
    ancestors: &'a [Vec<Inode>],
}

impl Cut<'_> {
    fn build(&self, before: &Disk, states: &mut States) {
        let built = states.built;
        states.seen.clear();
        if !self.dive(0, before.clone(), &mut Vec::new(), states, built) {
            states.sampled += 1;
            self.sample(before, states);
        }
    }

    fn free(&self) -> impl Iterator<Item = usize> {
        (0..self.ops.len()).filter(|&i| self.free[i])
    }

    /// Builds all states from an operation on; false if they are too many.
    fn dive(
        &self,
        from: usize,
        mut disk: Disk,
        left: &mut Vec<(usize, Left)>,
        states: &mut States,
        built: usize,
    ) -> bool {
        if !states.seen.insert((from, disk.sum())) {
            return true;
        }
        for (i, op) in self.ops.iter().enumerate().skip(from) {
            if !self.free[i] || !self.matters(i, &disk) {
                disk.apply(op, Left::All);
                continue;
            }
            for &what in op.leftovers() {
                let mut disk = disk.clone();
                disk.apply(op, what);
                left.push((i, what));
                let is_done = self.dive(i + 1, disk, left, states, built);
                left.pop();
                if !is_done {
                    return false;
                }
            }
            return true;
        }
        states.add(&disk, self.ops, left);
        states.built - built <= MOST_AT_ONE_CUT
    }

    /// Tells whether anybody could ever see what becomes of an operation.
    fn matters(&self, i: usize, disk: &Disk) -> bool {
        let mut found = vec![false; self.ancestors.len()];
        disk.mark_found(ROOT, &mut found);
        let places = self.ops[i].synced_by().into_iter().flatten();
        let is_seen = |place: Inode| {
            let mut above = self.ancestors[place].iter();
            found[place] || above.any(|above| self.linked[i].contains(above))
        };
        places.into_iter().any(is_seen)
    }

    /// Builds what is likeliest to go wrong: all up to an operation without one before it, half a
    /// write in all, one operation alone; and some by lot.
    fn sample(&self, before: &Disk, states: &mut States) {
        let free: Vec<usize> = self.free().collect();
        for (n, &last) in free.iter().enumerate() {
            self.replay(before, states, |i| up_to(i <= last));
            self.replay(before, states, |i| up_to(i == last));
            for &lost in &free[..n] {
                for &what in &self.ops[lost].leftovers()[1..] {
                    self.replay(before, states, |i| match i == lost {
                        true => what,
                        false => up_to(i <= last),
                    });
                }
            }
        }
        let mut dice = Dice(1);
        for _ in 0..DRAWN {
            let mut lots = HashMap::new();
            for &i in &free {
                let leftovers = self.ops[i].leftovers();
                lots.insert(i, leftovers[dice.pick(leftovers.len())]);
            }
            self.replay(before, states, |i| lots[&i]);
        }
    }

    fn replay(&self, before: &Disk, states: &mut States, what: impl Fn(usize) -> Left) {
        let mut disk = before.clone();
        let mut left = Vec::new();
        for (i, op) in self.ops.iter().enumerate() {
            let what = if self.free[i] { what(i) } else { Left::All };
            disk.apply(op, what);
            if what != Left::All {
                left.push((i, what));
            }
        }
        states.add(&disk, self.ops, &left);
    }
}

fn up_to(is_there: bool) -> Left {
    if is_there { Left::All } else { Left::Nothing }
}

/// Tells of each operation whether it may be lost: no sync covers it, and it is of consequence.
fn free(ops: &[Op]) -> Vec<bool> {
    let mut free: Vec<bool> = Vec::with_capacity(ops.len());
    for (i, op) in ops.iter().enumerate() {
        let places = op.synced_by();
        let is_synced = ops[i..].iter().any(|later| match later {
            Op::Sync { inode } => places.contains(&Some(*inode)),
            _ => false,
        });
        free.push(!is_synced && op.leftovers().len() > 1);
    }
    // That a file got its first name is of no consequence where it has another for sure.
    for i in 0..ops.len() {
        if let Op::Link { dir, name, inode } = &ops[i] {
            let next = (i + 1..ops.len()).find(|&later| concerns(&ops[later], *dir, name));
            free[i] &= !next.is_some_and(|next| {
                let moves = matches!(&ops[next], Op::Rename { from, inode: moved, .. }
                    if moved == inode && (from.0, &from.1) == (*dir, name));
                moves && !free[next]
            });
        }
    }
    free
}

/// Tells whether an operation is about a name.
fn concerns(op: &Op, dir: Inode, name: &str) -> bool {
    match op {
        Op::Link {
            dir: other,
            name: there,
            ..
        }
        | Op::Unlink {
            dir: other,
            name: there,
        } => (*other, &there[..]) == (dir, name),
        Op::Rename { from, to, .. } => [from, to].iter().any(|at| (at.0, &at.1[..]) == (dir, name)),
        _ => false,
    }
}

/// Returns what gets a name behind each operation.
fn linked_later(ops: &[Op]) -> Vec<Vec<Inode>> {
    let mut later = Vec::new();
    let mut all = vec![Vec::new(); ops.len()];
    for (i, op) in ops.iter().enumerate().rev() {
        all[i].clone_from(&later);
        if let Op::Link { inode, .. } | Op::Rename { inode, .. } = op {
            later.push(*inode);
        }
        if let Op::Rename { swapped, .. } = op {
            later.extend(swapped);
        }
    }
    all
}

fn ancestors(before: &Disk, ops: &[Op]) -> Vec<Vec<Inode>> {
    let mut parents: Vec<Vec<Inode>> = vec![Vec::new(); before.len()];
    for dir in 0..before.len() {
        for (_, child) in before.entries(dir) {
            parents[child].push(dir);
        }
    }
    for op in ops {
        match op {
            Op::Link { dir, inode, .. } => parents[*inode].push(*dir),
            Op::Rename {
                from,
                to,
                inode,
                swapped,
            } => {
                parents[*inode].push(to.0);
                swapped.inspect(|other| parents[*other].push(from.0));
            }
            _ => {}
        }
    }
    (0..before.len())
        .map(|inode| {
            let mut above = vec![inode];
            let mut next = 0;
            while let Some(&inode) = above.get(next) {
                next += 1;
                for &parent in &parents[inode] {
                    if !above.contains(&parent) {
                        above.push(parent);
                    }
                }
            }
            above
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;

    /// Files `x` and `y` in the root, made, written and renamed; see the model of the design.
    fn put(syncs: &[usize]) -> (Disk, Vec<Op>) {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("states");
        std::fs::create_dir_all(&dir).unwrap();
        let mut disk = Disk::read(&dir);
        let (tmp, shard, file) = (disk.add(0o700, true), disk.add(0o700, true), 3);
        for (name, inode) in [("tmp", tmp), ("shard", shard)] {
            let link = Op::Link {
                dir: ROOT,
                name: name.to_owned(),
                inode,
            };
            disk.apply(&link, Left::All);
        }
        assert_eq!(disk.add(0o600, false), file);
        let mut ops = vec![
            Op::Link {
                dir: tmp,
                name: "draft".to_owned(),
                inode: file,
            },
            Op::Write {
                inode: file,
                offset: 0,
                bytes: Arc::from(&b"value"[..]),
            },
            Op::Sync { inode: file },
            Op::Rename {
                from: (tmp, "draft".to_owned()),
                to: (shard, "key".to_owned()),
                inode: file,
                swapped: None,
            },
            Op::Sync { inode: shard },
            Op::Told(1),
        ];
        ops.retain(|op| match op {
            Op::Sync { inode } => syncs.contains(inode),
            _ => true,
        });
        (disk, ops)
    }

    #[test]
    fn a_put_has_the_states_that_the_model_of_the_design_has() {
        let (disk, ops) = put(&[2, 3]);
        let states = States::of(&disk, &ops);
        assert_eq!(states.sampled, 0);
        // Nothing; the draft with each of five leftovers; the entry.
        assert_eq!(states.distinct.len(), 1 + 5 + 1);
        let told: Vec<_> = states.distinct.values().filter(|s| s.told == 1).collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].disk.find(2, "key"), Some(3));
    }

    #[test]
    fn without_a_sync_there_are_more() {
        for (syncs, more) in [(&[2][..], 4), (&[3][..], 0)] {
            let (disk, ops) = put(syncs);
            let states = States::of(&disk, &ops);
            assert_eq!(states.distinct.len(), 7 + more, "{syncs:?}");
            let told = states.distinct.values().filter(|s| s.told == 1).count();
            assert_eq!(told, if more > 0 { 5 } else { 3 }, "{syncs:?}");
        }
    }
}
