//! Bytes as a person can read them on a terminal, in one line.

use kv::wire::text::*;

#[test]
fn keeps_text_and_escapes_the_rest() {
    assert_eq!(escape("naïve \\ key".as_bytes()), "naïve \\ key");
    assert_eq!(escape(b"a\n\x1b[31m\xff"), "a\\n\\u{1b}[31m\\xff");
    let turned = "\u{202e}a\u{2066}\u{200b}e\u{301}";
    assert_eq!(
        escape(turned.as_bytes()),
        "\\u{202e}a\\u{2066}\\u{200b}e\u{301}"
    );
}

#[test]
fn a_character_may_be_cut_in_two() {
    let check = |parts: &[&[u8]]| {
        let mut check = Utf8Check::default();
        parts.iter().for_each(|part| check.part(part));
        check.is_text()
    };
    assert!(check(&[]) && check(&[b"a\xe2", b"\x82", b"\xacb"]));
    assert!(!check(&[b"a\xe2", b"\x82"]));
    assert!(!check(&[b"a\xe2", b"b", b"c"]));
}
