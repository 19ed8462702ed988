//! A row of `entry`, and the checksum that tells whether it is what was written.

use rusqlite::Row;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::os;
use crate::store::{Deadline, Etag, Meta, OrCannot as _, Result, Time};

/// The columns that [`Found::read`] reads.
pub(super) const COLUMNS: &str = "etag, modified, expires, size, sum, large, head";
/// Which of them `expires` is, and how many they are.
pub(super) const EXPIRES: usize = 2;
pub(super) const WIDTH: usize = 7;

pub(super) fn new_etag() -> Result<Etag> {
    os::random()
        .map(Etag)
        .or_cannot("read", "random bits".as_ref())
}

/// What a row says of an entry besides its key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) meta: Meta,
    /// [`sum_of`] it.
    pub(super) sum: u64,
    /// What the parts of a large value are kept under.
    pub(super) large: Option<i64>,
    /// [`Found::head_of`] it; `None` if it was written by a kv that knew none.
    head: Option<u64>,
    /// Its `expires` is a time at which an entry can expire, or null.
    is_time: bool,
}

impl Found {
    /// Reads [`COLUMNS`], the first of which has this number.
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let number = |nth: usize| row.get::<_, i64>(first + nth).map(i64::cast_unsigned);
        let millis: Option<i64> = row.get(first + EXPIRES)?;
        let expires = deadline(row, first + EXPIRES)?;
        Ok(Self {
            meta: Meta {
                etag: Etag(number(0)?),
                modified: Time(number(1)?),
                expires,
                size: number(3)?,
            },
            sum: number(4)?,
            large: row.get(first + 5)?,
            head: row
                .get::<_, Option<i64>>(first + 6)?
                .map(i64::cast_unsigned),
            is_time: millis.is_some() == expires.is_some(),
        })
    }

    /// Returns an entry of which nothing is known but when it expires.
    pub(super) fn expiring(expires: Option<Deadline>) -> Self {
        let meta = Meta {
            etag: Etag(0),
            modified: Time(0),
            expires,
            size: 0,
        };
        Self::new(meta, 0, None)
    }

    pub(super) fn new(meta: Meta, sum: u64, large: Option<i64>) -> Self {
        Self {
            meta,
            sum,
            large,
            head: None,
            is_time: true,
        }
    }

    /// Returns the checksum of what a row holds beside the value itself.
    pub(super) fn head_of(&self, namespace: i64, key: &[u8]) -> u64 {
        let [etag, modified, expires, size] = numbers(&self.meta);
        let (namespace, large) = (namespace.cast_unsigned(), self.large.unwrap_or_default());
        let large = large.cast_unsigned();
        hash(
            &[namespace, etag, modified, expires, size, self.sum, large],
            key,
        )
    }

    /// Tells whether a row is what was written, as far as that can be told without the value.
    pub(super) fn is_sound(&self, namespace: i64, key: &[u8]) -> bool {
        let is_head = |head| head == self.head_of(namespace, key);
        self.is_time && self.head.is_none_or(is_head)
    }

    /// Tells whether there is anything in the column `expires`.
    pub(super) fn has_expiry(&self) -> bool {
        self.meta.expires.is_some() || !self.is_time
    }

    pub(super) fn is_live(&self, now: Time) -> bool {
        self.meta.is_live(now)
    }
}

/// Reads a deadline from its column. A number that is none is damage of its row, and of no other: it
/// counts as null.
pub(super) fn deadline(row: &Row<'_>, nth: usize) -> rusqlite::Result<Option<Deadline>> {
    let millis = row.get::<_, Option<i64>>(nth)?;
    Ok(millis.and_then(|millis| Deadline::from_millis(millis.cast_unsigned())))
}

/// Returns a deadline as it stands in its column.
pub(super) fn millis(expires: Option<Deadline>) -> Option<i64> {
    expires.map(|expires| expires.as_millis().cast_signed())
}

/// Returns the checksum of an entry, given XXH3 (64 bits) of its value. What is said of the entry
/// can so be changed without a look at the value.
pub(super) fn sum_of(key: &[u8], meta: &Meta, value_sum: u64) -> u64 {
    hash(&numbers(meta), key) ^ value_sum
}

fn numbers(meta: &Meta) -> [u64; 4] {
    let expires = meta.expires.map_or(0, Deadline::as_millis);
    [meta.etag.0, meta.modified.0, expires, meta.size]
}

/// Returns XXH3 of numbers, 8 bytes each, the lowest first, and a key or a name behind them.
pub(super) fn hash(numbers: &[u64], key: &[u8]) -> u64 {
    let mut bytes = Vec::with_capacity(key.len() + size_of_val(numbers));
    for number in numbers {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(key);
    xxh3_64(&bytes)
}

/// Returns what an entry adds to the total of its namespace: XXH3 of its key, with its expiry (0 for
/// never) as the seed. The total is all of these, xored.
pub(super) fn share_of(key: &[u8], expires: Option<Deadline>) -> u64 {
    xxh3_64_with_seed(key, expires.map_or(0, Deadline::as_millis))
}
