//! The one integration test binary: the real `kv`, a sandbox per test.
//!
//! One file per command, and beside them what concerns all of them.

// Nothing outside sees a test binary; `pub` says here what the modules have for each other.
#![allow(unreachable_pub)]

mod dated;
mod engines;
mod harness;
mod history;
mod linearize;
mod machine;
mod register;
mod terminal;

mod append;
mod batch;
mod completions;
mod concurrency;
mod contract;
mod counting;
mod crash;
mod damage;
mod disks;
mod ends;
mod exit;
mod expire;
mod export;
mod failing_calls;
mod faults;
mod format;
mod fsck;
mod gc;
mod gc_packs;
mod generated;
mod get;
mod has;
mod help;
mod holder;
mod import;
mod incr;
mod info;
mod items;
mod keys;
mod kills;
mod links;
mod list_kills;
mod lock;
mod ls;
mod man;
mod manpage;
mod memo;
mod memo_flight;
mod namespaces;
mod output;
mod pack_bulk;
mod pack_damage;
mod pack_disks;
mod pack_format;
mod pack_kills;
mod pack_model;
mod pack_races;
mod pack_readers;
mod pack_wait;
mod pop;
mod pop_wait;
mod process;
mod program;
mod push;
mod put;
mod reach;
mod readme;
mod real;
mod redis;
mod remove;
mod signals;
mod sizes;
mod sqlite;
mod stat;
mod sweep;
mod tidy;
mod ttl;
mod update;
mod users;
mod values;
mod vanish;
mod wait;
