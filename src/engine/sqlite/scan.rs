//! Listing: rows in pages, so that nothing is locked or held while somebody reads the listing.

use std::ops::Range;

use rusqlite::Connection;
use rusqlite::types::Value as Sql;

use crate::store::{Entry, Key, Listed, Listing, Namespace, Result, Scan, Selection, Time};

use super::Sqlite;
use super::row::{COLUMNS, Found};

/// So many rows are looked at before the file is let go, or fewer that hold so many bytes.
const PAGE_ROWS: usize = 10_000;
const PAGE_BYTES: usize = 1 << 20;

/// A listing on its way.
#[derive(Debug)]
struct Rows<'a> {
    store: &'a Sqlite,
    namespace: Namespace,
    id: i64,
    selection: Selection,
    now: Time,
    /// The keys that are still to come are between these; the first is one of them unless it was
    /// listed already.
    from: Vec<u8>,
    is_listed: bool,
    to: Option<Vec<u8>>,
    left: u64,
    is_last: bool,
    /// The keys of a page, one behind the other, and what was read of each.
    keys: Vec<u8>,
    page: std::vec::IntoIter<Row>,
}

/// A row that was read.
#[derive(Debug)]
struct Row {
    /// Where its key is among those of the page.
    key: Range<usize>,
    found: Found,
    /// It was asked for, and is not a large one.
    value: Option<Vec<u8>>,
}

impl Sqlite {
    /// Lists entries; see [`crate::store::Store::scan`].
    pub(super) fn list_entries<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        let id = match self.connect()? {
            Some(lent) => self.id_of(&lent, namespace)?,
            None => None,
        };
        let (from, to) = selection.bounds();
        Ok(Box::new(Rows {
            store: self,
            namespace: namespace.clone(),
            id: id.unwrap_or_default(),
            selection: selection.clone(),
            now,
            from,
            is_listed: false,
            to,
            left: selection.limit.unwrap_or(u64::MAX),
            is_last: id.is_none(),
            keys: Vec::new(),
            page: Vec::new().into_iter(),
        }))
    }
}

impl Rows<'_> {
    /// Reads the next page.
    fn turn(&mut self) -> Result<()> {
        match self.store.connect()? {
            Some(lent) => self.read_page(&lent).map_err(self.store.cannot("list")),
            None => {
                self.is_last = true;
                Ok(())
            }
        }
    }

    fn read_page(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Selection {
            keys_only,
            values,
            reverse,
            ..
        } = self.selection;
        let columns = match (keys_only, values) {
            (true, _) => "expires".to_owned(),
            (false, false) => COLUMNS.to_owned(),
            (false, true) => format!("{COLUMNS}, value"),
        };
        let after = if self.is_listed { ">" } else { ">=" };
        let before = match self.to {
            Some(_) => "AND key < ?3",
            None => "AND ?3 IS NULL",
        };
        let order = if reverse { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT key, {columns} FROM entry
             WHERE namespace = ?1 AND key {after} ?2 {before} ORDER BY key {order}"
        );
        let mut select = connection.prepare_cached(&sql)?;
        let to = self.to.clone().map_or(Sql::Null, Sql::Blob);
        let mut rows = select.query((self.id, &self.from, to))?;
        let (mut count, mut bytes) = (0, 0);
        let mut page = Vec::new();
        self.keys.clear();
        self.is_last = true;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob()?;
            count += 1;
            bytes += key.len() + size_of::<Row>();
            if self.selection.matches(key) {
                let found = match keys_only {
                    true => Found::read_expiry(row, 1)?,
                    false => Found::read(row, 1)?,
                };
                if found.is_live(self.now) {
                    let value: Option<Vec<u8>> = if values { row.get(7)? } else { None };
                    bytes += value.as_ref().map_or(0, Vec::len);
                    let begin = self.keys.len();
                    self.keys.extend_from_slice(key);
                    page.push(Row {
                        key: begin..self.keys.len(),
                        found,
                        value,
                    });
                }
            }
            let is_enough = page.len() as u64 >= self.left;
            if is_enough || count >= PAGE_ROWS || bytes >= PAGE_BYTES {
                self.is_last = is_enough;
                let last = key.to_vec();
                if reverse {
                    self.to = Some(last);
                } else {
                    self.from = last;
                    self.is_listed = true;
                }
                break;
            }
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl Scan for Rows<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        loop {
            if self.left == 0 {
                return None;
            }
            let Some(Row { key, found, value }) = self.page.next() else {
                if self.is_last {
                    return None;
                }
                if let Err(err) = self.turn() {
                    // What cannot be read is not asked for again.
                    self.is_last = true;
                    return Some(Err(err));
                }
                continue;
            };
            self.left -= 1;
            if !self.selection.values {
                return Some(Ok(Listed {
                    key: &self.keys[key],
                    meta: found.meta,
                    value: None,
                }));
            }
            let opened = match value {
                Some(value) => {
                    let key = &self.keys[key.clone()];
                    self.store.verified(key, &found, value).map(Some)
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

impl Rows<'_> {
    fn large(&self, key: &[u8]) -> Result<Option<Entry>> {
        let own = Key::new(key.to_vec());
        let own = own.map_err(|err| self.store.damaged(key, &err.to_string()))?;
        self.store.find(&self.namespace, &own, self.now)
    }
}
