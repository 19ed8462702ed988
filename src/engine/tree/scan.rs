//! `ls`: the entries of a namespace in the order of their keys, loose and packed.
//!
//! All loose entries are read first, then MANIFEST, and every pack is opened before the first line:
//! an entry that is folded meanwhile is seen in one of the two places, or in both.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::store::{
    Entries as _, Key, Listed, Listing, Meta, Namespace, Result, Scan, Selection, StoreError, Time,
    Value,
};

use super::Tree;
use super::hash::sha1_of;
use super::layout::{HashedKey, digits_of};
use super::namespace_dir::NamespaceDir;
use super::pack::{Bounds, Changed, Cursor, Merge, Pack, Packs, Sorted as _};
use super::tries::Tries;
use super::walk::{Entries, State};

impl Tree {
    /// Lists entries; see [`crate::store::Entries::scan`].
    pub(super) fn list_entries<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        let mut walk = self.walk(namespace, selection, now)?;
        let damaged = walk
            .as_mut()
            .map(|walk| std::mem::take(&mut walk.loose.damaged));
        Ok(Box::new(TreeScan {
            tree: self,
            namespace: namespace.clone(),
            damaged: damaged.unwrap_or_default().into_iter(),
            walk,
            left: selection.limit.unwrap_or(u64::MAX),
            values: selection.values,
            now,
        }))
    }

    /// Begins to walk through the entries that were asked for; `None` if there is no namespace.
    pub(super) fn walk(
        &self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Option<Walk>> {
        let mut tries = Tries::default();
        loop {
            let Some(space) = self.open_namespace(namespace)? else {
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
            tries.again(|| space.path_of("packs"))?;
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

/// Opens all packs, the newest first. One that cannot be read is told, and does not keep the others
/// from being listed.
fn open_cursors(
    space: &NamespaceDir,
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

/// A listing of a namespace.
struct TreeScan<'a> {
    tree: &'a Tree,
    namespace: Namespace,
    /// What cannot be listed, which is told first.
    damaged: std::vec::IntoIter<StoreError>,
    /// `None` if there is no namespace.
    walk: Option<Walk>,
    /// Entries that are still wanted.
    left: u64,
    values: bool,
    now: Time,
}

impl Scan for TreeScan<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        if let Some(err) = self.damaged.next() {
            return Some(Err(err));
        }
        let walk = self.walk.as_mut().filter(|_| self.left > 0)?;
        loop {
            let spot = match walk.advance()? {
                Ok(spot) => spot,
                // Damage does not count as one of the entries asked for.
                Err(err) => return Some(Err(err)),
            };
            let (mut meta, mut value) = (*walk.meta(spot), None);
            if self.values {
                value = match spot {
                    Spot::Packed(head) => Some(walk.packed_value(head)),
                    Spot::Loose(_) => {
                        let key = Key::new(walk.key(spot).to_vec());
                        let key = key.expect("a header has a sound key");
                        match self.tree.get(&self.namespace, &key, self.now) {
                            // An entry that was removed since is left out, one that was replaced is
                            // shown as it is.
                            Ok(None) => continue,
                            Ok(Some(entry)) => {
                                meta = entry.meta;
                                Some(entry.value)
                            }
                            Err(err) => return Some(Err(err)),
                        }
                    }
                };
            }
            self.left -= 1;
            // Looked up anew, as the borrow of a key cannot leave the loop.
            let key = self.walk.as_ref()?.key(spot);
            return Some(Ok(Listed { key, meta, value }));
        }
    }
}

/// An entry that a walk came upon.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    /// By its place among the loose entries.
    Loose(usize),
    /// By the cursor that stands on it.
    Packed(usize),
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
    /// Moves on to the next live entry.
    pub(super) fn advance(&mut self) -> Option<Result<Spot>> {
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
            let order = match (self.loose.found().get(self.at), head) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(loose), Some(head)) => {
                    let order = self.loose.key(loose).cmp(self.packed.source(head).key());
                    match self.selection.reverse {
                        true => order.reverse(),
                        false => order,
                    }
                }
            };
            // A loose entry hides the packed one, dead or alive.
            if order.is_ge() {
                self.head = Head::Stale;
            }
            if order.is_le() {
                let at = self.at;
                self.at += 1;
                if self.loose.found()[at].state == State::Live {
                    return Some(Ok(Spot::Loose(at)));
                }
            } else if let Some(head) = head {
                match self.shows(head) {
                    Ok(false) => {}
                    Ok(true) => return Some(Ok(Spot::Packed(head))),
                    Err(err) => return Some(Err(err)),
                }
            }
        }
    }

    /// Tells whether the entry on which a cursor stands is live and was asked for.
    fn shows(&mut self, head: usize) -> Result<bool> {
        let cursor = self.packed.source(head);
        let (meta, is_tombstone) = cursor.meta();
        if is_tombstone {
            return Ok(false);
        }
        if !meta.is_live(self.now) {
            self.expired_packed += 1;
            return Ok(false);
        }
        let key = cursor.key();
        // Cursors keep to the other bounds themselves.
        let glob = self.selection.glob.as_ref();
        if glob.is_some_and(|glob| !glob.matches(key)) {
            return Ok(false);
        }
        let damaged = &self.loose.damaged_keys;
        if !damaged.is_empty() {
            // Its loose entry cannot be read, and hides it all the same.
            let digits = digits_of(&sha1_of(key));
            if damaged.contains(str::from_utf8(&digits).unwrap_or_default()) {
                return Ok(false);
            }
        }
        Ok(!self.is_hidden(head, key)?)
    }

    /// Tells whether a newer pack hides a key with what cannot be listed of it.
    fn is_hidden(&self, head: usize, key: &[u8]) -> Result<bool> {
        let newer = &self.packed.sources()[..head];
        if self.blind.is_empty() && !newer.iter().any(Cursor::misses_some) {
            return Ok(false);
        }
        let Ok(key) = Key::new(key.to_vec()) else {
            return Ok(true);
        };
        let hashed = HashedKey::of(&key);
        for blind in self.blind.iter().filter(|blind| blind.newer <= head) {
            // That it cannot be read was told already.
            let found = blind.pack.as_ref().map(|pack| pack.find(&hashed));
            if !matches!(found, Some(Ok(None))) {
                return Ok(true);
            }
        }
        for cursor in newer.iter().filter(|cursor| cursor.misses_some()) {
            match cursor.pack().find(&hashed) {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(true),
                Err(_) if cursor.is_damaged => return Ok(true),
                // What was lost before is told for each key.
                Err(err) => return Err(err),
            }
        }
        Ok(false)
    }

    /// Returns the key of an entry, until the walk goes on.
    pub(super) fn key(&self, spot: Spot) -> &[u8] {
        match spot {
            Spot::Loose(at) => self.loose.key(&self.loose.found()[at]),
            Spot::Packed(head) => self.packed.source(head).key(),
        }
    }

    /// Returns what is known of an entry, until the walk goes on.
    pub(super) fn meta(&self, spot: Spot) -> &Meta {
        match spot {
            Spot::Loose(at) => &self.loose.found()[at].meta,
            Spot::Packed(head) => self.packed.source(head).meta().0,
        }
    }

    fn packed_value(&self, head: usize) -> Value {
        let bytes = self.packed.source(head).record().value.to_vec();
        Value::whole(bytes)
    }
}
