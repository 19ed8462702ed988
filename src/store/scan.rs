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
