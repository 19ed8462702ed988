//! Power cuts around commands that store one value, or a few.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::judge::Values;
use super::prepare::{pack, put};
use super::{Scenario, Step};
use crate::harness::Sandbox;

/// Why the namespace and the store are synced with each new shard: whoever made them may have been
/// killed before.
const MADE_BY_OTHERS: &str = "it is durable already, where its maker was not killed";
/// Why a new namespace syncs the store twice.
const BEFORE_THE_NAMES: &str = "it is synced again when the namespace has its name";
const BY_THE_SHARD: &str = "it is synced again with the first shard";

const NEW_SHARD: &[(&str, usize, &str)] = &[
    ("store/default", 1, MADE_BY_OTHERS),
    ("store", 1, MADE_BY_OTHERS),
];

/// A store in which another key has a value, in another shard.
fn other(kv: &Sandbox) {
    put(kv, "other", "other");
}

/// One in which the key has had a value.
fn emptied(kv: &Sandbox) {
    put(kv, "key", "old");
    kv.run(["remove", "key"]).ends(kv::exit::Exit::Success);
    other(kv);
}

/// One in which the key has a value.
fn old(kv: &Sandbox) {
    put(kv, "key", "old");
    other(kv);
}

/// One in which the key has its value in a pack.
fn packed(kv: &Sandbox) {
    old(kv);
    pack(kv);
}

fn new() -> Step {
    Step::new(&["put", "key", "new"]).puts("key", "new")
}

#[test]
fn put_in_a_new_store() {
    Scenario::new(|_| {}, [new()])
        .spare(&[
            ("store", 1, BEFORE_THE_NAMES),
            ("store", 2, BY_THE_SHARD),
            ("store/default", 2, MADE_BY_OTHERS),
            ("store", 3, MADE_BY_OTHERS),
        ])
        .survives();
}

#[test]
fn put_in_a_new_store_in_new_directories() {
    Scenario::new(|_| {}, [new()])
        .in_store("a/b/store")
        .spare(&[
            ("a/b/store", 1, BEFORE_THE_NAMES),
            ("a/b/store", 2, BY_THE_SHARD),
            ("a/b/store/default", 2, MADE_BY_OTHERS),
            ("a/b/store", 3, MADE_BY_OTHERS),
        ])
        .survives();
}

#[test]
fn put_in_a_new_store_of_a_group() {
    let group = |kv: &Sandbox| {
        fs::create_dir(kv.store()).unwrap();
        fs::set_permissions(kv.store(), fs::Permissions::from_mode(0o2770)).unwrap();
    };
    Scenario::new(group, [new()])
        .spare(&[
            (".", 1, "the store was there before"),
            ("store", 1, BEFORE_THE_NAMES),
            ("store", 2, BY_THE_SHARD),
            ("store/default", 2, MADE_BY_OTHERS),
            ("store", 3, MADE_BY_OTHERS),
        ])
        .survives();
}

#[test]
fn put_in_a_new_shard() {
    Scenario::new(other, [new()]).spare(NEW_SHARD).survives();
}

#[test]
fn put_in_a_shard_that_is_there() {
    Scenario::new(emptied, [new()]).survives();
}

#[test]
fn put_over_a_value() {
    Scenario::new(old, [new()]).survives();
}

#[test]
fn put_over_a_packed_value() {
    Scenario::new(packed, [new()]).survives();
}

#[test]
fn put_if_absent() {
    let put = Step::new(&["put", "key", "new", "--if-absent"]).puts("key", "new");
    let again = |values: &Values| {
        let mut values = values.clone();
        let is_there = values.contains_key("key");
        values.entry("key".to_owned()).or_insert(b"new".to_vec());
        (i32::from(is_there), values)
    };
    Scenario::new(emptied, [put]).again(again).survives();
}

#[test]
fn put_if_the_value_is_still_the_packed_one() {
    let put = Step::new(&["put", "key", "new", "--if-value", "old"]).puts("key", "new");
    let again = |values: &Values| {
        let mut values = values.clone();
        let is_new = values["key"] == b"new";
        values.insert("key".to_owned(), b"new".to_vec());
        (i32::from(is_new), values)
    };
    Scenario::new(packed, [put]).again(again).survives();
}

#[test]
fn put_with_an_expiry() {
    let put = Step::new(&["put", "key", "new", "--ttl", "1h"]).puts("key", "new (expires)");
    Scenario::new(old, [put]).survives();
}

#[test]
fn put_of_a_large_value() {
    let value: Vec<u8> = (0..600_000_u32).map(|n| (n % 251) as u8).collect();
    let put = Step::new(&["put", "key"])
        .fed(value.clone())
        .puts("key", value);
    Scenario::new(old, [put]).survives();
}

#[test]
fn a_small_batch() {
    let batch = Step::new(&["batch"])
        .fed("put key new\nput other newer\nput third 3\nremove other\n")
        .puts("key", "new")
        .puts("other", "newer")
        .puts("third", "3")
        .removes("other");
    Scenario::new(packed, [batch])
        .spare(NEW_SHARD)
        .spare(&[(
            "store/default/objects/d0",
            1,
            "the next command but one syncs it again",
        )])
        .survives();
}

#[test]
fn expire() {
    let expire = Step::new(&["expire", "key", "1h"]).puts("key", "old (expires)");
    Scenario::new(packed, [expire]).survives();
}

#[test]
fn incr() {
    let prepare = |kv: &Sandbox| {
        put(kv, "hits", "41");
        pack(kv);
    };
    let again = |values: &Values| {
        let mut values = values.clone();
        let hits: u32 = String::from_utf8_lossy(&values["hits"]).parse().unwrap();
        values.insert("hits".to_owned(), (hits + 1).to_string().into());
        (0, values)
    };
    let incr = Step::new(&["incr", "hits"]).puts("hits", "42");
    Scenario::new(prepare, [incr]).again(again).survives();
}

#[test]
fn append() {
    let again = |values: &Values| {
        let mut values = values.clone();
        values.get_mut("key").unwrap().extend_from_slice(b"er");
        (0, values)
    };
    let append = Step::new(&["append", "key", "er"]).puts("key", "older");
    Scenario::new(old, [append]).again(again).survives();
}
