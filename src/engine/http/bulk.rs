//! Many entries in one request.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::Path;

use serde_json::Value as Json;
use ureq::http::Method;

use crate::store::bulk::{MANY, import_one};
use crate::store::{
    Bulk, Clock, Deadline, Feed, Imported, Incoming, Key, Merge, Namespace, OrCannot as _, Result,
    StoreError, Time,
};
use crate::wire::http::answer;
use crate::wire::http::request::OnNamespace;
use crate::wire::json;
use crate::wire::time::{rfc3339, rfc3339_deadline};

use super::Http;
use super::address::namespace_path;
use super::ask::Ask;
use super::entries::LONG_WORK;
use super::odd::word;

impl Bulk for Http {
    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        let now = !feed.waits();
        let path = namespace_path(namespace) + &OnNamespace::Import(merge, now).write();
        let ask = Ask {
            waits: LONG_WORK,
            ..Ask::fetch(Method::POST, path)
        };
        let mut lines = Lines {
            feed,
            line: Vec::new(),
            sent: 0,
            has_stopped: false,
            large: Vec::new(),
        };
        let reply = self.client.stream(&ask, &mut lines);
        if lines.has_stopped {
            // The service has seen a body that was cut off, and stored nothing.
            return Ok(None);
        }
        let reply = reply?.ok_or_else(|| self.client.no_service("it says no to an import"))?;
        let text = self.client.text(reply)?;
        let told: answer::Imported = answer::read(&text)
            .ok_or_else(|| self.client.no_service("it does not tell what it imported"))?;
        let mut imported = Imported {
            stored: told.stored,
            left: told.left,
            removed: told.removed,
        };
        for large in lines.large {
            match large.import(self, namespace, merge, clock)? {
                true => imported.stored += 1,
                false => imported.left += 1,
            }
        }
        Ok(Some(imported))
    }

    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        _clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        let mut removed = 0;
        for keys in keys.chunks(MANY) {
            let commands: Vec<Json> = keys
                .iter()
                .map(|key| Json::from(vec!["remove".into(), "--".into(), word(key.as_bytes())]))
                .collect();
            for printed in self.batch(namespace, &commands)? {
                match printed {
                    Ok(done) => removed += u64::from(done.is_some()),
                    Err(err) => failed(err),
                }
            }
        }
        Ok(removed)
    }
}

/// The entries of a feed, as lines of JSON.
struct Lines<'a> {
    feed: &'a mut dyn Feed,
    line: Vec<u8>,
    sent: usize,
    has_stopped: bool,
    large: Vec<Large>,
}

/// A larger value than this is put by itself when all others are stored: the service has no line of
/// any length in memory.
const MAX_IN_LINE: usize = 4 * 1024 * 1024;

/// An entry with such a value, which lies in a file without a name.
struct Large {
    key: Vec<u8>,
    value: File,
    modified: Option<Time>,
    expires: Option<Deadline>,
}

impl Large {
    fn keep(entry: &Incoming<'_>) -> io::Result<Self> {
        let mut value = tempfile::tempfile()?;
        value.write_all(entry.value)?;
        Ok(Self {
            key: entry.key.to_vec(),
            value,
            modified: entry.modified,
            expires: entry.expires,
        })
    }

    /// Stores it as one of the entries of an import.
    fn import(
        mut self,
        store: &Http,
        namespace: &Namespace,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let mut value = Vec::new();
        let read = self
            .value
            .rewind()
            .and_then(|()| self.value.read_to_end(&mut value));
        read.or_cannot("read", Path::new("a temporary file"))?;
        let entry = Incoming {
            key: &self.key,
            value: &value,
            modified: self.modified,
            expires: self.expires,
        };
        import_one(store, namespace, &entry, merge, clock)
    }
}

impl Read for Lines<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.sent == self.line.len() {
            self.line.clear();
            self.sent = 0;
            match self.feed.next() {
                Ok(None) => return Ok(0),
                Ok(Some(entry)) => {
                    // Of equal keys the last counts.
                    self.large.retain(|large| large.key != entry.key);
                    match entry.value.len() > MAX_IN_LINE {
                        true => self.large.push(Large::keep(&entry)?),
                        false => write_line(&mut self.line, entry)?,
                    }
                }
                Err(_) => {
                    self.has_stopped = true;
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        let n = (&self.line[self.sent..]).read(buf)?;
        self.sent += n;
        Ok(n)
    }
}

fn write_line(out: &mut Vec<u8>, entry: Incoming<'_>) -> io::Result<()> {
    json::begin(out, entry.key)?;
    json::value(out, entry.value)?;
    if let Some(modified) = entry.modified {
        json::member(out, "modified", &rfc3339(modified))?;
    }
    if let Some(expires) = entry.expires {
        json::member(out, "expires", &rfc3339_deadline(expires))?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}
