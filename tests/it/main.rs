//! The one integration test binary: the real `kv`, a sandbox per test.
//!
//! One file per command, and beside them what concerns all of them.

// Nothing outside sees a test binary; `pub` says here what the modules have for each other.
#![allow(unreachable_pub)]

mod harness;
mod history;
mod linearize;
mod register;

mod concurrency;
mod exit;
mod get;
mod has;
mod kills;
mod ls;
mod namespaces;
mod put;
mod remove;
mod sizes;
mod stat;
mod sweep;
mod tidy;
mod ttl;
mod vanish;
