//! Checking: whether the indexes and the entries tell the same, and whether values are what was written.
//!
//! It cannot see what the server lost as a whole: an entry that is gone together with its place in the
//! index was never there for all that is known.

use std::collections::HashSet;

use sha1::{Digest as _, Sha1};

use crate::store::check::Severity;
use crate::store::{Check, Finding, Key, Namespace, Result, Time};

use super::Redis;
use super::codec::{self, Bad};
use super::command::Command;
use super::names::{Bucket, BucketId, entries_pattern, path_of};
use super::pages::Pages;
use super::resp::Reply;
use super::script::Script;

/// Entries that are read at once; each may be as long as any.
const AT_ONCE: usize = 16;

/// A check that is under way.
pub(super) struct Checker<'a> {
    pub(super) store: &'a Redis,
    pub(super) namespace: &'a Namespace,
    pub(super) request: &'a Check,
    pub(super) now: Time,
    pub(super) tell: &'a mut dyn FnMut(Finding),
}

impl Checker<'_> {
    /// Checks the namespace; see [`crate::store::Upkeep::check`].
    pub(super) fn run(&mut self) -> Result<()> {
        let (store, namespace) = (self.store, self.namespace);
        self.check_kinds()?;
        self.find_lost()?;
        let mut stale = 0_u64;
        let mut pages = Pages::new(store, namespace, (Vec::new(), None), false);
        loop {
            let keys = pages.next(AT_ONCE)?;
            if keys.is_empty() {
                break;
            }
            let get = |(key, bucket): &(Vec<u8>, Bucket)| {
                Command::read(bucket.slot, &[b"GET".to_vec(), bucket.entry(key)])
            };
            let commands: Vec<Command> = keys.iter().map(get).collect();
            for ((key, bucket), reply) in keys.iter().zip(store.link.answers(&commands)?) {
                let name = bucket.entry(key);
                let read = match store.held(reply)? {
                    Ok(None) => {
                        stale += 1;
                        continue;
                    }
                    Ok(Some(bytes)) => {
                        let seen = hex::encode(Sha1::digest(&bytes));
                        codec::decode(key, bytes).map_err(|bad| (bad, seen))
                    }
                    Err(bad) => Err((bad, store.type_of(bucket, &name)?)),
                };
                let Err((bad, seen)) = read else {
                    continue;
                };
                let damage = Damage {
                    bucket,
                    name,
                    key: Some(key),
                    aside: bucket.many('x', key),
                    is_repaired: self.request.repair && bad != Bad::Newer,
                    what: match bad {
                        Bad::Damaged(why) => why.to_owned(),
                        Bad::Newer => "it was written by a newer kv".to_owned(),
                    },
                    seen,
                };
                self.tell_damage(damage)?;
            }
        }
        self.tell_policy()?;
        if stale > 0 {
            let bucket = store.bucket(namespace, BucketId::LIST);
            let what = format!(
                "the indexes name {stale} keys that have expired, or that the server dropped; `kv gc` \
                 sweeps them"
            );
            (self.tell)(Finding::new(
                Severity::Note,
                path_of(&bucket.single('i')),
                what,
            ));
        }
        self.find_unlisted()
    }

    /// Tells of damage, and moves it out of the way if that is asked for.
    pub(super) fn tell_damage(&mut self, damage: Damage<'_>) -> Result<()> {
        let (name, mut aside) = (damage.name, damage.aside);
        if damage.is_repaired && !self.request.dry_run {
            let names = (&name[..], damage.key.unwrap_or_default());
            match self.repair(damage.bucket, names, "move", &damage.seen, aside)? {
                Some(there) => aside = there,
                // Somebody has removed it since, or written it anew.
                None => return Ok(()),
            }
        }
        let finding = Finding {
            key: damage.key.map(<[u8]>::to_vec),
            ..Finding::new(Severity::Damage, path_of(&name), damage.what)
        };
        let repair = format!("moved to `{}`", String::from_utf8_lossy(&aside));
        (self.tell)(finding.settled_by(damage.is_repaired, repair));
        Ok(())
    }

    /// Moves what has a name away (`move`), or adds a key to its index (`list`), if it is still what was
    /// `seen`: SHA-1 of a string, the type of anything else. Returns where it is now.
    pub(super) fn repair(
        &self,
        bucket: &Bucket,
        (name, key): (&[u8], &[u8]),
        what: &str,
        seen: &str,
        aside: Vec<u8>,
    ) -> Result<Option<Vec<u8>>> {
        let store = self.store;
        let id = store.new_etag()?;
        // What was moved away before stays as well.
        let another = [&aside[..], format!(".{id}").as_bytes()].concat();
        let mut call = Script::Repair.call(6);
        call.extend([
            bucket.single('i'),
            name.to_vec(),
            bucket.note(id.0),
            bucket.single('c'),
            aside.clone(),
            another.clone(),
        ]);
        let args = [
            self.now.as_millis().to_string().into_bytes(),
            b"1".to_vec(),
            store.publish()?.into(),
            bucket.single('w'),
            key.to_vec(),
            what.into(),
            seen.into(),
        ];
        let repair = Command::write(bucket.slot, &call, &args);
        match store.word_of(store.link.run_one(repair)?)?.as_deref() {
            Some("done" | "aside 5") => Ok(Some(aside)),
            Some("aside 6") => Ok(Some(another)),
            Some("no") => Ok(None),
            _ => Err(store.unexpected_answer(Script::Repair)),
        }
    }

    /// Tells that the server drops entries when its memory is full.
    fn tell_policy(&mut self) -> Result<()> {
        let bucket = self.store.bucket(self.namespace, BucketId::LIST);
        for (server, policy) in self.store.evicting_servers()? {
            let what = format!(
                "{server} drops entries and indexes when its memory is full (maxmemory-policy is \
                 {policy}); set it to noeviction"
            );
            (self.tell)(Finding::new(
                Severity::Warning,
                path_of(&bucket.single('i')),
                what,
            ));
        }
        Ok(())
    }

    /// Finds entries that no index names: they can be got, but are in no listing.
    fn find_unlisted(&mut self) -> Result<()> {
        let (store, namespace) = (self.store, self.namespace);
        store.each_entry(Some(namespace), &mut |name| self.check_listed(name))
    }

    fn check_listed(&mut self, name: &[u8]) -> Result<()> {
        let (store, request) = (self.store, self.request);
        let at = name.windows(3).position(|part| part == b"}e:");
        let Some(key) = at.and_then(|at| Key::new(name[at + 3..].to_vec()).ok()) else {
            return Ok(());
        };
        let bucket = store.bucket_of(self.namespace, &key);
        if bucket.entry(key.as_bytes()) != name {
            return Ok(());
        }
        let index = bucket.single('i');
        let score = [b"ZSCORE".to_vec(), index, key.as_bytes().to_vec()];
        let exists = [b"EXISTS".to_vec(), name.to_vec()];
        let replies = store.link.answers(&[
            Command::read(bucket.slot, &score),
            Command::read(bucket.slot, &exists),
        ])?;
        // It may have been removed since the server named it; and what is wrong with an index of another
        // type was told.
        if replies[0].is_foreign()
            || store.link.bytes(replies[0].clone())?.is_some()
            || store.link.int(replies[1].clone())? == 0
        {
            return Ok(());
        }
        if request.repair && !request.dry_run {
            store.register(self.namespace)?;
            // Nothing is moved; all keys of a call are in one slot.
            let aside = bucket.many('x', key.as_bytes());
            let listed = self.repair(&bucket, (name, key.as_bytes()), "list", "", aside)?;
            if listed.is_none() {
                return Ok(());
            }
        }
        let what = "it is in no index, so that no listing shows it";
        let finding = Finding::new(Severity::Damage, path_of(name), what).of_key(key.as_bytes());
        (self.tell)(finding.settled_by(request.repair, "added to its index"));
        Ok(())
    }
}

