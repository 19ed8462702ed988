//! The keys of a namespace in their order: the indexes of all buckets, merged page by page.

use std::collections::VecDeque;

use crate::store::{Namespace, Result, StoreError};

use super::Redis;
use super::call::foreign_key;
use super::command::Command;
use super::names::{Bucket, BucketId};

/// Keys of each bucket in the first page, which grows from page to page.
const FIRST_PAGE: usize = 32;
/// Keys of each bucket in a page at most.
const LARGEST_PAGE: usize = 512;

/// The keys between two bounds, in their order or the reverse.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    store: &'a Redis,
    cursors: Vec<Cursor>,
    page: usize,
    is_reverse: bool,
    /// Buckets whose indexes are keys of another type, of which nothing can be told.
    foreign: Vec<Bucket>,
}

/// How far one bucket was read.
#[derive(Debug)]
struct Cursor {
    bucket: Bucket,
    /// Keys that were read and not handed out.
    keys: VecDeque<Vec<u8>>,
    /// Where the next page begins and where the last one ends, as ZRANGEBYLEX has them.
    from: Vec<u8>,
    to: Vec<u8>,
    is_done: bool,
}

impl<'a> Pages<'a> {
    /// Begins at one of the bounds; the upper one is left out.
    pub(super) fn new(
        store: &'a Redis,
        namespace: &Namespace,
        (lower, upper): (Vec<u8>, Option<Vec<u8>>),
        is_reverse: bool,
    ) -> Self {
        let lower = match lower.is_empty() {
            true => b"-".to_vec(),
            false => [b"[", &lower[..]].concat(),
        };
        let upper = upper.map_or(b"+".to_vec(), |upper| [b"(", &upper[..]].concat());
        let (from, to) = if is_reverse {
            (upper, lower)
        } else {
            (lower, upper)
        };
        let cursors = BucketId::all().map(|id| Cursor {
            bucket: store.bucket(namespace, id),
            keys: VecDeque::new(),
            from: from.clone(),
            to: to.clone(),
            is_done: false,
        });
        Self {
            store,
            cursors: cursors.collect(),
            page: FIRST_PAGE,
            is_reverse,
            foreign: Vec::new(),
        }
    }

    /// Returns up to so many keys that come next, with the buckets that they are in; none at the end.
    pub(super) fn next(&mut self, count: usize) -> Result<Vec<(Vec<u8>, Bucket)>> {
        let mut keys = Vec::new();
        while keys.len() < count {
            // Which key is the next cannot be told while a bucket has not said what it has.
            if self
                .cursors
                .iter()
                .any(|cursor| cursor.keys.is_empty() && !cursor.is_done)
            {
                if !keys.is_empty() {
                    break;
                }
                self.read_pages()?;
            }
            let heads = self
                .cursors
                .iter_mut()
                .filter(|cursor| !cursor.keys.is_empty());
            let next = match self.is_reverse {
                false => heads.min_by(|a, b| a.keys[0].cmp(&b.keys[0])),
                true => heads.max_by(|a, b| a.keys[0].cmp(&b.keys[0])),
            };
            match next {
                Some(cursor) => {
                    let key = cursor.keys.pop_front().expect("it is not empty");
                    keys.push((key, cursor.bucket.clone()));
                }
                // Each of them is done, or has been told just now that there is nothing more.
                None => break,
            }
        }
        Ok(keys)
    }

    /// Takes one of the buckets of which nothing can be told. Who passes them over tells less than there
    /// is.
    pub(super) fn take_foreign(&mut self) -> Option<Bucket> {
        self.foreign.pop()
    }

    /// Fails where there is a bucket of which nothing can be told.
    pub(super) fn demand_all(&mut self) -> Result<()> {
        match self.take_foreign() {
            Some(bucket) => Err(foreign_index(&bucket)),
            None => Ok(()),
        }
    }

    /// Reads a page of each bucket that has few keys left.
    fn read_pages(&mut self) -> Result<()> {
        let command = match self.is_reverse {
            false => b"ZRANGEBYLEX".to_vec(),
            true => b"ZREVRANGEBYLEX".to_vec(),
        };
        let page = self.page;
        let few = |cursor: &&mut Cursor| !cursor.is_done && cursor.keys.len() <= page / 4;
        let mut cursors: Vec<&mut Cursor> = self.cursors.iter_mut().filter(few).collect();
        let ask = |cursor: &&mut Cursor| {
            let words = [
                command.clone(),
                cursor.bucket.single('i'),
                cursor.from.clone(),
                cursor.to.clone(),
                b"LIMIT".to_vec(),
                b"0".to_vec(),
                page.to_string().into_bytes(),
            ];
            Command::read(cursor.bucket.slot, &words)
        };
        let commands: Vec<Command> = cursors.iter().map(ask).collect();
        let replies = self.store.link.answers(&commands)?;
        for (cursor, reply) in cursors.iter_mut().zip(replies) {
            if reply.is_foreign() {
                cursor.is_done = true;
                self.foreign.push(cursor.bucket.clone());
                continue;
            }
            let keys = self.store.link.array(reply)?;
            cursor.is_done = keys.len() < page;
            cursor
                .keys
                .extend(keys.into_iter().filter_map(|key| key.into_bytes()));
            if let Some(last) = cursor.keys.back() {
                cursor.from = [b"(", &last[..]].concat();
            }
        }
        self.page = (page * 2).min(LARGEST_PAGE);
        Ok(())
    }
}

/// Says that the index of a bucket is a key of another type.
pub(super) fn foreign_index(bucket: &Bucket) -> StoreError {
    let name = String::from_utf8_lossy(&bucket.single('i')).into_owned();
    foreign_key(&name, "other than a sorted set")
}
