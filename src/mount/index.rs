//! All keys of a namespace, as they were a moment ago.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::store::{Meta, StoreError, Time};

/// Keys in the order of their bytes.
#[derive(Debug)]
pub(super) struct Index {
    /// When they began to be listed.
    pub(super) since: Instant,
    bytes: Vec<u8>,
    /// Where each key ends, and what is known of it.
    keys: Vec<(usize, Meta)>,
    /// What could not be listed, and why.
    damage: Option<String>,
}

/// What this mount itself has changed since: keys, and whether they are there.
pub(super) type Changes = BTreeMap<Vec<u8>, (Instant, bool)>;

impl Index {
    pub(super) fn new(since: Instant) -> Self {
        Self {
            since,
            bytes: Vec::new(),
            keys: Vec::new(),
            damage: None,
        }
    }

    /// Notes that not all keys could be listed.
    pub(super) fn note_damage(&mut self, err: &StoreError) {
        self.damage = Some(err.to_string());
    }

    /// Tells what kept keys from being listed.
    pub(super) fn damage(&self) -> Option<StoreError> {
        let why = self.damage.clone()?;
        Some(StoreError::Damaged {
            path: "the list of all keys".into(),
            source: why.into(),
        })
    }

    /// Adds a key behind all others.
    pub(super) fn push(&mut self, key: &[u8], meta: Meta) {
        self.bytes.extend_from_slice(key);
        self.keys.push((self.bytes.len(), meta));
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.keys[before].0);
        &self.bytes[start..self.keys[at].0]
    }

    /// Returns the place of the first key that is not before these bytes.
    fn first(&self, from: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.keys.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < from {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Hands the keys that begin with `prefix` to `each`, as they are with the changes: the key, and
    /// what is known of it unless it was changed. What `each` returns is where to go on, behind the
    /// key or from these bytes on; `Err` ends it.
    pub(super) fn walk(
        &self,
        prefix: &[u8],
        changes: &Changes,
        now: Time,
        mut each: impl FnMut(&[u8], Option<Meta>) -> Result<Option<Vec<u8>>, ()>,
    ) {
        let mut at = self.first(prefix);
        let mut own = changes.range(prefix.to_vec()..).peekable();
        loop {
            let known = (at < self.keys.len())
                .then(|| self.key(at))
                .filter(|key| key.starts_with(prefix));
            let changed = own.peek().filter(|(key, _)| key.starts_with(prefix));
            let (key, meta) = match (known, changed) {
                (None, None) => return,
                (Some(known), changed) if changed.is_none_or(|(key, _)| known < &key[..]) => {
                    let meta = self.keys[at].1;
                    at += 1;
                    if meta.expires.is_some_and(|deadline| deadline.is_over(now)) {
                        continue;
                    }
                    (known, Some(meta))
                }
                (known, Some((key, (_, is_there)))) => {
                    at += usize::from(known == Some(&key[..]));
                    let key: &[u8] = key;
                    let is_there = *is_there;
                    own.next();
                    if !is_there {
                        continue;
                    }
                    (key, None)
                }
                (Some(_), None) => unreachable!("it is before what is not there"),
            };
            match each(key, meta) {
                Ok(None) => {}
                Ok(Some(from)) => {
                    at = at.max(self.first(&from));
                    own = changes.range(from..).peekable();
                }
                Err(()) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Deadline, Etag};

    fn index(keys: &[(&str, Option<u64>)]) -> Index {
        let mut index = Index::new(Instant::now());
        for (key, expires) in keys {
            let meta = Meta {
                etag: Etag(1),
                modified: Time(0),
                expires: expires.and_then(Deadline::from_millis),
                size: 1,
            };
            index.push(key.as_bytes(), meta);
        }
        index
    }

    fn walk(index: &Index, prefix: &str, changes: &[(&str, bool)]) -> Vec<String> {
        let changes = changes
            .iter()
            .map(|(key, is)| (key.as_bytes().to_vec(), (Instant::now(), *is)))
            .collect();
        let mut found = Vec::new();
        index.walk(prefix.as_bytes(), &changes, Time(5_000_000), |key, meta| {
            let mark = if meta.is_some() { "" } else { "*" };
            found.push(format!("{}{mark}", String::from_utf8_lossy(key)));
            Ok(None)
        });
        found
    }

    #[test]
    fn it_is_as_the_changes_have_made_it() {
        let all = index(&[("a", None), ("b/1", None), ("b/2", None), ("c", None)]);
        assert_eq!(walk(&all, "", &[]), ["a", "b/1", "b/2", "c"]);
        assert_eq!(walk(&all, "b/", &[]), ["b/1", "b/2"]);
        let changes = [("a", false), ("b/1", true), ("b/15", true), ("d", true)];
        assert_eq!(
            walk(&all, "", &changes),
            ["b/1*", "b/15*", "b/2", "c", "d*"]
        );
        assert_eq!(walk(&all, "b/", &changes), ["b/1*", "b/15*", "b/2"]);
        assert_eq!(walk(&all, "a", &changes), [""; 0]);
        assert_eq!(walk(&index(&[]), "", &changes), ["b/1*", "b/15*", "d*"]);
    }

    #[test]
    fn what_has_expired_is_left_out() {
        let all = index(&[("a", Some(5)), ("b", Some(6)), ("c", None)]);
        assert_eq!(walk(&all, "", &[]), ["b", "c"]);
    }

    #[test]
    fn a_walk_can_leap_and_end() {
        let all = index(&[
            ("a", None),
            ("b/1", None),
            ("b/2", None),
            ("c", None),
            ("d", None),
        ]);
        let changes = Changes::from([(b"b/3".to_vec(), (Instant::now(), true))]);
        let mut found = Vec::new();
        all.walk(b"", &changes, Time(0), |key, _| {
            found.push(key.to_vec());
            match key {
                b"b/1" => Ok(Some(b"b0".to_vec())),
                b"c" => Err(()),
                _ => Ok(None),
            }
        });
        assert_eq!(found, [&b"a"[..], b"b/1", b"c"]);
    }
}
