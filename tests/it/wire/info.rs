//! What is known of a namespace: the names that it has in every form, and the form of JSON.

use kv::store::{Info, Time};
use kv::wire::info::*;

fn row(from: u128, below: u128, count: u64) -> Row {
    Row { from, below, count }
}

#[test]
fn rows_begin_and_end_with_what_counts() {
    assert_eq!(rows(&[]), []);
    assert_eq!(rows(&[0, 0]), []);
    assert_eq!(rows(&[2]), [row(0, 1, 2)]);
    let found = rows(&[0, 0, 3, 0, 1, 0]);
    assert_eq!(found, [row(2, 4, 3), row(4, 8, 0), row(8, 16, 1)]);
    let mut counts = vec![0; 65];
    counts[64] = 1;
    assert_eq!(rows(&counts), [row(1 << 63, 1 << 64, 1)]);
}

#[test]
fn json_has_null_for_what_is_not_known() {
    let store = [
        ("engine", "tree".to_owned()),
        ("location", "a\"b".to_owned()),
    ];
    let mut line = Vec::new();
    write_json(&mut line, &store, None).unwrap();
    let want = "{\"engine\":\"tree\",\"location\":\"a\\\"b\",\"namespace\":null}\n";
    assert_eq!(String::from_utf8(line).unwrap(), want);

    let info = Info {
        entries: 1,
        collected: Some(Time(1_732_158_611_000_000_001)),
        sizes: vec![1],
        ..Info::default()
    };
    let mut line = Vec::new();
    write_json(&mut line, &store[..1], Some(("a", &info))).unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        "{\"engine\":\"tree\",\"namespace\":\"a\",\"format\":null,\"entries\":1,\"bytes\":0,\
         \"disk_bytes\":null,\"inodes\":null,\"loose\":0,\"packed\":0,\"packs\":0,\
         \"temporary\":0,\"tombstones\":0,\"expired\":0,\
         \"last_gc\":\"2024-11-21T03:10:11.000000001Z\",\"gc_pays\":false,\"damaged\":0,\
         \"sizes\":[{\"from\":0,\"below\":1,\"count\":1}],\"ages\":[]}\n"
    );
}
