//! The formats of a store's files as functions of any bytes, for [`crate::fuzz`].

use xxhash_rust::xxh3::xxh3_64;

use super::{codec, expiry, percent};

pub use super::pack::fuzz::{manifest, pack};

/// The two lines at the beginning of an entry's file.
pub fn entry(bytes: &[u8]) {
    read_entry(bytes);
    let Some(key) = bytes.get(codec::LINE_LEN..) else {
        return;
    };
    let end = key.iter().position(|&b| b == b'\n').unwrap_or(key.len());
    let summed = [&bytes[..codec::SUMMED_LEN], &key[..end]].concat();
    let mut sealed = bytes.to_vec();
    let sum = format!(" {:016x}\n", xxh3_64(&summed));
    sealed[codec::SUMMED_LEN..codec::LINE_LEN].copy_from_slice(sum.as_bytes());
    read_entry(&sealed);
}

fn read_entry(bytes: &[u8]) {
    let Ok((header, key_line, len)) = codec::decode(bytes) else {
        return;
    };
    // Only what kv itself writes is read.
    assert_eq!(codec::encode(&header, key_line), bytes[..codec::LINE_LEN]);
    assert_eq!(len, codec::LINE_LEN + key_line.len() + 1);
    if let Some(key) = percent::decode(key_line) {
        assert!(key.len() <= key_line.len());
    }
}

/// A file of hints.
pub fn hints(bytes: &[u8]) {
    for hash in expiry::hashes(bytes) {
        assert_eq!(hash.len(), 40);
    }
    for line in bytes.split(|&b| b == b'\n') {
        _ = expiry::is_hint(line);
    }
}
