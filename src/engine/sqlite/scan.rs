//! Listing: rows in pages, so that nothing is locked or held while somebody reads the listing.

use rusqlite::params;

use crate::store::{
    Entry, Key, Listed, Listing, Namespace, Result, Scan, Selection, StoreError, Time,
};

use super::Sqlite;
use super::namespace_row::{NamespaceRow, Space, Tally};
use super::row::{COLUMNS, EXPIRES, Found, WIDTH, deadline};

/// So many rows are looked at before the file is let go, or fewer that hold so many bytes.
const PAGE_ROWS: u64 = 10_000;
const PAGE_BYTES: usize = 1 << 20;

/// A listing on its way.
#[derive(Debug)]
struct Rows<'a> {
    store: &'a Sqlite,
    namespace: Namespace,
    /// The namespace as it was when the listing began; `None` if there is none.
    space: Option<NamespaceRow>,
    /// What was found of it so far, if all of it is to be looked at.
    found: Option<Tally>,
    selection: Selection,
    now: Time,
    /// The keys that are still to come are between these; the first is one of them unless it was
    /// listed already.
    from: Vec<u8>,
    is_listed: bool,
    to: Option<Vec<u8>>,
    left: u64,
    is_last: bool,
    /// What is wrong with the namespace, to be told behind what was found of it.
    failure: Option<StoreError>,
    /// The keys of a page, one behind the other, and where each ends; where the next begins.
    keys: Vec<u8>,
    ends: std::vec::IntoIter<usize>,
    begin: usize,
    /// What was read of each besides; nothing where the keys are all that is wanted.
    rows: std::vec::IntoIter<Row>,
}

/// A row that was read.
#[derive(Debug)]
struct Row {
    found: Found,
    /// It was asked for, and is not a large one.
    value: Option<Vec<u8>>,
    /// It is what was written, as far as that is known without the value.
    is_sound: bool,
}

impl Sqlite {
    /// Lists entries; see [`crate::store::Entries::scan`].
    pub(super) fn list_entries<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        let (from, to) = selection.bounds();
        let is_whole = from.is_empty() && to.is_none();
        Ok(Box::new(Rows {
            store: self,
            namespace: namespace.clone(),
            space: None,
            found: is_whole.then(Tally::default),
            selection: selection.clone(),
            now,
            from,
            is_listed: false,
            to,
            left: selection.limit.unwrap_or(u64::MAX),
            is_last: false,
            failure: None,
            keys: Vec::new(),
            ends: Vec::new().into_iter(),
            begin: 0,
            rows: Vec::new().into_iter(),
        }))
    }
}

/// Where a page ended, and what was found on it.
#[derive(Debug, Default)]
struct Page {
    keys: Vec<u8>,
    ends: Vec<usize>,
    rows: Vec<Row>,
    /// Rows that were looked at.
    count: u64,
    /// The key at which it ended early, and whether that is so because no more is wanted.
    end: Option<(Vec<u8>, bool)>,
    found: Tally,
}

