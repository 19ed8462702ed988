//! The one integration test binary: the real `kv`, a sandbox per test.
//!
//! One file per command, and beside them what concerns all of them.

mod harness;

mod exit;
mod format;
mod generated;
mod get;
mod has;
mod help;
mod ls;
mod man;
mod manpage;
mod namespaces;
mod put;
mod remove;
mod stat;
mod ttl;
