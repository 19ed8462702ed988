//! Power cuts some time after a command that was killed, or did not wait for the disk, or left to
//! others what they may rely on.

use super::judge::Values;
use super::prepare::{MANY, every_lock, pack, put, put_expired, removal};
use super::{Scenario, Step};
use crate::harness::Sandbox;

fn import(value: &str) -> Step {
    let lines = format!("key\t{value}\n").repeat(MANY);
    Step::new(&["import", "--tsv"])
        .fed(lines)
        .puts("key", value)
}

fn loose(kv: &Sandbox) {
    put(kv, "key", "old");
    put(kv, "other", "other");
    every_lock(kv);
}

/// A pack has an older value.
fn both(kv: &Sandbox) {
    put(kv, "key", "older");
    put(kv, "other", "other");
    pack(kv);
    put(kv, "key", "old");
    every_lock(kv);
}

/// What gc has moved into a pack may still have its file after a power cut. It must not hide what
/// was stored since.
#[test]
fn an_import_of_what_was_folded() {
    Scenario::new(loose, [Step::new(&["gc"]), import("new")])
        .needs("store/default/objects/a6", 1)
        .endures();
}

#[test]
fn a_removal_of_what_was_folded() {
    Scenario::new(loose, [Step::new(&["gc"]), removal(&["key"])]).endures();
}

#[test]
fn an_import_of_what_was_removed_without_a_sync() {
    let remove = Step::new(&["remove", "key"]).unsynced().removes("key");
    Scenario::new(loose, [remove, import("new")])
        .needs("store/default/objects/a6", 1)
        .endures();
}

#[test]
fn an_import_over_a_put_of_the_dead() {
    let put = Step::new(&["put", "key", "half"])
        .killed_at("fsync", 2)
        .puts("key", "half");
    Scenario::new(loose, [put, import("new")]).endures();
}

#[test]
fn an_import_of_what_was_removed_by_the_dead() {
    let remove = Step::new(&["remove", "key"])
        .killed_at("fsync", 1)
        .removes("key");
    Scenario::new(loose, [remove, import("new")])
        .needs("store/default/objects/a6", 1)
        .endures();
}

/// The namespace has its name, and its maker was killed before the store was synced.
#[test]
fn an_import_into_a_namespace_of_the_dead() {
    let put = Step::new(&["put", "other", "value"]).killed_as_maker();
    Scenario::new(|_| {}, [put, import("new")])
        .needs("store", 2)
        .endures();
}

#[test]
fn a_put_into_a_namespace_of_the_dead() {
    let put = Step::new(&["put", "other", "value"]).killed_as_maker();
    let next = Step::new(&["put", "key", "new"]).puts("key", "new");
    Scenario::new(|_| {}, [put, next])
        .needs("store", 2)
        .endures();
}

#[test]
fn a_put_into_a_shard_of_the_dead() {
    let other = |kv: &Sandbox| put(kv, "other", "other");
    let dead = Step::new(&["put", "key", "dead"]).killed_at("fsync", 2);
    let next = Step::new(&["put", "key", "new"]).puts("key", "new");
    Scenario::new(other, [dead, next]).endures();
}

/// MANIFEST is another, and its writer was killed before that was durable.
#[test]
fn gc_behind_a_merge_of_the_dead() {
    let dead = Step::new(&["gc"]).killed_behind("MANIFEST", "fsync", 11);
    Scenario::new(both, [dead, Step::new(&["gc"])])
        .needs("store/default/packs", 5)
        .endures();
}

#[test]
fn gc_behind_a_replacement_of_the_dead() {
    let dead = removal(&["key", "other"]).killed_behind("MANIFEST", "fsync", 5);
    Scenario::new(both, [dead, Step::new(&["gc"])]).endures();
}

#[test]
fn a_removal_behind_a_replacement_of_the_dead() {
    let dead = removal(&["key", "other"]).killed_behind("MANIFEST", "fsync", 5);
    let remove = Step::new(&["remove", "key"]).removes("key");
    let again = |values: &Values| {
        let mut values = values.clone();
        let was_there = values.remove("key").is_some();
        (i32::from(!was_there), values)
    };
    Scenario::new(both, [dead, remove]).again(again).endures();
}

#[test]
fn a_put_that_sweeps_behind_a_replacement_of_the_dead() {
    let hidden = |kv: &Sandbox| {
        put(kv, "key", "older");
        pack(kv);
        put_expired(kv, "key");
        every_lock(kv);
    };
    let dead = removal(&["key"]).killed_behind("MANIFEST", "fsync", 5);
    let put = Step::new(&["put", "next", "new", "--ttl", "1h"]).puts("next", "new (expires)");
    Scenario::new(hidden, [dead, put]).endures();
}

#[test]
fn a_put_behind_an_import_of_the_dead() {
    let dead = import("dead").killed_at("unlinkat", 1);
    let put = Step::new(&["put", "key", "new"]).puts("key", "new");
    Scenario::new(both, [dead, put]).endures();
}

#[test]
fn gc_behind_an_import_of_the_dead() {
    let dead = import("dead").killed_at("unlinkat", 1);
    Scenario::new(both, [dead, Step::new(&["gc"])]).endures();
}

/// The first packs have their name, which is not durable.
#[test]
fn gc_behind_the_first_of_the_dead() {
    let dead = Step::new(&["gc"]).killed_behind("packs", "fsync", 5);
    Scenario::new(loose, [dead, Step::new(&["gc"])])
        .needs("store/default", 1)
        .endures();
}

#[test]
fn an_import_behind_the_first_of_the_dead() {
    let dead = Step::new(&["gc"]).killed_behind("packs", "fsync", 5);
    Scenario::new(loose, [dead, import("new")])
        .needs("store/default", 1)
        .endures();
}
