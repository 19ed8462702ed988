//! Power cuts around commands on many entries, which are carried out by packs.

use super::prepare::{MANY, every_lock, pack, put, removal};
use super::{Scenario, Spare, Step};
use crate::harness::Sandbox;

/// Returns many lines, in which each of these comes, and the last counts.
fn many(entries: &[(&str, &str)], line: impl Fn(&str, &str) -> String) -> String {
    let entries = entries.iter().cycle().take(MANY.max(entries.len()));
    entries.map(|(key, value)| line(key, value)).collect()
}

fn table(entries: &[(&str, &str)]) -> String {
    many(entries, |key, value| format!("{key}\t{value}\n"))
}

fn puts(step: Step, entries: &[(&str, &str)]) -> Step {
    let entries = entries.iter();
    entries.fold(step, |step, (key, value)| step.puts(key, *value))
}

fn import(options: &[&str], entries: &[(&str, &str)]) -> Step {
    let args = [&["import", "--tsv"], options].concat();
    puts(Step::new(&args).fed(table(entries)), entries)
}

/// Whoever takes the maintenance lock syncs first what its last holder may not have synced.
const LAST_HOLDER: &[Spare] = &[
    ("store/default/packs", 1, "its last holder was not killed"),
    ("store/default", 1, "its last holder was not killed"),
    ("store", 1, "its last holder was not killed"),
];
/// Why a shard is synced in which nothing was changed.
const MADE_BY_OTHERS: &str = "it is durable already, where its maker was not killed";
const TWICE: &str = "it is synced before MANIFEST is another, and once more in the end";
const UNTOUCHED: &str = "nothing was removed there lately that is not durable";
/// What the first pack brings along.
const FIRST: &[Spare] = &[
    (
        "store/default/packs",
        1,
        "nobody looks into it before it has its name, and MANIFEST is synced into it before that",
    ),
    ("store", 1, "the namespace's maker was not killed"),
];

const NEW: &[(&str, &str)] = &[
    ("loose", "new"),
    ("packed", "new"),
    ("both", "new"),
    ("removed", "new"),
    ("absent", "new"),
];

/// Keys in files of their own only.
fn loose(kv: &Sandbox) {
    put(kv, "loose", "old");
    put(kv, "other", "other");
}

/// Keys in all places where they can be.
fn everywhere(kv: &Sandbox) {
    for key in ["packed", "both", "removed", "bystander"] {
        put(kv, key, "older");
    }
    pack(kv);
    put(kv, "both", "old");
    kv.run(["remove", "removed"]).ends(kv::exit::Exit::Success);
    loose(kv);
}

/// The same, and all lock files are there.
fn locked(kv: &Sandbox) {
    everywhere(kv);
    every_lock(kv);
}

#[test]
fn the_first_pack_of_a_new_store() {
    Scenario::new(|_| {}, [import(&[], NEW)])
        .spare(FIRST)
        .spare(&[
            ("store", 2, "it is synced again with the first pack"),
            ("store", 3, "it was synced when the namespace had its name"),
        ])
        .survives();
}

#[test]
fn the_first_pack_over_loose_entries() {
    Scenario::new(loose, [import(&[], NEW)])
        .spare(FIRST)
        .survives();
}

#[test]
fn the_second_pack() {
    Scenario::new(everywhere, [import(&[], NEW)])
        .spare(LAST_HOLDER)
        .spare(&[("store/default/objects/7a", 1, UNTOUCHED)])
        .survives();
}

#[test]
fn a_large_entry_among_others() {
    let large = "x".repeat(20_000);
    let entries = [("loose", &large[..]), ("both", "new"), ("absent", &large)];
    Scenario::new(everywhere, [import(&[], &entries)])
        .spare(LAST_HOLDER)
        .spare(&[
            ("store/default", 2, MADE_BY_OTHERS),
            ("store", 2, MADE_BY_OTHERS),
            ("store/default/objects/16", 1, TWICE),
            ("store/default/objects/16", 2, TWICE),
            ("store/default/objects/67", 1, TWICE),
            ("store/default/objects/67", 2, TWICE),
        ])
        .survives();
}

#[test]
fn only_what_is_absent() {
    let step = Step::new(&["import", "--tsv", "--if-absent"]).fed(table(NEW));
    let step = step.puts("removed", "new").puts("absent", "new");
    Scenario::new(everywhere, [step])
        .spare(LAST_HOLDER)
        .spare(&[
            ("store/default/objects/67", 1, UNTOUCHED),
            ("store/default/objects/fc", 1, UNTOUCHED),
        ])
        .survives();
}

#[test]
fn everything_is_replaced() {
    let entries = &[
        ("loose", "new"),
        ("both", "new"),
        ("removed", "new"),
        ("absent", "new"),
    ];
    let step = import(&["--replace"], entries)
        .removes("packed")
        .removes("bystander")
        .removes("other");
    Scenario::new(locked, [step])
        .spare(LAST_HOLDER)
        .spare(&[
            ("store/default/objects/7a", 1, UNTOUCHED),
            ("store/default/objects/ed", 1, UNTOUCHED),
        ])
        .survives();
}

#[test]
fn a_few_of_many_are_removed() {
    let prepare = |kv: &Sandbox| {
        for n in 0..9 {
            put(kv, &format!("many{n}"), "many");
        }
        everywhere(kv);
        every_lock(kv);
    };
    let step = removal(&["loose", "packed", "both"]);
    Scenario::new(prepare, [step])
        .spare(LAST_HOLDER)
        .spare(&[
            ("store/default/objects/00", 1, UNTOUCHED),
            ("store/default/objects/7a", 1, UNTOUCHED),
        ])
        .survives();
}

#[test]
fn most_are_removed() {
    let step = removal(&["loose", "packed", "both"]);
    Scenario::new(locked, [step])
        .spare(LAST_HOLDER)
        .spare(&[("store/default/objects/7a", 1, UNTOUCHED)])
        .survives();
}

#[test]
fn all_are_removed() {
    let step = removal(&["loose", "packed", "both", "bystander", "other"]);
    Scenario::new(locked, [step])
        .spare(LAST_HOLDER)
        .spare(&[
            ("store/default/objects/7a", 1, UNTOUCHED),
            ("store/default/objects/ed", 1, UNTOUCHED),
        ])
        .survives();
}

#[test]
fn a_large_batch() {
    let lines = many(NEW, |key, value| format!("put {key} {value}\n"));
    let step = puts(Step::new(&["batch"]).fed(lines), NEW);
    Scenario::new(everywhere, [step])
        .spare(LAST_HOLDER)
        .spare(&[("store/default/objects/7a", 1, UNTOUCHED)])
        .survives();
}

#[test]
fn only_what_is_newer() {
    let line = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}\n");
    let step = Step::new(&["import", "--merge"]).fed(many(NEW, line));
    let step = puts(step, NEW);
    Scenario::new(everywhere, [step])
        .spare(LAST_HOLDER)
        .spare(&[("store/default/objects/7a", 1, UNTOUCHED)])
        .survives();
}
