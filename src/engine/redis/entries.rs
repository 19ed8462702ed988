//! Reading and changing one entry.

use std::time::Duration;

use crate::store::modify::Conflicts;
use crate::store::{
    Clock, Condition, Deadline, Entries, Entry, Etag, Expiry, Key, Listing, Meta, Namespace, Put,
    Result, Selection, Source, StoreError, Time,
};

use super::Redis;
use super::call::{Change, Outcome};
use super::codec::{self, Bad, HEADER_LEN, Indexed};
use super::command::Command;
use super::names::{Bucket, BucketId};
use super::resp::Reply;
use super::script::Script;

/// The largest value. A server holds it in memory, and copies all of it more than once on its way.
pub(super) const MAX_VALUE_LEN: usize = 8 << 20;

impl Entries for Redis {
    fn get(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Entry>> {
        let bucket = self.bucket_of(namespace, key);
        let name = bucket.entry(key.as_bytes());
        let reply = self
            .link
            .answer(Command::read(bucket.slot, &[b"GET".to_vec(), name]))?;
        let held = self.held(reply)?;
        let entry = held.and_then(|held| {
            held.map(|bytes| codec::decode(key.as_bytes(), bytes))
                .transpose()
        });
        let entry = entry.map_err(|bad| self.bad(namespace, key.as_bytes(), bad))?;
        Ok(entry.filter(|entry| entry.meta.is_live(now)))
    }

    fn stat(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Option<Meta>> {
        let bucket = self.bucket_of(namespace, key);
        let command = Command::read(bucket.slot, &header_words(&bucket, key.as_bytes()));
        let meta = self.indexed(key.as_bytes(), self.link.answer(command)?)?;
        let meta = meta
            .transpose()
            .map_err(|bad| self.bad(namespace, key.as_bytes(), bad))?;
        Ok(meta.filter(|meta| meta.is_live(now)))
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        mut put: Put<'_>,
        clock: &dyn Clock,
    ) -> Result<Option<Etag>> {
        let value = read_value(put.value, key)?;
        let (expiry, modified) = (put.expiry, put.modified);
        self.on_condition(namespace, key, &put.condition, clock, |(kind, wanted)| {
            let now = clock.now();
            let expires = expiry.resolve(now, None);
            let etag = self.new_etag()?;
            let modified = modified.unwrap_or(now);
            let entry = codec::encode(key.as_bytes(), etag, modified, expires, &value);
            let expires = match expiry {
                Expiry::Keep => b"keep".to_vec(),
                _ => expires_word(expires),
            };
            let change = Change {
                args: vec![kind, wanted, expires, entry],
                ..self.change(namespace, key, Script::Put, etag.0, now)
            };
            let outcome = self.carry_out(&change)?;
            match outcome {
                Outcome::Done | Outcome::Word(_) => {
                    if let Some(was_there) = &mut put.was_there {
                        **was_there = outcome == Outcome::Done;
                    }
                    Ok(Some(etag))
                }
                Outcome::No if put.condition != Condition::Always => Ok(None),
                Outcome::No => Err(self.unexpected_answer(change.script)),
            }
        })
    }

    fn remove(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let removed = self.on_condition(namespace, key, condition, clock, |words| {
            let outcome = self.remove_at(namespace, key, words, "", clock)?;
            Ok((outcome == Outcome::Done).then_some(()))
        });
        Ok(removed?.is_some())
    }

    fn expire(
        &self,
        namespace: &Namespace,
        key: &Key,
        expiry: Expiry,
        clock: &dyn Clock,
    ) -> Result<bool> {
        let now = clock.now();
        if expiry == Expiry::Keep {
            return Ok(self.stat(namespace, key, now)?.is_some());
        }
        let expires = expiry.resolve(now, None);
        let etag = self.new_etag()?;
        let change = Change {
            args: vec![etag.to_string().into_bytes(), expires_word(expires)],
            ..self.change(namespace, key, Script::Expire, etag.0, now)
        };
        Ok(self.carry_out(&change)? == Outcome::Done)
    }

    fn incr(
        &self,
        namespace: &Namespace,
        key: &Key,
        by: i64,
        ttl: Option<Duration>,
        clock: &dyn Clock,
    ) -> Result<i64> {
        // The server adds, as it is the only one who sees the number and nobody else.
        let unfit = |why| StoreError::unfit("increment", key, why);
        const NO_NUMBER: &str = "its value is no decimal number of 64 bits";
        let mut seen = Vec::new();
        let mut has_looked = false;
        let mut conflicts = Conflicts::default();
        loop {
            // Each time it is another call, which has an answer of its own.
            let etag = self.new_etag()?;
            let now = clock.now();
            let expires = expires_word(ttl.map(|ttl| Deadline::after(now, ttl)));
            let args = vec![
                etag.to_string().into_bytes(),
                format!("{:020}", now.0).into_bytes(),
                by.to_string().into_bytes(),
                expires,
                seen,
            ];
            let change = Change {
                args,
                ..self.change(namespace, key, Script::Incr, etag.0, now)
            };
            let word = match self.carry_out(&change)? {
                Outcome::Word(word) => word,
                _ => return Err(self.unexpected_answer(Script::Incr)),
            };
            match &word[..] {
                "unfit" => return Err(unfit(NO_NUMBER)),
                "overflow" => return Err(unfit("the sum does not fit 64 bits")),
                "look" => {
                    // The first look is of nobody's making.
                    if has_looked {
                        conflicts.pause(self.busy_timeout(), key)?;
                    }
                    has_looked = true;
                    seen = self.verified_number(namespace, key, now)?;
                }
                word => {
                    let sum = word.strip_prefix("sum ").and_then(|sum| sum.parse().ok());
                    return sum.ok_or_else(|| self.unexpected_answer(Script::Incr));
                }
            }
        }
    }

    fn scan<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        self.list_entries(namespace, selection, now)
    }

    fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.list_namespaces()
    }

