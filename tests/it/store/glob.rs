//! Patterns over whole keys.

use kv::store::glob::*;

#[test]
fn a_prefix_ends_at_the_first_part_that_is_not_literal() {
    let table: [(&[u8], &[u8]); 5] = [
        (b"user:77:*", b"user:77:"),
        (b"caf\xc3\xa9\xff?", b"caf\xc3\xa9\xff"),
        (b"a\\*b[cd]", b"a*b"),
        (b"*", b""),
        (b"whole", b"whole"),
    ];
    for (pattern, prefix) in table {
        assert_eq!(
            Glob::new(pattern).unwrap().literal_prefix(),
            prefix,
            "{pattern:?}"
        );
    }
}

#[test]
fn matches_whole_keys() {
    let table: &[(&str, &[u8], bool)] = &[
        ("", b"", true),
        ("", b"a", false),
        ("*", b"", true),
        ("*", b".hidden/with\nnewline", true),
        ("user:*", b"user:", true),
        ("user:*", b"auser:1", false),
        ("a*b*c", b"a--b-b--c", true),
        ("a*b*c", b"a--b-b--", false),
        ("**a", b"bba", true),
        ("?", "é".as_bytes(), true),
        ("??", "é".as_bytes(), false),
        ("?", b"\xff", true),
        ("??", b"\xff\xfe", true),
        ("[a-c]x", b"bx", true),
        ("[!a-c]x", b"bx", false),
        ("[^a-c]x", b"dx", true),
        ("[]-]", b"]", true),
        ("[]-]", b"-", true),
        ("[!]]", b"]", false),
        ("[\\]]", b"]", true),
        ("[\\a-\\c]", b"b", true),
        ("[à-ü]", "é".as_bytes(), true),
        ("[!a]", b"\xff", true),
        ("\\*", b"*", true),
        ("\\*", b"a", false),
        ("A", b"a", false),
    ];
    for (pattern, key, want) in table {
        let glob = Glob::new(pattern.as_bytes()).unwrap();
        assert_eq!(glob.matches(key), *want, "{pattern:?} on {key:?}");
    }
}

#[test]
fn refuses_what_is_not_closed() {
    for pattern in ["[", "[a", "[]", "[!]", "[a-", "[\\", "x[a-\\"] {
        assert_eq!(
            Glob::new(pattern.as_bytes()),
            Err(BadGlob::Bracket),
            "{pattern}"
        );
    }
    assert_eq!(Glob::new(b"a\\"), Err(BadGlob::Backslash));
}

#[test]
fn many_stars_stay_cheap() {
    let glob = Glob::new("*a".repeat(40).as_bytes()).unwrap();
    assert!(!glob.matches("a".repeat(39).as_bytes()));
    assert!(!glob.matches(&[b"a".repeat(10_000), b"b".to_vec()].concat()));
}
