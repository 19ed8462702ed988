//! What is fed with any bytes: each function reads them as one of kv's formats.
//!
//! None may panic, go on for long, or take more memory than a small multiple of what it was given.
//! Where a sum would keep most bytes out, they are also read with the right sum.

// A target is a program of its own, and uses one of them.
#![allow(dead_code, unused_imports, unreachable_pub)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

pub use kv::fuzz::{entry, hints, manifest, pack, server, server_entry};

use kv::engine::Location;
use kv::store::{Glob, Incoming, units};
use kv::wire::words::Splitter;
use kv::wire::{json, record, tsv};

/// A reader of any bytes, and the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 11] = [
    ("entry", entry),
    ("pack", pack),
    ("manifest", manifest),
    ("hints", hints),
    ("server", server),
    ("server_entry", server_entry),
    ("batch", batch),
    ("import", import),
    ("location", location),
    ("duration", duration),
    ("glob", glob),
];

/// Lines of `kv batch`, plain and as JSON: split in two at any place they are the same.
pub fn batch(bytes: &[u8]) {
    let half = bytes.len() / 2;
    let whole = split(&[bytes]);
    assert_eq!(whole, split(&[&bytes[..half], &bytes[half..]]));
    for line in bytes.split(|&b| b == b'\n') {
        _ = json::read_words(line);
    }
}

fn split(parts: &[&[u8]]) -> (Vec<Vec<Vec<u8>>>, bool) {
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            let (read, line) = splitter.feed(rest);
            rest = &rest[read..];
            lines.extend(line.map(|line| line.words));
        }
    }
    let last = splitter.finish();
    let is_closed = last.is_ok();
    lines.extend(last.ok().flatten().map(|line| line.words));
    (lines, is_closed)
}

/// Lines of `kv import`, as JSON and as TSV.
pub fn import(bytes: &[u8]) {
    let mut decoded = Vec::new();
    for line in bytes.split(|&b| b == b'\n') {
        for read in [record::read_json, tsv::read] {
            if let Ok(record) = read(line, &mut decoded) {
                let Incoming { key, value, .. } = record.entry(line, &decoded);
                assert!(!key.is_empty() && key.len() + value.len() <= line.len());
            }
        }
    }
}

/// What `--store` says.
pub fn location(bytes: &[u8]) {
    match Location::try_from(OsString::from_vec(bytes.to_vec())) {
        Ok(location) => assert!(!location.to_string().is_empty()),
        Err(err) => assert!(!err.to_string().is_empty()),
    }
}

/// Durations, and sizes.
pub fn duration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(ttl) = units::ttl(&text) {
        assert!(!ttl.is_zero() && units::patience(&text) == Ok(ttl));
    }
    _ = units::size(&text);
}

/// A pattern and, behind its first newline, a key.
pub fn glob(bytes: &[u8]) {
    let split = bytes.iter().position(|&b| b == b'\n');
    let (pattern, key) = bytes.split_at(split.unwrap_or(bytes.len()));
    let Ok(glob) = Glob::new(pattern) else {
        return;
    };
    if glob.matches(key) {
        assert!(key.starts_with(&glob.literal_prefix()));
    }
}
