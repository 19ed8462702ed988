//! Many entries at once: one script stores or removes a whole batch of a bucket.
//!
//! What is imported is put in order first, in a file where it is much, and then sent in batches: it
//! takes the same memory however much comes.

use std::collections::BTreeMap;

use crate::engine::runs::{Sorter, UnnamedFile};
use crate::store::{
    Bulk, Clock, Deadline, Feed, Imported, Incoming, Key, Merge, Namespace, Result, Stopped,
    StoreError, Time,
};

use super::Redis;
use super::codec::{self, Bad};
use super::command::{Command, parts};
use super::entries::{MAX_VALUE_LEN, expires_word, too_large};
use super::names::{Bucket, BucketId};
use super::pages::Pages;
use super::resp::Reply;
use super::script::Script;

/// Entries that one call of a script treats.
const IN_CALL: usize = 100;
/// Bytes of the values that one call of a script treats, unless a single one has more.
const BYTES_IN_CALL: usize = 256 * 1024;
/// Entries that are made ready at once, so that there is a full call for each bucket.
const AT_ONCE: usize = 64 * IN_CALL;
/// Bytes of values that are made ready at once, unless a single one has more.
const BYTES_AT_ONCE: usize = 4 << 20;
/// Bytes that are put in order in memory; what is more is written to a file.
const RUN_LEN: usize = 16 << 20;

/// A value that is to be stored, when it was written and when it expires.
type New = (Vec<u8>, Option<Time>, Option<Deadline>);

impl Bulk for Redis {
    fn import(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        let mut sorter = Sorter::new(RUN_LEN.min(feed.memory()), UnnamedFile::make);
        // All are read before the first is stored: a feed that stops leaves nothing behind.
        loop {
            match feed.next() {
                Ok(Some(incoming)) if incoming.value.len() > MAX_VALUE_LEN => {
                    let key = Key::new(incoming.key.to_vec()).expect("a feed yields keys");
                    return Err(too_large(&key));
                }
                Ok(Some(incoming)) => sorter.push(&incoming)?,
                Ok(None) => break,
                Err(Stopped) => return Ok(None),
            }
        }
        if sorter.count > 0 {
            self.register(namespace)?;
        }
        let mut entries = sorter.finish()?;
        let mut others = (merge == Merge::Replace).then(|| Others {
            pages: Pages::new(self, namespace, (Vec::new(), None), false),
            read: Vec::new(),
        });
        let mut done = Imported::default();
        let (mut batch, mut bytes): (Vec<(Key, New)>, usize) = (Vec::new(), 0);
        loop {
            let next = entries.advance()?;
            if let Some(run) = next {
                let Incoming {
                    key,
                    value,
                    modified,
                    expires,
                } = entries.source_mut(run).entry()?;
                let key = Key::new(key.to_vec()).expect("a feed yields keys");
                bytes += value.len();
                batch.push((key, (value.to_vec(), modified, expires)));
            }
            let is_last = next.is_none();
            if !is_last && batch.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
                continue;
            }
            let stored = self.store_batch(namespace, &batch, merge, clock)?;
            done.stored += stored;
            done.left += batch.len() as u64 - stored;
            // What is in the way goes when what comes is there: where this ends early, there is rather
            // too much than too little.
            while let Some(others) = &mut others
                && let gone = others.next(&batch, is_last)?
                && !gone.is_empty()
            {
                let removed = self.clear_all(namespace, &gone, "all", clock.now());
                done.removed += removed.sum::<Result<u64>>()?;
            }
            if is_last {
                return Ok(Some(done));
            }
            batch.clear();
            bytes = 0;
        }
    }

    fn remove_all(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        let mut removed = 0;
        for done in self.clear_all(namespace, keys, "all", clock.now()) {
            match done {
                Ok(count) => removed += count,
                Err(err) => failed(err),
            }
        }
        Ok(removed)
    }
}

