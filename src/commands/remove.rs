//! `kv remove`: removes keys.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Result, bail};

use crate::cli::RemoveArgs;
use crate::commands::Session;
use crate::commands::listing::{glob, line_end, write_key_line};
use crate::commands::nearest;
use crate::commands::output::OrCannotWrite as _;
use crate::exit::{Exit, UsageError};
use crate::os::RawStdin;
use crate::store::bulk::MANY;
use crate::store::key;
use crate::store::{Condition, Glob, Key, OrCannot as _, Selection};

/// So many bytes of keys that a pattern found are held before they are removed.
const HELD: usize = 16 * 1024 * 1024;

/// Removes all the keys it can; a failure is told at once and decides the exit status.
pub(super) fn run(args: &RemoveArgs, session: &mut Session<'_>) -> Result<Exit> {
    let args = &Request::read(args)?;
    if let Some(pattern) = &args.options.glob {
        return remove_matching(args, glob(pattern)?, session);
    }
    let keys = match args.options.stdin {
        true => read_keys(line_end(args.null))?,
        false => args.options.keys.clone(),
    };
    if !args.options.dry_run {
        return args.remove(session, keys);
    }
    let mut exit = Exit::Success;
    for key in keys {
        let would = would_remove(args, session, &key);
        exit = exit.max(args.judge(session, &key, would)?);
    }
    Ok(exit)
}

/// Removes what matches, a part of it at a time. What is damaged has no key that a pattern could
/// match: it is told, and has its status.
fn remove_matching(args: &Request<'_>, glob: Glob, session: &mut Session<'_>) -> Result<Exit> {
    let selection = Selection {
        glob: Some(glob),
        ..Selection::default()
    };
    let mut exit = Exit::Success;
    let mut has_matched = false;
    let (mut keys, mut held) = (Vec::new(), 0);
    let mut listing = session
        .store
        .scan(&session.namespace, &selection, session.now())?;
    loop {
        let listed = listing.next();
        let is_end = listed.is_none();
        match listed.transpose().map_err(anyhow::Error::from) {
            Ok(None) => {}
            Ok(Some(listed)) if args.options.dry_run => {
                has_matched = true;
                write_key_line(session.out, listed.key, line_end(args.null)).or_cannot_write()?;
            }
            Ok(Some(listed)) => {
                has_matched = true;
                held += size_of::<Key>() + listed.key.len();
                keys.push(listed.to_key());
            }
            Err(err) => exit = exit.max(session.fails(err)),
        }
        if is_end || held >= HELD {
            let keys = std::mem::take(&mut keys);
            exit = exit.max(args.remove(session, keys)?);
            held = 0;
        }
        if is_end {
            break;
        }
    }
    Ok(if has_matched {
        exit
    } else {
        exit.max(args.absent())
    })
}

/// What was asked for, with the meaning of its parts settled.
struct Request<'a> {
    options: &'a RemoveArgs,
    null: bool,
    condition: Condition,
}

impl<'a> Request<'a> {
    fn read(options: &'a RemoveArgs) -> Result<Self, UsageError> {
        let wrong = |why: &str| Err(UsageError(why.to_owned()));
        // `-0` reads like a negative number, which is text; beside these it can only be the option.
        let takes_null = options.stdin || options.glob.is_some();
        let zero = takes_null && options.keys.iter().all(|key| key.as_bytes() == b"-0");
        let keys = if zero { &[] } else { &options.keys[..] };
        let has_condition = options.if_value.is_some() || options.if_etag.is_some();
        match (keys.len(), takes_null) {
            (0, false) => return wrong("no key given: name keys, or give --glob or --stdin"),
            (1.., true) => return wrong("keys cannot be named along with --glob or --stdin"),
            (2.., false) if has_condition => {
                return wrong("--if-value and --if-etag are about a single key");
            }
            (0, true) if has_condition => {
                return wrong("--if-value and --if-etag cannot be used with --glob or --stdin");
            }
            _ => {}
        }
        let null = options.null || (zero && !options.keys.is_empty());
        if null && !takes_null {
            return wrong("-0 is used with --stdin or --glob");
        }
        let condition = match (&options.if_value, options.if_etag) {
            (Some(value), _) => Condition::Value(value.as_bytes().to_vec()),
            (None, Some(etag)) => Condition::Etag(etag),
            (None, None) => Condition::Always,
        };
        Ok(Self {
            options,
            null,
            condition,
        })
    }

