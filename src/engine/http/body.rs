//! Bodies: values on their way to the service, and from it.

use std::io::{self, Read};
use std::sync::Arc;

use ureq::http::{HeaderMap, StatusCode};

use crate::store::{Entry, Etag, Meta, Result, Source, StoreError, Value};
use crate::wire::http::answer::FAILED;
use crate::wire::time::{read_rfc3339, read_rfc3339_deadline};

use super::ask::Ask;
use super::client::{Client, Reply};
use super::incoming::Incoming;

/// A value of at most this many bytes is read whole before it is answered.
const HELD: u64 = 256 * 1024;
/// A value of at most this many bytes is sent with its length, and so at once.
const SENT_AT_ONCE: usize = 64 * 1024;
/// The most bytes of an answer that is a line or two.
const MAX_TEXT: u64 = 256 * 1024;

/// A value that is to be sent: all of it, or its beginning and where the rest comes from.
pub(super) struct Upload<'a> {
    head: Vec<u8>,
    sent: usize,
    rest: Option<&'a mut dyn Source>,
    /// What keeps it from being read: the client would tell something else.
    failed: Option<StoreError>,
}

impl<'a> Upload<'a> {
    /// Reads the beginning of a value, to be sent behind some bytes.
    pub(super) fn read(prefix: &[u8], source: &'a mut dyn Source) -> Result<Self> {
        let mut head = prefix.to_vec();
        let mut filled = head.len();
        head.resize(filled + SENT_AT_ONCE, 0);
        let mut rest = Some(source);
        while let Some(source) = rest.as_mut().filter(|_| filled < head.len()) {
            match source.read(&mut head[filled..])? {
                0 => rest = None,
                n => filled += n,
            }
        }
        head.truncate(filled);
        Ok(Self {
            head,
            sent: 0,
            rest,
            failed: None,
        })
    }

    pub(super) fn can_be_repeated(&self) -> bool {
        self.rest.is_none()
    }

    pub(super) fn send(&mut self, client: &Client, ask: &Ask<'_>) -> Result<Option<Reply>> {
        if self.rest.is_none() {
            return client.ask_with(ask, &self.head);
        }
        let sent = client.stream(ask, self);
        self.failed.take().map_or(sent, Err)
    }
}

impl Read for Upload<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = Read::read(&mut &self.head[self.sent..], buf)?;
        self.sent += n;
        match &mut self.rest {
            Some(source) if n == 0 => source.read(buf).map_err(|err| {
                self.failed = Some(err);
                io::ErrorKind::Other.into()
            }),
            _ => Ok(n),
        }
    }
}

/// A body that is read while it comes.
pub(super) struct Download {
    body: Incoming,
    client: Arc<Client>,
    /// Where a value can be asked for again: what a connection is cut off for, HTTP cannot tell.
    path: Option<String>,
}

impl Download {
    pub(super) fn new(client: &Arc<Client>, body: Incoming, path: Option<String>) -> Self {
        let client = Arc::clone(client);
        Self { body, client, path }
    }
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
            false => Err(self.service_error(5, format!("its answer has more than {most} bytes"))),
        }
    }

    /// Asks for the end of a value, which the service sends when it has verified all of it. Returns
    /// what is wrong with it, if it is the value that is wrong.
    fn why_cut_off(&self, path: &str) -> Option<StoreError> {
        let mut ask = Ask::look(path.to_owned());
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
                etag: self.etag_of(headers, "etag")?,
                modified: read_rfc3339(text("kv-modified")?)?,
                expires,
                size: text("content-length")?.parse().ok()?,
            })
        };
        read().ok_or_else(|| self.no_service("its answer lacks what is known of an entry"))
    }

    /// Reads the etag in a header, which stands in quotes.
    pub(super) fn etag_of(&self, headers: &HeaderMap, name: &str) -> Option<Etag> {
        let text = headers.get(name)?.to_str().ok()?;
        text.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    }

    /// Returns the entry that is asked for, if there is one.
    pub(super) fn entry(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Option<Entry>> {
        let Some(reply) = self.ask(ask)? else {
            return Ok(None);
        };
        let meta = self.meta(&reply.headers)?;
        let value = if meta.size <= HELD {
            Value::whole(self.bytes(reply.body, HELD)?)
        } else {
            let path = (ask.method == "GET").then(|| ask.path.clone());
            Value::Stream(Box::new(Download::new(self, reply.body, path)))
        };
        let entry = Entry { meta, value };
        let failed = reply.headers.get(FAILED).map(|text| text.as_bytes());
        Ok(Some(match failed.map(String::from_utf8_lossy) {
            Some(text) => entry.ending_in(self.service_error(5, text.into_owned())),
            None => entry,
        }))
    }
}
