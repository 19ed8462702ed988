//! `rename`: the row of the old key becomes that of the new one, and the parts of a large value stay where
//! they are.

use rusqlite::params;

use crate::store::lists::number_of;
use crate::store::{Meta, Place, Result, Time};

use super::namespace_row::Space;
use super::row::{Found, new_etag, sum_of};

/// Moves an entry of this namespace to another key; see [`crate::store::Entries::rename`].
pub(super) fn move_row(
    space: &mut Space<'_>,
    from: Place<'_>,
    to: Place<'_>,
    is_new: bool,
    now: Time,
) -> Result<bool> {
    let (old, new) = (from.1.as_bytes(), to.1.as_bytes());
    let Some(found) = space.select(old)?.filter(|found| found.is_live(now)) else {
        return Ok(false);
    };
    if from == to {
        return Ok(!is_new);
    }
    let mut other = match from.0 == to.0 {
        true => None,
        false => Some(space.store.row_or_create(space.connection, to.0)?),
    };
    let there = other.as_mut().unwrap_or(&mut *space);
    let before = there.select_as_is(new)?;
    if is_new && there.is_there(to.1, before.as_ref(), now) {
        return Ok(false);
    }
    if before.is_some() {
        there.delete(new)?;
    }
    let id = there.id;
    if let Some(number) = number_of(new) {
        there.note_element(number);
    }
    there.put(new, None, found.meta.expires);
    if let Some(mut other) = other {
        other.save()?;
    }
    space.forget(old, found.meta.expires);
    let Found {
        meta, sum, large, ..
    } = found;
    let value_sum = sum_of(old, &meta, sum);
    let meta = Meta {
        etag: new_etag()?,
        ..meta
    };
    let sum = sum_of(new, &meta, value_sum);
    let head = Found::new(meta, sum, large).head_of(id, new);
    space.write_rows(
        "UPDATE entry SET namespace = ?3, key = ?4, etag = ?5, sum = ?6, head = ?7
             WHERE namespace = ?1 AND key = ?2",
        params![
            space.id,
            old,
            id,
            new,
            meta.etag.0.cast_signed(),
            sum.cast_signed(),
            head.cast_signed(),
        ],
    )?;
    Ok(true)
}