    /// Returns what it means that a key is absent.
    fn absent(&self) -> Exit {
        if self.options.force {
            Exit::Success
        } else {
            Exit::No
        }
    }

    /// Removes keys.
    fn remove(&self, session: &Session<'_>, keys: Vec<Key>) -> Result<Exit> {
        let is_bulk = self.options.stdin || self.options.glob.is_some();
        if is_bulk && keys.len() > MANY {
            return self.remove_together(session, keys);
        }
        let (store, namespace) = (&session.store, &session.namespace);
        let mut exit = Exit::Success;
        for key in keys {
            let removed = store.remove(namespace, &key, &self.condition, &session.clock);
            exit = exit.max(self.judge(session, &key, removed.map_err(Into::into))?);
        }
        Ok(exit)
    }

    /// Returns the status for what became of a key; a failure is told.
    fn judge(&self, session: &Session<'_>, key: &Key, removed: Result<bool>) -> Result<Exit> {
        match removed {
            Ok(true) => Ok(Exit::Success),
            Ok(false) => self.missed(session, key),
            Err(err) => match Exit::from_error(&err) {
                // Nobody reads what is printed.
                Exit::Success => Err(err),
                _ => Ok(session.fails(err)),
            },
        }
    }

    /// Returns what it means that a key was not there to be removed.
    fn missed(&self, session: &Session<'_>, key: &Key) -> Result<Exit> {
        // It was there when the pattern was matched, and somebody else has removed it.
        if self.options.glob.is_some() {
            return Ok(Exit::Success);
        }
        // A key that is there but does not meet the condition is a "no" even to --force.
        if self.condition != Condition::Always {
            let (store, namespace) = (&session.store, &session.namespace);
            if store.stat(namespace, key, session.now())?.is_some() {
                return Ok(Exit::No);
            }
        }
        Ok(match self.absent() {
            Exit::No if self.options.keys.len() == 1 => nearest::missing(session, key),
            exit => exit,
        })
    }

    /// Removes many keys in as few steps as the store needs.
    fn remove_together(&self, session: &Session<'_>, mut keys: Vec<Key>) -> Result<Exit> {
        let given = keys.len() as u64;
        // A key that is named twice is gone when it is to go the second time.
        key::sort(&mut keys);
        keys.dedup();
        let (mut exit, mut failures) = (Exit::Success, 0);
        let mut failed = |err| {
            exit = exit.max(session.fails(err));
            failures += 1;
        };
        let (store, namespace) = (&session.store, &session.namespace);
        let removed = store.remove_all(namespace, &keys, &session.clock, &mut failed)?;
        if removed + failures < given && self.options.glob.is_none() {
            exit = exit.max(self.absent());
        }
        Ok(exit)
    }
}

fn read_keys(end: u8) -> Result<Vec<Key>> {
    let mut stdin = BufReader::new(RawStdin);
    let mut keys = Vec::new();
    loop {
        // What is longer is no key, however it goes on.
        let mut record = Vec::new();
        (&mut stdin)
            .take(key::MAX_KEY_LEN as u64 + 1)
            .read_until(end, &mut record)
            .or_cannot("read", "standard input".as_ref())?;
        if record.is_empty() {
            return Ok(keys);
        }
        if record.last() == Some(&end) {
            record.pop();
        }
        match Key::new(record) {
            Ok(key) => keys.push(key),
            Err(why) => {
                let what = if end == 0 { "record" } else { "line" };
                let number = keys.len() + 1;
                let where_ = format!("invalid key in {what} {number} of standard input");
                bail!(UsageError(format!("{where_}: {why}; nothing was removed")));
            }
        }
    }
}

fn would_remove(args: &Request<'_>, session: &mut Session<'_>, key: &Key) -> Result<bool> {
    let (store, namespace, now) = (&session.store, &session.namespace, session.now());
    let would = match &args.condition {
        Condition::Value(value) => match store.get(namespace, key, now)? {
            Some(entry) => {
                entry.meta.size == value.len() as u64 && entry.value.into_vec()? == *value
            }
            None => false,
        },
        Condition::Etag(etag) => store
            .stat(namespace, key, now)?
            .is_some_and(|meta| meta.etag == *etag),
        _ => store.stat(namespace, key, now)?.is_some(),
    };
    if would {
        write_key_line(session.out, key.as_bytes(), line_end(args.null)).or_cannot_write()?;
    }
    Ok(would)
}
