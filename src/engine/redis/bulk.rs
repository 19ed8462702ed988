//! Many entries at once: one script stores or removes a whole batch of a bucket.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use crate::store::{
    Clock, Deadline, Etag, Feed, Imported, Incoming, Key, Merge, Namespace, Result, Selection,
    Stopped, StoreError, Time,
};

use super::Redis;
use super::call::Change;
use super::codec::{self, Bad};
use super::command::Command;
use super::entries::{MAX_VALUE_LEN, count_of, expires_word, too_large};
use super::names::{Bucket, Room};
use super::resp::Reply;
use super::script::Script;

/// Entries that one call of a script treats.
const IN_CALL: usize = 100;
/// Bytes of the values that one call of a script treats, unless a single one has more.
const BYTES_IN_CALL: usize = 256 * 1024;
/// Bytes of values that are made ready at once.
const BYTES_AT_ONCE: usize = 16 << 20;

/// A value that is to be stored, when it was written and when it expires.
type New = (Vec<u8>, Option<Time>, Option<Deadline>);

impl Redis {
    /// Stores many entries; see [`crate::store::Store::import`].
    pub(super) fn import_entries(
        &self,
        namespace: &Namespace,
        feed: &mut dyn Feed,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<Option<Imported>> {
        // All are read before the first is stored: a feed that stops leaves nothing behind.
        let mut entries: BTreeMap<Key, New> = BTreeMap::new();
        loop {
            let Incoming {
                key,
                value,
                modified,
                expires,
            } = match feed.next() {
                Ok(Some(incoming)) => incoming,
                Ok(None) => break,
                Err(Stopped) => return Ok(None),
            };
            let key = Key::new(key.to_vec()).expect("a feed yields keys");
            if value.len() > MAX_VALUE_LEN {
                return Err(too_large(&key));
            }
            let new = (value.to_vec(), modified, expires);
            match entries.entry(key) {
                Slot::Occupied(mut slot) => _ = slot.insert(new),
                Slot::Vacant(slot) => _ = slot.insert(new),
            }
        }
        let mut done = Imported::default();
        if merge == Merge::Replace {
            let others = self.others(namespace, &entries, clock.now())?;
            let mut failure = None;
            let mut failed = |err| failure = Some(err);
            done.removed = self.remove_keys(namespace, &others, clock, &mut failed)?;
            failure.map_or(Ok(()), Err)?;
        }
        if !entries.is_empty() {
            self.register(namespace)?;
        }
        let distinct = entries.len() as u64;
        done.stored = self.store_all(namespace, entries, merge, clock)?;
        done.left = distinct - done.stored;
        Ok(Some(done))
    }

    /// Returns the keys that are there and not among those that come.
    fn others(
        &self,
        namespace: &Namespace,
        entries: &BTreeMap<Key, New>,
        now: Time,
    ) -> Result<Vec<Key>> {
        let mut others = Vec::new();
        let mut all = self.list_entries(namespace, &Selection::default(), now)?;
        while let Some(listed) = all.next() {
            let key = listed?.to_key();
            if !entries.contains_key(&key) {
                others.push(key);
            }
        }
        Ok(others)
    }

    fn store_all(
        &self,
        namespace: &Namespace,
        entries: BTreeMap<Key, New>,
        merge: Merge,
        clock: &dyn Clock,
    ) -> Result<u64> {
        let mut buckets: BTreeMap<Bucket, Vec<(Key, New)>> = BTreeMap::new();
        for (key, new) in entries {
            buckets
                .entry(Bucket::of(key.as_bytes()))
                .or_default()
                .push((key, new));
        }
        let mut stored = 0;
        let (mut calls, mut bytes) = (Vec::new(), 0);
        for (bucket, mut entries) in buckets {
            let room = self.room(namespace, bucket);
            while !entries.is_empty() {
                let mut size = 0;
                let fits = |(_, (value, ..)): &&(Key, New)| {
                    size += value.len();
                    size <= BYTES_IN_CALL
                };
                let count = entries.iter().take(IN_CALL).take_while(fits).count().max(1);
                let rest = entries.split_off(count);
                bytes += entries
                    .iter()
                    .map(|(_, (value, ..))| value.len())
                    .sum::<usize>();
                calls.push(self.store_call(&room, &entries, merge, clock.now())?);
                entries = rest;
                if bytes > BYTES_AT_ONCE {
                    stored += self.settle(namespace, &calls)?;
                    calls.clear();
                    bytes = 0;
                }
            }
        }
        Ok(stored + self.settle(namespace, &calls)?)
    }

    /// Prepares a call that stores some entries of a bucket.
    fn store_call(
        &self,
        room: &Room,
        entries: &[(Key, New)],
        merge: Merge,
        now: Time,
    ) -> Result<Command> {
        let mode = match merge {
            Merge::Overwrite | Merge::Replace => "overwrite",
            Merge::IfAbsent => "absent",
            Merge::Newer => "newer",
        };
        let mut words = Script::Store.call(1 + entries.len());
        words.push(room.single('i'));
        words.extend(entries.iter().map(|(key, _)| room.entry(key.as_bytes())));
        words.push(b"1".to_vec());
        words.push(now.as_millis().to_string().into_bytes());
        words.push(mode.into());
        words.push(self.publish()?.into());
        words.push(room.single('w'));
        for (key, (value, modified, expires)) in entries {
            let key = key.as_bytes();
            let modified = modified.unwrap_or(now);
            let entry = codec::encode(key, self.new_etag()?, modified, *expires, value);
            words.push(key.to_vec());
            words.push(expires_word(*expires));
            words.push(entry);
        }
        Ok(Command::write(room.slot, &words))
    }

    /// Has calls carried out that store entries, and returns how many were stored.
    fn settle(&self, namespace: &Namespace, calls: &[Command]) -> Result<u64> {
        let mut stored = 0;
        for reply in self.link.run(calls)? {
            for answer in reply.into_array() {
                match answer {
                    Reply::Int(2) => {
                        let key = namespace.as_str().as_bytes();
                        let why = "an entry that was to be compared is not what was written";
                        return Err(self.bad(namespace, key, Bad::Damaged(why)));
                    }
                    answer => stored += count_of(&answer),
                }
            }
        }
        Ok(stored)
    }

    /// Removes many keys; see [`crate::store::Store::remove_all`].
    pub(super) fn remove_keys(
        &self,
        namespace: &Namespace,
        keys: &[Key],
        clock: &dyn Clock,
        failed: &mut dyn FnMut(StoreError),
    ) -> Result<u64> {
        let mut buckets: BTreeMap<Bucket, Vec<Key>> = BTreeMap::new();
        for key in keys {
            buckets
                .entry(Bucket::of(key.as_bytes()))
                .or_default()
                .push(key.clone());
        }
        let mut removed = 0;
        for (bucket, keys) in buckets {
            let room = self.room(namespace, bucket);
            match self.clear(&room, &keys, "all", clock.now()) {
                Ok(count) => removed += count,
                Err(err) => failed(err),
            }
        }
        Ok(removed)
    }

    /// Removes entries that are still what they were, and tells of each whether it was.
    pub(super) fn remove_unchanged(
        &self,
        namespace: &Namespace,
        keys: &[(Key, Etag)],
        now: Time,
    ) -> Result<Vec<bool>> {
        let call = |(key, etag): &(Key, Etag)| {
            let id = self.new_etag()?.0;
            let wanted = etag.to_string().into_bytes();
            self.command_of(
                &Change {
                    args: vec![b"etag".to_vec(), wanted, Vec::new()],
                    ..self.change(namespace, key, Script::Remove, id, now)
                },
                true,
            )
        };
        let calls: Vec<Command> = keys.iter().map(call).collect::<Result<_>>()?;
        let replies = self.link.run(&calls)?;
        let is_done = |reply: Reply| reply.into_bytes().is_some_and(|word| word == b"done");
        Ok(replies.into_iter().map(is_done).collect())
    }

    /// Removes keys of a bucket, `all` of them or only the `dead`. Returns how many were live.
    pub(super) fn clear(&self, room: &Room, keys: &[Key], which: &str, now: Time) -> Result<u64> {
        let publish = self.publish()?;
        let call = |keys: &[Key]| {
            let mut words = Script::Clear.call(2 + keys.len());
            words.push(room.single('i'));
            words.push(room.single('c'));
            words.extend(keys.iter().map(|key| room.entry(key.as_bytes())));
            words.push(which.into());
            words.push(now.as_millis().to_string().into_bytes());
            words.push(publish.into());
            words.push(room.single('w'));
            words.extend(keys.iter().map(|key| key.as_bytes().to_vec()));
            Command::write(room.slot, &words)
        };
        let calls: Vec<Command> = keys.chunks(IN_CALL).map(call).collect();
        let replies = self.link.run(&calls)?;
        let answers = replies.into_iter().flat_map(Reply::into_array);
        Ok(answers.map(|answer| count_of(&answer)).sum())
    }
}
