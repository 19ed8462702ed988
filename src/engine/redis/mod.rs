//! A store on a server of Redis or Valkey, or on a cluster of them: where one machine is not enough.
//!
//! # What is where
//!
//! A namespace has 64 buckets, and one more for the elements of a list. A bucket is in one hash slot,
//! so that a script can change all of it in one step; see [`names`]. It has a sorted set, in which its
//! keys are in the order of their bytes, and a string for each entry; see [`codec`]. A listing merges
//! the sorted sets, page by page; see [`pages`] and [`scan`].
//!
//! # How a write comes to be acknowledged
//!
//! 1. [`entries`] builds the entry, with an etag that names the call as well.
//! 2. [`script`] has the call for it: the script decides the condition, writes the entry and the
//!    index, notes under the etag that it was carried out, and tells who waits.
//! 3. [`link`] sends it to the server that has the slot, and `WAIT` behind it on the same connection:
//!    the write is acknowledged when as many replicas have it as were asked for, and, where the server
//!    keeps a log and knows `WAITAOF`, when that is on its disk.
//! 4. Where a connection breaks or a server sends elsewhere, the call is sent again. It finds the note
//!    of the first time if that was carried out, and does nothing twice. After the busy timeout no server
//!    carries it out any more: each call says until when it may be, by the clock of the server, and its
//!    note stays longer than that.
//!
//! # What an acknowledgement promises
//!
//! | Servers | Promise | What is found out first, by [`facts`], [`map`] and [`wait`] |
//! |---|---|---|
//! | one, no log | the server has it in memory | INFO: it is a master; no replica is connected, nor was lately (`repl_backlog_active`) |
//! | one, `appendonly yes` | with WAITAOF (Redis 7.2, Valkey) it is on its disk | INFO: `aof_enabled`; that the user may use WAITAOF |
//! | with replicas | one has it, or as many as `?replicas=` says | INFO, in a cluster CLUSTER NODES; that the user may use WAIT |
//! | with sentinels | all have it that are not gone, or one has it and none is about to take the place (`tests/models/sentinel.py`) | SENTINEL REPLICAS; behind the write, where one lacks it, the sentinels again, and INFO of each replica |
//! | a full memory | nothing is dropped but what expires | INFO: `maxmemory`, `maxmemory_policy`; `?eviction=allowed` |
//! | any | done once, and not after the busy timeout | TIME, for the server's clock |
//! | reading | a master has answered | the role, behind the answers of a single server; `?read=replica` |
//!
//! What a server does not tell is not assumed: nothing is written, and the status is 5. kv-format(5) has
//! the same table for those who run servers, with what a failover can lose.
//!
//! # Invariants
//!
//! - Nothing in a script fails after its first write: rights and types of keys are looked at before.
//! - A key is in the index if there is an entry; the reverse does not hold, as a server drops what has
//!   expired. Listings pass over such keys, and a collection sweeps them.
//! - The time of whoever asks decides whether an entry has expired. The server drops it a minute later.
//! - Every key that a script touches is among those it is called with, and each change can be repeated.
//! - Nothing is connected before the first call. No password gets into a message.
//!
//! Read the files in this order: [`mod@location`], [`resp`], [`socket`], [`slots`], [`facts`], [`map`], [`reply`],
//! [`command`], [`wait`], [`ready`], [`sentinel`], [`target`], [`pending`], [`dispatch`], [`link`], [`names`], [`codec`], [`script`], [`call`], [`entries`],
//! [`mod@list`], [`pages`], [`scan`], [`bulk`], [`upkeep`], [`check`], [`kinds`], [`watch`], [`named`].

mod bulk;
mod call;
mod check;
mod codec;
mod command;
mod dispatch;
mod entries;
mod facts;
mod follow;
#[cfg(any(test, fuzzing))]
#[path = "../../../tests/fuzz/readers/redis.rs"]
pub mod fuzz;
mod kinds;
mod link;
mod list;
mod location;
mod map;
mod named;
mod names;
mod pages;
mod pending;
mod ready;
mod reply;
mod resp;
mod scan;
mod script;
mod sentinel;
mod slots;
mod socket;
mod target;
mod upkeep;
mod wait;
mod watch;

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::engine::Settings;
use crate::store::Namespace;

use self::link::Link;
use self::location::RedisLocation;
pub(super) use self::location::{SCHEMES, location};

/// A store on servers of Redis or Valkey.
#[derive(Debug)]
pub struct Redis {
    link: Link,
    /// Which number is likely to be the next of a list.
    guesses: Mutex<HashMap<Namespace, u64>>,
}

impl Redis {
    /// Names servers that have a store, or will have one with the first write.
    fn new(location: RedisLocation, settings: Settings) -> Self {
        Self {
            link: Link::new(location, settings),
            guesses: Mutex::default(),
        }
    }
}
