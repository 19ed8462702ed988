//! Listings: lines of JSON, as the service finds them.

use std::thread;

use crate::store::key::MAX_KEY_LEN;
use crate::store::{
    Entries, Key, Listed, Listing, Meta, Namespace, Result, Scan, Selection, StoreError, Time,
    Value,
};
use crate::wire::http::request::List;
use crate::wire::lines::Lines;
use crate::wire::listed::{self, Line, Listed as Entry};

use super::Http;
use super::ask::{Ask, namespace_path};
use super::body::Download;
use super::client::PAUSE;

/// Values of more bytes than this are asked for one by one.
const INLINE: u64 = 64 * 1024;
/// The most bytes of a line: a byte takes six at the most, as an escape of JSON.
const LONGEST: usize = 6 * (INLINE as usize + MAX_KEY_LEN) + 64 * 1024;
/// The most things in a row that cannot be listed.
const MAX_REFUSALS: u64 = 10_000;

/// A listing that is being received.
struct HttpScan<'a> {
    store: &'a Http,
    namespace: Namespace,
    selection: Selection,
    /// `None` once it has ended.
    answer: Option<Answer>,
    /// The last key, which is empty before the first.
    key: Vec<u8>,
    /// How many things that cannot be listed have come in a row.
    refusals: u64,
    /// How many entries have come since it was asked for.
    count: u64,
}

struct Answer {
    body: Download,
    lines: Lines,
}

impl Http {
    pub(super) fn list_entries<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
    ) -> Result<Listing<'a>> {
        let answer = self.begin_listing(namespace, selection)?;
        Ok(Box::new(HttpScan {
            store: self,
            namespace: namespace.clone(),
            selection: selection.clone(),
            answer: Some(answer),
            key: Vec::new(),
            refusals: 0,
            count: 0,
        }))
    }

    fn begin_listing(&self, namespace: &Namespace, selection: &Selection) -> Result<Answer> {
        let list = List {
            selection: selection.clone(),
            inline: selection.values.then_some(INLINE),
            end: true,
        };
        let path = namespace_path(namespace) + &list.write();
        let reply = self.client.ask(&Ask::look(path))?;
        let reply = reply.ok_or_else(|| self.client.no_service("it has no listing"))?;
        Ok(Answer {
            body: Download::new(&self.client, reply.body, None),
            lines: Lines::of_at_most(LONGEST),
        })
    }
}

impl HttpScan<'_> {
    fn no_service(&self, why: &str) -> StoreError {
        self.store.client.no_service(why)
    }

    /// Returns what comes next. What cannot be listed is an error, and others come behind it; what is
    /// not as it ought to be ends the listing.
    fn advance(&mut self) -> Result<Option<(Meta, Option<Value>)>> {
        let Some(mut answer) = self.answer.take() else {
            return Ok(None);
        };
        let line = loop {
            match answer.lines.advance(&mut answer.body) {
                Ok(true) if answer.lines.has_newline() => {}
                // Through HTTP/1.0 the end of what was cut off looks like any other, but for its last line.
                ended => {
                    answer = self.go_on(ended.err())?;
                    continue;
                }
            }
            let line = listed::read_line(answer.lines.line());
            match line.map_err(|why| self.no_service(&why))? {
                Line::Cursor if self.selection.limit == Some(self.count) => {}
                line => break line,
            }
        };
        let next = match line {
            Line::End(count) if count == self.count => {
                // Nothing is behind it.
                return match answer.lines.advance(&mut answer.body)? {
                    false => Ok(None),
                    true => Err(self.no_service("it goes on behind its end")),
                };
            }
            Line::Cursor | Line::End(_) => {
                return Err(self.no_service("its listing ends with another count of entries"));
            }
            Line::Refusal { status, error } => {
                self.refusals += 1;
                if self.refusals > MAX_REFUSALS {
                    return Err(self.no_service("it lists nothing but what cannot be listed"));
                }
                Err(self.store.client.service_error(status, error))
            }
            Line::Entry(listed) => {
                self.check(&listed)?;
                self.refusals = 0;
                self.count += 1;
                self.key = listed.key;
                let value = listed.value.map(Value::whole);
                Ok(Some((listed.meta, value)))
            }
        };
        self.answer = Some(answer);
        next
    }

    /// Refuses an entry that was not asked for, or does not come in its turn.
    fn check(&self, listed: &Entry) -> Result<()> {
        let key = listed.key.as_slice();
        if let Err(err) = Key::check(key) {
            return Err(self.no_service(&format!("it lists a key that is none: {err}")));
        }
        let is_in_order = match self.selection.reverse {
            _ if self.key.is_empty() => true,
            false => key > self.key.as_slice(),
            true => key < self.key.as_slice(),
        };
        if !is_in_order {
            return Err(self.no_service("it lists keys out of order"));
        }
        let is_wanted = self.selection.matches(key) && self.selection.limit != Some(self.count);
        let value = listed.value.as_ref();
        let fits = value.is_none_or(|value| value.len() as u64 == listed.meta.size);
        match is_wanted && fits && (value.is_none() || self.selection.values) {
            true => Ok(()),
            false => Err(self.no_service("it lists what was not asked for")),
        }
    }

    /// Asks for what is missing of a listing that was cut off. Whoever reads slowly may find that the
    /// service did not wait. One that has brought nothing is not asked for again.
    fn go_on(&mut self, err: Option<StoreError>) -> Result<Answer> {
        if self.count == 0 {
            return Err(err.unwrap_or_else(|| self.store.client.cut_off()));
        }
        self.go_on_behind();
        self.count = 0;
        thread::sleep(PAUSE);
        self.store.begin_listing(&self.namespace, &self.selection)
    }

    /// Narrows what is listed to what has not come yet.
    fn go_on_behind(&mut self) {
        if let Some(limit) = &mut self.selection.limit {
            *limit = limit.saturating_sub(self.count);
        }
        if self.selection.reverse {
            self.selection.to = Some(self.key.clone());
        } else {
            let mut from = self.key.clone();
            // No key is between this one and that.
            from.push(0);
            self.selection.from = Some(from);
        }
    }

    /// Opens a value that was too large for the listing; `None` where the entry is gone.
    fn open(&self) -> Result<Option<(Meta, Value)>> {
        let key = Key::new(self.key.clone()).map_err(|err| self.no_service(&err.to_string()))?;
        let entry = self.store.get(&self.namespace, &key, Time(0))?;
        Ok(entry.map(|entry| (entry.meta, entry.value)))
    }

    fn next_entry(&mut self) -> Result<Option<(Meta, Option<Value>)>> {
        loop {
            match self.advance()? {
                Some((_, None)) if self.selection.values => {
                    if let Some((meta, value)) = self.open()? {
                        return Ok(Some((meta, Some(value))));
                    }
                }
                next => return Ok(next),
            }
        }
    }
}

impl Scan for HttpScan<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        let next = self.next_entry().transpose()?;
        Some(next.map(|(meta, value)| Listed {
            key: &self.key,
            meta,
            value,
        }))
    }
}
