//! Many entries in one request.

use std::io::{self, Read};

use serde_json::Value as Json;
use ureq::http::Method;

use crate::store::bulk::MANY;
use crate::store::{
    Bulk, Clock, Feed, Imported, Incoming, Key, Merge, Namespace, Result, StoreError,
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
        _clock: &dyn Clock,
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
        Ok(Some(Imported {
            stored: told.stored,
            left: told.left,
            removed: told.removed,
        }))
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
}

impl Read for Lines<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.sent == self.line.len() {
            self.line.clear();
            self.sent = 0;
            match self.feed.next() {
                Ok(None) => return Ok(0),
                Ok(Some(entry)) => write_line(&mut self.line, entry)?,
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
