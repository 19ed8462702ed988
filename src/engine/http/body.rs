//! Bodies: values on their way to the service, and from it.

use std::io::{self, Read};

use ureq::Body;
use ureq::http::HeaderMap;

use crate::store::{Entry, Etag, Meta, Result, Source, StoreError, Value};
use crate::wire::time::{read_rfc3339, read_rfc3339_deadline};

use super::client::{Client, Reply};

/// A value of at most this many bytes is read whole before it is answered.
const HELD: u64 = 256 * 1024;

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
pub(super) struct Download {
    body: ureq::BodyReader<'static>,
    place: String,
}

impl Download {
    pub(super) fn new(client: &Client, body: Body) -> Self {
        Self {
            body: body.into_reader(),
            place: client.place().to_string(),
        }
    }
}

impl Source for Download {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.body.read(buf).map_err(|source| match source.kind() {
            // The service cuts off what turns out to be damaged on the way.
            io::ErrorKind::UnexpectedEof => StoreError::Damaged {
                path: self.place.clone().into(),
                source: "the answer was cut off: kv fsck where the service runs tells more".into(),
            },
            _ => StoreError::Io {
                action: "read the answer of",
                path: self.place.clone().into(),
                source,
            },
        })
    }
}

impl Client {
    /// Reads all of a short body.
    pub(super) fn text(&self, reply: Reply) -> Result<String> {
        let mut text = String::new();
        let read = reply.body.into_reader().read_to_string(&mut text);
        read.map_err(|err| self.broken(err))?;
        Ok(text)
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

    /// Returns the entry that an answer brings.
    pub(super) fn entry(&self, reply: Reply) -> Result<Entry> {
        let meta = self.meta(&reply.headers)?;
        let value = if meta.size <= HELD {
            let mut bytes = Vec::new();
            let read = reply.body.into_reader().read_to_end(&mut bytes);
            read.map_err(|err| self.broken(err))?;
            Value::Whole { bytes, next: 0 }
        } else {
            Value::Stream(Box::new(Download::new(self, reply.body)))
        };
        Ok(Entry { meta, value })
    }
}
