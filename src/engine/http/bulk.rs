//! Many entries in one request.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::store::bulk::{MANY, import_one};
use crate::store::{
    Bulk, Clock, Deadline, Feed, Imported, Incoming, Key, Merge, Namespace, OrCannot as _, Result,
    StoreError, Time,
};
use crate::wire::http::answer::{self, Ended};
use crate::wire::http::frame;
use crate::wire::http::request::OnNamespace;
use crate::wire::json;
use crate::wire::time::{rfc3339, rfc3339_deadline};

use super::Http;
use super::ask::Ask;

/// The most bytes of a reply to a command, and of all those to a batch.
const MAX_REPLY: u64 = 512 * 1024;
const MAX_REPLIES: u64 = 17 * 1024 * 1024;
/// How much longer an answer may take for each command.
const EACH: Duration = Duration::from_millis(100);

impl Bulk for Http {
    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        let verb = OnNamespace::Import(merge, !feed.waits());
        let ask = Ask::on_namespace(namespace, &verb);
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
        let reply =
            reply?.ok_or_else(|| self.client.no_service("its answer to an import is 404"))?;
        let text = self.client.text(reply)?;
        let told: answer::Imported = answer::read(&text).ok_or_else(|| {
            self.client
                .no_service("its answer to an import has no counts")
        })?;
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
                .map(|key| json!(["remove", "--", word(key.as_bytes())]))
                .collect();
            for done in self.batch(namespace, &commands)? {
                match done {
                    Ok(done) => removed += u64::from(done),
                    Err(err) => failed(err),
                }
            }
        }
        Ok(removed)
    }
}

/// Makes a word of a command: text where it can be, as JSON has no other bytes.
fn word(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

impl Http {
    /// Carries out commands, and returns which were done; the others said no.
    fn batch(&self, namespace: &Namespace, commands: &[Json]) -> Result<Vec<Result<bool>>> {
        let lines: String = commands
            .iter()
            .map(|command| format!("{command}\n"))
            .collect();
        let (json, stop, end) = (true, false, true);
        let ask = Ask {
            body: lines.as_bytes(),
            // They are carried out one after another.
            waits: EACH.saturating_mul(u32::try_from(commands.len()).unwrap_or(u32::MAX)),
            ..Ask::on_namespace(namespace, &OnNamespace::Batch { json, stop, end })
        };
        let reply = self.client.ask(&ask)?;
        let reply = reply.ok_or_else(|| self.client.no_service("its answer to a batch is 404"))?;
        let end = commands.len() as u64;
        let most = MAX_REPLY.saturating_mul(end).min(MAX_REPLIES);
        let frames = self.client.bytes(reply.body, most)?;
        let mut frames = &*frames;
        let torn = || self.client.no_service("the replies to a batch are cut off");
        let mut done = Vec::with_capacity(commands.len());
        for _ in commands {
            let (status, text, rest) = frame::take(frames).ok_or_else(torn)?;
            frames = rest;
            done.push(match status {
                0 | 1 => Ok(status == 0),
                status => Err(self.client.service_error(status, error_of(text))),
            });
        }
        match answer::read(frames) == Some(Ended { end }) {
            true => Ok(done),
            false => Err(torn()),
        }
    }
}

/// Returns what a command had to say: the last line of what it printed, without the words that say
/// that it is kv's and which line of the batch it was.
fn error_of(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let line = text.trim_end().rsplit('\n').next().unwrap_or_default();
    let line = line.strip_prefix("kv: ").unwrap_or(line);
    match line
        .strip_prefix("line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((number, what)) if number.bytes().all(|byte| byte.is_ascii_digit()) => what.to_owned(),
        _ => line.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_without_its_frame() {
        assert_eq!(error_of(b"kv: line 1: cannot x\n"), "cannot x");
        assert_eq!(error_of(b"12\nkv: line 12: line x: y\n"), "line x: y");
        assert_eq!(error_of(b"kv: cannot x\n"), "cannot x");
    }
}
