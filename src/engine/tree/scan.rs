//! `ls`: the entries of a namespace in the order of their keys, loose and packed.
//!
//! All loose entries are read first, then MANIFEST, and every pack is opened before the first line:
//! an entry that is folded meanwhile is seen in one of the two places, or in both.

use std::sync::Arc;

use crate::store::{
    Key, Listed, Listing, Meta, Namespace, Result, Selection, StoreError, Time, Value,
};

use super::Tree;
use super::find::Present;
use super::layout::{Place, digits_of, sha1_of};
use super::pack::{Bounds, Changed, Cursor, Merge, Pack, Packed, Packs, Sorted as _};
use super::space::Space;
use super::walk::{Entries, State};

impl Tree {
    /// Lists entries; see [`crate::store::Store::scan`].
    pub(super) fn list_entries<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        let Some(mut walk) = self.walk(namespace, selection, now)? else {
            return Ok(Box::new(std::iter::empty()));
        };
        let namespace = namespace.clone();
        let values = selection.values;
        let damaged = std::mem::take(&mut walk.loose.damaged);
        let listed = std::iter::from_fn(move || {
            loop {
                return Some(match walk.next()? {
                    Err(err) => Err(err),
                    Ok(Found::Packed(listed)) => Ok(listed),
                    Ok(Found::Loose(key, meta)) if !values => Ok(Listed {
                        key,
                        meta,
                        value: None,
                    }),
                    // An entry that was removed since is left out, one that was replaced is shown
                    // as it is.
                    Ok(Found::Loose(key, _)) => {
                        match self.find(&namespace, &Place::of(&key), now) {
                            Ok(None) => continue,
                            Ok(Some(entry)) => {
                                let (meta, value) = (entry.meta, Some(entry.value));
                                Ok(Listed { key, meta, value })
                            }
                            Err(err) => Err(err),
                        }
                    }
                });
            }
        });
        let limit = selection
            .limit
            .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let mut left = limit;
        // Damage does not count as one of the entries asked for.
        let limited = listed.take_while(move |listed| {
            let is_wanted = left > 0;
            left -= usize::from(is_wanted && listed.is_ok());
            is_wanted
        });
        Ok(Box::new(damaged.into_iter().map(Err).chain(limited)))
    }

    /// Begins to walk through the entries that were asked for; `None` if there is no namespace.
    pub(super) fn walk(
        &self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Option<Walk>> {
        loop {
            let Some(space) = self.open_space(namespace)? else {
                return Ok(None);
            };
            let mut loose = Entries::default();
            loose.collect(&space, selection, now)?;
            loose.sort(selection.reverse);
            let mut damaged = Vec::new();
            if let Ok((cursors, blind)) = open_cursors(&space, selection, &mut damaged)? {
                loose.damaged.append(&mut damaged);
                let selection = selection.clone();
                let packed = Merge::new(cursors, selection.reverse);
                return Ok(Some(Walk {
                    loose,
                    at: 0,
                    packed,
                    blind,
                    head: Head::Stale,
                    selection,
                    now,
                    expired_packed: 0,
                }));
            }
        }
    }
}

/// A pack that cannot be listed. What it holds of a key can be looked up, perhaps.
#[derive(Debug)]
struct Blind {
    /// How many packs that can be listed are newer.
    newer: usize,
    pack: Option<Arc<Pack>>,
}

type Opened = (Vec<Cursor>, Vec<Blind>);

/// Opens all packs. One that cannot be read is told, and does not keep the others from being listed.
fn open_cursors(
    space: &Space,
    selection: &Selection,
    damaged: &mut Vec<StoreError>,
) -> Result<Result<Opened, Changed>> {
    let Some(packs) = Packs::read(space)? else {
        return Ok(Ok((Vec::new(), Vec::new())));
    };
    let (from, to) = selection.bounds();
    let bounds = Bounds { from, to };
    let (mut cursors, mut blind) = (Vec::new(), Vec::new());
    for number in 0..packs.named().len() {
        let mut opened = None;
        let cursor = match packs.open(space, number) {
            Ok(Err(changed)) => return Ok(Err(changed)),
            Ok(Ok(pack)) => {
                opened = Some(Arc::clone(&pack));
                Cursor::new(pack, bounds.clone(), selection.reverse)
            }
            Err(err) => Err(err),
        };
        match cursor {
            Ok(cursor) => cursors.push(cursor),
            Err(err @ (StoreError::Damaged { .. } | StoreError::Newer { .. })) => {
                damaged.push(err);
                let newer = cursors.len();
                blind.push(Blind {
                    newer,
                    pack: opened,
                });
            }
            Err(err) => return Err(err),
        }
    }
    Ok(Ok((cursors, blind)))
}

