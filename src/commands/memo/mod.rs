//! `kv memo`: runs a program once and replays what it printed.
//!
//! Whoever finds nothing to replay takes a lock of the key's name and runs the program; who comes
//! meanwhile waits for that lock, shared, and looks again. A run that failed is left for those who
//! were waiting when it ended: it is stored for a few seconds with the time of its end, and whoever
//! came later passes it over.
//!
//! The store only spares work. Where it can be read and not written, the program runs all the same,
//! and a line says why nothing is remembered. A lock that is a lease may be lost while the program
//! runs; then another runs it as well, and either result is one.

mod key;
mod run;

use std::io::{self, BufReader, Read, Write as _};
use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::MemoArgs;
use crate::commands::Session;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::{Exit, UsageError};
use crate::os::{self, RawStderr};
use crate::store::{Entry, Key, LockRequest, OrCannot as _, Source, StoreError, Time, Value};
use crate::wire::memo::{Head, Stream, read_head, read_part_line};

/// By how much the clock of another machine may be ahead.
const SKEW: Duration = Duration::from_secs(10);

/// What was asked for, with its key settled.
struct Memo<'a> {
    args: &'a MemoArgs,
    key: Key,
    ttl: Duration,
}

/// A result to be replayed.
struct Found {
    head: Head,
    modified: Time,
    parts: BufReader<Parts>,
}

/// Replays the last run, or runs the program, or waits for the one who does.
pub(super) fn run(args: &MemoArgs, session: &mut Session<'_>) -> Result<Exit> {
    let ttl = args.ttl.unwrap_or_default();
    if args.stale.is_some_and(|stale| stale >= ttl) {
        return Err(UsageError("--stale must be shorter than --ttl".to_owned()).into());
    }
    let memo = Memo {
        args,
        key: key::of(args)?,
        ttl,
    };
    session.store.prepare()?;
    let came = session.now();
    let mut found = memo.find(session, None)?;
    if found
        .as_ref()
        .is_some_and(|found| memo.is_stale(found, came))
    {
        // What is open of a store is one process's: neither of the two goes on with it.
        drop(found);
        session.reopen();
        if os::detach().context("cannot refresh")? {
            // Nobody is left to be told of a failure; whoever comes next tries again.
            _ = memo.refresh(session);
            process::exit(0);
        }
        found = memo.find(session, None)?;
    }
    if let Some(found) = found {
        return replay(found, session);
    }
    loop {
        match memo.lock(session, false, Some(Duration::ZERO)) {
            Err(err) => return run::seen(&memo, session, Some(err)),
            Ok(Some(_held)) => {
                return match memo.find(session, Some(came))? {
                    Some(found) => replay(found, session),
                    None => run::seen(&memo, session, None),
                };
            }
            Ok(None) => {}
        }
        if let Err(err) = memo.lock(session, true, None) {
            return run::seen(&memo, session, Some(err));
        }
        if let Some(found) = memo.find(session, Some(came))? {
            return replay(found, session);
        }
    }
}

