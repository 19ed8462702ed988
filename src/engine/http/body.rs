//! Bodies: values on their way to the service, and from it.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::http::{HeaderMap, Method, StatusCode};

use crate::store::{Entry, Etag, Meta, Result, Source, StoreError, Value};
use crate::wire::time::{read_rfc3339, read_rfc3339_deadline};

use super::ask::Ask;
use super::client::{Client, Reply};
use super::incoming::Incoming;

/// A value of at most this many bytes is read whole before it is answered.
const HELD: u64 = 256 * 1024;
/// The most bytes of an answer that is a line or two.
const MAX_TEXT: u64 = 256 * 1024;

/// A source that the client reads. What keeps it from being read is kept, as the client would tell
/// something else.
pub(super) struct Upload<'a> {
    head: &'a [u8],
    source: &'a mut dyn Source,
    pub(super) failed: Option<StoreError>,
}

impl<'a> Upload<'a> {
    /// Sends `head`, and behind it what is left of the source.
    pub(super) fn new(head: &'a [u8], source: &'a mut dyn Source) -> Self {
        Self {
            head,
            source,
            failed: None,
        }
    }
}

impl Read for Upload<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            return Read::read(&mut self.head, buf);
        }
        self.source.read(buf).map_err(|err| {
            self.failed = Some(err);
            io::ErrorKind::Other.into()
        })
    }
}

/// A body that is read while it comes.
pub(super) struct Body {
    body: Incoming,
    client: Arc<Client>,
}

impl Body {
    pub(super) fn new(client: &Arc<Client>, body: Incoming) -> Self {
        let client = Arc::clone(client);
        Self { body, client }
    }
}

impl Source for Body {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.body.read(buf).map_err(|err| self.client.broken(err))
    }
}

/// A value that is read while it comes.
struct Download {
    body: Incoming,
    client: Arc<Client>,
    /// Where it can be asked for again: what a connection is cut off for, HTTP cannot tell.
    path: Option<String>,
}

impl Source for Download {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.body.read(buf).map_err(|err| {
            let told = match (err.kind(), &self.path) {
                (io::ErrorKind::UnexpectedEof, Some(path)) => self.client.why_cut_off(path),
                _ => None,
            };
            told.unwrap_or_else(|| self.client.broken(err))
        })
    }
}

impl Client {
    /// Reads all of a short body.
    pub(super) fn text(&self, reply: Reply) -> Result<Vec<u8>> {
        if !reply.body.has_length() {
            return Err(self.no_service("it does not say how long its answer is"));
        }
        self.bytes(reply.body, MAX_TEXT)
    }

    /// Reads all of a body, which has at most so many bytes.
    pub(super) fn bytes(&self, mut body: Incoming, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut body).take(most + 1).read_to_end(&mut bytes);
        read.map_err(|err| self.broken(err))?;
        match bytes.len() as u64 <= most {
            true => Ok(bytes),
            false => Err(self.told(5, format!("its answer has more than {most} bytes"))),
        }
    }

    /// Asks for the end of a value, which the service sends when it has verified all of it. Returns
    /// what is wrong with it, if it is the value that is wrong.
    fn why_cut_off(&self, path: &str) -> Option<StoreError> {
        let mut ask = Ask::look(Method::GET, path.to_owned());
        ask.yes = &[StatusCode::PARTIAL_CONTENT];
        ask.headers.push(("range", "bytes=-1".to_owned()));
        self.ask(&ask).err().filter(StoreError::is_damage)
    }

    /// Reads what the headers tell of an entry.
    pub(super) fn meta(&self, headers: &HeaderMap) -> Result<Meta> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let read = || {
            let expires = match text("kv-expires") {
                None => None,
                Some(time) => Some(read_rfc3339_deadline(time)?),
            };
            Some(Meta {
                etag: self.etag_of(headers)?,
                modified: read_rfc3339(text("kv-modified")?)?,
                expires,
                size: text("content-length")?.parse().ok()?,
            })
        };
        read().ok_or_else(|| self.no_service("its answer is not that of one"))
    }

    /// Reads the etag, which stands in quotes.
    pub(super) fn etag_of(&self, headers: &HeaderMap) -> Option<Etag> {
        let text = headers.get("etag")?.to_str().ok()?;
        text.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    }

    /// Returns the entry that an answer brings. At `path` it can be asked for again.
    pub(super) fn entry(self: &Arc<Self>, reply: Reply, path: Option<String>) -> Result<Entry> {
        let meta = self.meta(&reply.headers)?;
        let value = if meta.size <= HELD {
            let bytes = self.bytes(reply.body, HELD)?;
            Value::Whole { bytes, next: 0 }
        } else {
            Value::Stream(Box::new(Download {
                body: reply.body,
                client: Arc::clone(self),
                path,
            }))
        };
        Ok(Entry { meta, value })
    }
}
