//! `kv remove`: removes keys.

use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Result, bail};

use crate::cli::RemoveArgs;
use crate::commands::Session;
use crate::commands::listing::{glob, line_end, write_key_line};
use crate::commands::output::OrCannotWrite as _;
use crate::exit::{Exit, UsageError};
use crate::store::{Condition, Key, OrCannot as _, Selection};

/// Removes all the keys it can; a failure is told at once and decides the exit status.
pub(super) fn run(args: &RemoveArgs, session: &mut Session<'_>) -> Result<Exit> {
    let args = &Wanted::read(args)?;
    let condition = match (&args.options.if_value, args.options.if_etag) {
        (Some(value), _) => Condition::Value(value.as_bytes().to_vec()),
        (None, Some(etag)) => Condition::Etag(etag),
        (None, None) => Condition::Always,
    };
    let by_glob = args.options.glob.is_some();
    let (keys, mut exit) = args.keys(session)?;
    if keys.is_empty() && by_glob {
        exit = exit.max(args.absent());
    }
    for key in keys {
        let done = if args.options.dry_run {
            would_remove(args, session, &key, &condition)
        } else {
            let removed =
                session
                    .store
                    .remove(&session.namespace, &key, &condition, &session.clock);
            removed.map_err(anyhow::Error::from)
        };
        exit = exit.max(match done {
            Ok(true) => Exit::Success,
            // It was there when the pattern was matched, and somebody else has removed it.
            Ok(false) if by_glob => Exit::Success,
            Ok(false) if condition == Condition::Always => args.absent(),
            // A key that is there but does not meet the condition is a "no" even to --force.
            Ok(false) => match session
                .store
                .stat(&session.namespace, &key, session.now())?
            {
                Some(_) => Exit::No,
                None => args.absent(),
            },
            Err(err) => {
                let failed = Exit::from_error(&err);
                if failed == Exit::Success {
                    return Err(err);
                }
                session.complain(err);
                failed
            }
        });
    }
    Ok(exit)
}

/// What was asked for, with the meaning of its parts settled.
struct Wanted<'a> {
    options: &'a RemoveArgs,
    null: bool,
}

impl<'a> Wanted<'a> {
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
        Ok(Self { options, null })
    }

    fn absent(&self) -> Exit {
        if self.options.force {
            Exit::Success
        } else {
            Exit::No
        }
    }

    /// Returns the keys to remove. All are read, and found to be keys, before the first goes.
    /// What is damaged has no key that a pattern could match: it is told, and has its status.
    fn keys(&self, session: &Session<'_>) -> Result<(Vec<Key>, Exit)> {
        if let Some(pattern) = &self.options.glob {
            let selection = Selection {
                glob: Some(glob(pattern)?),
                ..Selection::default()
            };
            let listing = session
                .store
                .scan(&session.namespace, &selection, session.now())?;
            let (mut keys, mut exit) = (Vec::new(), Exit::Success);
            for listed in listing {
                match listed.map_err(anyhow::Error::from) {
                    Ok(listed) => keys.push(listed.key),
                    Err(err) => {
                        exit = exit.max(Exit::from_error(&err));
                        session.complain(err);
                    }
                }
            }
            return Ok((keys, exit));
        }
        let keys = match self.options.stdin {
            true => read_keys(line_end(self.null))?,
            false => self.options.keys.clone(),
        };
        Ok((keys, Exit::Success))
    }
}

fn read_keys(end: u8) -> Result<Vec<Key>> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.or_cannot("read", "standard input".as_ref())?;
    if bytes.last() == Some(&end) {
        bytes.pop();
    } else if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys = Vec::new();
    for (number, record) in bytes.split(|&b| b == end).enumerate() {
        match Key::new(record.to_vec()) {
            Ok(key) => keys.push(key),
            Err(why) => {
                let what = if end == 0 { "record" } else { "line" };
                let where_ = format!("invalid key in {what} {} of standard input", number + 1);
                bail!(UsageError(format!("{where_}: {why}; nothing was removed")));
            }
        }
    }
    Ok(keys)
}

fn would_remove(
    args: &Wanted<'_>,
    session: &mut Session<'_>,
    key: &Key,
    condition: &Condition,
) -> Result<bool> {
    let (store, namespace, now) = (&session.store, &session.namespace, session.now());
    let would = match condition {
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
