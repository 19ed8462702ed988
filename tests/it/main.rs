//! The one integration test binary: the real `kv`, a sandbox per test.
//!
//! One file per command, and beside them what concerns all of them.

// Nothing outside sees a test binary; `pub` says here what the modules have for each other.
#![allow(unreachable_pub)]

mod harness;
mod terminal;

mod completions;
mod exit;
mod generated;
mod get;
mod has;
mod ls;
mod namespaces;
mod put;
mod remove;
mod stat;
mod ttl;
