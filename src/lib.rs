//! kv: the key-value store for the Unix shell.
//!
//! The crate is the program `kv` taken apart, so that its tests and its tools can hold the parts.
//!
//! ```text
//!   main
//!   commands                                  how each command is carried out; prints, reads the
//!                                             environment and the clock; errors become one line
//!   server    mount                           a store over HTTP and as a file system, whatever its
//!                                             engine
//!   cli    wire    engine                     what can be typed; how entries leave as text; where
//!                                             entries live. Strangers to each other
//!   exit                                      what the exit statuses mean
//!   store    os                               what a store is; what differs between systems
//! ```
//!
//! A module imports only from lines below its own; `tests/it/tidy.rs` holds that table. A command
//! is written against [`store::Store`] and cannot tell which engine serves it: [`engine::open`] is
//! the only list of engines. How the default one keeps its promises is told in [`engine::tree`].
//!
//! `fuzz` is not part of that: it hands the readers of files and lines to tests/fuzz.
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

#[doc(hidden)]
pub mod fuzz;

mod os;
