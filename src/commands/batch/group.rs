//! Plain puts that come one behind the other, carried out as one, and so plain gets.
//!
//! What is at hand is not waited for, so nobody notices but by the time it takes: many entries at once
//! go into one pack, one look shows that all gets are from the store that is there, and each command still has
//! its own reply.

use std::os::unix::ffi::OsStrExt as _;

use crate::cli::{Cli, Command, GetArgs, PutArgs};
use crate::commands::Session;
use crate::store::bulk::MANY;
use crate::store::{Entry, Feed, Incoming, Merge, Result, Stopped};

/// No more puts are gathered than this.
const MOST: usize = 16 * 1024;
/// Nor more gets: their small values are in memory at once, and of each large one a file is open.
const MOST_GETS: usize = 32;
/// Nor more bytes of values.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Commands that were read and are not carried out yet, with their lines.
#[derive(Default)]
pub(super) struct Group {
    commands: Vec<(u64, Cli)>,
    bytes: usize,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Tells whether a command can be one of the group.
    pub(super) fn takes(&self, cli: &Cli) -> bool {
        let most = match plain_get(cli) {
            Some(_) => MOST_GETS,
            None if plain(cli).is_some() => MOST,
            None => return false,
        };
        let is_alike = |first: &Cli| {
            let are_gets = plain_get(first).is_some() == plain_get(cli).is_some();
            are_gets && first.namespace() == cli.namespace()
        };
        let mut first = self.commands.iter().take(1);
        self.commands.len() < most
            && self.bytes < MOST_BYTES
            && first.all(|(_, first)| is_alike(first))
    }

    /// Adds a command.
    pub(super) fn push(&mut self, number: u64, cli: Cli) {
        let value = plain(&cli).and_then(|args| args.value.as_ref());
        self.bytes += value.map_or(0, |value| value.len());
        self.commands.push((number, cli));
    }

    /// Finds what all gets ask for at once, each in its place; `None` where they are to be carried out one by one,
    /// or are puts.
    pub(super) fn find(&self, session: &Session<'_>) -> Option<Vec<Result<Option<Entry>>>> {
        let gets = self.commands.iter().map_while(|(_, cli)| plain_get(cli));
        let keys: Vec<_> = gets.map(|args| &args.key).collect();
        if keys.len() <= 1 {
            return None;
        }
        let namespace = self.commands[0].1.namespace();
        let namespace = namespace.unwrap_or(&session.namespace);
        session.store.get_all(namespace, &keys, session.now())
    }

    /// Stores all values at once, if they are many. Returns false, and has stored nothing for good,
    /// if that cannot be done, as gc is at work, say: one by one they need no lock of gc's, and each
    /// command is told what is wrong with it.
    pub(super) fn store(&self, session: &mut Session<'_>) -> bool {
        if self.commands.len() <= MANY {
            return false;
        }
        let namespace = self.commands[0].1.namespace();
        let namespace = namespace.unwrap_or(&session.namespace);
        let mut puts = Puts(self.commands.iter());
        let done = session
            .store
            .import(namespace, &mut puts, Merge::Overwrite, &session.clock);
        matches!(done, Ok(Some(_)))
    }

    /// Hands out the commands.
    pub(super) fn take(&mut self) -> Vec<(u64, Cli)> {
        self.bytes = 0;
        std::mem::take(&mut self.commands)
    }
}

/// Returns the arguments of a put that depends on nothing but itself, prints nothing and has its
/// value with it. What expires is swept sooner in a file of its own.
fn plain(cli: &Cli) -> Option<&PutArgs> {
    let Command::Put(with) = &cli.command else {
        return None;
    };
    let args = &with.args;
    let is_plain = args.value.is_some()
        && args.file.is_none()
        && args.ttl.is_none()
        && args.if_value.is_none()
        && args.if_etag.is_none()
        && !(args.keep_ttl || args.if_absent || args.if_exists || args.print_etag)
        && !cli.is_about_the_store();
    is_plain.then_some(args)
}

/// Returns the arguments of a get that changes nothing and prints a value as it is.
fn plain_get(cli: &Cli) -> Option<&GetArgs> {
    let Command::Get(with) = &cli.command else {
        return None;
    };
    let args = &with.args;
    let is_printed = matches!(cli.command.target(), Ok(None));
    let is_plain = is_printed && !(args.remove || args.json || cli.is_about_the_store());
    is_plain.then_some(args)
}

struct Puts<'a>(std::slice::Iter<'a, (u64, Cli)>);

impl Feed for Puts<'_> {
    /// One by one they have no one to wait for.
    fn waits(&self) -> bool {
        false
    }

    fn next(&mut self) -> Result<Option<Incoming<'_>>, Stopped> {
        let Some((_, cli)) = self.0.next() else {
            return Ok(None);
        };
        let args = plain(cli).ok_or(Stopped)?;
        Ok(Some(Incoming {
            key: args.key.as_bytes(),
            value: args.value.as_ref().ok_or(Stopped)?.as_bytes(),
            modified: None,
            expires: None,
        }))
    }
}
