//! Finding an element of a list by its number, in files and in packs.

use std::ops::Range;

use crate::store::lists::{key_of, number_of};
use crate::store::{End, Result, StoreError};

use super::layout::{HashedKey, PACKS};
use super::namespace_dir::NamespaceDir;
use super::pack::{Bounds, Changed, Cursor, Merge, Packs, Sorted as _};
use super::tries::Tries;

/// Finds the first or the last of these numbers that has an entry, dead, damaged or alive. Files are
/// looked for before packs are, as gc makes packs of files.
pub(super) fn seek(space: &NamespaceDir, within: &Range<u64>, end: End) -> Result<Option<u64>> {
    let mut tries = Tries::default();
    loop {
        let has_file = |&number: &u64| {
            let key = key_of(number);
            let hashed = HashedKey::of(&key);
            space.is_there(&["objects/", hashed.shard(), "/", hashed.name()].concat())
        };
        let mut loose = None;
        for at in 0..within.end - within.start {
            let number = match end {
                End::First => within.start + at,
                End::Last => within.end - 1 - at,
            };
            if has_file(&number)? {
                loose = Some(number);
                break;
            }
        }
        let rest = match (loose, end) {
            (None, _) => within.clone(),
            (Some(loose), End::First) => within.start..loose,
            (Some(loose), End::Last) => loose + 1..within.end,
        };
        if rest.is_empty() {
            return Ok(loose);
        }
        let Some(packs) = Packs::read(space)? else {
            return Ok(loose);
        };
        if let Ok(packed) = seek_packed(space, &packs, &rest, end)? {
            return Ok(packed.or(loose));
        }
        tries.again(|| space.path_of(PACKS))?;
    }
}

/// As [`seek`], in packs, tombstones passed over.
fn seek_packed(
    space: &NamespaceDir,
    packs: &Packs,
    within: &Range<u64>,
    end: End,
) -> Result<Result<Option<u64>, Changed>> {
    let bounds = Bounds {
        from: key_of(within.start).as_bytes().to_vec(),
        to: Some(key_of(within.end).as_bytes().to_vec()),
    };
    let reverse = end == End::Last;
    let mut cursors = Vec::new();
    for number in 0..packs.named().len() {
        match packs.open(space, number)? {
            Ok(pack) => cursors.push(Cursor::new(pack, bounds.clone(), reverse)?),
            Err(changed) => return Ok(Err(changed)),
        }
    }
    if cursors
        .iter()
        .any(|cursor| cursor.pack().geometry().lost > 0)
    {
        return seek_each(space, packs, within, reverse);
    }
    let mut packed = Merge::new(cursors, reverse);
    while let Some(head) = packed.advance()? {
        let cursor = packed.source(head);
        let (_, is_tombstone) = cursor.meta();
        if let (false, Some(number)) = (is_tombstone, number_of(cursor.key())) {
            return Ok(Ok(Some(number)));
        }
    }
    Ok(Ok(None))
}

/// As [`seek_packed`], number by number: of a record that was damaged nobody knows but who looks it up.
fn seek_each(
    space: &NamespaceDir,
    packs: &Packs,
    within: &Range<u64>,
    reverse: bool,
) -> Result<Result<Option<u64>, Changed>> {
    for at in 0..within.end - within.start {
        let number = match reverse {
            false => within.start + at,
            true => within.end - 1 - at,
        };
        match packs.find(space, &HashedKey::of(&key_of(number))) {
            Ok(Err(changed)) => return Ok(Err(changed)),
            Ok(Ok(found)) if found.as_ref().is_none_or(|packed| packed.tombstone) => {}
            Ok(Ok(_)) | Err(StoreError::Damaged { .. }) => return Ok(Ok(Some(number))),
            Err(err) => return Err(err),
        }
    }
    Ok(Ok(None))
}
