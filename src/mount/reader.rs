//! A value that is read through an open file: what the key held when the file was opened.

use std::mem;
use std::sync::Arc;

use crate::store::{Etag, Key, Meta, Namespace, Result, Source as _, Time, Value};

use super::buffer::Pin;
use super::draft::Draft;
use super::errors::stale;
use super::nodes::FullKey;
use super::{App, failure};

/// So many bytes that were read are remembered, for reads that do not quite go forward.
const REMEMBERED: usize = 1 << 20;
/// So many bytes are read at once.
const PART: usize = 256 << 10;

/// What a file holds that is open, as it was when it was opened.
#[derive(Debug)]
pub(super) struct Reader {
    meta: Meta,
    content: Bytes,
    /// What was read behind it, and is stored behind another value, or nowhere.
    added: Option<Arc<Draft>>,
}

#[derive(Debug)]
enum Bytes {
    /// In memory, or in a temporary file.
    Whole(Draft),
    /// Being read from its beginning to its end.
    Stream(Stream),
    /// Its end could not be read, or is not what was written.
    Torn,
}

#[derive(Debug)]
struct Stream {
    source: Value,
    /// The last bytes that were read.
    recent: Vec<u8>,
    /// Where these end.
    at: u64,
}

impl Reader {
    /// Opens what a key holds; `None` if there is none.
    pub(super) fn open(app: &App, namespace: &Namespace, key: &Key) -> Result<Option<Self>> {
        let entry = app.found(app.config.store.get(namespace, key, app.now()))?;
        Ok(entry.map(|entry| Self::of(entry.meta, entry.value)))
    }

    fn of(meta: Meta, value: Value) -> Self {
        let content = match value {
            Value::Whole { mut bytes, next } => {
                bytes.drain(..next);
                Bytes::Whole(Draft::Memory(bytes))
            }
            source => Bytes::Stream(Stream {
                source,
                recent: Vec::new(),
                at: 0,
            }),
        };
        Self {
            meta,
            content,
            added: None,
        }
    }

    /// Returns what was stored as an entry: it is kept where it is known and short, and else read again.
    pub(super) fn stored(pin: Pin, modified: Time, draft: Option<&Draft>) -> Option<Self> {
        let meta = Meta {
            etag: pin.etag?,
            modified,
            expires: pin.expires,
            size: draft.map_or(u64::MAX, Draft::len),
        };
        let content = match draft {
            Some(Draft::Memory(bytes)) => Bytes::Whole(Draft::Memory(bytes.clone())),
            _ => Bytes::Torn,
        };
        Some(Self {
            meta,
            content,
            added: None,
        })
    }

    /// Returns the entry that it reads.
    pub(super) fn pin(&self) -> Pin {
        Pin::of(&self.meta)
    }

    /// Returns its size and time of modification.
    pub(super) fn stat(&self) -> (u64, Time) {
        let added = self.added.as_ref().map_or(0, |added| added.len());
        (self.meta.size.saturating_add(added), self.meta.modified)
    }

    /// Returns how much of it was the key's value.
    pub(super) fn value_len(&self) -> u64 {
        self.meta.size
    }

    /// Tells whether what it reads was never a value.
    pub(super) fn is_mixed(&self) -> bool {
        self.added.is_some()
    }

    /// Goes on with what was to be added, as that is nothing that the key holds behind this.
    pub(super) fn mix(&mut self, added: &Arc<Draft>, modified: Time) {
        self.added = Some(Arc::clone(added));
        self.meta.modified = modified;
    }

    /// Notes that the entry is another now that holds the same, perhaps of another time.
    pub(super) fn move_to(&mut self, from: Etag, to: Etag, modified: Option<Time>) {
        if self.meta.etag == from {
            self.meta.etag = to;
            self.meta.modified = modified.unwrap_or(self.meta.modified);
        }
    }

    /// Keeps all of the value, as it is about to be removed. Where that fails, what cannot be read
    /// any more is stale.
    pub(super) fn keep(&mut self, app: &App, file: &FullKey) {
        if let Ok(draft) = self.whole(app, Some(file)) {
            self.content = Bytes::Whole(draft);
        }
    }

    /// Takes all of the value out of it.
    pub(super) fn take_draft(&mut self, app: &App, name: Option<&FullKey>) -> Result<Draft> {
        let mut draft = self.whole(app, name)?;
        if let Some(added) = self.added.take() {
            let written = draft.add(&added, &app.spill);
            written.map_err(|err| failure("write", app, err))?;
        }
        Ok(draft)
    }

