//! Power cuts around commands on lists, without a reboot: the range that is left is believed.

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
    // Which syncs the first write of a store needs is tried with `put`, in fewer states.
    let push = Step::new(&["push", "jobs", "new"]).puts(FIRST, "new");
    Scenario::new(|_| {}, [push])
        .of_list("jobs")
        .again(push_again)
        .endures();
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

/// As many as a range holds without being widened.
fn block(kv: &Sandbox) {
    let lines: String = (1..=64).map(|n| format!("{n}\n")).collect();
    let args = ["push", "jobs", "--lines", "--sync", "off"];
    kv.feed(args, lines.as_bytes())
        .ends(kv::exit::Exit::Success);
}

const BEYOND: &str = "00000000000000000065";
/// Above a shard all is durable already, where its maker was not killed.
const FIRST_OF_ITS_SHARD: [super::Spare; 2] = [
    ("store", 1, "it is durable already"),
    ("store/jobs", 1, "it is durable already"),
];

#[test]
fn push_beyond_the_range() {
    let push = Step::new(&["push", "jobs", "new"]).puts(BEYOND, "new");
    Scenario::new(block, [push])
        .of_list("jobs")
        .again(push_again)
        .spare(&FIRST_OF_ITS_SHARD)
        .survives();
}

#[test]
fn push_behind_one_who_was_killed_when_the_range_was_wider() {
    // The first sync is that of the draft, the second that of `list/`.
    let killed = Step::new(&["push", "jobs", "gone"])
        .killed_at("fsync", 2)
        .puts(BEYOND, "gone");
    let push = Step::new(&["push", "jobs", "new"]).puts(BEYOND, "new");
    Scenario::new(block, [killed, push])
        .of_list("jobs")
        .again(push_again)
        .needs("store/jobs/list", 1)
        .endures();
}

#[test]
fn put_of_an_element_beyond_the_range() {
    let put = Step::new(&["-n", "jobs", "put", BEYOND, "new"]).puts(BEYOND, "new");
    Scenario::new(block, [put])
        .of_list("jobs")
        .spare(&FIRST_OF_ITS_SHARD)
        .survives();
}

/// Elements of which nearly all were taken, so that the next but one to take narrows the range.
fn nearly_taken(kv: &Sandbox) {
    block(kv);
    let more = kv.feed(["push", "jobs", "--lines"], b"a\nb\nc\n");
    more.ends(kv::exit::Exit::Success);
    let pops = "i=0; while [ $((i += 1)) -le 63 ]; do kv pop jobs --sync off; done";
    kv.shell("sh", pops).ends(kv::exit::Exit::Success);
}

#[test]
fn pop_that_narrows_the_range_behind_one_who_was_killed() {
    let last = "00000000000000000064";
    let killed = Step::new(&["pop", "jobs"])
        .killed_at("fsync", 1)
        .removes(last);
    let pop = Step::new(&["pop", "jobs"]).removes(BEYOND);
    Scenario::new(nearly_taken, [killed, pop])
        .of_list("jobs")
        .again(pop_again)
        .needs("store/jobs/objects/ac", 1)
        .endures();
}