    fn remove_namespace(&self, namespace: &Namespace) -> Result<bool> {
        self.drop_namespace(namespace)
    }

    fn busy_timeout(&self) -> Duration {
        self.link.settings().busy_timeout
    }
}

impl Redis {
    /// Returns a short value and its checksum, which is right.
    fn verified_number(&self, namespace: &Namespace, key: &Key, now: Time) -> Result<Vec<u8>> {
        let Some(entry) = self.get(namespace, key, now)? else {
            return Ok(Vec::new());
        };
        let mut value = entry.value.into_vec()?;
        let sum = xxhash_rust::xxh3::xxh3_64(&value);
        value.extend_from_slice(format!("{sum:016x}").as_bytes());
        Ok(value)
    }

    pub(super) fn bucket(&self, namespace: &Namespace, id: BucketId) -> Bucket {
        Bucket::new(&self.link.location().prefix, namespace, id)
    }

    pub(super) fn bucket_of(&self, namespace: &Namespace, key: &Key) -> Bucket {
        self.bucket(namespace, BucketId::of(key.as_bytes()))
    }

    /// Returns the bytes that a key of Redis holds; none where there is no such key.
    pub(super) fn held(&self, reply: Reply) -> Result<Result<Option<Vec<u8>>, Bad>> {
        match reply.is_foreign() {
            true => Ok(Err(codec::FOREIGN)),
            false => self.link.bytes(reply).map(Ok),
        }
    }

    /// Reads what [`header_words`] has asked for.
    pub(super) fn indexed(&self, key: &[u8], reply: Reply) -> Result<Indexed> {
        let head = self.held(reply)?;
        let head = head.map(|head| head.filter(|head| !head.is_empty()));
        Ok(head
            .transpose()
            .map(|head| head.and_then(|head| codec::decode_meta(key, &head))))
    }

    /// Makes a change on a condition, as the words that a script takes. No script can verify a value, so
    /// that it is compared here, and the etag stands for it: when another write comes in between, it is
    /// compared anew.
    fn on_condition<T>(
        &self,
        namespace: &Namespace,
        key: &Key,
        condition: &Condition,
        clock: &dyn Clock,
        mut change: impl FnMut((Vec<u8>, Vec<u8>)) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let Condition::Value(wanted) = condition else {
            return change(words_of(condition));
        };
        let mut conflicts = Conflicts::default();
        while let Some(Entry { meta, value }) = self.get(namespace, key, clock.now())? {
            if value.into_vec()? != *wanted {
                return Ok(None);
            }
            if let Some(done) = change(etag_words(meta.etag))? {
                return Ok(Some(done));
            }
            conflicts.pause(self.busy_timeout(), key)?;
        }
        Ok(None)
    }

    /// Removes a key that must stand at an end of its list, if one is named.
    pub(super) fn remove_at(
        &self,
        namespace: &Namespace,
        key: &Key,
        (kind, wanted): (Vec<u8>, Vec<u8>),
        end: &str,
        clock: &dyn Clock,
    ) -> Result<Outcome> {
        let id = self.new_etag()?.0;
        self.carry_out(&Change {
            args: vec![kind, wanted, end.as_bytes().to_vec()],
            ..self.change(namespace, key, Script::Remove, id, clock.now())
        })
    }
}

/// Returns the command that reads what is known of an entry.
pub(super) fn header_words(bucket: &Bucket, key: &[u8]) -> [Vec<u8>; 4] {
    let last = (HEADER_LEN - 1).to_string().into_bytes();
    [b"GETRANGE".to_vec(), bucket.entry(key), b"0".to_vec(), last]
}

/// Returns when an entry expires, as its header has it.
pub(super) fn expires_word(expires: Option<Deadline>) -> Vec<u8> {
    let millis = expires.map_or(0, Deadline::as_millis);
    format!("{millis:015}").into_bytes()
}

/// Returns the words of a condition that is not about a value.
fn words_of(condition: &Condition) -> (Vec<u8>, Vec<u8>) {
    let kind: &[u8] = match condition {
        Condition::Absent => b"absent",
        Condition::Exists => b"exists",
        Condition::Etag(etag) => return etag_words(*etag),
        Condition::Always | Condition::Value(_) => b"always",
    };
    (kind.to_vec(), Vec::new())
}

pub(super) fn etag_words(etag: Etag) -> (Vec<u8>, Vec<u8>) {
    (b"etag".to_vec(), etag.to_string().into_bytes())
}

/// Reads a value to its end, or until it is too large.
pub(super) fn read_value(source: &mut dyn Source, key: &dyn std::fmt::Display) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let mut part = vec![0; 64 * 1024];
    loop {
        match source.read(&mut part)? {
            0 => return Ok(value),
            n => value.extend_from_slice(&part[..n]),
        }
        if value.len() > MAX_VALUE_LEN {
            return Err(too_large(key));
        }
    }
}

pub(super) fn too_large(key: &dyn std::fmt::Display) -> StoreError {
    let why = "its value is larger than 8 MiB, the most that this kind of store holds";
    StoreError::unfit("store", key, why)
}
