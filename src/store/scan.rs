//! Which entries a listing names, and what it yields.

use std::ops::Range;

use crate::store::{Glob, Key, Meta, Result, Value};

/// Which entries to list, and how. The bounds hold all at once.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The whole key matches this pattern.
    pub glob: Option<Glob>,
    /// The key begins with these bytes.
    pub prefix: Vec<u8>,
    /// The key is not before this one.
    pub from: Option<Vec<u8>>,
    /// The key is before this one.
    pub to: Option<Vec<u8>>,
    /// List the last key first.
    pub reverse: bool,
    /// List at most this many entries, counted in the order of the listing.
    pub limit: Option<u64>,
    /// Open each value as well.
    pub values: bool,
}

impl Selection {
    /// Tells whether anything was asked for less than everything; a limit is no such wish.
    pub fn is_bounded(&self) -> bool {
        self.glob.is_some() || !self.prefix.is_empty() || self.from.is_some() || self.to.is_some()
    }

    /// Tells whether a key is among those asked for.
    pub fn matches(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix)
            && self.from.as_ref().is_none_or(|from| key >= from.as_slice())
            && self.to.as_ref().is_none_or(|to| key < to.as_slice())
            && self.glob.as_ref().is_none_or(|glob| glob.matches(key))
    }

    /// Returns which part of `len` sorted entries the limit leaves.
    pub fn limited(&self, len: usize) -> Range<usize> {
        let limit = self
            .limit
            .map_or(len, |n| usize::try_from(n).unwrap_or(len).min(len));
        if self.reverse {
            len - limit..len
        } else {
            0..limit
        }
    }
}

/// One entry of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// What is known of it.
    pub meta: Meta,
    /// Its value, if the selection asked for values.
    pub value: Option<Value>,
}

/// The entries that a scan found, in order.
pub type Listing<'a> = Box<dyn Iterator<Item = Result<Listed>> + 'a>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_all_at_once() {
        let selection = Selection {
            prefix: b"user:".to_vec(),
            from: Some(b"user:2".to_vec()),
            to: Some(b"user:4".to_vec()),
            glob: Some(Glob::new(b"*:?").unwrap()),
            ..Selection::default()
        };
        let keys = ["user:1", "user:2", "user:3", "user:33", "user:4", "zser:3"];
        let found: Vec<_> = keys
            .iter()
            .filter(|k| selection.matches(k.as_bytes()))
            .collect();
        assert_eq!(found, [&"user:2", &"user:3"]);
    }

    #[test]
    fn a_limit_counts_from_the_end_where_the_listing_begins() {
        let mut selection = Selection {
            limit: Some(2),
            ..Selection::default()
        };
        assert_eq!(selection.limited(5), 0..2);
        selection.reverse = true;
        assert_eq!(selection.limited(5), 3..5);
        assert_eq!(selection.limited(1), 0..1);
    }
}