impl Memo<'_> {
    /// Finds a result. A failed one counts only for somebody who `came` before it ended.
    fn find(&self, session: &Session<'_>, came: Option<Time>) -> Result<Option<Found>> {
        let Some(Entry { meta, value }) = self.find_sound(session)? else {
            return Ok(None);
        };
        let mut parts = Parts::of(value);
        let Ok(Some(head)) = read_head(&mut parts) else {
            return Ok(None);
        };
        let counts = match head.failed_at {
            0 => self.args.stale.is_some() || !self.is_of_the_future(meta.modified, session.now()),
            // The time of one that failed is believed only where it can be true.
            _ if self.is_of_the_future(meta.modified, session.now()) => false,
            failed_at => came.is_some_and(|came| came.0 <= failed_at),
        };
        Ok(counts.then_some(Found {
            head,
            modified: meta.modified,
            parts,
        }))
    }

    /// Finds a result that can be replayed to its end: nothing of one is shown that turns out to be
    /// none in its middle.
    fn find_sound(&self, session: &Session<'_>) -> Result<Option<Entry>> {
        let get = || {
            let now = session.now();
            match session.store.get(&session.namespace, &self.key, now) {
                // What cannot be replayed can be made once more.
                Err(err) if err.is_damage() => Ok(None),
                found => found,
            }
        };
        loop {
            let Some(entry) = get()? else {
                return Ok(None);
            };
            match entry.value {
                Value::Whole { ref bytes, next } => {
                    let is_sound = is_sound(&mut &bytes[next..]);
                    return Ok(is_sound.then_some(entry));
                }
                // A large one is read twice, as it is verified only at its end.
                value => {
                    if !is_sound(&mut Parts::of(value)) {
                        return Ok(None);
                    }
                    let again = get()?;
                    if again
                        .as_ref()
                        .is_none_or(|e| e.meta.etag == entry.meta.etag)
                    {
                        return Ok(again);
                    }
                }
            }
        }
    }

    fn is_stale(&self, found: &Found, now: Time) -> bool {
        let age = Duration::from_nanos(now.0.saturating_sub(found.modified.0));
        self.args.stale.is_some_and(|stale| age > stale)
            || self.is_of_the_future(found.modified, now)
    }

    /// Tells whether a result was made later than now. Then the clock was set back, or the store is a
    /// backup from elsewhere; how old the result is nobody knows, and its expiry is wrong as well.
    fn is_of_the_future(&self, modified: Time, now: Time) -> bool {
        let ahead = Duration::from_nanos(modified.0.saturating_sub(now.0));
        ahead > SKEW.min(self.ttl)
    }

    fn lock(
        &self,
        session: &Session<'_>,
        is_shared: bool,
        patience: Option<Duration>,
    ) -> Result<Option<crate::store::Held>> {
        let request = LockRequest {
            is_shared,
            patience,
        };
        let store = &session.store;
        Ok(store.lock(&session.namespace, &self.key, request, &session.clock)?)
    }

    /// Runs the program once more for a result that has grown old, unless somebody else does.
    fn refresh(&self, session: &mut Session<'_>) -> Result<()> {
        let Some(_held) = self.lock(session, false, Some(Duration::ZERO))? else {
            return Ok(());
        };
        let now = session.now();
        match self.find(session, None)? {
            Some(found) if !self.is_stale(&found, now) => Ok(()),
            _ => run::unseen(self, session),
        }
    }
}

/// Prints what a run printed, each part to where it was printed, and returns its status.
fn replay(mut found: Found, session: &mut Session<'_>) -> Result<Exit> {
    let mut part = vec![0; 64 * 1024];
    loop {
        let next = read_part_line(&mut found.parts);
        let Some((stream, mut left)) = next.context("cannot replay the run")? else {
            return Ok(Exit::Program(found.head.status));
        };
        while left > 0 {
            let most = usize::try_from(left).map_or(part.len(), |left| left.min(part.len()));
            let n = found
                .parts
                .read(&mut part[..most])
                .context("cannot replay the run")?;
            if n == 0 {
                let why = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(why).context("cannot replay the run");
            }
            show(stream, &part[..n], session).or_cannot_write()?;
            left -= n as u64;
        }
    }
}

/// Reads a result to its end and tells whether it is one.
fn is_sound(input: &mut dyn Read) -> bool {
    let mut read = || -> io::Result<bool> {
        if read_head(input)?.is_none() {
            return Ok(false);
        }
        while let Some((_, len)) = read_part_line(input)? {
            if io::copy(&mut Read::take(&mut *input, len), &mut io::sink())? < len {
                return Ok(false);
            }
        }
        Ok(true)
    };
    read().unwrap_or(false)
}

/// Prints a part.
fn show(stream: Stream, part: &[u8], session: &mut Session<'_>) -> io::Result<()> {
    match stream {
        Stream::Out => session.out.write_all(part),
        Stream::Err => {
            session.out.flush()?;
            // As with any program, nobody is told that standard error cannot be written.
            _ = RawStderr.write_all(part);
            Ok(())
        }
    }
}

/// A value as a reader.
struct Parts(Value);

impl Parts {
    fn of(value: Value) -> BufReader<Self> {
        BufReader::with_capacity(16 * 1024, Self(value))
    }
}

impl Read for Parts {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Source::read(&mut self.0, buf).map_err(io::Error::other)
    }
}

/// A reader as a source of a value.
struct Spooled<R>(R);

impl<R: Read> Source for Spooled<R> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, StoreError> {
        self.0
            .read(buf)
            .or_cannot("read", "what the program printed".as_ref())
    }
}