impl Rows<'_> {
    /// Reads the next page.
    fn turn(&mut self) -> Result<()> {
        let done = self.store.read_in(&self.namespace, |space| {
            if self
                .space
                .as_ref()
                .is_some_and(|first| first.id != space.id)
            {
                return Ok(None);
            }
            let page = self.read_page(space).map_err(self.store.cannot("list"))?;
            let mut failure = self.judge(space, &page).err();
            // Whoever wants so many does not ask once more behind them.
            if let Some(err) = failure.take_if(|_| self.selection.limit.is_some()) {
                return Err(err);
            }
            Ok(Some((space.row.clone(), page, failure)))
        })?;
        let Some((space, page, failure)) = done.flatten() else {
            self.is_last = true;
            return Ok(());
        };
        self.space.get_or_insert(space);
        if let Some(found) = &mut self.found {
            found.join(page.found);
        }
        let is_end = page.end.as_ref().is_none_or(|(_, is_enough)| *is_enough);
        self.is_last = is_end || failure.is_some();
        self.failure = failure;
        if let Some((last, _)) = page.end {
            if self.selection.reverse {
                self.to = Some(last);
            } else {
                self.from = last;
                self.is_listed = true;
            }
        }
        (self.keys, self.begin) = (page.keys, 0);
        self.ends = page.ends.into_iter();
        self.rows = page.rows.into_iter();
        Ok(())
    }

    /// Tells whether the rows of a page are all that there are. Of a whole namespace they are counted
    /// and summed up to its end; where keys came or went meanwhile, all that are there at the end are
    /// instead, for what hides some hides them still. Of a part the index counts them.
    fn judge(&self, space: &Space<'_>, page: &Page) -> Result<()> {
        if let Some(mut found) = self.found
            && page.end.as_ref().is_none_or(|(_, is_enough)| !is_enough)
        {
            let first = self.space.as_ref().unwrap_or(&space.row);
            if page.end.is_some() {
                return Ok(());
            }
            found.join(page.found);
            if first.changes != space.changes {
                found = space.count()?;
            }
            return space.judge(found);
        }
        if space.tally.is_none() {
            return Ok(());
        }
        let last = page.end.as_ref().map(|(last, _)| last);
        let (from, to) = match (self.selection.reverse, last) {
            (false, last) => ((&self.from, !self.is_listed), last.map(|last| (last, true))),
            (true, Some(last)) => ((last, true), None),
            (true, None) => ((&self.from, true), None),
        };
        let to = to.or(self.to.as_ref().map(|to| (to, false)));
        let after = if from.1 { ">=" } else { ">" };
        let before = match to {
            None => "?3 IS NULL",
            Some((_, true)) => "key <= ?3",
            Some((_, false)) => "key < ?3",
        };
        let sql = format!(
            "SELECT count(*) FROM entry INDEXED BY entry_key
             WHERE namespace = ?1 AND key {after} ?2 AND {before}"
        );
        let count: i64 = space
            .connection
            .prepare_cached(&sql)
            .and_then(|mut select| {
                let to = to.map(|(to, _)| to.as_slice());
                select.query_row(params![space.id, from.0, to], |row| row.get(0))
            })
            .map_err(self.store.cannot("list"))?;
        match count.cast_unsigned() == page.count {
            true => Ok(()),
            false => {
                let what = format!("{} rows are found where the index has {count}", page.count);
                Err(self.store.unsound(what))
            }
        }
    }

    fn read_page(&self, space: &Space<'_>) -> rusqlite::Result<Page> {
        let Selection {
            keys_only,
            values,
            reverse,
            ..
        } = self.selection;
        // The sum over a whole namespace says that its keys are right, else each row has to.
        let is_summed = self.found.is_some() && space.tally.is_some();
        let keys_only = keys_only && is_summed && self.selection.limit.is_none();
        // Where none expires the index has all that is wanted, in fewer pages.
        let by_index = keys_only && !has_expiry(space)?;
        let (columns, by) = match (keys_only, values) {
            _ if by_index => ("NULL".to_owned(), "INDEXED BY entry_key"),
            (true, _) => ("expires".to_owned(), ""),
            (false, false) => (COLUMNS.to_owned(), ""),
            (false, true) => (format!("{COLUMNS}, value"), ""),
        };
        let after = if self.is_listed { ">" } else { ">=" };
        let before = match self.to {
            Some(_) => "AND key < ?3",
            None => "AND ?3 IS NULL",
        };
        let order = if reverse { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT key, {columns} FROM entry {by}
             WHERE namespace = ?1 AND key {after} ?2 {before} ORDER BY key {order}"
        );
        let mut select = space.connection.prepare_cached(&sql)?;
        let mut rows = select.query(params![space.id, self.from, self.to])?;
        let mut page = Page::default();
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob()?;
            page.count += 1;
            bytes += key.len() + size_of::<Row>();
            let expires = match by_index {
                true => None,
                false => deadline(row, if keys_only { 1 } else { 1 + EXPIRES })?,
            };
            if self.found.is_some() {
                page.found.add(key, expires);
            }
            let is_wanted = self.selection.matches(key);
            // One whose key is damaged may not look like what is asked for.
            if is_wanted || !is_summed {
                let found = match keys_only {
                    true => Found::expiring(expires),
                    false => Found::read(row, 1)?,
                };
                // What it says of its expiry is not to be believed, and that it is damaged is told in
                // its place.
                let is_sound = found.is_sound(space.id, key);
                if (is_wanted && found.is_live(self.now)) || !is_sound {
                    page.keys.extend_from_slice(key);
                    page.ends.push(page.keys.len());
                    if !keys_only {
                        let value: Option<Vec<u8>> = match values {
                            true => row.get(1 + WIDTH)?,
                            false => None,
                        };
                        bytes += value.as_ref().map_or(0, Vec::len);
                        page.rows.push(Row {
                            found,
                            value,
                            is_sound,
                        });
                    }
                }
            }
            let is_enough = page.ends.len() as u64 >= self.left;
            if is_enough || page.count >= PAGE_ROWS || bytes >= PAGE_BYTES {
                page.end = Some((key.to_vec(), is_enough));
                break;
            }
        }
        Ok(page)
    }
}

impl Scan for Rows<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        loop {
            if self.left == 0 {
                return self.failure.take().map(Err);
            }
            let Some(end) = self.ends.next() else {
                if self.is_last {
                    return self.failure.take().map(Err);
                }
                if let Err(err) = self.turn() {
                    // What cannot be read is not asked for again.
                    self.is_last = true;
                    return Some(Err(err));
                }
                continue;
            };
            let key = self.begin..end;
            self.begin = end;
            let row = self.rows.next();
            if row.as_ref().is_some_and(|row| !row.is_sound) {
                return Some(Err(self.store.unsound_row(&self.keys[key])));
            }
            self.left -= 1;
            let row = match row {
                Some(row) if self.selection.values => row,
                row => {
                    return Some(Ok(Listed {
                        key: &self.keys[key],
                        meta: row
                            .map_or_else(|| Found::expiring(None), |row| row.found)
                            .meta,
                        value: None,
                    }));
                }
            };
            let opened = match row.value {
                Some(value) => {
                    let key = &self.keys[key.clone()];
                    self.store.verified(key, &row.found, value).map(Some)
                }
                None => self.large(&self.keys[key.clone()]),
            };
            match opened {
                Ok(Some(entry)) => {
                    return Some(Ok(Listed {
                        key: &self.keys[key],
                        meta: entry.meta,
                        value: Some(entry.value),
                    }));
                }
                // It went while the listing was read.
                Ok(None) => self.left += 1,
                Err(err) => return Some(Err(err)),
            }
        }
    }
}

/// Tells whether an entry of a namespace expires.
fn has_expiry(space: &Space<'_>) -> rusqlite::Result<bool> {
    space
        .connection
        .prepare_cached(
            "SELECT 1 FROM entry INDEXED BY entry_expires
             WHERE namespace = ?1 AND expires IS NOT NULL LIMIT 1",
        )?
        .exists([space.id])
}

impl Rows<'_> {
    fn large(&self, key: &[u8]) -> Result<Option<Entry>> {
        let own = Key::new(key.to_vec());
        let own = own.map_err(|err| self.store.damaged(key, &err.to_string()))?;
        self.store.find(&self.namespace, &own, self.now)
    }
}
