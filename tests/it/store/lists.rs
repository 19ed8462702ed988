//! Lists: namespaces whose keys are numbers.

use kv::engine::Sync;
use kv::store::lists::*;
use kv::store::{Condition, Key, Put};

use crate::library::{Now, open};

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

/// An engine that has nothing better looks for an element in a few keys at first, and goes on behind them.
#[test]
fn whoever_claims_gets_past_many_that_are_worked_on_from_either_end() {
    const COUNT: u64 = 90;
    let store = open("memory:", Sync::Off, 1);
    let list = "jobs".parse().unwrap();
    for element in 1..=COUNT {
        let value = element.to_string();
        store.push(&list, &mut value.as_bytes(), &Now).unwrap();
    }
    // Others that begin with a digit are among them.
    for other in ["0", "00000000000000000001x", "9", "a"] {
        let key = Key::new(other.into()).unwrap();
        let mut value = &b"v"[..];
        let put = Put::new(&mut value, Condition::Always);
        store.put(&list, &key, put, &Now).unwrap();
    }
    let mut held = Vec::new();
    for n in 1..=COUNT {
        let (end, number) = match n % 2 {
            1 => (End::First, n.div_ceil(2)),
            _ => (End::Last, COUNT + 1 - n / 2),
        };
        let claim = store.claim(&list, end, &Now).unwrap().unwrap();
        assert_eq!(claim.key, key_of(number));
        held.push(claim.held);
    }
    for end in [End::First, End::Last] {
        assert!(store.claim(&list, end, &Now).unwrap().is_none());
        assert!(store.pop(&list, end, &Now).unwrap().is_none());
    }
}
