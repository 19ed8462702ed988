//! Which entries a listing names, and what it yields.

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
    /// Tell the keys alone: what else is listed of an entry then means nothing, and is not read where
    /// that saves time.
    pub keys_only: bool,
}

impl Selection {
    /// Tells whether anything was asked for less than everything; a limit is no such wish.
    pub fn is_bounded(&self) -> bool {
        self.glob.is_some() || !self.prefix.is_empty() || self.from.is_some() || self.to.is_some()
    }

    /// Tells whether a key is among those asked for.
    pub fn matches(&self, key: &[u8]) -> bool {
        // An empty one is somewhere that no memory is, and some processors compare even nothing with
        // that in the time of a hundred other steps.
        (self.prefix.is_empty() || key.starts_with(&self.prefix))
            && self.from.as_ref().is_none_or(|from| key >= from.as_slice())
            && self.to.as_ref().is_none_or(|to| key < to.as_slice())
            && self.glob.as_ref().is_none_or(|glob| glob.matches(key))
    }

    /// Returns the bytes between which all keys are that can match: no key is before the first, and
    /// none is at or behind the second.
    pub fn bounds(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut from = self.from.clone().unwrap_or_default();
        let mut to = self.to.clone();
        let literal = self.glob.as_ref().map(Glob::literal_prefix);
        for prefix in [Some(&self.prefix), literal.as_ref()].into_iter().flatten() {
            if from < *prefix {
                from.clone_from(prefix);
            }
            if let Some(end) = end_of(prefix)
                && to.as_ref().is_none_or(|to| end < *to)
            {
                to = Some(end);
            }
        }
        (from, to)
    }
}

/// Returns the first bytes behind all that begin with `prefix`; `None` if there are none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// One entry of a listing.
#[derive(Debug)]
pub struct Listed<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// What is known of it.
    pub meta: Meta,
    /// Its value, if the selection asked for values.
    pub value: Option<Value>,
}

impl Listed<'_> {
    /// Returns the key to be kept.
    ///
    /// # Panics
    ///
    /// Never: what is listed has a key.
    pub fn to_key(&self) -> Key {
        Key::new(self.key.to_vec()).expect("what is listed has a key")
    }
}

/// A listing on its way. It lends each entry: a listing of millions of keys makes none of them anew.
pub trait Scan {
    /// Returns the next entry, `None` at the end. After an `Err` it goes on.
    ///
    /// # Errors
    ///
    /// Where an entry is damaged or cannot be read.
    fn next(&mut self) -> Option<Result<Listed<'_>>>;
}

/// The entries that a scan finds, in order.
pub type Listing<'a> = Box<dyn Scan + 'a>;

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
    fn the_bounds_are_as_narrow_as_prefix_and_pattern_tell() {
        let selection = |prefix: &str, glob: Option<&str>, from: Option<&str>| Selection {
            prefix: prefix.into(),
            glob: glob.map(|glob| Glob::new(glob.as_bytes()).unwrap()),
            from: from.map(|from| from.as_bytes().to_vec()),
            ..Selection::default()
        };
        let table = [
            (selection("", None, None), "", None),
            (selection("user:", None, None), "user:", Some("user;")),
            (
                selection("u", Some("user:7*"), None),
                "user:7",
                Some("user:8"),
            ),
            (
                selection("user:", Some("*x"), Some("user:5")),
                "user:5",
                Some("user;"),
            ),
        ];
        for (selection, from, to) in table {
            let want = (
                from.as_bytes().to_vec(),
                to.map(|to| to.as_bytes().to_vec()),
            );
            assert_eq!(selection.bounds(), want);
        }
        assert_eq!(end_of(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(end_of(b"\xff"), None);
    }
}
