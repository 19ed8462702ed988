//! `kv watch`: tells what changes, or runs a program for each key that does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};

use super::listing::{glob, line_end, only_damage, write_key_line};
use super::output::OrCannotWrite as _;
use super::program;
use crate::cli::WatchArgs;
use crate::commands::Session;
use crate::exit::{Exit, UsageError};
use crate::os::{self, Supervisor};
use crate::store::key::MAX_KEY_LEN;
use crate::store::{
    Entry, Etag, Follower, Key, Listed, Meta, Selection, Store, StoreError, Value, error,
};
use crate::wire::entry;

/// What goes on changing is told after so many times the time for which it is to rest.
const PATIENCE: u32 = 10;
/// The most bytes of a line of `kv ls -l`: before the key stand fewer than 128.
const MAX_LINE: u64 = MAX_KEY_LEN as u64 + 128;

/// Follows the keys until the time is over, or for ever.
pub(super) fn run(args: &WatchArgs, session: &mut Session<'_>) -> Result<Exit> {
    let prefix = args.prefix.as_ref();
    let selection = Selection {
        glob: args.glob.as_ref().map(glob).transpose()?,
        prefix: prefix.map_or_else(Vec::new, |prefix| prefix.as_bytes().to_vec()),
        ..Selection::default()
    };
    let until = args
        .timeout
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let store = session.take_store();
    let namespace = session.namespace.clone();
    let mut follower = Follower::new(&*store, &namespace, &selection)?;
    if let Some(path) = &args.since {
        read_since(path, line_end(args.null), |key, etag| {
            if selection.matches(key.as_bytes()) {
                follower.note(&key, Some((etag, None)));
            }
        })?;
    }
    let mut watch = Watch {
        args,
        session,
        store: &*store,
        has_told: false,
        complaints: BTreeSet::new(),
        waiting: BTreeMap::new(),
        rest: None,
    };
    if args.command.is_empty() {
        os::end_when_unread().context("cannot start a thread")?;
    }
    let mut tells = args.now || args.since.is_some();
    loop {
        let now = watch.session.now();
        follower.look(now, &mut |change| match change {
            Ok(change) if !tells => Ok(change.meta),
            Ok(change) if watch.defers() => Ok(watch.defer(change.key, change.before, change.meta)),
            Ok(change) => watch.tell(change.key, change.before, change.meta),
            Err(err) => Ok(watch.complain(&err)),
        })?;
        tells = true;
        let is_over = until.is_some_and(|until| until <= Instant::now());
        let is_due = is_over || watch.due().is_some_and(|due| due <= Instant::now());
        if is_due && let Some(exit) = watch.tell_waiting(&mut follower)? {
            return Ok(exit);
        }
        watch.session.out.flush().or_cannot_write()?;
        if is_over {
            return Ok(
                match (watch.complaints.is_empty(), args.command.is_empty()) {
                    (false, true) => Exit::Damaged,
                    (false, false) => Exit::Program(125),
                    (true, _) if watch.has_told => Exit::Success,
                    (true, _) => Exit::No,
                },
            );
        }
        let bound = until.into_iter().chain(watch.due()).min();
        follower.wait(watch.session.now(), bound)?;
    }
}

struct Watch<'a, 'b> {
    args: &'a WatchArgs,
    session: &'a mut Session<'b>,
    store: &'a dyn Store,
    has_told: bool,
    /// What was wrong with single entries, each of which is said once.
    complaints: BTreeSet<String>,
    /// What is to be told when it has rested, with what was told of it last.
    waiting: BTreeMap<Key, Option<Etag>>,
    /// When the first and the last of it came.
    rest: Option<(Instant, Instant)>,
}

impl Watch<'_, '_> {
    /// Tells whether a change is not told at once: others may come meanwhile.
    fn defers(&self) -> bool {
        self.args.settle.is_some() || !self.args.command.is_empty()
    }

    fn defer(&mut self, key: &Key, before: Option<Etag>, meta: Option<Meta>) -> Option<Meta> {
        self.waiting.entry(key.clone()).or_insert(before);
        let now = Instant::now();
        self.rest = Some((self.rest.map_or(now, |(first, _)| first), now));
        meta
    }

    /// Returns when what waits is to be told.
    fn due(&self) -> Option<Instant> {
        let (first, last) = self.rest?;
        let settle = self.args.settle.unwrap_or_default();
        let latest = first.checked_add(settle.saturating_mul(PATIENCE));
        last.checked_add(settle).into_iter().chain(latest).min()
    }

    /// Tells what has waited, as it is now. Returns how the program ended where it is not to be run again.
    fn tell_waiting(&mut self, follower: &mut Follower<'_>) -> Result<Option<Exit>> {
        self.rest = None;
        while let Some((key, before)) = self.waiting.pop_first() {
            let told = if self.args.command.is_empty() {
                let found = self
                    .store
                    .stat(&self.session.namespace, &key, self.session.now());
                let Some(meta) = self.sound(found)? else {
                    continue;
                };
                self.tell(&key, before, meta)?
            } else {
                let Some(entry) = self.value(&key)? else {
                    continue;
                };
                let meta = entry.as_ref().map(|entry| entry.meta);
                if meta.map(|meta| meta.etag) != before {
                    self.has_told = true;
                    let exit = self.run_program(&key, entry)?;
                    if exit != Exit::Program(0) {
                        return Ok(Some(exit));
                    }
                }
                meta
            };
            follower.note(&key, told.map(|meta| (meta.etag, meta.expires)));
        }
        Ok(None)
    }