impl Redis {
    /// Returns the type of a key.
    pub(super) fn type_of(&self, bucket: &Bucket, name: &[u8]) -> Result<String> {
        let words = [b"TYPE", name];
        let reply = self.link.run_one(Command::read(bucket.slot, &words))?;
        let kind = self.link.bytes(reply)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&kind).into_owned())
    }

    /// Hands the names of all entries that the servers have to `each`, whether or not an index names them.
    pub(super) fn each_entry(
        &self,
        namespace: Option<&Namespace>,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let pattern = entries_pattern(&self.link.location().prefix, namespace);
        let mut seen = HashSet::new();
        for server in self.link.map(false)?.masters() {
            let mut cursor = b"0".to_vec();
            loop {
                let words = [&b"SCAN"[..], &cursor, b"MATCH", &pattern, b"COUNT", b"1000"];
                let reply = self.link.run_one(Command::of_node(&server, &words))?;
                let mut parts = self.link.array(reply)?.into_iter();
                let (next, names) = (parts.next(), parts.next());
                cursor = self
                    .link
                    .bytes(next.unwrap_or(Reply::Nil))?
                    .ok_or_else(|| self.link.wrong_kind())?;
                for name in self.link.array(names.unwrap_or(Reply::Nil))? {
                    if let Some(name) = name.into_bytes().filter(|name| seen.insert(name.clone())) {
                        each(&name)?;
                    }
                }
                if cursor == b"0" {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A key of Redis that is not what was written.
pub(super) struct Damage<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) name: Vec<u8>,
    /// The key of the store, if it is of one.
    pub(super) key: Option<&'a [u8]>,
    pub(super) what: String,
    /// SHA-1 of what it holds, or the type of what is no string.
    pub(super) seen: String,
    /// Where it is moved.
    pub(super) aside: Vec<u8>,
    pub(super) is_repaired: bool,
}
