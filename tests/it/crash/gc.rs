//! Power cuts around `kv gc`, which changes nothing that anybody could see.

use std::time::{Duration, SystemTime};

use kv::store::Expiry;

use super::judge::{Opened, Then};
use super::prepare::{pack, put, put_expired};
use super::{Scenario, Spare, Step};
use crate::harness::Sandbox;

/// Whoever takes the maintenance lock syncs first what its last holder may not have synced.
const LAST_HOLDER: &[Spare] = &[
    ("store/default/packs", 1, "its last holder was not killed"),
    ("store/default", 1, "its last holder was not killed"),
    ("store", 1, "its last holder was not killed"),
];
/// What the first pack brings along.
const FIRST: &[Spare] = &[
    (
        "store/default/packs",
        1,
        "nobody looks into it before it has its name, and MANIFEST is synced into it before that",
    ),
    ("store", 1, "the namespace's maker was not killed"),
];

fn gc() -> Step {
    Step::new(&["gc"])
}

#[test]
fn the_first() {
    let prepare = |kv: &Sandbox| {
        put(kv, "a", "1");
        put(kv, "b", "2");
        put(kv, "large", &"x".repeat(20_000));
    };
    Scenario::new(prepare, [gc()]).spare(FIRST).survives();
}

/// The older pack is too large to be merged with what is folded.
#[test]
fn folding_over_a_pack() {
    let prepare = |kv: &Sandbox| {
        for n in 0..12 {
            put(kv, &format!("k{n}"), &"x".repeat(4_000));
        }
        pack(kv);
        put(kv, "k0", "new");
        kv.run(["remove", "k1"]).ends(kv::exit::Exit::Success);
    };
    Scenario::new(prepare, [gc().removes("k1")])
        .spare(LAST_HOLDER)
        .survives();
}

#[test]
fn folding_and_merging() {
    let prepare = |kv: &Sandbox| {
        for key in ["a", "b", "c", "d"] {
            put(kv, key, "old");
        }
        pack(kv);
        put(kv, "a", "new");
        put(kv, "e", "new");
        kv.run(["remove", "b"]).ends(kv::exit::Exit::Success);
        put(kv, "gone", "new");
        kv.run(["remove", "gone"]).ends(kv::exit::Exit::Success);
    };
    Scenario::new(prepare, [gc().removes("b").removes("gone")])
        .spare(LAST_HOLDER)
        .survives();
}

#[test]
fn evicting() {
    let prepare = |kv: &Sandbox| {
        let opened = Opened::at(&kv.store(), "default");
        let put = |ago: u64, key: &str| {
            let then = SystemTime::now() - Duration::from_secs(ago);
            opened
                .put_at(key, key.as_bytes(), Expiry::Never, &Then(then))
                .unwrap();
        };
        put(90, "first");
        put(80, "second");
        put(20, "fifth");
        opened.gc().unwrap();
        put(70, "third");
        put(60, "fourth");
        put(10, "sixth");
        // An older value of it is packed.
        put(75, "second");
    };
    let step = Step::new(&["-n", "default", "gc", "--max-entries", "2"]);
    let step = step
        .removes("first")
        .removes("second")
        .removes("third")
        .removes("fourth");
    Scenario::new(prepare, [step])
        .spare(LAST_HOLDER)
        .spare(&[(
            "store/default/objects/e0",
            1,
            "nothing was removed there lately that is not durable",
        )])
        .survives();
}

#[test]
fn sweeping_what_has_expired() {
    let prepare = |kv: &Sandbox| {
        put(kv, "hidden", "older");
        put(kv, "key", "value");
        pack(kv);
        put_expired(kv, "hidden");
        put_expired(kv, "expired");
        put(kv, "loose", "value");
    };
    Scenario::new(prepare, [gc().removes("hidden").removes("expired")])
        .spare(LAST_HOLDER)
        .survives();
}

/// Nothing is folded, as a put clears it away.
#[test]
fn a_put_that_sweeps() {
    let prepare = |kv: &Sandbox| {
        put(kv, "hidden", "older");
        pack(kv);
        put_expired(kv, "hidden");
        put_expired(kv, "expired");
    };
    let step = Step::new(&["put", "key", "new", "--ttl", "1h"]).puts("key", "new (expires)");
    Scenario::new(prepare, [step.removes("hidden").removes("expired")])
        .spare(&[
            (
                "store/default",
                1,
                "it is durable already, where its maker was not killed",
            ),
            (
                "store",
                1,
                "it is durable already, where its maker was not killed",
            ),
        ])
        .survives();
}
