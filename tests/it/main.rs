//! The one integration test binary: the real `kv`, a sandbox per test.
//!
//! One file per command, and beside them what concerns all of them.

// Nothing outside sees a test binary; `pub` says here what the modules have for each other.
#![allow(unreachable_pub)]

mod harness;
mod history;
mod linearize;
mod machine;
mod register;
mod terminal;

mod completions;
mod concurrency;
mod damage;
mod disks;
mod exit;
mod expire;
mod faults;
mod format;
mod generated;
mod get;
mod has;
mod help;
mod holder;
mod keys;
mod kills;
mod links;
mod lock;
mod ls;
mod man;
mod manpage;
mod namespaces;
mod output;
mod process;
mod program;
mod put;
mod reach;
mod real;
mod remove;
mod signals;
mod sizes;
mod stat;
mod sweep;
mod tidy;
mod ttl;
mod update;
mod users;
mod values;
mod vanish;
mod wait;
