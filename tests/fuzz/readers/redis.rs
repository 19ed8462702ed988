//! What tests/fuzz feeds with any bytes: whatever a server may send. See [`crate::fuzz`].

use std::time::Duration;

use super::codec::{COVERED_LEN, HEADER_LEN, decode, decode_meta, header_sum};
use super::facts::Facts;
use super::map::{Map, is_master};
use super::named::read_holder;
use super::reply::judge;
use super::resp::{Reply, read_reply};
use super::sentinel;
use super::slots::ranges;

/// Answers of a server, read as each kind of answer that kv makes something of.
pub fn server(bytes: &[u8]) {
    let mut rest = bytes;
    let mut replies = Vec::new();
    while let Ok(reply) = read_reply(&mut rest) {
        replies.push(reply);
    }
    let time = Duration::ZERO;
    let nth = |at: usize| replies.get(at).cloned().unwrap_or(Reply::Nil);
    for reply in &replies {
        _ = judge(reply.clone(), "h:1");
        _ = sentinel::read(reply.clone(), "name");
        _ = is_master(reply);
        for range in ranges(reply.clone(), "h:1") {
            assert!(range.first <= range.last && !range.master.contains('/'));
        }
        if let Reply::Bytes(bytes) = reply {
            _ = read_holder(bytes, 0);
        }
    }
    _ = Map::read(nth(0), nth(1), nth(2), "h:1", time);
    _ = Facts::of(replies, time);
}

/// A key, a newline, and what stands under it: as it is, and with the right sum of its first line.
pub fn server_entry(bytes: &[u8]) {
    let split = bytes.iter().position(|&byte| byte == b'\n');
    let (key, rest) = bytes.split_at(split.unwrap_or(0));
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    for entry in [rest.to_vec(), with_sum(rest, key)] {
        let meta = decode_meta(key, &entry);
        if let Ok(entry) = decode(key, entry.clone()) {
            assert_eq!(meta.as_ref(), Ok(&entry.meta));
            let len = rest.len() as u64 - HEADER_LEN as u64;
            assert_eq!(entry.meta.size, len);
        }
    }
}

/// Returns the bytes of an entry with the right sum of the first line, where they are long enough to have
/// one: else a fuzzer would not get past it.
fn with_sum(bytes: &[u8], key: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= HEADER_LEN {
        let sum = header_sum(&bytes[..COVERED_LEN], key);
        bytes[COVERED_LEN + 1..HEADER_LEN - 1].copy_from_slice(sum.as_bytes());
    }
    bytes
}
