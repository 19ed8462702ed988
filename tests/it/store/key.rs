//! Keys: any bytes but NUL.

use kv::store::key::*;

#[test]
fn takes_any_bytes_but_nul() {
    for byte in 1..=255 {
        assert!(Key::new(vec![byte]).is_ok(), "refused {byte:#04x}");
    }
    assert_eq!(Key::new(vec![b'a', 0]), Err(BadKey::Nul));
}

#[test]
fn keys_are_sorted_by_all_their_bytes() {
    let texts = [
        "b",
        "a",
        "ab",
        "abcdefghij",
        "abcdefghii",
        "ab",
        "\x7f",
        "\u{e9}",
        "abcdefgh",
    ];
    for prefix in ["", "user:", "a"] {
        let keys = texts.map(|text| Key::new(format!("{prefix}{text}").into_bytes()).unwrap());
        let (mut sorted, mut want) = (keys.to_vec(), keys.to_vec());
        sort(&mut sorted);
        want.sort_unstable();
        assert_eq!(sorted, want);
    }
    sort(&mut Vec::new());
}

#[test]
fn length_has_both_its_bounds() {
    assert_eq!(Key::new(vec![]), Err(BadKey::Empty));
    assert!(Key::new(vec![b'k'; 65_535]).is_ok());
    assert_eq!(Key::new(vec![b'k'; 65_536]), Err(BadKey::TooLong(65_536)));
}
