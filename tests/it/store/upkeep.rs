//! What keeps a store small, and what is told of it.

use std::time::Duration;

use kv::store::Info;

#[test]
fn a_row_holds_numbers_of_as_many_digits() {
    let mut info = Info::default();
    for number in [0, 1, 2, 3, 4, 7, 8] {
        info.count(0, number, Duration::from_secs(number));
    }
    assert_eq!(info.sizes, [1, 1, 2, 2, 1]);
    assert_eq!(info.ages, info.sizes);
    info.count(0, u64::MAX - info.bytes, Duration::MAX);
    assert_eq!((info.sizes.len(), info.ages.len()), (65, 65));
}
