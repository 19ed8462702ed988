//! A checker of histories: could operations that overlapped have happened one after the other?
//!
//! Wing and Gong's search ("Testing and Verifying Concurrent Objects", 1993) with Lowe's memory of
//! the configurations that led nowhere ("Testing for linearizability", 2017). A history is about
//! one key: linearizability is local, so each key of a store is checked by itself (Herlihy and
//! Wing, 1990). What an operation means is a [`Step`], and [`crate::register`] has that of a key.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// The end of an operation that may take effect at any later time.
pub const NEVER: u64 = u64::MAX;

/// A search that comes to more configurations than this is given up, before it takes all memory.
const MOST: usize = 4_000_000;

/// What operations do to a state, their answers included.
pub trait Step: Debug + PartialEq {
    type State: Clone + Debug + Default + Eq + Hash;

    /// Returns the state after the operation; `None` if it could not have answered so in `state`.
    fn step(&self, state: &Self::State) -> Option<Self::State>;

    /// Tells whether an operation that answered so changes nothing, in whatever state.
    fn only_reads(&self) -> bool;
}

/// An operation, its answer, and the time in which it took effect.
#[derive(Clone, Debug)]
pub struct Event<O> {
    pub op: O,
    pub start: u64,
    pub end: u64,
    /// Without an answer it may have had no effect at all. Of a killed process the end is when it
    /// was seen to be dead; of a request to a server that was lost it is [`NEVER`].
    pub answered: bool,
}

/// What has taken effect on one path of the search. As each of the operations in `holes` overlaps
/// with the last one that did, there are no more of them than there were processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Config<S> {
    /// All events before this one have taken effect but for `holes`.
    next: usize,
    holes: Vec<usize>,
    state: S,
}

/// Checks the history of one key, which begins in the default state.
///
/// # Errors
///
/// The events among which no order could be found any more, as text, or within reason.
pub fn check<O: Step>(mut events: Vec<Event<O>>) -> Result<(), String> {
    events.sort_by_key(|event| event.start);
    // The first end of all events from each one on.
    let mut first_end = vec![NEVER; events.len() + 1];
    for (i, event) in events.iter().enumerate().rev() {
        first_end[i] = first_end[i + 1].min(event.must_end());
    }
    let mut farthest = Config {
        next: 0,
        holes: Vec::new(),
        state: O::State::default(),
    };
    let mut seen = HashSet::from([farthest.clone()]);
    let mut stack = vec![farthest.clone()];
    while let Some(config) = stack.pop() {
        let open_end = |&i: &usize| events[i].must_end();
        let holes_end = config.holes.iter().map(open_end).min().unwrap_or(NEVER);
        let limit = holes_end.min(first_end[config.next]);
        if limit == NEVER {
            return Ok(());
        }
        if config.next > farthest.next {
            farthest = config.clone();
        }
        let begun = events[config.next..]
            .iter()
            .take_while(|e| e.start <= limit);
        let candidates = config.holes.iter().copied();
        let candidates = candidates.chain(config.next..config.next + begun.count());
        let mut following = Vec::new();
        let mut lost = Vec::new();
        for i in candidates {
            let Event { op, .. } = &events[i];
            let Some(state) = op.step(&config.state) else {
                continue;
            };
            // Of lost requests for the same thing the first stands for all, as none has an end; and
            // what changes nothing need not be found to have happened.
            if events[i].is_lost() {
                if state == config.state || lost.contains(&op) {
                    continue;
                }
                lost.push(op);
            }
            let (then, passes_over) = config.with(i, state, &events);
            let then = (events[i].must_end(), then);
            if events[i].op.only_reads() && !passes_over {
                // It can come now and is in nobody's way, so that no other order need be tried.
                following = vec![then];
                break;
            }
            following.push(then);
        }
        // What ended first is the likeliest to have happened first, and is tried first; what was
        // killed is tried last.
        following.sort_by_key(|(end, _)| std::cmp::Reverse(*end));
        for (_, then) in following {
            if seen.insert(then.clone()) {
                stack.push(then);
            }
        }
        if seen.len() > MOST {
            let why = stuck(&events, &farthest);
            return Err(format!(
                "nothing is found among {MOST} configurations; {why}"
            ));
        }
    }
    Err(stuck(&events, &farthest))
}

impl<O> Event<O> {
    /// Tells whether it may take effect at any later time, or never.
    fn is_lost(&self) -> bool {
        !self.answered && self.end == NEVER
    }

    /// Returns the time by which it has taken effect for sure.
    fn must_end(&self) -> u64 {
        if self.answered { self.end } else { NEVER }
    }
}

impl<S: Clone> Config<S> {
    /// Returns what follows when an event takes effect, and whether by that a killed operation is
    /// found to have had none.
    fn with<O>(&self, taken: usize, state: S, events: &[Event<O>]) -> (Self, bool) {
        let mut holes = self.holes.clone();
        let next = self.next.max(taken + 1);
        match holes.binary_search(&taken) {
            Ok(at) => _ = holes.remove(at),
            Err(_) => holes.extend(self.next..taken),
        }
        // What was killed before the last one began and has had no effect will have none.
        let last_start = events[next - 1].start;
        let before = holes.len();
        holes.retain(|&i| events[i].answered || events[i].end >= last_start);
        let passes_over = holes.len() < before;
        (Self { next, holes, state }, passes_over)
    }
}

/// Shows the state that the search got farthest with, and the events that do not fit it.
fn stuck<O: Step>(events: &[Event<O>], farthest: &Config<O::State>) -> String {
    let mut text = format!(
        "not linearizable: after {} of {} operations, in {:?}:\n",
        farthest.next - farthest.holes.len(),
        events.len(),
        farthest.state
    );
    let few_before = farthest.next.saturating_sub(12)..farthest.next;
    let few_behind = farthest.next..events.len().min(farthest.next + 12);
    let mut shown = farthest.holes.clone();
    shown.extend(few_before.chain(few_behind));
    shown.sort_unstable();
    shown.dedup();
    for i in shown {
        let is_open = i >= farthest.next || farthest.holes.contains(&i);
        let mark = if is_open { "  " } else { "ok" };
        let Event { op, start, end, .. } = &events[i];
        let killed = if events[i].answered { "" } else { " killed" };
        text += &format!("{mark} {start:>14} {end:>14}{killed} {op:?}\n");
    }
    text
}

#[cfg(test)]
mod tests;
