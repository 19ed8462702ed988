//! Power cuts around commands that remove one value.

use super::judge::Values;
use super::prepare::{pack, put};
use super::{Scenario, Step};
use crate::harness::Sandbox;

fn loose(kv: &Sandbox) {
    put(kv, "key", "old");
    put(kv, "other", "other");
}

fn packed(kv: &Sandbox) {
    loose(kv);
    pack(kv);
}

/// A pack has an older value than the key's own file.
fn both(kv: &Sandbox) {
    put(kv, "key", "older");
    pack(kv);
    loose(kv);
}

/// A removal says whether there was anything to remove.
fn again(values: &Values) -> (i32, Values) {
    let mut values = values.clone();
    let was_there = values.remove("key").is_some();
    (i32::from(!was_there), values)
}

#[track_caller]
fn survives(args: &[&str]) {
    for prepare in [loose, packed, both] {
        let remove = Step::new(args).removes("key");
        Scenario::new(prepare, [remove]).again(again).survives();
    }
}

#[test]
fn remove() {
    survives(&["remove", "key"]);
}

#[test]
fn take() {
    survives(&["get", "key", "--remove"]);
}
