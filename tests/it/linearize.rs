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

/// What operations do to a state, their answers included.
pub trait Step: Debug {
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
/// The events among which no order could be found any more, as text.
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
        for i in candidates {
            let Some(state) = events[i].op.step(&config.state) else {
                continue;
            };
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
    }
    Err(stuck(&events, &farthest))
}

impl<O> Event<O> {
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
mod tests {
    use super::*;
    use crate::register::{Op, Value};

    fn at(start: u64, end: u64, op: Op) -> Event<Op> {
        Event {
            op,
            start,
            end,
            answered: true,
        }
    }

    fn killed(start: u64, end: u64, op: Op) -> Event<Op> {
        Event {
            answered: false,
            ..at(start, end, op)
        }
    }

    fn put(value: Value) -> Op {
        Op::Put { value, etag: None }
    }

    #[track_caller]
    fn accepts(events: &[Event<Op>]) {
        check(events.to_vec()).unwrap();
    }

    #[track_caller]
    fn rejects(events: &[Event<Op>]) {
        check(events.to_vec()).unwrap_err();
    }

    #[test]
    fn one_after_the_other() {
        accepts(&[]);
        accepts(&[
            at(0, 1, Op::Get(None)),
            at(2, 3, put(1)),
            at(4, 5, Op::Get(Some(1))),
            at(6, 7, Op::Take(Some(1))),
            at(8, 9, Op::Remove(false)),
        ]);
    }

    #[test]
    fn a_read_of_what_was_overwritten_is_rejected() {
        rejects(&[
            at(0, 1, put(1)),
            at(2, 3, put(2)),
            at(4, 5, Op::Get(Some(1))),
        ]);
    }

    #[test]
    fn a_read_of_what_nobody_wrote_is_rejected() {
        rejects(&[at(0, 1, put(1)), at(2, 3, Op::Get(Some(7)))]);
        rejects(&[at(0, 1, put(1)), at(2, 3, Op::Get(None))]);
    }

    #[test]
    fn overlapping_writes_come_in_any_order_but_in_one() {
        let (one, two) = (at(0, 10, put(1)), at(0, 10, put(2)));
        for (first, second) in [(1, 2), (2, 1)] {
            accepts(&[
                one.clone(),
                two.clone(),
                at(3, 4, Op::Get(Some(first))),
                at(5, 6, Op::Get(Some(second))),
            ]);
        }
        rejects(&[
            one,
            two,
            at(3, 4, Op::Get(Some(1))),
            at(5, 6, Op::Get(Some(2))),
            at(7, 8, Op::Get(Some(1))),
        ]);
    }

    #[test]
    fn one_of_two_wins_what_only_one_can() {
        let absent = |value, done| Op::PutIfAbsent {
            value,
            etag: None,
            done,
        };
        accepts(&[at(0, 9, absent(1, true)), at(1, 8, absent(2, false))]);
        rejects(&[at(0, 9, absent(1, true)), at(1, 8, absent(2, true))]);
        rejects(&[at(0, 9, absent(1, false)), at(1, 8, absent(2, false))]);
        let taken = at(4, 9, Op::Take(Some(1)));
        rejects(&[at(0, 1, put(1)), at(4, 9, Op::Take(Some(1))), taken]);
    }

    #[test]
    fn a_lost_update_is_rejected() {
        let swap = |wanted, value| Op::PutIfValue {
            wanted,
            value,
            etag: None,
            done: true,
        };
        accepts(&[at(0, 1, put(1)), at(2, 9, swap(1, 2)), at(2, 9, swap(2, 3))]);
        rejects(&[at(0, 1, put(1)), at(2, 9, swap(1, 2)), at(2, 9, swap(1, 3))]);
    }

