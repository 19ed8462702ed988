//! Lists: namespaces whose keys are numbers.

use kv::store::lists::*;

#[test]
fn keys_are_numbers_in_the_order_of_their_bytes() {
    assert_eq!(key_of(7).as_bytes(), b"00000000000000000007");
    assert!(key_of(9) < key_of(10) && key_of(u64::MAX - 1) < key_of(u64::MAX));
    let largest = u64::MAX - 1;
    assert_eq!(number_of(key_of(largest).as_bytes()), Some(largest));
    for other in [
        "7",
        "0000000000000000000x",
        "18446744073709551615",
        "99999999999999999999",
        "000000000000000000007",
    ] {
        assert!(!is_element(other.as_bytes()), "{other}");
    }
}
