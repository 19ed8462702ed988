//! A row of `entry`, and the checksum that tells whether it is what was written.

use rusqlite::Row;
use rusqlite::types::Type;
use xxhash_rust::xxh3::xxh3_64;

use crate::store::{Deadline, Etag, Meta, Time};

/// The columns that [`Found::read`] reads.
pub(super) const COLUMNS: &str = "etag, modified, expires, size, sum, large";

/// What a row says of an entry besides its key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) meta: Meta,
    /// [`sum_of`] it.
    pub(super) sum: u64,
    /// What the parts of a large value are kept under.
    pub(super) large: Option<i64>,
}

impl Found {
    /// Reads [`COLUMNS`], the first of which has this number.
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let number = |nth: usize| row.get::<_, i64>(first + nth).map(i64::cast_unsigned);
        Ok(Self {
            meta: Meta {
                etag: Etag(number(0)?),
                modified: Time(number(1)?),
                expires: deadline(row, first + 2)?,
                size: number(3)?,
            },
            sum: number(4)?,
            large: row.get(first + 5)?,
        })
    }

    /// Reads when an entry expires, from the column of this number, and nothing else.
    pub(super) fn read_expiry(row: &Row<'_>, nth: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            meta: Meta {
                etag: Etag(0),
                modified: Time(0),
                expires: deadline(row, nth)?,
                size: 0,
            },
            sum: 0,
            large: None,
        })
    }

    pub(super) fn is_live(&self, now: Time) -> bool {
        self.meta
            .expires
            .is_none_or(|expires| !expires.is_over(now))
    }
}

fn deadline(row: &Row<'_>, nth: usize) -> rusqlite::Result<Option<Deadline>> {
    let millis = row.get::<_, Option<i64>>(nth)?;
    let deadline = millis.map(|millis| {
        Deadline::from_millis(millis.cast_unsigned()).ok_or_else(|| {
            let why = "no time at which an entry can expire".into();
            rusqlite::Error::FromSqlConversionFailure(nth, Type::Integer, why)
        })
    });
    deadline.transpose()
}

/// Returns a deadline as it stands in its column.
pub(super) fn millis(expires: Option<Deadline>) -> Option<i64> {
    expires.map(|expires| expires.as_millis().cast_signed())
}

/// Returns the checksum of an entry, given XXH3 (64 bits) of its value. What is said of the entry
/// can so be changed without a look at the value.
pub(super) fn sum_of(key: &[u8], meta: &Meta, value_sum: u64) -> u64 {
    let expires = meta.expires.map_or(0, Deadline::as_millis);
    let numbers = [meta.etag.0, meta.modified.0, expires, meta.size];
    let mut bytes = Vec::with_capacity(key.len() + size_of_val(&numbers));
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(key);
    xxh3_64(&bytes) ^ value_sum
}
