//! The `kv` command; all of it is in the library of that name.

#![no_main]

kv::program!(kv::commands::main);
