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
        let expires = row.get::<_, Option<i64>>(first + 2)?;
        let expires = expires.map(|millis| {
            Deadline::from_millis(millis.cast_unsigned()).ok_or_else(|| {
                let why = "no time at which an entry can expire".into();
                rusqlite::Error::FromSqlConversionFailure(first + 2, Type::Integer, why)
            })
        });
        Ok(Self {
            meta: Meta {
                etag: Etag(number(0)?),
                modified: Time(number(1)?),
                expires: expires.transpose()?,
                size: number(3)?,
            },
            sum: number(4)?,
            large: row.get(first + 5)?,
        })
    }

    pub(super) fn is_live(&self, now: Time) -> bool {
        self.meta
            .expires
            .is_none_or(|expires| !expires.is_over(now))
    }
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