impl Redis {
    /// Stores entries, and returns how many were not left as they are.
    fn store_batch(
        &self,
        namespace: &Namespace,
        batch: &[(Key, New)],
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<u64> {
        let mut buckets: BTreeMap<BucketId, Vec<&(Key, New)>> = BTreeMap::new();
        for entry in batch {
            let id = BucketId::of(entry.0.as_bytes());
            buckets.entry(id).or_default().push(entry);
        }
        let mut calls = Vec::new();
        for (id, entries) in buckets {
            let bucket = self.bucket(namespace, id);
            let size = |(_, (value, ..)): &&(Key, New)| value.len();
            for part in parts(&entries, IN_CALL, BYTES_IN_CALL, size) {
                calls.push(self.store_call(&bucket, part, merge, clock.now())?);
            }
        }
        self.count_stored(namespace, &calls)
    }

    /// Prepares a call that stores some entries of a bucket.
    fn store_call(
        &self,
        bucket: &Bucket,
        entries: &[&(Key, New)],
        merge: Merge,
        now: Time,
    ) -> Result<Command> {
        let mode = match merge {
            Merge::Overwrite | Merge::Replace => "overwrite",
            Merge::IfAbsent => "absent",
            Merge::Newer => "newer",
        };
        let mut call = Script::Store.call(2 + entries.len());
        call.push(bucket.single('i'));
        call.push(bucket.note(self.new_etag()?.0));
        call.extend(entries.iter().map(|(key, _)| bucket.entry(key.as_bytes())));
        let mut args = vec![
            now.as_millis().to_string().into_bytes(),
            b"1".to_vec(),
            self.publish()?.into(),
            bucket.single('w'),
            mode.into(),
        ];
        for (key, (value, modified, expires)) in entries {
            let key = key.as_bytes();
            let modified = modified.unwrap_or(now);
            let entry = codec::encode(key, self.new_etag()?, modified, *expires, value);
            args.push(key.to_vec());
            args.push(expires_word(*expires));
            args.push(entry);
        }
        Ok(Command::write(bucket.slot, &call, &args))
    }

    /// Has calls carried out that store entries, and returns how many were stored.
    fn count_stored(&self, namespace: &Namespace, calls: &[Command]) -> Result<u64> {
        let mut stored = 0;
        for reply in self.link.run(calls)? {
            let digits = self.digits(Script::Store, reply)?;
            if digits.contains(&b'2') {
                let key = namespace.as_str().as_bytes();
                let why = "an entry that was to be compared is not what was written";
                return Err(self.bad(namespace, key, Bad::Damaged(why)));
            }
            stored += ones(&digits);
        }
        Ok(stored)
    }

    /// Returns what a script answers that has a digit for each entry.
    fn digits(&self, script: Script, reply: Reply) -> Result<Vec<u8>> {
        let word = self
            .word_of(reply)?
            .ok_or_else(|| self.unexpected_answer(script))?;
        match word.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(word.into_bytes()),
            false => Err(self.unexpected_answer(script)),
        }
    }

    /// Removes keys, `all` of them or only the `dead`. Returns how many of each bucket were live.
    pub(super) fn clear_all<'a>(
        &'a self,
        namespace: &'a Namespace,
        keys: &[Key],
        which: &'a str,
        now: Time,
    ) -> impl Iterator<Item = Result<u64>> + 'a {
        let mut buckets: BTreeMap<BucketId, Vec<Key>> = BTreeMap::new();
        for key in keys {
            let id = BucketId::of(key.as_bytes());
            buckets.entry(id).or_default().push(key.clone());
        }
        let clear = move |(id, keys): (BucketId, Vec<Key>)| {
            self.clear(&self.bucket(namespace, id), &keys, which, now)
        };
        buckets.into_iter().map(clear)
    }

    /// Removes keys of a bucket in the same way.
    pub(super) fn clear(
        &self,
        bucket: &Bucket,
        keys: &[Key],
        which: &str,
        now: Time,
    ) -> Result<u64> {
        let publish = self.publish()?;
        let call = |keys: &[Key]| {
            let mut call = Script::Clear.call(3 + keys.len());
            call.push(bucket.single('i'));
            call.push(bucket.single('c'));
            call.push(bucket.note(self.new_etag()?.0));
            call.extend(keys.iter().map(|key| bucket.entry(key.as_bytes())));
            let mut args = vec![
                now.as_millis().to_string().into_bytes(),
                which.into(),
                publish.into(),
                bucket.single('w'),
            ];
            args.extend(keys.iter().map(|key| key.as_bytes().to_vec()));
            Ok(Command::write(bucket.slot, &call, &args))
        };
        let calls: Vec<Command> = keys.chunks(IN_CALL).map(call).collect::<Result<_>>()?;
        let mut live = 0;
        for reply in self.link.run(&calls)? {
            live += ones(&self.digits(Script::Clear, reply)?);
        }
        Ok(live)
    }
}

fn ones(digits: &[u8]) -> u64 {
    digits.iter().filter(|digit| **digit == b'1').count() as u64
}

/// The keys that are there and not among those that come, which come in order.
struct Others<'a> {
    pages: Pages<'a>,
    /// Keys that were read and are behind all that have come, the last one first.
    read: Vec<Vec<u8>>,
}

impl Others<'_> {
    /// Returns some keys that are there, up to the last of the batch, and also behind it if no other
    /// batch comes; not those of the batch itself. Returns none when there are no more.
    fn next(&mut self, batch: &[(Key, New)], is_last: bool) -> Result<Vec<Key>> {
        let last = batch.last().map_or(&b""[..], |(key, _)| key.as_bytes());
        let mut others = Vec::new();
        while others.len() < AT_ONCE {
            if self.read.is_empty() {
                let keys = self.pages.next(AT_ONCE)?;
                self.pages.demand_all()?;
                self.read.extend(keys.into_iter().rev().map(|(key, _)| key));
            }
            let is_due = |key: &mut Vec<u8>| is_last || key.as_slice() <= last;
            let Some(key) = self.read.pop_if(is_due) else {
                break;
            };
            let place = batch.binary_search_by_key(&key.as_slice(), |(key, _)| key.as_bytes());
            // What is no key of a store is nobody's here.
            if place.is_err()
                && let Ok(key) = Key::new(key)
            {
                others.push(key);
            }
        }
        Ok(others)
    }
}