    /// Prints a change, unless it is none any more, and returns what the key holds by then.
    fn tell(
        &mut self,
        key: &Key,
        before: Option<Etag>,
        mut meta: Option<Meta>,
    ) -> Result<Option<Meta>> {
        let mut value = None;
        if self.args.values && meta.is_some() {
            let Some(entry) = self.value(key)? else {
                return Ok(meta);
            };
            meta = entry.as_ref().map(|entry| entry.meta);
            value = entry.map(|entry| entry.value);
        }
        if meta.map(|meta| meta.etag) != before {
            self.has_told = true;
            let printed = self.print(key, meta, value);
            if let Some(damage) = only_damage(printed)? {
                self.complain(&damage);
            }
        }
        Ok(meta)
    }

    /// Returns what a key holds; `None` where that cannot be read.
    fn value(&mut self, key: &Key) -> Result<Option<Option<Entry>>> {
        let found = self
            .store
            .get(&self.session.namespace, key, self.session.now());
        self.sound(found)
    }

    /// Says what is wrong with one entry, and goes on.
    fn sound<T>(&mut self, found: Result<T, StoreError>) -> Result<Option<T>> {
        match found {
            Err(err) if err.is_of_one_entry() => {
                self.complain(&err);
                Ok(None)
            }
            found => Ok(Some(found?)),
        }
    }

    fn complain(&mut self, err: &StoreError) -> Option<Meta> {
        let line = error::line(err);
        if self.complaints.insert(line.clone()) {
            self.session.complain(anyhow!(line));
        }
        None
    }

    fn print(&mut self, key: &Key, meta: Option<Meta>, value: Option<Value>) -> Result<()> {
        let now = self.session.now();
        let Session { namespace, out, .. } = &mut *self.session;
        if self.args.json {
            let bytes = key.as_bytes();
            let listed = meta.map(|meta| Listed {
                key: bytes,
                meta,
                value,
            });
            let written = entry::write_change(out, self.store, namespace, (key, listed), now);
            return written?.or_cannot_write();
        }
        let written = match meta {
            Some(meta) => write!(out, "put\t{}\t", meta.etag),
            None => write!(out, "gone\t-\t"),
        };
        written.or_cannot_write()?;
        let end = line_end(self.args.null);
        if !self.args.values {
            return write_key_line(out, key.as_bytes(), end).or_cannot_write();
        }
        let between = if self.args.null { 0 } else { b'\t' };
        write_key_line(out, key.as_bytes(), between).or_cannot_write()?;
        let mut value = value.unwrap_or_else(|| Value::whole(Vec::new()));
        let read = value.for_each(|part| out.write_all(part));
        // Behind a damaged value too: the next change is not to be taken for a part of it.
        out.write_all(&[end]).or_cannot_write()?;
        read?.or_cannot_write()
    }

    /// Runs the program on what a key holds, and returns how it ended.
    fn run_program(&mut self, key: &Key, found: Option<Entry>) -> Result<Exit> {
        let supervisor = Supervisor::new().context("cannot hold back signals")?;
        let mut command = program::command(&self.args.command);
        let event = if found.is_some() { "put" } else { "gone" };
        let etag = found.as_ref().map(|entry| entry.meta.etag.to_string());
        command
            .env("KV_KEY", OsStr::from_bytes(key.as_bytes()))
            .env("KV_EVENT", event)
            .env("KV_ETAG", etag.as_deref().unwrap_or("-"))
            .stdin(if found.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            });
        let mut child = program::spawn(&supervisor, &mut command, true)?;
        let stdin = child.stdin.take();
        let (sender, fed) = mpsc::channel();
        if let (Some(stdin), Some(entry)) = (stdin, found) {
            thread::Builder::new()
                .spawn(move || sender.send(program::feed(stdin, Some(entry.value))))
                .context("cannot feed the program")?;
        }
        let status = supervisor
            .wait(&mut child)
            .context("cannot wait for the program")?;
        // A program that has seen the end of its input has seen all that was wrong with it.
        if let Ok(Err(err)) = fed.try_recv() {
            self.complain(&err);
        }
        Ok(match supervisor.ended_by() {
            Some(signal) if status.success() => Exit::Signal(signal),
            _ => program::exit_of(status),
        })
    }
}

/// Reads what `kv ls -l` has printed.
fn read_since(path: &Path, end: u8, mut each: impl FnMut(Key, Etag)) -> Result<()> {
    let shown = path.display();
    let cannot = || format!("cannot read `{shown}`");
    let opened = match path == "-" {
        true => Path::new("/dev/stdin"),
        false => path,
    };
    let mut file = BufReader::new(File::open(opened).with_context(cannot)?);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = (&mut file).take(MAX_LINE).read_until(end, &mut line);
        if read.with_context(cannot)? == 0 {
            break;
        }
        // One that was cut off would name another key than it was.
        let text = line.strip_suffix(&[end]).unwrap_or_default();
        if end == b'\n' && text.ends_with(b"\r") {
            let why = format!(
                "line {number} of `{shown}` ends in a carriage return, as if another program had written it anew; \
                 give -0 to both where a key may end in one"
            );
            return Err(UsageError(why).into());
        }
        let fields: Vec<_> = text.splitn(5, |byte| *byte == b'\t').collect();
        let etag = || std::str::from_utf8(fields[0]).ok()?.parse().ok();
        let key = || Key::new(fields.get(4)?.to_vec()).ok();
        let (Some(etag), Some(key)) = (etag(), key()) else {
            let why = format!(
                "line {number} of `{shown}` is none of `kv ls -l`, or was cut off; give -0 to both or \
                 neither, and where a key may hold a newline"
            );
            return Err(UsageError(why).into());
        };
        each(key, etag);
    }
    Ok(())
}
