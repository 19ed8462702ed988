//! Listing: the keys that the indexes tell, and the entries that they stand for.
//!
//! An index may name a key whose entry is gone: it has expired, or the server dropped it for want of
//! memory. Such a key is passed over here, and swept by a collection.

use std::collections::VecDeque;

use crate::store::{Listed, Listing, Meta, Namespace, Result, Scan, Selection, Time, Value};

use super::Redis;
use super::codec::{self, HEADER_LEN};
use super::command::{Command, parts};
use super::entries::header_words;
use super::names::Bucket;
use super::pages::Pages;

/// So many entries are read at once.
const AT_ONCE: usize = 1024;
/// Values up to this length come with their headers.
const SHORT: usize = 2048;
/// Longer values are read at once up to so many bytes.
const BYTES_AT_ONCE: usize = 8 << 20;

/// An entry that was found: what is known of it, and its value if that is wanted.
type Found = Result<(Meta, Option<Value>)>;

struct RedisScan<'a> {
    store: &'a Redis,
    namespace: Namespace,
    selection: Selection,
    now: Time,
    pages: Pages<'a>,
    /// What was read and not handed out.
    ready: VecDeque<(Vec<u8>, Found)>,
    left: u64,
    /// The key that is being lent.
    key: Vec<u8>,
    is_over: bool,
}

impl Redis {
    /// Lists entries; see [`crate::store::Entries::scan`].
    pub(super) fn list_entries<'a>(
        &'a self,
        namespace: &Namespace,
        selection: &Selection,
        now: Time,
    ) -> Result<Listing<'a>> {
        let mut scan = RedisScan {
            store: self,
            namespace: namespace.clone(),
            selection: selection.clone(),
            now,
            pages: Pages::new(self, namespace, selection.bounds(), selection.reverse),
            ready: VecDeque::new(),
            left: selection.limit.unwrap_or(u64::MAX),
            key: Vec::new(),
            is_over: false,
        };
        // A store that cannot be reached is told here and not as an entry that is damaged.
        if scan.left > 0 {
            scan.read_more()?;
        }
        Ok(Box::new(scan))
    }
}

impl RedisScan<'_> {
    /// Reads entries until there is one, or none are left.
    fn read_more(&mut self) -> Result<()> {
        while self.ready.is_empty() && !self.is_over {
            let count = usize::try_from(self.left).map_or(AT_ONCE, |left| left.clamp(1, AT_ONCE));
            let mut keys = self.pages.next(count)?;
            self.is_over = keys.is_empty();
            keys.retain(|(key, _)| self.selection.matches(key));
            let found = self
                .store
                .load(&self.namespace, keys, self.selection.values)?;
            let now = self.now;
            let is_wanted = |found: &Found| match found {
                Ok((meta, _)) => meta.is_live(now),
                Err(_) => true,
            };
            self.ready
                .extend(found.into_iter().filter(|(_, found)| is_wanted(found)));
        }
        Ok(())
    }
}

impl Scan for RedisScan<'_> {
    fn next(&mut self) -> Option<Result<Listed<'_>>> {
        if self.left == 0 {
            return None;
        }
        if let Err(foreign) = self.pages.demand_all() {
            return Some(Err(foreign));
        }
        if self.ready.is_empty()
            && let Err(err) = self.read_more()
        {
            // Nothing that follows could be told.
            self.left = 0;
            return Some(Err(err));
        }
        let Some((key, found)) = self.ready.pop_front() else {
            return self.pages.demand_all().err().map(Err);
        };
        self.key = key;
        Some(found.map(|(meta, value)| {
            self.left -= 1;
            Listed {
                key: &self.key,
                meta,
                value,
            }
        }))
    }
}

impl Redis {
    /// Reads entries, of those keys that have any.
    pub(super) fn load(
        &self,
        namespace: &Namespace,
        keys: Vec<(Vec<u8>, Bucket)>,
        values: bool,
    ) -> Result<Vec<(Vec<u8>, Found)>> {
        let head = |(key, bucket): &(Vec<u8>, Bucket)| {
            let mut words = header_words(bucket, key);
            if values {
                words[3] = (HEADER_LEN + SHORT - 1).to_string().into_bytes();
            }
            Command::read(bucket.slot, &words)
        };
        let commands: Vec<Command> = keys.iter().map(head).collect();
        let replies = self.link.answers(&commands)?;
        let mut found = Vec::with_capacity(keys.len());
        let mut long = Vec::new();
        for ((key, bucket), reply) in keys.into_iter().zip(replies) {
            let result = match self.held(reply)? {
                Ok(None) => continue,
                Ok(Some(bytes)) if bytes.is_empty() => continue,
                Ok(Some(bytes)) => match codec::decode_meta(&key, &bytes) {
                    Ok(meta) if values && meta.size <= SHORT as u64 => {
                        codec::decode(&key, bytes).map(|entry| (entry.meta, Some(entry.value)))
                    }
                    Ok(meta) => {
                        if values {
                            long.push((found.len(), bucket, meta.size));
                        }
                        Ok((meta, None))
                    }
                    Err(bad) => Err(bad),
                },
                Err(bad) => Err(bad),
            };
            let result = result.map_err(|bad| self.bad(namespace, &key, bad));
            found.push((key, Some(result)));
        }
        self.load_long(namespace, &mut found, &long)?;
        let is_there = |(key, found): (Vec<u8>, Option<Found>)| Some((key, found?));
        Ok(found.into_iter().filter_map(is_there).collect())
    }

    /// Reads the values that did not come with their headers.
    fn load_long(
        &self,
        namespace: &Namespace,
        found: &mut [(Vec<u8>, Option<Found>)],
        long: &[(usize, Bucket, u64)],
    ) -> Result<()> {
        let size =
            |(_, _, size): &(usize, Bucket, u64)| usize::try_from(*size).unwrap_or(usize::MAX);
        for now in parts(long, AT_ONCE, BYTES_AT_ONCE, size) {
            let get = |(number, bucket, _): &(usize, Bucket, u64)| {
                Command::read(
                    bucket.slot,
                    &[b"GET".to_vec(), bucket.entry(&found[*number].0)],
                )
            };
            let commands: Vec<Command> = now.iter().map(get).collect();
            let replies = self.link.answers(&commands)?;
            for ((number, ..), reply) in now.iter().zip(replies) {
                let (key, result) = &mut found[*number];
                // It may have been removed since its header was read.
                let held = self.held(reply)?.transpose();
                let whole = held.map(|bytes| bytes.and_then(|bytes| codec::decode(key, bytes)));
                *result = whole.map(|whole| {
                    whole
                        .map(|entry| (entry.meta, Some(entry.value)))
                        .map_err(|bad| self.bad(namespace, key, bad))
                });
            }
        }
        Ok(())
    }
}
