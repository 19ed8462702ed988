//! Histories that could have happened, and such that could not.

use super::*;
use crate::dice::Dice;
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
fn many_lost_requests_are_no_more_work_than_few() {
    let lost = (0..60).map(|at| match at % 2 {
        0 => killed(at, NEVER, put(9)),
        _ => killed(at, NEVER, Op::Clear),
    });
    let read = |start, value| at(start, start + 1, Op::Get(value));
    let mut events: Vec<_> = lost.collect();
    let values = [None, Some(9)].into_iter().cycle();
    events.extend((50..65).zip(values).map(|(n, value)| read(2 * n, value)));
    accepts(&events);
    events.push(read(200, Some(3)));
    rejects(&events);
    // There are no more of them than there were.
    let few = [killed(0, NEVER, put(9)), killed(1, NEVER, Op::Clear)];
    let reads = [Some(9), None, Some(9)];
    let reads = (5..).zip(reads).map(|(n, value)| read(2 * n, value));
    rejects(&few.into_iter().chain(reads).collect::<Vec<_>>());
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
    let mut dice = Dice(1);
    let mut draw = |below| dice.roll(below);
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
