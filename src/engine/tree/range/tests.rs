//! The names and notes of ranges.

use super::*;

#[test]
fn a_range_has_one_name() {
    for range in [0..0, 1..65, 0..u64::MAX] {
        assert_eq!(range_of(&name_of(&range)), Some(range));
    }
    for other in ["1-65", "00000000000000000002-00000000000000000001", ""] {
        assert_eq!(range_of(other), None, "{other}");
    }
    let signed = "+0000000000000000001-00000000000000000065";
    assert_eq!(range_of(signed), None);
}

#[test]
fn a_note_has_the_length_that_is_read() {
    assert_eq!(proof_of(1, -1, 5).len(), PROOF_LEN);
    assert_eq!(
        proof_of(u64::MAX, i64::MAX.into(), 999_999_999).len(),
        PROOF_LEN
    );
    let whole = format!("{}{:020}\n", proof_of(1, 2, 3), 7);
    assert!(whole.len() == NOTE_LEN && is_note(whole.as_bytes()));
    assert!(is_note(b"") && is_note(&[b' '; PROOF_LEN]));
    assert!(!is_note(&[0xA5; 10]) && !is_note(&[b'1'; NOTE_LEN]));
}
