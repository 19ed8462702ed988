//! Which entries a listing names, and what it yields.

use kv::store::{Glob, Selection};

#[test]
fn bounds_hold_all_at_once() {
    let selection = Selection {
        prefix: b"user:".to_vec(),
        from: Some(b"user:2".to_vec()),
        to: Some(b"user:4".to_vec()),
        glob: Some(Glob::new(b"*:?").unwrap()),
        ..Selection::default()
    };
    let keys = ["user:1", "user:2", "user:3", "user:33", "user:4", "zser:3"];
    let found: Vec<_> = keys
        .iter()
        .filter(|k| selection.matches(k.as_bytes()))
        .collect();
    assert_eq!(found, [&"user:2", &"user:3"]);
}

#[test]
fn the_bounds_are_as_narrow_as_prefix_and_pattern_tell() {
    let selection = |prefix: &str, glob: Option<&str>, from: Option<&str>| Selection {
        prefix: prefix.into(),
        glob: glob.map(|glob| Glob::new(glob.as_bytes()).unwrap()),
        from: from.map(|from| from.as_bytes().to_vec()),
        ..Selection::default()
    };
    let table = [
        (selection("", None, None), "", None),
        (selection("user:", None, None), "user:", Some("user;")),
        (
            selection("u", Some("user:7*"), None),
            "user:7",
            Some("user:8"),
        ),
        (
            selection("user:", Some("*x"), Some("user:5")),
            "user:5",
            Some("user;"),
        ),
    ];
    for (selection, from, to) in table {
        let want = (
            from.as_bytes().to_vec(),
            to.map(|to| to.as_bytes().to_vec()),
        );
        assert_eq!(selection.bounds(), want);
    }
    for (prefix, to) in [(&b"a\xff\xff"[..], Some(b"b".to_vec())), (b"\xff", None)] {
        let prefix = prefix.to_vec();
        let selection = Selection {
            prefix,
            ..Selection::default()
        };
        assert_eq!(selection.bounds().1, to);
    }
}
