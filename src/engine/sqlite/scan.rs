//! Listing: rows in pages, so that nothing is locked or held while somebody reads the listing.

use std::collections::VecDeque;

use rusqlite::types::Value as Sql;

use crate::store::{Entry, Key, Listed, Listing, Namespace, Result, Scan, Selection, Time};

use super::Sqlite;
use super::row::{COLUMNS, Found};

/// So many rows are read at once, or fewer that hold so many bytes.
const PAGE_ROWS: usize = 1_000;
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
    page: VecDeque<(Vec<u8>, Found, Option<Vec<u8>>)>,
    is_last: bool,
    /// What is lent.
    key: Vec<u8>,
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
            page: VecDeque::new(),
            is_last: id.is_none(),
            key: Vec::new(),
        }))
    }
}

impl Rows<'_> {
    /// Reads the next page.
    fn turn(&mut self) -> Result<()> {
        let Some(lent) = self.store.connect()? else {
            self.is_last = true;
            return Ok(());
        };
        let value = if self.selection.values { ", value" } else { "" };
        let after = if self.is_listed { ">" } else { ">=" };
        let before = match self.to {
            Some(_) => "AND key < ?3",
            None => "AND ?3 IS NULL",
        };
        let order = if self.selection.reverse {
            "DESC"
        } else {
            "ASC"
        };
        let sql = format!(
            "SELECT key, {COLUMNS}{value} FROM entry
             WHERE namespace = ?1 AND key {after} ?2 {before} ORDER BY key {order}"
        );
        let cannot = || self.store.cannot("list");
        let mut select = lent.prepare_cached(&sql).map_err(cannot())?;
        let to = self.to.clone().map_or(Sql::Null, Sql::Blob);
        let mut rows = select.query((self.id, &self.from, to)).map_err(cannot())?;
        let (mut count, mut bytes) = (0, 0);
        let mut last: Vec<u8> = Vec::new();
        self.is_last = true;
        while let Some(row) = rows.next().map_err(cannot())? {
            let key = row.get_ref(0).map_err(cannot())?;
            let key = key.as_blob().map_err(|err| cannot()(err.into()))?;
            count += 1;
            bytes += key.len();
            if self.selection.matches(key) {
                let found = Found::read(row, 1).map_err(cannot())?;
                if found.is_live(self.now) {
                    let value: Option<Vec<u8>> = match self.selection.values {
                        true => row.get(7).map_err(cannot())?,
                        false => None,
                    };
                    bytes += value.as_ref().map_or(0, Vec::len);
                    self.page.push_back((key.to_vec(), found, value));
                }
            }
            last.clear();
            last.extend_from_slice(key);
            let is_enough = self.page.len() as u64 >= self.left;
            if is_enough || count >= PAGE_ROWS || bytes >= PAGE_BYTES {
                self.is_last = is_enough;
                break;
            }
        }
        if count == 0 {
            return Ok(());
        }
        if self.selection.reverse {
            self.to = Some(last);
        } else {
            self.from = last;
            self.is_listed = true;
        }
        Ok(())
    }
}

impl Scan for Rows<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        loop {
            if self.left == 0 {
                return None;
            }
            let Some((key, found, value)) = self.page.pop_front() else {
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
            self.key = key;
            if !self.selection.values {
                return Some(Ok(Listed {
                    key: &self.key,
                    meta: found.meta,
                    value: None,
                }));
            }
            let opened = match value {
                Some(value) => self.store.verified(&self.key, &found, value).map(Some),
                None => self.large(),
            };
            match opened {
                Ok(Some(entry)) => {
                    return Some(Ok(Listed {
                        key: &self.key,
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
    fn large(&self) -> Result<Option<Entry>> {
        let key = Key::new(self.key.clone());
        let key = key.map_err(|err| self.store.damaged(&self.key, &err.to_string()))?;
        self.store.find(&self.namespace, &key, self.now)
    }
}