    #[test]
    fn an_etag_stands_for_one_write() {
        let swap = |etag, value, done| Op::PutIfEtag {
            wanted: etag,
            value,
            etag: None,
            done,
        };
        let first = at(0, 1, put(1));
        let seen = at(2, 3, Op::Etag(Some(70)));
        accepts(&[first.clone(), seen.clone(), at(4, 5, swap(70, 2, true))]);
        rejects(&[first.clone(), seen.clone(), at(4, 5, swap(71, 2, true))]);
        rejects(&[first.clone(), seen.clone(), at(4, 5, swap(70, 2, false))]);
        // The same value, written again, is another write.
        let again = Op::Put {
            value: 1,
            etag: Some(72),
        };
        rejects(&[first, seen, at(4, 5, again), at(6, 7, swap(70, 2, true))]);
    }

    #[test]
    fn a_killed_write_took_effect_or_not_but_not_back_and_forth() {
        let killed = killed(2, NEVER, put(2));
        let read = |start, value| at(start, start + 1, Op::Get(Some(value)));
        accepts(&[at(0, 1, put(1)), killed.clone(), read(4, 1), read(6, 1)]);
        accepts(&[at(0, 1, put(1)), killed.clone(), read(4, 1), read(6, 2)]);
        rejects(&[
            at(0, 1, put(1)),
            killed.clone(),
            read(4, 2),
            read(6, 1),
            read(8, 2),
        ]);
        // Nor before it began.
        rejects(&[at(0, 0, put(1)), at(1, 1, Op::Get(Some(2))), killed]);
    }

    #[test]
    fn a_removal_that_would_also_fit_earlier_is_not_spent_there() {
        accepts(&[
            killed(0, NEVER, Op::Clear),
            at(1, 2, put(1)),
            at(3, 4, Op::Get(Some(1))),
            at(5, 6, Op::Get(None)),
        ]);
    }

    #[test]
    fn the_dead_write_nothing() {
        let dead = killed(2, 3, put(2));
        let read = |start, value| at(start, start + 1, Op::Get(Some(value)));
        accepts(&[at(0, 1, put(1)), dead.clone(), read(4, 1), read(6, 1)]);
        accepts(&[at(0, 1, put(1)), dead.clone(), read(4, 2), read(6, 2)]);
        rejects(&[at(0, 1, put(1)), dead.clone(), read(4, 1), read(6, 2)]);
        // A read that fits before it, and began after it, is not to be tried alone.
        let dead_again = killed(2, 3, put(1));
        accepts(&[at(0, 1, put(1)), dead, dead_again, read(4, 1), read(6, 1)]);
        let gone = killed(2, 3, Op::Clear);
        let no = at(4, 9, Op::Remove(false));
        accepts(&[at(0, 1, put(1)), gone, no, at(5, 8, Op::Get(None))]);
    }

    #[test]
    fn a_removed_namespace_holds_nothing() {
        accepts(&[
            at(0, 1, put(1)),
            at(2, 3, Op::Clear),
            at(4, 5, Op::Get(None)),
        ]);
        rejects(&[
            at(0, 1, put(1)),
            at(2, 3, Op::Clear),
            at(4, 5, Op::Get(Some(1))),
        ]);
    }

    /// Eight processes, thousands of overlapping operations: good, and with one answer forged.
    #[test]
    fn thousands_of_operations_are_judged_at_once() {
        let mut random = 1_u64;
        let mut draw = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut events = Vec::new();
        let mut held = None;
        for i in 0..5_000_u64 {
            let op = match draw(4) {
                0 | 1 => {
                    held = Some(i);
                    put(i)
                }
                2 => Op::Remove(held.take().is_some()),
                _ => Op::Get(held),
            };
            // It takes effect at 10 i, somewhere in a time that overlaps with several others.
            let start = (10 * i).saturating_sub(draw(35));
            let end = 10 * i + draw(35);
            let answered = draw(30) > 0 || !matches!(op, Op::Put { .. });
            events.push(Event {
                answered,
                ..at(start, end, op)
            });
        }
        check(events.clone()).unwrap();
        let forged = events
            .iter()
            .rposition(|event| matches!(event.op, Op::Get(Some(_))));
        events[forged.unwrap()].op = Op::Get(Some(0));
        check(events).unwrap_err();
    }
}
