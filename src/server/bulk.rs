//! POST: many entries or many commands in one request.

use std::io::Write as _;
use std::sync::Arc;

use axum_core::body::Body;
use hyper::http::HeaderMap;
use memchr::memrchr;
use tokio::sync::OwnedSemaphorePermit;

use crate::store::{self, Feed, Incoming, Merge, Namespace, Source, Stopped, StoreError};
use crate::wire::http::answer;
use crate::wire::lines::Lines;
use crate::wire::record::{self, Record};

use super::memory::{BEGIN, BUDGET, ImportRoom, Share, too_many};
use super::reply::{Answer, Refusal, json, typed};
use super::request_body::{RequestBody, permit};
use super::{App, BatchRequest, response_body};

/// The most bytes of the commands of a request: they have to be in memory.
const MAX_COMMANDS: u64 = 16 * 1024 * 1024;
/// So many times they may be there: as they came, as a line, as its words, as arguments and on their
/// way into the store.
const COPIES: u64 = 5;
/// A line of an import of more bytes counts among what is in memory.
const MAX_FREE_LINE: u64 = 256 * 1024;
/// The longest line: it is there as it came, as it was decoded, and once more while it is read.
const MAX_LINE: u64 = BUDGET / 3;

/// Carries out a batch whose commands stand in the body, and answers with the frames that `kv batch` prints.
pub(super) async fn batch(
    app: &Arc<App>,
    mut request: BatchRequest,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let commands = RequestBody::new(headers, body, MAX_COMMANDS)?
        .announced()?
        .whole(app, COPIES)
        .await?;
    let (commands, share) = commands.into_parts();
    request.commands = commands;
    app.still_there().await?;
    let permit = permit(app, &app.lists).await?;
    let body = response_body::written(app, Some(permit), move |app, out| {
        (app.config.batch)(request, out)?;
        out.flush()?;
        drop(share);
        Ok(())
    })
    .await?;
    Ok(typed("application/octet-stream", body))
}

/// Stores the entries of lines as `kv export` writes them, or none of them if a line is wrong or the
/// body is cut off. Which namespace a line names plays no part.
pub(super) async fn import(
    app: &Arc<App>,
    namespace: Namespace,
    (merge, now): (Merge, bool),
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let request = RequestBody::new(headers, body, u64::MAX)?
        .announced()?
        .for_memory();
    let room = match request.is_short() {
        true => None,
        false => Some(ImportRoom::take(app).await?),
    };
    let work = move |app: &App, body: &mut dyn Source| {
        let mut body = Metered {
            app,
            body,
            share: Share::default(),
            long: None,
            line: 0,
        };
        let mut entries = Entries::new(&mut body, app.config.max_value, !now);
        entries.memory = room.as_ref().map_or(usize::MAX, |room| room.bytes);
        let store = app.store();
        let imported = store.import(&namespace, &mut entries, merge, app.clock());
        match entries.fault.take() {
            Some(Fault::Store(err)) => Err(err),
            Some(Fault::Line(why)) => Ok(Err(why)),
            None => imported.map(|done| Ok(done.unwrap_or_default())),
        }
    };
    let imported = request.feed(app, work).await?.map_err(Refusal::usage)?;
    let done = answer::Imported {
        stored: imported.stored,
        left: imported.left,
        removed: imported.removed,
    };
    Ok(json(answer::line(&done)))
}

/// A body whose longest line counts among what is in memory.
struct Metered<'a> {
    app: &'a App,
    body: &'a mut dyn Source,
    share: Share,
    /// The place of an import with a longer line than most.
    long: Option<OwnedSemaphorePermit>,
    /// How many bytes of a line have come.
    line: u64,
}

impl Metered<'_> {
    /// Has room for a line that is long already. One that turns out longer than most gives back what it
    /// has, for others wait for that who have begun with theirs.
    fn make_room(&mut self) -> Result<(), Refusal> {
        if self.line <= BEGIN {
            return self.share.fit_here(self.app, 3 * BEGIN);
        }
        if self.long.is_none() {
            let permit = Arc::clone(&self.app.memory.long_lines).try_acquire_owned();
            self.long = Some(permit.map_err(|_| too_many())?);
            self.share = Share::default();
        }
        self.share.fit_here(self.app, 3 * MAX_LINE)
    }
}

impl Source for Metered<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        let n = self.body.read(buf)?;
        let begun = match memrchr(b'\n', &buf[..n]) {
            Some(at) => {
                self.line = 0;
                &buf[at + 1..n]
            }
            None => &buf[..n],
        };
        self.line += begun.len() as u64;
        if self.line > MAX_FREE_LINE {
            self.make_room().map_err(no_room)?;
        }
        Ok(n)
    }
}

fn no_room(refusal: Refusal) -> StoreError {
    StoreError::Service {
        place: "this service".to_owned(),
        fault: store::Fault::Busy,
        error: refusal.into_error(),
    }
}

/// The entries that a body brings.
struct Entries<'a> {
    body: &'a mut dyn Source,
    lines: Lines,
    decoded: Vec<u8>,
    record: Option<Record>,
    max_value: u64,
    waits: bool,
    memory: usize,
    fault: Option<Fault>,
}

/// Why they stopped.
enum Fault {
    Store(StoreError),
    Line(String),
}

impl<'a> Entries<'a> {
    fn new(body: &'a mut dyn Source, max_value: u64, waits: bool) -> Self {
        // A byte takes six at the most, as an escape of JSON, and the key has its share too.
        let longest = max_value.saturating_mul(6).saturating_add(1 << 20);
        let longest = longest.min(MAX_LINE);
        Self {
            body,
            lines: Lines::of_at_most(usize::try_from(longest).unwrap_or(usize::MAX)),
            decoded: Vec::new(),
            record: None,
            max_value,
            waits,
            memory: usize::MAX,
            fault: None,
        }
    }

    fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            match self.lines.advance(&mut *self.body) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(StoreError::Unfit { key, .. }) => {
                    return Err(Fault::Line(format!(
                        "{key} is too long: its value is to be put by itself; nothing was imported"
                    )));
                }
                Err(err) => return Err(Fault::Store(err)),
            }
            let (line, number) = (self.lines.line(), self.lines.number());
            if line.trim_ascii().is_empty() {
                continue;
            }
            let fault = |why| Fault::Line(format!("line {number}: {why}: nothing was imported"));
            let record = record::read_json(line, &mut self.decoded).map_err(fault)?;
            if record.entry(line, &self.decoded).value.len() as u64 > self.max_value {
                let max = self.max_value;
                return Err(fault(format!("the value is larger than {max} bytes")));
            }
            self.record = Some(record);
            return Ok(true);
        }
    }
}

impl Feed for Entries<'_> {
    fn waits(&self) -> bool {
        self.waits
    }

    fn memory(&self) -> usize {
        self.memory
    }

    fn next(&mut self) -> Result<Option<Incoming<'_>>, Stopped> {
        if self.fault.is_some() {
            return Err(Stopped);
        }
        match self.advance() {
            Ok(false) => Ok(None),
            Ok(true) => {
                let record = self.record.as_ref().ok_or(Stopped)?;
                Ok(Some(record.entry(self.lines.line(), &self.decoded)))
            }
            Err(fault) => {
                self.fault = Some(fault);
                Err(Stopped)
            }
        }
    }
}
