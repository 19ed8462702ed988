//! What keeps a store small, and what is told of it.

use kv::store::{Etag, Info, Meta, Time};

#[test]
fn a_row_holds_numbers_of_as_many_digits() {
    let mut info = Info::default();
    let mut count = |number, now| {
        let meta = Meta {
            etag: Etag(0),
            modified: Time(0),
            expires: None,
            size: number,
        };
        info.count(0, &meta, now);
        info.clone()
    };
    for number in [0, 1, 2, 3, 4, 7] {
        count(number, Time(number * 1_000_000_000));
    }
    let info = count(8, Time(8_000_000_000));
    assert_eq!(info.sizes, [1, 1, 2, 2, 1]);
    assert_eq!(info.ages, info.sizes);
    let info = count(u64::MAX - info.bytes, Time(u64::MAX));
    // The clock ends in the year 2554.
    assert_eq!((info.sizes.len(), info.ages.len()), (65, 36));
}