    /// Reads up to so many bytes at an offset, also of what is added behind it.
    pub(super) fn read(
        &mut self,
        app: &App,
        name: Option<&FullKey>,
        (offset, size): (u64, usize),
        tail: Option<&Draft>,
    ) -> Result<Vec<u8>> {
        let mut bytes = self.read_value(app, name, offset, size)?;
        let added = self.added.clone();
        let mut from = self.meta.size;
        for added in added.as_deref().into_iter().chain(tail) {
            let at = offset + bytes.len() as u64;
            if at >= from && bytes.len() < size {
                let more = added.read(at - from, size - bytes.len());
                bytes.extend(more.map_err(|err| failure("read", app, err))?);
            }
            from += added.len();
        }
        Ok(bytes)
    }

    /// Reads up to so many bytes at an offset. `name` is where the file is now, if anywhere.
    fn read_value(
        &mut self,
        app: &App,
        name: Option<&FullKey>,
        offset: u64,
        size: usize,
    ) -> Result<Vec<u8>> {
        if offset >= self.meta.size {
            return Ok(Vec::new());
        }
        if let Bytes::Stream(stream) = &mut self.content {
            match stream.read(offset, size) {
                Ok(Some(bytes)) => return Ok(bytes),
                // It was asked for what is forgotten.
                Ok(None) => {}
                Err(err) => {
                    // No part of it is given away any more, not even one that was read before.
                    self.content = Bytes::Torn;
                    return Err(err);
                }
            }
        }
        if !matches!(self.content, Bytes::Whole(_)) {
            // From now on it can be asked for any part.
            let draft = self.again(app, name)?;
            self.content = Bytes::Whole(draft);
        }
        let Bytes::Whole(draft) = &self.content else {
            return Ok(Vec::new());
        };
        draft
            .read(offset, size)
            .map_err(|err| failure("read", app, err))
    }

    /// Takes all of the value: what is being read where that is remembered from its beginning on, as the key may hold
    /// another by now, and else what is read once more.
    fn whole(&mut self, app: &App, name: Option<&FullKey>) -> Result<Draft> {
        match mem::replace(&mut self.content, Bytes::Torn) {
            Bytes::Whole(draft) => Ok(draft),
            Bytes::Stream(stream) if stream.start() == 0 => {
                Draft::of(stream.recent, stream.source, &app.spill)
            }
            content => {
                self.content = content;
                self.again(app, name)
            }
        }
    }

    /// Reads the value once more, to where any part of it can be found.
    fn again(&mut self, app: &App, name: Option<&FullKey>) -> Result<Draft> {
        let entry = match name {
            Some((namespace, key)) => app.found(app.config.store.get(namespace, key, app.now()))?,
            None => None,
        };
        match entry {
            Some(entry) if entry.meta.etag == self.meta.etag => {
                self.meta = entry.meta;
                Draft::of(Vec::new(), entry.value, &app.spill)
            }
            _ => Err(stale("read", name)),
        }
    }
}

impl Stream {
    /// Reads at an offset; `None` where that lies before what is remembered.
    fn read(&mut self, offset: u64, size: usize) -> Result<Option<Vec<u8>>> {
        if offset < self.start() {
            return Ok(None);
        }
        let end = offset.saturating_add(size as u64);
        while self.at < end {
            self.forget_before(offset);
            let missing = usize::try_from(end - self.at).unwrap_or(PART);
            let old = self.recent.len();
            self.recent.resize(old + missing.min(PART), 0);
            let read = self.source.read(&mut self.recent[old..]);
            let n = *read.as_ref().unwrap_or(&0);
            self.recent.truncate(old + n);
            read?;
            self.at += n as u64;
            if n == 0 {
                break;
            }
        }
        let from = usize::try_from(offset - self.start()).unwrap_or(usize::MAX);
        let from = from.min(self.recent.len());
        let to = self.recent.len().min(from.saturating_add(size));
        Ok(Some(self.recent[from..to].to_vec()))
    }

    /// Returns the offset of the first byte that is remembered.
    fn start(&self) -> u64 {
        self.at - self.recent.len() as u64
    }

    /// Forgets what is far behind, seldom and much at a time.
    fn forget_before(&mut self, offset: u64) {
        if self.recent.len() < 2 * REMEMBERED {
            return;
        }
        let behind = usize::try_from(offset.saturating_sub(self.start())).unwrap_or(usize::MAX);
        self.recent
            .drain(..behind.min(self.recent.len() - REMEMBERED));
    }
}
