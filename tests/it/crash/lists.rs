//! Power cuts around commands on lists.

use super::judge::Values;
use super::{Scenario, Step};
use crate::harness::Sandbox;

const FIRST: &str = "00000000000000000001";
const LAST: &str = "00000000000000000003";
const NEXT: &str = "00000000000000000004";

fn three(kv: &Sandbox) {
    let elements = kv.feed(["push", "jobs", "--lines"], b"a\nb\nc\n");
    elements.ends(kv::exit::Exit::Success).is_silent();
}

fn push_again(values: &Values) -> (i32, Values) {
    let mut values = values.clone();
    let next = values
        .last_key_value()
        .map_or(1, |(key, _)| key.parse::<u64>().unwrap() + 1);
    values.insert(format!("{next:020}"), b"new".to_vec());
    (0, values)
}

fn pop_again(values: &Values) -> (i32, Values) {
    let mut values = values.clone();
    let popped = values.pop_first();
    (i32::from(popped.is_none()), values)
}

fn pop_last_again(values: &Values) -> (i32, Values) {
    let mut values = values.clone();
    let popped = values.pop_last();
    (i32::from(popped.is_none()), values)
}

#[test]
fn the_first_push() {
    let push = Step::new(&["push", "jobs", "new"]).puts(FIRST, "new");
    Scenario::new(|_| {}, [push])
        .of_list("jobs")
        .again(push_again)
        .spare(&[
            (
                "store",
                1,
                "it is synced again when the namespace has its name",
            ),
            ("store", 2, "it is synced again with the first shard"),
            (
                "store",
                3,
                "it is durable already, where its maker was not killed",
            ),
            (
                "store/jobs",
                2,
                "it is durable already, where its maker was not killed",
            ),
        ])
        .survives();
}

#[test]
fn push_behind_others() {
    let push = Step::new(&["push", "jobs", "new"]).puts(NEXT, "new");
    Scenario::new(three, [push])
        .of_list("jobs")
        .again(push_again)
        .survives();
}

#[test]
fn pop() {
    let pop = Step::new(&["pop", "jobs"]).removes(FIRST);
    Scenario::new(three, [pop])
        .of_list("jobs")
        .again(pop_again)
        .survives();
}

#[test]
fn pop_of_a_packed_element() {
    let packed = |kv: &Sandbox| {
        three(kv);
        kv.run(["-n", "jobs", "gc"]).ends(kv::exit::Exit::Success);
    };
    let pop = Step::new(&["pop", "jobs", "--last"]).removes(LAST);
    Scenario::new(packed, [pop])
        .of_list("jobs")
        .again(pop_last_again)
        .survives();
}
