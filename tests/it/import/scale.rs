//! Values and numbers of entries of every size.

use kv::exit::Exit;

use crate::harness::Sandbox;

#[test]
pub fn values_may_be_large() {
    let kv = Sandbox::new();
    let sizes = [
        0,
        1,
        16 * 1024 - 1,
        16 * 1024,
        16 * 1024 + 1,
        300_000,
        1_200_000,
        5_000_000,
    ];
    let text = |size: usize| ["a\"ä\n", &"x".repeat(size)].concat();
    let mut lines = String::new();
    for size in sizes {
        let value = serde_json::to_string(&text(size)).unwrap();
        lines.push_str(&format!("{{\"key\":\"{size}\",\"value\":{value}}}\n"));
        lines.push_str(&format!("{{\"key\":\"small {size}\",\"value\":\"1\"}}\n"));
    }
    kv.feed(["import"], lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    for size in sizes {
        kv.holds(&size.to_string(), text(size));
        kv.holds(&format!("small {size}"), "1");
    }
}

#[test]
pub fn a_hundred_thousand_entries_come_in() {
    let kv = Sandbox::new();
    let line = |n: u32| format!("key-{n:09}\t{}\n", "v".repeat(90));
    let mut lines: String = (0..100_000).rev().map(line).collect();
    lines.push_str("key-000000007\tlast\n");
    kv.feed(["import", "--tsv", "--sync", "off"], lines.as_bytes())
        .ends(Exit::Success)
        .is_silent();
    kv.run(["ls", "--count"]).prints("100000\n");
    kv.holds("key-000000007", "last");
    kv.holds("key-000000000", "v".repeat(90));
    kv.holds("key-000099999", "v".repeat(90));
}