/// An entry that a walk came upon.
pub(super) enum Found {
    Loose(Key, Meta),
    Packed(Listed),
}

/// A walk through loose and packed entries in the order of their keys.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) loose: Entries,
    /// The loose entry that comes next.
    at: usize,
    packed: Merge<Cursor>,
    blind: Vec<Blind>,
    head: Head,
    selection: Selection,
    now: Time,
    /// Packed entries that were come upon and have expired.
    pub(super) expired_packed: u64,
}

/// What is known of the packed record that comes next.
#[derive(Clone, Copy, Debug)]
enum Head {
    /// It was used, and the next one is not looked for yet.
    Stale,
    /// The cursor that stands on it; `None` at the end.
    Known(Option<usize>),
}

impl Walk {
    /// Returns the next live entry.
    pub(super) fn next(&mut self) -> Option<Result<Found>> {
        loop {
            let head = match self.head {
                Head::Known(head) => head,
                Head::Stale => match self.packed.advance() {
                    Ok(head) => {
                        self.head = Head::Known(head);
                        head
                    }
                    Err(err) => return Some(Err(err)),
                },
            };
            let loose = self.loose.found().get(self.at);
            let packed_key = head.map(|head| self.packed.source(head).key());
            let order = match (loose, packed_key) {
                (None, None) => return None,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(loose), Some(key)) => {
                    let order = self.loose.key(loose).cmp(key);
                    if self.selection.reverse {
                        order.reverse()
                    } else {
                        order
                    }
                }
            };
            if order.is_eq() {
                // The loose entry hides the packed one, dead or alive.
                self.head = Head::Stale;
            }
            if order.is_le() {
                let loose = *loose.expect("it comes first");
                self.at += 1;
                if loose.state == State::Live {
                    let key = self.loose.key(&loose).to_vec();
                    let key = Key::new(key).expect("a header has a sound key");
                    return Some(Ok(Found::Loose(key, loose.meta)));
                }
                continue;
            }
            self.head = Head::Stale;
            let head = head.expect("it comes first");
            if let Some(listed) = self.packed_entry(head) {
                return Some(listed.map(Found::Packed));
            }
        }
    }

    /// Returns the entry on which a cursor stands, if it is live and was asked for.
    fn packed_entry(&mut self, head: usize) -> Option<Result<Listed>> {
        let record = self.packed.source(head).record();
        if !record.tombstone && record.has_expired(self.now) {
            self.expired_packed += 1;
        }
        if !record.is_live(self.now) || !self.selection.matches(record.key) {
            return None;
        }
        let key = Key::new(record.key.to_vec()).ok()?;
        let damaged = &self.loose.damaged_keys;
        if !damaged.is_empty() {
            // Its loose entry cannot be read, and hides it all the same.
            let digits = digits_of(&sha1_of(record.key));
            if damaged.contains(str::from_utf8(&digits).unwrap_or_default()) {
                return None;
            }
        }
        // What a newer pack holds of the key may be in a part of it that cannot be read, which was told
        // already, or was lost before.
        for (number, newer) in self.packed.sources()[..=head].iter().enumerate() {
            for blind in self.blind.iter().filter(|blind| blind.newer == number) {
                match blind.pack.as_ref().map(|pack| pack.find(&Place::of(&key))) {
                    Some(Ok(None)) => {}
                    Some(Ok(Some(found))) => return self.listed_as(key, found),
                    Some(Err(_)) | None => return None,
                }
            }
            let misses_some = newer.is_damaged || newer.pack().geometry().lost > 0;
            if number == head || !misses_some {
                continue;
            }
            match newer.pack().find(&Place::of(&key)) {
                Ok(None) => {}
                // It stands behind what cannot be read, and decides all the same.
                Ok(Some(found)) => return self.listed_as(key, found),
                Err(err) => return (!newer.is_damaged).then_some(Err(err)),
            }
        }
        let value = self.selection.values.then(|| Value::Whole {
            bytes: record.value.to_vec(),
            next: 0,
        });
        Some(Ok(Listed {
            key,
            meta: record.meta,
            value,
        }))
    }
    /// Lists what a pack was found to hold of a key.
    fn listed_as(&self, key: Key, found: Packed) -> Option<Result<Listed>> {
        let present = Present::Packed(found);
        if !present.is_live(self.now) {
            return None;
        }
        let meta = present.meta();
        let value = match self.selection.values {
            false => None,
            true => match present.into_entry() {
                Ok(entry) => Some(entry.value),
                Err(err) => return Some(Err(err)),
            },
        };
        Some(Ok(Listed { key, meta, value }))
    }
}
