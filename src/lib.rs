//! kv: the key-value store for the Unix shell.
//!
//! The crate is the program `kv` taken apart, so that its tests and its tools can hold the parts.
//!
//! ```text
//!   main
//!   commands                                  how each command is carried out; prints, reads the
//!                                             environment and the clock; errors become one line
//!   cli    server    mount                    what can be typed; a store over HTTP and as a file
//!                                             system, whatever its engine. Strangers to each other
//!   engine                                    where entries live
//!   wire                                      how entries leave as text
//!   exit                                      what the exit statuses mean
//!   store    os                               what a store is; what differs between systems
//! ```
//!
//! A module imports only from lines below its own; `tests/it/tidy.rs` holds that table. A command
//! is written against [`store::Store`] and cannot tell which engine serves it: `ENGINES` in
//! `engine/mod.rs` is the only list of them. How the default one keeps its promises is told in [`engine::tree`].
//!
//! # Words
//!
//! - *entry*: a key with its value, its etag, when it was modified and when it expires; *namespace*: a
//!   name and the entries below it; *list*: a namespace whose keys are numbers.
//! - *etag*: 64 random bits, new with every write of a key.
//! - *loose*: an entry in a file of its own; *pack*: a file with many; *shard*: one of 256 parts of the
//!   keys of a namespace, with a lock; *draft*: a file being written; *tombstone*: what says that a key
//!   is removed, where a pack would bring it back.
//! - *bucket*: on Redis, one of 64 parts of the keys of a namespace, with an index.
//! - *lease*: a lock that ends by itself unless its holder asks for it again; *OFD lock*: a lock of an open
//!   file beside its flock, by which others see how that is held.
//!
//! # Where to look
//!
//! - where a key is looked up, in packs too: `engine/tree/find.rs`;
//! - when an entry expires, and whether it lives: `Expiry::resolve` in `store/put.rs`, `Meta::is_live` in
//!   `store/entry.rs`;
//! - where an exit status comes from: [`exit`];
//! - what a flush of the mount stores: `mount/flush.rs`;
//! - who may hold which lock, and in which order they are taken: the invariants of [`engine::tree`]; the
//!   locks of `kv lock`: [`store::locks`], and `engine/lease.rs` for those that end by themselves.
//!
//! # To add a command
//!
//! Six files by hand: its arguments in a file of `cli/`; in `cli/mod.rs` that file, and a variant with its
//! help; a word in `cli/alone.rs`; `commands/NAME.rs`; in `commands/mod.rs` that file and a line of
//! `dispatch`; a page `cli/man/kv-NAME.md`. `KV_BLESS=1 cargo test --test it generated` then writes man/ and
//! completions/. A command that a batch may have gets a line in `Part::of` of `commands/batch`.
//!
//! Its tests stand in `tests/it/NAME.rs`, named in `tests/it/main.rs`, and in `tests/it/contract` so that
//! every engine passes them.
//!
//! # To add an engine
//!
//! A module in `engine/` that has [`store::Entries`] and [`store::Locks`] and takes the defaults of the
//! other facets, and an [`engine::location::Locator`] that opens it (`engine/memory.rs` is one); in
//! `engine/mod.rs` that module and a row of `ENGINES`, from which its locations are read and shown in help;
//! its paragraph in kv.md. For its tests a line each in `tests/it/engines.rs`, `tests/it/contract` and
//! `tests/it/tidy/imports.rs`. What it does better than the defaults comes afterwards, facet by facet.
//!
//! # Where the promises are proved
//!
//! The README's table names each kind of test with its counts: `tests/it/crash` builds the states of
//! power cuts, `tests/it/failing_calls` fails every system call, `tests/it/linearize` judges histories,
//! `tests/models` has the protocols, and `tests/it/contract` is what every engine passes.
//!
//! `bash` is the builtin of bash, in a library of its own that is built with the feature `bash-builtin`.
//!
//! `fuzz` is there for tests alone: it hands what engines read to tests/fuzz.
//!
//! Read the modules in this order: [`store`], [`engine`], [`cli`], [`commands`], [`wire`],
//! [`server`], [`mount`], [`exit`].

pub mod store;

pub mod engine;

pub mod cli;

pub mod commands;

pub mod wire;

pub mod server;

pub mod mount;

pub mod exit;

/// The readers of an engine's own formats, for `tests/fuzz`.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz {
    pub use crate::engine::redis::fuzz::{server, server_entry};
    pub use crate::engine::tree::fuzz::{entry, hints, manifest, pack};
}

#[cfg(test)]
#[path = "../tests/fuzz/rounds.rs"]
mod rounds;

// The fuzz targets name the library as the fuzzer does.
#[cfg(test)]
extern crate self as kv;

#[cfg(feature = "bash-builtin")]
pub mod bash;

mod os;

#[doc(hidden)]
pub use self::os::start::start;
