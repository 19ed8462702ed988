//! Listings: lines of JSON, as the service finds them.

use ureq::http::Method;

use crate::store::{
    Key, Listed, Listing, Meta, Namespace, Result, Scan, Selection, StoreError, Value,
};
use crate::wire::lines::Lines;
use crate::wire::listed::{self, Line};
use crate::wire::percent;

use super::Http;
use super::address::namespace_path;
use super::body::Download;
use super::client::Ask;

/// Values of more bytes than this are asked for one by one.
const INLINE: u64 = 64 * 1024;

/// A listing that is being received.
struct HttpScan<'a> {
    store: &'a Http,
    namespace: Namespace,
    selection: Selection,
    /// `None` once it has ended.
    answer: Option<Answer>,
    key: Vec<u8>,
    /// Whether damage was told, so that the end that is missing tells nothing more.
    is_damaged: bool,
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
            is_damaged: false,
            count: 0,
        }))
    }

    fn begin_listing(&self, namespace: &Namespace, selection: &Selection) -> Result<Answer> {
        let mut query = Vec::new();
        let mut add = |name: &str, value: &[u8]| {
            query.push(format!("{name}={}", percent::encode(value)));
        };
        if let Some(glob) = &selection.glob {
            add("glob", glob.pattern());
        }
        if !selection.prefix.is_empty() {
            add("prefix", &selection.prefix);
        }
        for (name, bound) in [("from", &selection.from), ("to", &selection.to)] {
            if let Some(bound) = bound {
                add(name, bound);
            }
        }
        if let Some(limit) = selection.limit {
            add("limit", limit.to_string().as_bytes());
        }
        if selection.reverse {
            add("reverse", b"1");
        }
        if selection.values {
            add("values", b"1");
            add("inline", INLINE.to_string().as_bytes());
        }
        let path = format!("{}?{}", namespace_path(namespace), query.join("&"));
        let reply = self.client.ask(&Ask::look(Method::GET, path))?;
        let reply = reply.ok_or_else(|| self.client.no_service("it lists nothing"))?;
        Ok(Answer {
            body: Download::new(&self.client, reply.body),
            lines: Lines::default(),
        })
    }
}

/// What the next line is.
enum Next {
    Entry(Meta, Option<Value>),
    Damage(StoreError),
    End,
}

impl HttpScan<'_> {
    fn advance(&mut self) -> Result<Next> {
        let Some(answer) = &mut self.answer else {
            return Ok(Next::End);
        };
        match answer.lines.advance(&mut answer.body) {
            Ok(true) => {}
            Ok(false) => {
                self.answer = None;
                return Ok(Next::End);
            }
            Err(_) if self.is_damaged => {
                self.answer = None;
                return Ok(Next::End);
            }
            // Whoever reads slowly may find that the service did not wait.
            Err(_) if self.count > 0 => {
                self.go_on_behind();
                let answer = self.store.begin_listing(&self.namespace, &self.selection)?;
                self.answer = Some(answer);
                self.count = 0;
                return self.advance();
            }
            Err(err) => {
                self.answer = None;
                return Err(err);
            }
        }
        let client = &self.store.client;
        let line = listed::read_line(answer.lines.line());
        match line.map_err(|why| client.no_service(&why))? {
            Line::Cursor => {
                self.answer = None;
                Ok(Next::End)
            }
            Line::Refusal { status, error } => {
                self.is_damaged = true;
                Ok(Next::Damage(client.told(status, error)))
            }
            Line::Entry(listed) => {
                self.key = listed.key;
                self.count += 1;
                let value = listed.value.map(|bytes| Value::Whole { bytes, next: 0 });
                Ok(Next::Entry(listed.meta, value))
            }
        }
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
        let key = Key::new(self.key.clone()).map_err(|err| {
            let why = format!("it lists a key that is none: {err}");
            self.store.client.no_service(&why)
        })?;
        let entry = self.store.find(&self.namespace, &key)?;
        Ok(entry.map(|entry| (entry.meta, entry.value)))
    }

    fn next_entry(&mut self) -> Result<Option<(Meta, Option<Value>)>> {
        loop {
            return match self.advance()? {
                Next::End => Ok(None),
                Next::Damage(err) => Err(err),
                Next::Entry(_, None) if self.selection.values => match self.open()? {
                    None => continue,
                    Some((meta, value)) => Ok(Some((meta, Some(value)))),
                },
                Next::Entry(meta, value) => Ok(Some((meta, value))),
            };
        }
    }
}

impl Scan for HttpScan<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        match self.next_entry() {
            Ok(None) => None,
            Ok(Some((meta, value))) => Some(Ok(Listed {
                key: &self.key,
                meta,
                value,
            })),
            Err(err) => Some(Err(err)),
        }
    }
}
